"""The simulation of one compiled scene."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import mujoco
import numpy as np

from hilserl.errors import HilserlError
from hilserl.sim.arm import Arm
from hilserl.sim.control import ArmSetup

_DIVERGED = (mujoco.mjtWarning.mjWARN_BADQPOS, mujoco.mjtWarning.mjWARN_BADQVEL, mujoco.mjtWarning.mjWARN_BADQACC)
"""Warnings after which MuJoCo has reset the state by itself."""


class Simulation:
    """A compiled scene in time.

    All of `data` is current after `settle` and after every `advance`.

    Args:
        spec: The scene.
        control_dt_s: Length of a control step, a multiple of the physics step.
        arms: The arms in the scene.
    """

    def __init__(self, spec: mujoco.MjSpec, control_dt_s: float, arms: tuple[ArmSetup, ...] = (ArmSetup(),)) -> None:
        physics_dt_s = spec.option.timestep
        self.substeps = round(control_dt_s / physics_dt_s)
        if self.substeps < 1 or abs(self.substeps * physics_dt_s - control_dt_s) > 1e-9:
            raise HilserlError(
                f"The control step {control_dt_s} s is not a multiple of the physics step {physics_dt_s} s."
            )
        self._frames = 1
        self._on_frame: Callable[[], object] = _nothing
        self.spec = spec
        """The scene before it was compiled."""
        self.model = spec.compile()
        self.data = mujoco.MjData(self.model)
        self._built_pos, self._built_quat = self.model.body_pos.copy(), self.model.body_quat.copy()
        self.arms = tuple(Arm(self.model, self.data, setup) for setup in arms)

    @property
    def arm(self) -> Arm:
        """The first arm."""
        return self.arms[0]

    @property
    def workspace_centre_m(self) -> np.ndarray:
        """Mean centre of the arms' workspaces (world frame), float64 [3]."""
        return np.mean([[arm.setup.workspace_low_m, arm.setup.workspace_high_m] for arm in self.arms], axis=(0, 1))

    @contextmanager
    def watched(self, on_frame: Callable[[], object], frames: int) -> Iterator[None]:
        """Call `on_frame` at evenly spaced moments of every control step.

        The physics stays the same.

        Raises:
            HilserlError: There are fewer than 2 frames, or more than physics steps.
        """
        if not 2 <= frames <= self.substeps:
            raise HilserlError(
                f"Invalid number of frames {frames}: expected 2 to {self.substeps}, the physics steps in a step."
            )
        self._on_frame, self._frames = on_frame, frames
        try:
            yield
        finally:
            self._on_frame, self._frames = _nothing, 1

    def restart(self) -> None:
        """Reset everything and put every arm home."""
        mujoco.mj_resetData(self.model, self.data)
        for arm in self.arms:
            arm.reset()
        self.settle()

    def settle(self) -> None:
        """Recompute all that depends on positions, velocities and commands; time stands still."""
        mujoco.mj_forward(self.model, self.data)

    def wait(self, seconds: float) -> None:
        """Simulate under the present commands, until placed objects have come to rest."""
        mujoco.mj_step(self.model, self.data, round(seconds / self.model.opt.timestep))
        self.data.qvel[:] = 0.0
        self.settle()
        self.check()

    def advance(self) -> None:
        """Simulate one control step.

        Raises:
            HilserlError: The physics diverged.
        """
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
        """Raise HilserlError if the physics diverged."""
        if any(self.data.warning[kind].number for kind in _DIVERGED) or not np.isfinite(self.data.qpos).all():
            raise HilserlError(f"The simulation diverged at {self.data.time:.3f} s; qpos is {self.data.qpos}.")

    def place(self, body: str, position_m: np.ndarray, yaw_rad: float) -> None:
        """Put a free body upright at a position (world frame), at rest."""
        self.place_turned(body, position_m, np.array([np.cos(yaw_rad / 2), 0.0, 0.0, np.sin(yaw_rad / 2)]))

    def place_turned(self, body: str, position_m: np.ndarray, quaternion_wxyz: np.ndarray) -> None:
        """Put a free body at a pose (world frame), at rest."""
        joint = self.model.body(body).jntadr[0]
        start, dof = self.model.jnt_qposadr[joint], self.model.jnt_dofadr[joint]
        self.data.qpos[start : start + 3] = position_m
        self.data.qpos[start + 3 : start + 7] = quaternion_wxyz
        self.data.qvel[dof : dof + 6] = 0.0

    def half_size_m(self, body: str) -> np.ndarray:
        """Return half the size of a body's first geom, float [3].

        It is along the geom's axes. Randomisation may change it at every reset.
        """
        return self.model.geom_aabb[self.model.body(body).geomadr[0], 3:].copy()

    def position_m(self, body: str) -> np.ndarray:
        """Return a body's position (world frame), float64 [3]."""
        return self.data.body(body).xpos.copy()

    def quaternion_wxyz(self, body: str) -> np.ndarray:
        """Return a body's orientation (world frame) with a non-negative first component."""
        quaternion = self.data.body(body).xquat.copy()
        return quaternion if quaternion[0] >= 0 else -quaternion

    def velocity(self, body: str) -> tuple[np.ndarray, np.ndarray]:
        """Return a body's velocity along the world's axes.

        Returns:
            The linear velocity of its origin (m/s) and the angular velocity (rad/s), float64 [3] each.
        """
        twist = np.zeros(6)
        kind = mujoco.mjtObj.mjOBJ_XBODY
        mujoco.mj_objectVelocity(self.model, self.data, kind, self.model.body(body).id, twist, 0)
        return twist[3:], twist[:3]

    def rest_m(self, body: str) -> np.ndarray:
        """Return a free body's position as it was built (world frame)."""
        start = self.model.jnt_qposadr[self.model.body(body).jntadr[0]]
        return self.model.qpos0[start : start + 3].copy()

    def home_of(self, body: int) -> tuple[np.ndarray, np.ndarray]:
        """Return a fixed body's pose as it was built: m and wxyz."""
        return self._built_pos[body].copy(), self._built_quat[body].copy()

    def held(self, body: str, arm: Arm | None = None) -> bool:
        """True if both fingers of an arm press on a body.

        Args:
            body: The body's name.
            arm: The arm; by default the first.
        """
        return (arm or self.arm).holds(self.model.body(body).id)


def _nothing() -> None:
    """Do nothing at a frame that is not watched."""
