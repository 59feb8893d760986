"""The simulated scene as people see it."""

import contextlib
from collections.abc import Callable

import mujoco
import numpy as np

from hilserl.envs.env import SceneView
from hilserl.sim.scene import OVERVIEW
from hilserl.sim.simulation import Simulation
from hilserl.sim.stage.stage import Stage


class SimulatedScene(SceneView):
    """The scene of a simulation, on a table before a backdrop.

    Args:
        simulation: The simulation.
    """

    def __init__(self, simulation: Simulation) -> None:
        self.simulation, self._stage = simulation, Stage(simulation)

    @property
    def model_and_data(self) -> tuple[mujoco.MjModel, mujoco.MjData]:
        """Decorated model and its present state."""
        return self._stage.present()

    @property
    def centre_m(self) -> np.ndarray:
        """Mean centre of the arms' workspaces (world frame), float64 [3]."""
        return self.simulation.workspace_centre_m

    def image(self, height: int, width: int, camera: str = OVERVIEW.name) -> np.ndarray:
        """Render a camera for people, uint8 [height, width, 3].

        The largest size is 1080 x 1920.
        """
        return self._stage.image(camera, height, width)

    def watched(self, on_frame: Callable[[], object], frames: int) -> contextlib.AbstractContextManager[None]:
        """Call `on_frame` at `frames` evenly spaced moments of every control step."""
        return self.simulation.watched(on_frame, frames)

    def close(self) -> None:
        """Release the OpenGL contexts."""
        self._stage.close()
