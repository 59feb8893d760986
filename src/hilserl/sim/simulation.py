"""One compiled world and what a task may ask of it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import mujoco
import numpy as np

from hilserl.errors import HilserlError
from hilserl.sim.arm import Arm
from hilserl.sim.panda import LEFT_PAD, RIGHT_PAD
from hilserl.sim.scene import ROBOT_PREFIX

_DIVERGED = (mujoco.mjtWarning.mjWARN_BADQPOS, mujoco.mjtWarning.mjWARN_BADQVEL, mujoco.mjtWarning.mjWARN_BADQACC)
"""After each of these MuJoCo has begun anew by itself."""


class Simulation:
    """A world in time. `data` is current after `settle` and after every `advance`."""

    def __init__(self, spec: mujoco.MjSpec, control_dt_s: float) -> None:
        physics_dt_s = spec.option.timestep
        self.substeps = round(control_dt_s / physics_dt_s)
        if self.substeps < 1 or abs(self.substeps * physics_dt_s - control_dt_s) > 1e-9:
            raise HilserlError(
                f"The control step {control_dt_s} s is not a multiple of the physics step {physics_dt_s} s."
            )
        self._frames = 1
        self._on_frame: Callable[[], object] = _nothing
        self.model = spec.compile()
        self.data = mujoco.MjData(self.model)
        self.arm = Arm(self.model, self.data)
        self._pads = tuple(self.model.geom(ROBOT_PREFIX + name).id for name in (LEFT_PAD, RIGHT_PAD))

    @contextmanager
    def watched(self, on_frame: Callable[[], object], frames: int) -> Iterator[None]:
        """Calls `on_frame` at `frames` evenly spread moments of every control step; the physics is the same."""
        if not 2 <= frames <= self.substeps:
            raise HilserlError(
                f"A control step of {self.substeps} physics steps has 2 to as many frames, not {frames}."
            )
        self._on_frame, self._frames = on_frame, frames
        try:
            yield
        finally:
            self._on_frame, self._frames = _nothing, 1

    def restart(self) -> None:
        """Everything at its start, the robot at home."""
        mujoco.mj_resetData(self.model, self.data)
        self.arm.reset()
        self.settle()

    def settle(self) -> None:
        """Recomputes everything that follows from positions, velocities and commands; time stands still."""
        mujoco.mj_forward(self.model, self.data)

    def advance(self) -> None:
        """One control step. Raises HilserlError when the physics diverged."""
        chunk = self.substeps // self._frames
        for _ in range(self._frames - 1):
            mujoco.mj_step(self.model, self.data, chunk)
            self._on_frame()
        mujoco.mj_step(self.model, self.data, self.substeps - chunk * (self._frames - 1))
        # mj_step leaves sensors and poses one physics step behind the positions.
        self.settle()
        if self._frames > 1:
            self._on_frame()
        self.check()

    def check(self) -> None:
        """Raises HilserlError when the physics diverged."""
        if any(self.data.warning[kind].number for kind in _DIVERGED) or not np.isfinite(self.data.qpos).all():
            raise HilserlError(f"The simulation diverged at {self.data.time:.3f} s; qpos is {self.data.qpos}.")

    def place(self, body: str, position_m: np.ndarray, yaw_rad: float) -> None:
        """Puts a free body somewhere, at rest, upright."""
        joint = self.model.body(body).jntadr[0]
        start, dof = self.model.jnt_qposadr[joint], self.model.jnt_dofadr[joint]
        self.data.qpos[start : start + 3] = position_m
        self.data.qpos[start + 3 : start + 7] = [np.cos(yaw_rad / 2), 0.0, 0.0, np.sin(yaw_rad / 2)]
        self.data.qvel[dof : dof + 6] = 0.0

    def half_size_m(self, body: str) -> np.ndarray:
        """Half the extent of a body's first geom along the geom's own axes, float [3]; it may differ by episode."""
        return self.model.geom_aabb[self.model.body(body).geomadr[0], 3:].copy()

    def position_m(self, body: str) -> np.ndarray:
        return self.data.body(body).xpos.copy()

    def quaternion_wxyz(self, body: str) -> np.ndarray:
        """With a positive first component."""
        quaternion = self.data.body(body).xquat.copy()
        return quaternion if quaternion[0] >= 0 else -quaternion

    def held(self, body: str) -> bool:
        """Whether both fingers press on the body from their two sides."""
        contact = self.data.contact
        if not len(contact.geom):
            return False
        wanted = self.model.body(body).id
        axis = self.arm.finger_axis
        for pad in self._pads:
            mine = (contact.geom == pad).any(axis=1)
            other = np.where(contact.geom[:, 0] == pad, contact.geom[:, 1], contact.geom[:, 0])
            sideways = np.abs(contact.frame[:, :3] @ axis) > 0.7
            if not (mine & (self.model.geom_bodyid[other] == wanted) & sideways & (contact.dist < 0)).any():
                return False
        return True


def _nothing() -> None:
    """Called where nobody watches."""
