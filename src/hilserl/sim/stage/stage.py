"""A decorated copy of a simulation that people see."""

import functools

import mujoco
import numpy as np

from hilserl.sim.cameras import Cameras
from hilserl.sim.simulation import Simulation
from hilserl.sim.stage.decoration import PREFIX, decorate

_STATE = mujoco.mjtState.mjSTATE_INTEGRATION
_OF_BODIES, _OF_GEOMS = ("body_pos", "body_quat"), ("geom_pos", "geom_quat", "geom_size", "geom_rgba")
"""Visible fields of a model that a reset may change."""


class Stage:
    """The decorated copy of a simulation.

    The simulation, and so what a policy sees, stays as it is. The copy is made when it is first asked for.

    Args:
        simulation: The simulation that it follows.
    """

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation

    @functools.cached_property
    def model(self) -> mujoco.MjModel:
        """The decorated model."""
        spec = self._simulation.spec.copy()
        decorate(spec, [arm.setup for arm in self._simulation.arms])
        return spec.compile()

    @functools.cached_property
    def data(self) -> mujoco.MjData:
        """The state of the decorated model, as of the last `follow`."""
        return mujoco.MjData(self.model)

    @functools.cached_property
    def _plain_geoms(self) -> np.ndarray:
        """Indices of the geoms that the simulation has, too."""
        names = (self.model.geom(number).name for number in range(self.model.ngeom))
        return np.flatnonzero([not name.startswith(PREFIX) for name in names])

    @functools.cached_property
    def _cameras(self) -> Cameras:
        return Cameras(self.model, for_people=True)

    def follow(self) -> None:
        """Take over the simulation's present state and looks."""
        plain, data = self._simulation.model, self._simulation.data
        for field in _OF_BODIES:
            getattr(self.model, field)[:] = getattr(plain, field)
        for field in _OF_GEOMS:
            getattr(self.model, field)[self._plain_geoms] = getattr(plain, field)
        state = np.empty(mujoco.mj_stateSize(plain, _STATE))
        mujoco.mj_getState(plain, data, state, _STATE)
        mujoco.mj_setState(self.model, self.data, state, _STATE)
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_comPos(self.model, self.data)
        mujoco.mj_camlight(self.model, self.data)

    def present(self) -> tuple[mujoco.MjModel, mujoco.MjData]:
        """Return the decorated model and its present state."""
        self.follow()
        return self.model, self.data

    def image(self, camera: str, height: int, width: int) -> np.ndarray:
        """Render the present state, uint8 [height, width, 3]."""
        self.follow()
        return self._cameras.render(self.data, camera, height, width)

    def close(self) -> None:
        """Release the OpenGL contexts."""
        if "_cameras" in self.__dict__:
            self._cameras.close()
