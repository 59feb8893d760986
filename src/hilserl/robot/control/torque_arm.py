"""Impedance control of arms by joint torques."""

from abc import abstractmethod

import numpy as np
from typing_extensions import override

from hilserl.robot.control.backend import Mode
from hilserl.robot.control.command_limiter import CommandLimiter
from hilserl.robot.control.driver import BaseArm, GripperDriver
from hilserl.robot.control.impedance import Compliance, ImpedanceLaw, max_value
from hilserl.robot.control.joint_space import JointDrive


class TorqueArm(BaseArm):
    """Arm whose driver computes its joint torques.

    In impedance a spring and a damper act on the tool; in all other modes a joint drive acts alone. The damping of
    the tool rises to its maximum while the limiter brakes the arm.
    """

    def __init__(self, limiter: CommandLimiter, gripper: GripperDriver, drive: JointDrive) -> None:
        super().__init__(limiter, gripper)
        self.law = ImpedanceLaw(Compliance())
        self._drive = drive
        self._is_braking = False

    @abstractmethod
    def _apply_damping(self, damping: np.ndarray) -> None:
        """Set the tool's damping, float64 [6], N s/m and N m s/rad."""

    @abstractmethod
    def _hold_posture(self) -> None:
        """Take the present joint posture as the one to return to."""

    @override
    def set_compliance(self, compliance: Compliance) -> None:
        self.law.set(compliance)
        # In the other modes the joint drive acts alone.
        if self.mode == Mode.IMPEDANCE:
            self._update_damping()

    def _update_damping(self) -> None:
        """Apply the compliance's damping or, while braking, the maximum."""
        compliance = self.law.compliance
        translational = max_value("translational_damping") if self._is_braking else compliance.translational_damping
        self._apply_damping(np.repeat([translational, compliance.rotational_damping], 3))

    def _spring_wrench(self) -> np.ndarray:
        """Follow the limiter's set point for one tick.

        Returns:
            Force and torque of the spring on the tool in the base frame, float64 [6], N and N m.
        """
        set_point = self.limiter.update(self.pose, self.velocity[:3], self.now_s)
        if self.limiter.is_braking != self._is_braking:
            self._is_braking = self.limiter.is_braking
            self._update_damping()
        return self.law.wrench(self.pose, set_point)

    def _drive_joints(self) -> np.ndarray:
        """Advance the joint drive by one tick; end a finished joint reset.

        Returns:
            Joint torques, float64 [7], N m.
        """
        is_over = self._drive.tick(self.q, self.dq, self.now_s)
        if is_over and self.mode == Mode.RESETTING:
            self._enter_impedance()
        return self._drive.torque_Nm

    @override
    def _on_new_goal(self) -> None:
        self.law.reset_integral()

    @override
    def _on_impedance(self) -> None:
        self.law.reset_integral()
        self._hold_posture()
        self._is_braking = False
        self._update_damping()

    @override
    def _start_joint_reset(self) -> None:
        self._drive.start_reset(self.q, self.now_s)

    @override
    def _stop_impedance(self) -> None:
        self._hold_joints()

    @override
    def _stop_motion(self) -> None:
        self._hold_joints()

    def _hold_joints(self) -> None:
        """Hold the present joint angles."""
        self._drive.hold(self.q)
