"""One compiled world and what a task may ask of it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import mujoco
import numpy as np

from hilserl.errors import HilserlError
from hilserl.sim.arm import Arm
from hilserl.sim.control import ArmSetup

_DIVERGED = (mujoco.mjtWarning.mjWARN_BADQPOS, mujoco.mjtWarning.mjWARN_BADQVEL, mujoco.mjtWarning.mjWARN_BADQACC)
"""After each of these MuJoCo has begun anew by itself."""


class Simulation:
    """A world in time. `data` is current after `settle` and after every `advance`."""

    def __init__(self, spec: mujoco.MjSpec, control_dt_s: float, arms: tuple[ArmSetup, ...] = (ArmSetup(),)) -> None:
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
        self.arms = tuple(Arm(self.model, self.data, setup) for setup in arms)

    @property
    def arm(self) -> Arm:
        """The only arm, or the first."""
        return self.arms[0]

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
        """Everything at its start, every arm at home."""
        mujoco.mj_resetData(self.model, self.data)
        for arm in self.arms:
            arm.reset()
        self.settle()

    def settle(self) -> None:
        """Recomputes everything that follows from positions, velocities and commands; time stands still."""
        mujoco.mj_forward(self.model, self.data)

    def wait(self, seconds: float) -> None:
        """Lets time pass under the present commands, for what was placed to come to rest."""
        mujoco.mj_step(self.model, self.data, round(seconds / self.model.opt.timestep))
        self.data.qvel[:] = 0.0
        self.settle()
        self.check()

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
        self.place_turned(body, position_m, np.array([np.cos(yaw_rad / 2), 0.0, 0.0, np.sin(yaw_rad / 2)]))

    def place_turned(self, body: str, position_m: np.ndarray, quaternion_wxyz: np.ndarray) -> None:
        """Puts a free body somewhere, at rest, in any orientation."""
        joint = self.model.body(body).jntadr[0]
        start, dof = self.model.jnt_qposadr[joint], self.model.jnt_dofadr[joint]
        self.data.qpos[start : start + 3] = position_m
        self.data.qpos[start + 3 : start + 7] = quaternion_wxyz
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

    def velocity(self, body: str) -> tuple[np.ndarray, np.ndarray]:
        """A body's velocity along the world's axes: linear (m/s), of its origin, and angular (rad/s); float64 [3]."""
        twist = np.zeros(6)
        kind = mujoco.mjtObj.mjOBJ_XBODY
        mujoco.mj_objectVelocity(self.model, self.data, kind, self.model.body(body).id, twist, 0)
        return twist[3:], twist[:3]

    def held(self, body: str, arm: Arm | None = None) -> bool:
        """Whether both fingers of an arm, the first unless told otherwise, press on the body from their two sides."""
        return (arm or self.arm).holds(self.model.body(body).id)


def _nothing() -> None:
    """Called where nobody watches."""
