"""Driver of an arm whose servos take joint positions, through LeRobot."""

import numpy as np
from typing_extensions import override

from hilserl.errors import HilserlError
from hilserl.robot.control.backend import ArmStateError, Load, Mode
from hilserl.robot.control.command_limiter import CommandLimiter
from hilserl.robot.control.driver import BaseArm, GripperDriver
from hilserl.robot.control.impedance import Compliance
from hilserl.robot.control.limits import Box, Limits
from hilserl.robot.drivers.lerobot.bus import SILENCE_S, ServoBus
from hilserl.robot.drivers.lerobot.servo_goals import JointWalk, SagCompensation
from hilserl.sim.robot_models.model import RobotModel

_LEAST_RAD = 1e-6
_MOST_DT_S = 0.1


class LeRobotArm(BaseArm):
    """Arm of LeRobot, whose own process measures and commands the servos.

    A tick waits for a measurement, so LeRobot's process is the clock. Inverse kinematics turn the limiter's set points
    into joints. Without a new goal the servos hold their last one, which is at most a step away, so a process that
    dies leaves a standing arm. A bus that fails for 0.3 s, or a process that ended, halts the arm; then the
    measurements stay the last ones.

    Args:
        bus: bus of the servos.
        gripper: the arm's gripper.
        robot: description of the arm.
        box: region in which the tool may be.
        limits: bounds on commanded poses.
        reset_joints_rad: posture of a joint reset.

    Raises:
        HilserlError: the posture does not fit.
    """

    def __init__(
        self,
        bus: ServoBus,
        gripper: GripperDriver,
        robot: RobotModel,
        box: Box,
        limits: Limits,
        reset_joints_rad: tuple[float, ...],
    ) -> None:
        self._bus, self._arm = bus, bus.arm
        self._reset_rad = np.array(reset_joints_rad, float)
        self._check_posture(robot)
        servo = robot.servo
        self._most_rad_per_s = np.array(servo.speed_rad_per_s if servo else (np.inf,) * len(robot.joints))
        self.waited_s: float | None = 0.0
        self._walk: JointWalk | None = None
        self._is_braking = False
        self._begun_s = self._read_s = bus.now_s()
        self._show_measurement()
        self._wanted_rad = self.q
        self._sag = SagCompensation(self._wanted_rad)
        super().__init__(CommandLimiter(box, limits, self.pose, brake_s=0.0), gripper)
        # The servos may still have a goal of an earlier program.
        self._enter_impedance()
        self._send(0.0)

    def _check_posture(self, robot: RobotModel) -> None:
        low, high = self._arm.ranges_rad.T
        if self._reset_rad.shape != low.shape or not ((self._reset_rad > low) & (self._reset_rad < high)).all():
            raise HilserlError(
                f"Invalid reset posture {self._reset_rad.tolist()} rad: expected an angle for each of "
                f"{', '.join(robot.joints)}, between {low.tolist()} and {high.tolist()}."
            )

    @property
    @override
    def now_s(self) -> float:
        return self._read_s - self._begun_s

    @override
    def tick(self) -> None:
        before_s, was_lost = self._read_s, bool(self._bus.trouble)
        self._bus.read(SILENCE_S / 6)
        self._read_s = self._bus.now_s()
        self.waited_s = self._read_s - before_s
        self._show_measurement()
        if self.mode != Mode.HALTED and (why := self._bus.lost_by):
            self.halt(f"the arm's bus is lost: {why}")
        elif self.mode == Mode.HALTED and was_lost:
            # A person may have moved the arm meanwhile; it must not spring back.
            self._hold_joints()
        dt_s = min(self.waited_s, _MOST_DT_S)
        self._advance(dt_s)
        self._send(dt_s)

    def _show_measurement(self) -> None:
        arm = self._arm
        self.q, self.dq, self.pose, self.jacobian = arm.q, arm.dq, arm.pose(), arm.jacobian()
        self.velocity = self.jacobian @ self.dq

    def _advance(self, dt_s: float) -> None:
        """Advance the wanted joints by a tick."""
        if self.mode == Mode.IMPEDANCE:
            self._follow(dt_s)
        elif self._walk is not None:
            self._wanted_rad = self._walk.joints(self.now_s)
            if self._walk.is_over(self.q, self.now_s):
                self._walk = None
                self._enter_impedance()
        self._sag.update(self._wanted_rad, self.q, self.dq, dt_s)

    def _follow(self, dt_s: float) -> None:
        """Follow the limiter; where it brakes, stay where the braking began."""
        set_point = self.limiter.update(self.pose, self.velocity[:3], self.now_s)
        began, self._is_braking = self.limiter.is_braking and not self._is_braking, self.limiter.is_braking
        if began:
            self._hold_joints()
        if self._is_braking:
            return
        way = self._arm.joints_at(self._wanted_rad, set_point) - self._wanted_rad
        most = np.maximum(self._most_rad_per_s * dt_s, _LEAST_RAD)
        # Too long a way is shortened, not bent.
        self._wanted_rad = self._wanted_rad + way / max(1.0, float((np.abs(way) / most).max()))

    def _send(self, dt_s: float) -> None:
        self._bus.send(self._wanted_rad + self._sag.offset_rad, dt_s)

    @property
    @override
    def wrench(self) -> np.ndarray | None:
        return None

    @override
    def measurements(self) -> dict[str, np.ndarray]:
        return super().measurements() | {
            "begun": np.array([self._begun_s]),
            "bus_failures": np.array([float(self._bus.failures)]),
            "goals_clipped": np.array([float(self._bus.clipped)]),
        }

    @override
    def set_compliance(self, compliance: Compliance) -> None:
        if compliance != Compliance():
            raise ArmStateError(
                "This arm's servos take positions, so it has no impedance to set. Bound its speed with "
                "--max-speed-m-per-s, and its force with the servos' own torque limits."
            )

    @override
    def set_load(self, load: Load) -> None:
        if load.mass_kg > 0:
            raise ArmStateError("This arm's servos take positions, so there is no weight to compensate.")

    @override
    def close(self) -> None:
        """Hold the present joints, and let LeRobot disconnect."""
        self._hold_joints()
        self._send(0.0)
        self._bus.close()

    @override
    def _on_new_goal(self) -> None:
        """Do nothing: the next tick follows the limiter."""

    @override
    def _on_impedance(self) -> None:
        self._hold_joints()

    @override
    def _stop_impedance(self) -> None:
        self._hold_joints()

    @override
    def _start_joint_reset(self) -> None:
        self._walk = JointWalk(self.q, self._reset_rad, self.now_s)

    @override
    def _stop_motion(self) -> None:
        self._hold_joints()

    def _hold_joints(self) -> None:
        """Want the present joints."""
        self._walk, self._wanted_rad = None, self.q

    @override
    def _start_recovery(self) -> None:
        try:
            self._bus.recover()
        except HilserlError as error:
            raise ArmStateError(str(error)) from error
        self._show_measurement()
        self._enter_impedance()
