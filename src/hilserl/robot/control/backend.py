"""Interface between the robot server and an arm, simulated or real."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np

from hilserl.errors import EnvUnavailableError
from hilserl.robot.control.impedance import Compliance
from hilserl.robot.control.limits import Box, Limits
from hilserl.robot.control.poses import Pose

GripperKind = Literal["franka", "robotiq", "percent", "none"]
GripperVerb = Literal["activate", "reset", "open", "close", "close_slow"]

FRANKA_M_PER_UNIT = 1 / 2550
"""Width of a Franka hand per unit of `move_gripper`.

The full range 0 ... 255 is 0.1 m, more than the hand has.
"""


class ArmStateError(EnvUnavailableError):
    """Command that the arm's present state forbids."""


class LostError(EnvUnavailableError):
    """Loss of the arm: its loop has ended or is silent."""


def halted_error(reason: str) -> ArmStateError:
    """Make the error of a halted arm. A person has to check the arm first."""
    return ArmStateError(f"The arm is halted ({reason}). Check the arm, then POST /recover.")


class Mode(IntEnum):
    """Mode of an arm."""

    IMPEDANCE = 0
    """The arm follows commanded poses."""
    IDLE = 1
    """The impedance control is stopped; the arm holds its joints."""
    RESETTING = 2
    """The arm moves its joints to the reset posture."""
    HALTED = 3
    """The arm stands after a reflex or a stop. A client has to recover it."""


@dataclass(frozen=True)
class Snapshot:
    """State of the arm at one moment.

    Vectors are float64 in the robot's base frame, except for force and torque.
    """

    time_s: float
    """Time on the clock of the arm's loop."""
    mode: Mode
    """Mode of the arm."""
    pose: Pose
    """Pose of the tool: xyz in m and quaternion xyzw.

    The quaternion has SciPy's sign.
    """
    velocity: np.ndarray
    """Velocity of the tool, [6], m/s and rad/s."""
    force_N: np.ndarray | None  # noqa: N815 (a unit)
    """Force of the environment on the tool, [3].

    None if it is not sensed. It is in the tool's frame, Franka's stiffness frame K.
    """
    torque_Nm: np.ndarray | None  # noqa: N815 (a unit)
    """Torque of the environment about the tool's point, [3].

    None if it is not sensed. It is in the tool's frame.
    """
    q: np.ndarray
    """Joint angles, [n], rad."""
    dq: np.ndarray
    """Joint velocities, [n], rad/s."""
    jacobian: np.ndarray
    """Jacobian from `dq` to `velocity`, [6, n]."""
    gripper: float
    """Opening of the gripper: 1 open, 0 closed."""
    set_point: Pose
    """Pose to which the controller pulls the tool."""
    halted_by: str = ""
    """Reason of the halt; empty in the other modes."""


@dataclass(frozen=True)
class Load:
    """Load in the hand, whose weight the controller compensates."""

    mass_kg: float
    """Mass of the load."""
    centre_m: tuple[float, float, float]
    """Centre of mass from the flange, in the flange's frame."""
    inertia_kg_m2: tuple[float, ...]
    """Inertia, nine numbers, column by column."""


class StopMemory(NamedTuple):
    """Shared memory that a stop needs."""

    line: Any
    """Memory of `StopLine`."""
    state: Any
    """Memory of `SharedState`."""
    layout: Mapping[str, int]
    """Layout of the state."""
    stale_s: float
    """Time without a write after which the loop counts as lost."""


class CutWay(NamedTuple):
    """Last commanded pose that the watchdog kept the tool from."""

    number: int
    """Number of such poses so far, with this one."""
    missing_m: float
    """Distance of the tool from the pose when the watchdog held it."""
    missing_rad: float
    """Turn that was missing."""


@runtime_checkable
class SceneBackend(Protocol):
    """Backend that may be simulated, with a task's objects before the arm."""

    @property
    def scene(self) -> str | None:
        """Task whose objects lie before the arm. None for a real arm."""
        ...

    def reset_scene(self, seed: int, *, home: bool) -> None:
        """Place the task's objects as its environment's `reset(seed=seed)` does.

        Args:
            seed: seed of the environment's reset.
            home: also put the robot home, at once.
        """
        ...

    def truth(self) -> dict[str, Any]:
        """Return the task's verdicts and its script's way."""
        ...


class Backend(Protocol):
    """Running arm with its gripper and its cameras.

    The loop that drives the arm runs its own `CommandLimiter`, so box, speed limit and watchdog hold even if the
    server fails. All methods may be called from any thread. They raise `LostError` if the loop is gone and
    `ArmStateError` if the arm's state forbids the command. They return once the loop has taken the command;
    `joint_reset` returns once it is done.
    """

    @property
    def robot(self) -> str:
        """Name of the robot's description. Empty for a Panda or a Research 3."""
        ...

    @property
    def box(self) -> Box:
        """Region in which the tool may be."""
        ...

    @property
    def limits(self) -> Limits:
        """Bounds on commanded poses."""
        ...

    @property
    def gripper_kind(self) -> GripperKind:
        """Kind of the gripper."""
        ...

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the cameras that `image` accepts."""
        ...

    def snapshot(self) -> Snapshot:
        """Return the newest state."""
        ...

    def move(self, pose: Pose) -> None:
        """Go to a pose within box and limits, for at most `watchdog_s`.

        Args:
            pose: finite, with a quaternion of length 1.
        """
        ...

    def gripper(self, verb: GripperVerb) -> None:
        """Start a gripper command."""
        ...

    def move_gripper(self, position: float) -> None:
        """Move the gripper to a position from 0 to 255.

        For a Robotiq gripper 255 is closed; for a Franka hand 255 is a width of 0.1 m; for a gripper in percent 255 is
        the open end of its range.
        """
        ...

    def set_compliance(self, compliance: Compliance) -> None:
        """Set the impedance parameters."""
        ...

    def compliance(self) -> Compliance:
        """Return the impedance parameters."""
        ...

    def set_load(self, load: Load) -> None:
        """Set the load that the hand carries."""
        ...

    def start_impedance(self) -> None:
        """Hold the present pose and follow poses from there."""
        ...

    def stop_impedance(self) -> None:
        """Stop following poses; the arm holds its joints."""
        ...

    def joint_reset(self) -> None:
        """Move the joints to the reset posture, then start impedance control again.

        Raises:
            ArmStateError: the joints do not get there.
        """
        ...

    def halt(self, reason: str) -> None:
        """Stop at once and stay halted until `recover`."""
        ...

    def recover(self) -> None:
        """End a halt or a reflex; the arm holds its present pose."""
        ...

    def image(self, camera: str, height: int, width: int) -> tuple[np.ndarray, float]:
        """Return an image of a camera.

        Returns:
            uint8 [height, width, 3] RGB, and its time on the clock of `Snapshot.time_s`.
        """
        ...

    def cut_way(self) -> CutWay:
        """Return the last pose that the watchdog kept the tool from."""
        ...

    @property
    def is_lost(self) -> bool:
        """True if the loop is gone for good."""
        ...

    @property
    def stop_memory(self) -> StopMemory:
        """Memory by which another process can stop the arm."""
        ...

    def metrics(self) -> Mapping[str, float]:
        """Return the loop's timing and its number of safety interventions."""
        ...

    def close(self) -> None:
        """End the loop and release the arm."""
        ...
