"""The simulated scene as people see it."""

import contextlib
from collections.abc import Callable

import mujoco
import numpy as np

from hilserl.envs.env import SceneView
from hilserl.sim.cameras import Cameras
from hilserl.sim.scene import OVERVIEW
from hilserl.sim.simulation import Simulation


class SimulatedScene(SceneView):
    """The scene of a simulation, rendered with shadows and a sky.

    Args:
        simulation: The simulation.
        cameras: Renders its model.
    """

    def __init__(self, simulation: Simulation, cameras: Cameras) -> None:
        self.simulation, self._cameras = simulation, cameras

    @property
    def model_and_data(self) -> tuple[mujoco.MjModel, mujoco.MjData]:
        """MuJoCo's model and data."""
        return self.simulation.model, self.simulation.data

    @property
    def centre_m(self) -> np.ndarray:
        """Mean centre of the arms' workspaces (world frame), float64 [3]."""
        return self.simulation.workspace_centre_m

    def image(self, height: int, width: int, camera: str = OVERVIEW.name) -> np.ndarray:
        """Render a camera for people, uint8 [height, width, 3].

        The largest size is 1080 x 1920.
        """
        return self._cameras.render(self.simulation.data, camera, height, width, for_people=True)

    def watched(self, on_frame: Callable[[], object], frames: int) -> contextlib.AbstractContextManager[None]:
        """Call `on_frame` at `frames` evenly spaced moments of every control step."""
        return self.simulation.watched(on_frame, frames)
