"""Driver of a Franka arm on libfranka's torque interface.

torque = J^T (spring - D J dq) + posture + Coriolis, as in `serl_franka_controllers`; the robot adds its own weight.
The robot's states, one a millisecond, are the clock of the loop.
"""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from typing_extensions import override

from hilserl.errors import HilserlError
from hilserl.robot.control.backend import ArmStateError, Load, Mode
from hilserl.robot.control.command_limiter import CommandLimiter
from hilserl.robot.control.driver import NoGripper
from hilserl.robot.control.joint_space import JointDrive, JointLimits
from hilserl.robot.control.limits import Box, Limits
from hilserl.robot.control.poses import to_xyzw
from hilserl.robot.control.torque_arm import TorqueArm
from hilserl.robot.drivers.franka.connection import TICK_S, FrankaConnection, one_line
from hilserl.robot.drivers.franka.hand import HandClient
from hilserl.sim.control import TOOL_DOWN_WXYZ
from hilserl.sim.quaternions import from_matrix, with_sign_of

JOINTS = JointLimits(
    low_rad=np.array([-2.7437, -1.7628, -2.8973, -3.0421, -2.8065, 0.5445, -2.8973]),
    high_rad=np.array([2.7437, 1.7628, 2.8973, -0.1518, 2.8065, 3.7525, 2.8973]),
    torque_Nm=np.array([87.0, 87.0, 87.0, 87.0, 12.0, 12.0, 12.0]),
)
"""Joint limits of both Panda (FER) and Research 3, from their datasheets."""
MAX_TORQUE_STEP_NM = 0.99
"""Largest change of a torque in a tick.

The robot stops with `controller_torque_discontinuity` above 1000 N m/s. Its states are float32, so that a step of
exactly 1 N m may be more by their rounding.
"""
_BRAKE_S = 0.13
_POSTURE_NM_PER_RAD = 10.0
_POSTURE_NMS_PER_RAD = 2 * np.sqrt(_POSTURE_NM_PER_RAD)
_POSTURE_TICKS = 10
_STANDING_RAD_PER_S = 0.05
_STOPPING_TICKS = 500


class FrankaArm(TorqueArm):
    """Franka arm under torque control from the start.

    It starts halted if the robot refuses control. In HALTED the driver holds the joints after a stop; after a reflex
    the robot controls itself until `recover`.

    Args:
        robot_ip: address of the robot.
        box: region in which the tool may be.
        limits: bounds on commanded poses.
        reset_joints_rad: posture of a joint reset.
        collision: joint torques N m [7], and forces N and moments N m [6] at the tool, that stop the robot.
        hand: the Franka hand; None for an arm without one.

    Raises:
        HilserlError: no robot answers at the address.
    """

    def __init__(
        self,
        robot_ip: str,
        box: Box,
        limits: Limits,
        reset_joints_rad: tuple[float, ...],
        collision: tuple[Sequence[float], Sequence[float]],
        hand: HandClient | None,
    ) -> None:
        drive = JointDrive(JOINTS, reset_joints_rad)
        self._hand = hand
        self.connection = FrankaConnection(robot_ip, collision, self._enter_halt)
        self.waited_s: float | None = 0.0
        self._ticks = 0
        state = self.connection.first_state
        self._begun_s = state.time.to_sec() - TICK_S
        self._measure(state)
        super().__init__(CommandLimiter(box, limits, self.pose, _BRAKE_S), hand or NoGripper(), drive)
        try:
            self._take_control()
            self._enter_impedance()
        except ArmStateError as error:
            self._enter_halt(one_line(error))

    @property
    @override
    def now_s(self) -> float:
        return self._now_s

    @override
    def tick(self) -> None:
        asked = time.monotonic()
        state = self.connection.read()
        self.waited_s = time.monotonic() - asked
        self._measure(state)
        self._ticks += 1
        if self.connection.has_control:
            self._send(self._torque(state), state)

    def _measure(self, state: Any) -> None:
        """Record all measurements of one moment."""
        self._now_s = state.time.to_sec() - self._begun_s
        transform = np.array(state.O_T_EE).reshape(4, 4).T
        self.pose = np.concatenate(
            [transform[:3, 3], to_xyzw(with_sign_of(from_matrix(transform[:3, :3]), TOOL_DOWN_WXYZ))]
        )
        self.q, self.dq = np.array(state.q), np.array(state.dq)
        self.jacobian = np.array(self.connection.model.zero_jacobian(state)).reshape(7, 6).T
        self.velocity = self.jacobian @ self.dq
        # libfranka measures the robot's force on the environment (`robot_state.h` of 0.21); a snapshot has the reverse.
        self._wrench = -np.array(state.K_F_ext_hat_K)
        self._success_rate = state.control_command_success_rate

    def _torque(self, state: Any) -> np.ndarray:
        """Compute the joint torques of this tick, float64 [7]."""
        torque = self._follow() if self.mode == Mode.IMPEDANCE else self._drive_joints()
        return torque + np.array(self.connection.model.coriolis(state))

    def _follow(self) -> np.ndarray:
        spring = self._spring_wrench()
        if self._ticks % _POSTURE_TICKS == 0:
            self._update_null_space()
        wrench = spring - self._damping * self.velocity
        pull = _POSTURE_NM_PER_RAD * (self._posture - self.q) - _POSTURE_NMS_PER_RAD * self.dq
        return self.jacobian.T @ wrench + self._free * (self._free @ pull)

    def _send(self, torque: np.ndarray, state: Any) -> None:
        """Send torques within the joints' limits and the robot's limit of change."""
        if not np.isfinite(torque).all():
            raise HilserlError(f"The controller's torques are not finite: {torque} N m at q = {self.q} rad.")
        last = np.array(state.tau_J_d)
        torque = np.clip(torque, -JOINTS.torque_Nm, JOINTS.torque_Nm)
        torque = np.clip(torque, last - MAX_TORQUE_STEP_NM, last + MAX_TORQUE_STEP_NM)
        self.connection.write(torque.tolist())

    @property
    @override
    def wrench(self) -> np.ndarray:
        return self._wrench

    @override
    def measurements(self) -> dict[str, np.ndarray]:
        return super().measurements() | {
            "success_rate": np.array([self._success_rate]),
            "missed": np.array([float(self.connection.missed)]),
            "hand_refusals": np.array([float(self._hand.refusals if self._hand else 0)]),
        }

    @override
    def set_load(self, load: Load) -> None:
        """Set the load that the hand carries. Raises `ArmStateError` while the arm moves.

        The robot takes a load only without control, so control pauses for a moment.
        """
        if self.mode == Mode.RESETTING or np.abs(self.dq).max() > _STANDING_RAD_PER_S:
            raise ArmStateError("The arm is moving; a load can be set while it stands.")
        had_control = self.connection.has_control
        self.connection.give_up_control()
        try:
            self.connection.set_load(load)
        finally:
            if had_control:
                self._resume()

    def _resume(self) -> None:
        """Take control again, in the present mode."""
        try:
            self._take_control()
        except ArmStateError as error:
            self._enter_halt(one_line(error))
            raise
        if self.mode == Mode.IMPEDANCE:
            self._enter_impedance()
        else:
            self._hold_joints()

    @override
    def close(self) -> None:
        """Brake, then leave the arm to the robot's control, which holds it."""
        if not self.connection.has_control:
            return
        self._hold_joints()
        self.mode = Mode.IDLE
        for _ in range(_STOPPING_TICKS):
            if not self.connection.has_control or np.abs(self.dq).max() < _STANDING_RAD_PER_S:
                break
            self.tick()
        self.connection.give_up_control()

    def _take_control(self) -> None:
        """Take torque control and measure. Raises `ArmStateError` if the robot does not allow it."""
        self.connection.take_control()
        self._measure(self.connection.read())
        if not self.connection.has_control:
            raise ArmStateError(f"The robot stopped at once: {self._halted_by}")

    @override
    def _start_recovery(self) -> None:
        # Without control the robot has stopped by itself, as in a reflex or with its stop button pressed.
        if not self.connection.has_control:
            self.connection.recover()
            self._take_control()
        self._enter_impedance()

    @override
    def _apply_damping(self, damping: np.ndarray) -> None:
        self._damping = damping

    @override
    def _hold_posture(self) -> None:
        self._posture = self.q.copy()
        self._update_null_space()

    def _update_null_space(self) -> None:
        """Compute the joint motion that does not move the tool, float64 [7]."""
        self._free = np.linalg.svd(self.jacobian)[2][-1]
