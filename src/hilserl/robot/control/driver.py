"""Interface of arm drivers, with their common command state machine."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, Self, final

import numpy as np

from hilserl.robot.control.backend import ArmStateError, GripperKind, GripperVerb, Load, Mode, halted_error
from hilserl.robot.control.command_limiter import CommandLimiter
from hilserl.robot.control.impedance import Compliance
from hilserl.robot.control.limits import Box, Limits
from hilserl.robot.control.poses import Pose


def measured_sizes(num_joints: int, *, senses_wrench: bool) -> dict[str, int]:
    """Return the measurements of an arm, with their sizes.

    Units and reference frames are those of `Snapshot`.
    """
    of_joints = {"q": num_joints, "dq": num_joints, "jacobian": 6 * num_joints}
    of_wrench = {"force": 3, "torque": 3} if senses_wrench else {}
    return {"pose": 7, "velocity": 6, **of_wrench, **of_joints, "gripper": 1, "set_point": 7}


class GripperDriver(Protocol):
    """Gripper of an arm. Commands return at once."""

    @property
    def position(self) -> float:
        """Opening from 0 (closed) to 1 (open); 0 before the first measurement."""
        ...

    def do(self, verb: GripperVerb) -> None:
        """Start a gripper command."""
        ...

    def move(self, position: float) -> None:
        """Move the fingers to a position from 0 to 255."""
        ...


class NoGripper:
    """Gripper of an arm without one; its commands have no effect."""

    position = 0.0

    def do(self, verb: GripperVerb) -> None:
        """Ignore a gripper command."""

    def move(self, position: float) -> None:
        """Ignore a position."""

    def tick(self) -> None:
        """Do nothing in a tick."""


class ArmMeasurements(ABC):
    """Measurements of an arm in its last tick."""

    limiter: CommandLimiter
    """Limiter of the commanded poses."""
    gripper: GripperDriver
    """The arm's gripper."""
    pose: Pose
    """Pose of the tool."""
    velocity: np.ndarray
    """Velocity of the tool, float64 [6], m/s and rad/s."""
    q: np.ndarray
    """Joint angles, float64 [n], rad."""
    dq: np.ndarray
    """Joint velocities, float64 [n], rad/s."""
    jacobian: np.ndarray
    """Jacobian from `dq` to `velocity`, float64 [6, n]."""

    @property
    @abstractmethod
    def wrench(self) -> np.ndarray | None:
        """Force (N) and torque (N m) on the tool, float64 [6].

        The frame is the tool's. None for an arm that does not sense it.
        """

    def measurements(self) -> dict[str, np.ndarray]:
        """Return the measurements of the last tick, float64.

        Returns:
            The vectors of `measured_sizes`; a driver adds those of its settings' `extra_measurements`.
        """
        wrench = self.wrench
        return {
            "pose": self.pose,
            "velocity": self.velocity,
            **({} if wrench is None else {"force": wrench[:3], "torque": wrench[3:]}),
            "q": self.q,
            "dq": self.dq,
            "jacobian": self.jacobian.ravel(),
            "gripper": np.array([self.gripper.position]),
            "set_point": self.limiter.set_point,
        }


class BaseArm(ArmMeasurements):
    """Arm with its controller, advanced by ticks.

    This class decides which command is allowed in which mode, and how commands change the mode. A driver implements
    the hooks, which touch its hardware:

    | command | allowed in | hook | mode afterwards |
    | --- | --- | --- | --- |
    | `command` | IMPEDANCE | `_on_new_goal` | unchanged |
    | `command_gripper`, `move_gripper` | IMPEDANCE, IDLE | the gripper | unchanged |
    | `start_impedance` | IMPEDANCE, IDLE | `_start_impedance` | IMPEDANCE, once the driver follows |
    | `stop_impedance` | IMPEDANCE, IDLE | `_stop_impedance` | IDLE |
    | `joint_reset` | IMPEDANCE, IDLE | `_start_joint_reset` | RESETTING, then IMPEDANCE or HALTED |
    | `halt` | all | `_stop_motion` | HALTED |
    | `recover` | all; it acts in HALTED only | `_start_recovery` | IMPEDANCE, once the driver follows |

    A hook raises `ArmStateError` to refuse; then the mode does not change. The loop calls `tick` once a period and all
    other methods between two ticks, from one thread. A backend may ask a driver for further methods by name.
    """

    waited_s: float | None = None
    """Time that the last tick waited for the robot.

    None if the loop keeps time itself instead of the robot.
    """

    def __init__(self, limiter: CommandLimiter, gripper: GripperDriver) -> None:
        self.limiter, self.gripper = limiter, gripper
        self.mode = Mode.IDLE
        self._halted_by = ""

    @property
    def together(self) -> "tuple[BaseArm, ...]":
        """All arms that this arm's ticks move, itself first."""
        return (self,)

    # Driver methods.

    @property
    @abstractmethod
    def now_s(self) -> float:
        """Time on the arm's clock; every tick advances it."""

    @abstractmethod
    def tick(self) -> None:
        """Measure and control once. Raises HilserlError if the arm is lost."""

    @abstractmethod
    def set_compliance(self, compliance: Compliance) -> None:
        """Set the impedance parameters, now or for the next impedance control."""

    @abstractmethod
    def set_load(self, load: Load) -> None:
        """Set the load that the hand carries."""

    @abstractmethod
    def close(self) -> None:
        """Release the arm; it stands still afterwards."""

    # Hooks of the commands.

    @abstractmethod
    def _on_new_goal(self) -> None:
        """Prepare the controller for a new commanded pose."""

    @abstractmethod
    def _on_impedance(self) -> None:
        """Prepare the controller to hold the present pose."""

    @abstractmethod
    def _stop_impedance(self) -> None:
        """Stop following poses and hold the joints."""

    @abstractmethod
    def _start_joint_reset(self) -> None:
        """Start to move the joints to the reset posture."""

    @abstractmethod
    def _stop_motion(self) -> None:
        """Stop the arm and hold it."""

    def _start_impedance(self) -> None:
        """Start the impedance control; call `_enter_impedance` once it follows."""
        self._enter_impedance()

    def _start_recovery(self) -> None:
        """Clear the hardware's errors; call `_enter_impedance` once it follows."""
        self._enter_impedance()

    # Commands. They are final: an arm that refuses less than the others is a hazard.

    @final
    def command(self, pose: Pose) -> None:
        """Go to a pose. Raises `ArmStateError` without impedance control."""
        self._require_impedance()
        self.limiter.command(pose, self.now_s)
        self._on_new_goal()

    @final
    def command_gripper(self, verb: GripperVerb) -> None:
        """Start a gripper command. Raises `ArmStateError` while halted or resetting."""
        self._require_motion()
        self.gripper.do(verb)

    @final
    def move_gripper(self, position: float) -> None:
        """Move the gripper to 0 ... 255. Raises `ArmStateError` while halted or resetting."""
        self._require_motion()
        self.gripper.move(position)

    @final
    def start_impedance(self) -> None:
        """Hold the present pose and follow poses from there."""
        self._require_motion()
        self._start_impedance()

    @final
    def stop_impedance(self) -> None:
        """Stop following poses; the arm holds its joints."""
        self._require_motion()
        self._stop_impedance()
        self.mode = Mode.IDLE

    @final
    def joint_reset(self) -> None:
        """Start a joint reset.

        The mode is RESETTING until it ends: in IMPEDANCE, or in another mode if it fails.
        """
        self._require_motion()
        self._start_joint_reset()
        self.mode = Mode.RESETTING

    @final
    def halt(self, reason: str) -> None:
        """Stop at once and stay halted until `recover`."""
        self._stop_motion()
        self._enter_halt(reason)

    def recover(self) -> None:
        """End a halt; the arm holds its present pose.

        Raises:
            ArmStateError: the robot stays halted.
        """
        if self.mode == Mode.HALTED:
            self._start_recovery()

    @final
    def why_halted(self) -> str:
        """Return the reason of the last halt."""
        return self._halted_by

    # Transitions that drivers use.

    @final
    def _enter_impedance(self) -> None:
        """Hold the measured pose and follow commanded poses from now on."""
        self.limiter.hold(self.pose)
        self._on_impedance()
        self.mode = Mode.IMPEDANCE

    @final
    def _enter_halt(self, reason: str) -> None:
        self._halted_by = reason
        self.mode = Mode.HALTED

    @final
    def _require_motion(self) -> None:
        if self.mode == Mode.HALTED:
            raise halted_error(self._halted_by)
        if self.mode == Mode.RESETTING:
            raise ArmStateError("The arm is moving its joints to the reset posture.")

    @final
    def _require_impedance(self) -> None:
        self._require_motion()
        if self.mode != Mode.IMPEDANCE:
            raise ArmStateError("The impedance control is stopped, so the arm cannot be moved; POST /startimp.")


@dataclass(frozen=True)
class ArmSettings:
    """Settings of an arm. The loop's process calls `make`."""

    box: Box
    """Region in which the tool may be."""
    limits: Limits
    """Bounds on commanded poses."""
    gripper: GripperKind
    """Kind of the gripper."""
    reset_joints_rad: tuple[float, ...]
    """Posture of a joint reset, an angle for each joint."""

    @property
    def together(self) -> tuple[Self, ...]:
        """Settings of all arms that tick together, these first."""
        return (self,)

    @property
    def robot_name(self) -> str:
        """Name of the robot's description. Empty for a Panda or a Research 3."""
        return ""

    @property
    def tick_s(self) -> float:
        """Period of the loop."""
        return 0.001

    @property
    def stale_after_s(self) -> float:
        """Longest time without a tick before the loop counts as lost."""
        return 1.0

    @property
    def senses_wrench(self) -> bool:
        """True if the arm measures force and torque at its tool."""
        return True

    @property
    def reset_tolerance_rad(self) -> float:
        """Largest error of a joint after a joint reset."""
        return 0.02

    @property
    def extra_measurements(self) -> Mapping[str, int]:
        """Measurements beyond `measured_sizes`, with their sizes."""
        return {}

    def make(self) -> BaseArm:
        """Make the arm. Raises HilserlError for invalid settings."""
        raise NotImplementedError
