"""What the server asks of an arm, simulated or real."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, Protocol

import numpy as np

from hilserl.errors import HilserlError
from hilserl.robot.control.impedance import Compliance
from hilserl.robot.control.limits import Box, Limits
from hilserl.robot.control.poses import Pose

GripperKind = Literal["franka", "robotiq", "none"]
GripperVerb = Literal["activate", "reset", "open", "close", "close_slow"]

FRANKA_M_PER_UNIT = 1 / 2550
"""What the 0 ... 255 of `move_gripper` are for a Franka hand: 0.1 m in all, more than it has."""


class ArmStateError(HilserlError):
    """The arm is in no state to do what was asked."""


def halted(why: str) -> ArmStateError:
    """The error of an arm that somebody has to look at first."""
    return ArmStateError(f"The arm is halted ({why}); look why, then POST /recover.")


class LostError(HilserlError):
    """The arm's loop has ended or has gone silent."""


class Mode(IntEnum):
    """What the arm is doing."""

    IMPEDANCE = 0
    """It follows commanded poses."""
    IDLE = 1
    """The impedance is stopped; the arm holds its joints."""
    RESETTING = 2
    """It moves its joints to the reset posture."""
    HALTED = 3
    """It holds its joints after a reflex or a stop, until somebody recovers it."""


@dataclass(frozen=True)
class Snapshot:
    """The arm at one moment. Vectors are float64 in the base frame, but for the forces."""

    time_s: float
    """On the clock of the arm's own loop."""
    mode: Mode
    pose: Pose
    """Of the tool: xyz m and quaternion xyzw."""
    velocity: np.ndarray
    """[6] m/s and rad/s."""
    force_N: np.ndarray  # noqa: N815 (a unit)
    """[3], of the world on the tool, in the tool's frame (Franka's stiffness frame K)."""
    torque_Nm: np.ndarray  # noqa: N815 (a unit)
    """[3], about the tool's point, in the tool's frame."""
    q: np.ndarray
    """[7] rad."""
    dq: np.ndarray
    """[7] rad/s."""
    jacobian: np.ndarray
    """[6, 7] from dq to `velocity`."""
    gripper: float
    """1 open, 0 closed."""
    set_point: Pose
    """Where the controller pulls the tool to."""
    halted_by: str = ""
    """Why, where the mode is HALTED."""


@dataclass(frozen=True)
class Load:
    """What the hand carries, for the controller to hold up."""

    mass_kg: float
    centre_m: tuple[float, float, float]
    """From the flange, in its frame."""
    inertia_kg_m2: tuple[float, ...]
    """Nine numbers, column by column."""


class Backend(Protocol):
    """One arm with its gripper and its cameras, started.

    The loop that drives it runs its own `CommandLimiter`, so that box, speed and watchdog hold whatever becomes of the
    server. All methods may be called from any thread; they raise `LostError` where the loop is gone and `ArmStateError`
    where the arm's state forbids what is asked. They return once the loop has taken the command, `joint_reset` once it
    is done.
    """

    @property
    def box(self) -> Box: ...
    @property
    def limits(self) -> Limits: ...
    @property
    def gripper_kind(self) -> GripperKind: ...
    @property
    def cameras(self) -> tuple[str, ...]:
        """The names of what `picture` can show."""
        ...

    def snapshot(self) -> Snapshot:
        """The newest state."""
        ...

    def move(self, pose: Pose) -> None:
        """Go to a pose, finite and with a quaternion of length 1, within box and limits; at most `watchdog_s` long."""
        ...

    def gripper(self, verb: GripperVerb) -> None: ...

    def move_gripper(self, position: float) -> None:
        """To 0 ... 255: of a Robotiq gripper 255 is closed, of a Franka hand 255 is 0.1 m wide."""
        ...

    def set_compliance(self, compliance: Compliance) -> None: ...
    def compliance(self) -> Compliance: ...
    def set_load(self, load: Load) -> None: ...

    def start_impedance(self) -> None:
        """Holds the present pose and follows from there."""
        ...

    def stop_impedance(self) -> None: ...

    def joint_reset(self) -> None:
        """Joints to the reset posture, then impedance again. Raises `ArmStateError` where it does not get there."""
        ...

    def halt(self, reason: str) -> None:
        """Stop at once and stay, until `recover`."""
        ...

    def recover(self) -> None:
        """Out of a halt or a reflex; the arm holds where it is."""
        ...

    def picture(self, camera: str, height: int, width: int) -> tuple[np.ndarray, float]:
        """uint8 [height, width, 3] RGB, and the moment it shows, on the clock of `Snapshot.time_s`."""
        ...

    def metrics(self) -> Mapping[str, float]:
        """How well the loop keeps time, and how often it had to intervene."""
        ...

    def close(self) -> None: ...
