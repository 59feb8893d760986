"""A Franka arm on libfranka's torque interface, one millisecond at a time; the robot's states are its clock.

torque = J^T (spring - D J dq) + posture + Coriolis, as in `serl_franka_controllers`; the robot adds its own weight.
"""

import time
from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np

from hilserl.errors import HilserlError
from hilserl.robot.control.backend import ArmStateError, GripperVerb, Load, Mode
from hilserl.robot.control.command_limiter import CommandLimiter
from hilserl.robot.control.driver import Guarded
from hilserl.robot.control.impedance import Compliance, ImpedanceLaw, most
from hilserl.robot.control.joint_space import JointDrive, JointLimits
from hilserl.robot.control.limits import Box, Limits
from hilserl.robot.control.poses import Pose, to_xyzw
from hilserl.robot.drivers.franka.hand import HandLine
from hilserl.robot.drivers.franka.library import load
from hilserl.sim.arm import pointing_down

JOINTS = JointLimits(
    low_rad=np.array([-2.7437, -1.7628, -2.8973, -3.0421, -2.8065, 0.5445, -2.8973]),
    high_rad=np.array([2.7437, 1.7628, 2.8973, -0.1518, 2.8065, 3.7525, 2.8973]),
    torque_Nm=np.array([87.0, 87.0, 87.0, 87.0, 12.0, 12.0, 12.0]),
)
"""What Panda (FER) and Research 3 both allow, from their datasheets."""
MAX_TORQUE_STEP_NM = 1.0
"""In a tick: the robot's own limit of 1000 N m/s, above which it stops with `controller_torque_discontinuity`."""
_TICK_S = 0.001
_BRAKE_S = 0.13
_POSTURE_NM_PER_RAD = 10.0
_POSTURE_NMS_PER_RAD = 2 * np.sqrt(_POSTURE_NM_PER_RAD)
_POSTURE_TICKS = 10
_STANDING_RAD_PER_S = 0.05
_STOPPING_TICKS = 500


class FrankaArm(Guarded):
    """The robot at an address, under torque control from the start; halted where it does not take it.

    In HALTED it holds its joints after a stop, and has control of itself after a reflex, until `recover`.
    """

    def __init__(
        self,
        robot_ip: str,
        box: Box,
        limits: Limits,
        reset_joints_rad: tuple[float, ...],
        collision: tuple[Sequence[float], Sequence[float]],
        hand: HandLine | None,
    ) -> None:
        """`collision`: joint torques N m [7], and forces N and moments N m [6] at the tool, that stop the robot.

        Raises HilserlError where there is no robot.
        """
        self._library = load()
        self._ip, self._collision, self._hand = robot_ip, collision, hand
        self._drive = JointDrive(JOINTS, reset_joints_rad)
        self.law = ImpedanceLaw(Compliance())
        self._set_damping(braking=False)
        self.mode, self._halted_by = Mode.IMPEDANCE, ""
        self.waited_s: float | None = 0.0
        self.missed = self._ticks = 0
        """`missed` is how many states the robot has sent that the loop came too late for."""
        self._control: Any = None
        self._sent = [0.0] * len(JOINTS.torque_Nm)
        try:
            # The loop asks for its priority itself, and the active control would not check.
            self._robot = self._library.Robot(robot_ip, self._library.RealtimeConfig.kIgnore)
            self._model = self._robot.load_model()
            state = self._robot.read_once()
        except (self._library.NetworkException, self._library.FrankaException, self._library.CommandException) as error:
            raise HilserlError(f"The robot at {robot_ip} cannot be controlled: {error}") from error
        self._begun_s = state.time.to_sec() - _TICK_S
        self._measure(state)
        self.governor = CommandLimiter(box, limits, self.pose, _BRAKE_S)
        try:
            self._take_control()
            self._begin_following()
        except ArmStateError as error:
            self._lose_control(error)

    @property
    def now_s(self) -> float:
        return self._now_s

    def tick(self) -> None:
        """Waits for the robot's state and answers with torques. Raises HilserlError when the robot is gone."""
        asked = time.monotonic()
        state = self._read()
        self.waited_s = time.monotonic() - asked
        self._measure(state)
        self._ticks += 1
        if self._control is not None:
            self._send(self._torque(state), state)

    def _read(self) -> Any:
        try:
            if self._control is not None:
                try:
                    state, passed = self._control.readOnce()
                except self._library.ControlException as error:
                    self._lose_control(error)
                else:
                    self.missed += max(0, round(passed.to_sec() / _TICK_S) - 1)
                    return state
            return self._robot.read_once()
        except self._library.NetworkException as error:
            self._control = None
            raise HilserlError(f"The robot at {self._ip} is lost: {error}") from error

    def _measure(self, state: Any) -> None:
        """Takes down everything of one moment."""
        self._now_s = state.time.to_sec() - self._begun_s
        transform = np.array(state.O_T_EE).reshape(4, 4).T
        wxyz = np.zeros(4)
        mujoco.mju_mat2Quat(wxyz, transform[:3, :3].ravel())
        self.pose: Pose = np.concatenate([transform[:3, 3], to_xyzw(pointing_down(wxyz))])
        self.q, self.dq = np.array(state.q), np.array(state.dq)
        self.jacobian = np.array(self._model.zero_jacobian(state)).reshape(7, 6).T
        self.velocity = self.jacobian @ self.dq
        # libfranka counts as positive what the robot does to the world (`robot_state.h` of 0.21).
        self._wrench = -np.array(state.K_F_ext_hat_K)
        self._success_rate = state.control_command_success_rate

    def _torque(self, state: Any) -> np.ndarray:
        """What the joints are to do now, float64 [7]."""
        if self.mode == Mode.IMPEDANCE:
            torque = self._follow()
        else:
            arrived = self._drive.tick(self.q, self.dq, self.now_s)
            torque = self._drive.torque_Nm
            if arrived and self.mode == Mode.RESETTING:
                self._begin_following()
        return torque + np.array(self._model.coriolis(state))

    def _follow(self) -> np.ndarray:
        set_point = self.governor.update(self.pose, self.velocity[:3], self.now_s)
        if self.governor.is_braking != self._is_braking:
            self._set_damping(braking=self.governor.is_braking)
        if self._ticks % _POSTURE_TICKS == 0:
            self._free = np.linalg.svd(self.jacobian)[2][-1]
        wrench = self.law.wrench(self.pose, set_point) - self._damping * self.velocity
        pull = _POSTURE_NM_PER_RAD * (self._posture - self.q) - _POSTURE_NMS_PER_RAD * self.dq
        return self.jacobian.T @ wrench + self._free * (self._free @ pull)

    def _send(self, torque: np.ndarray, state: Any) -> None:
        """No more than the joints have, and no faster than the robot takes it."""
        if not np.isfinite(torque).all():
            raise HilserlError(f"The controller's torques are not finite: {torque} N m at q = {self.q} rad.")
        last = np.array(state.tau_J_d)
        torque = np.clip(torque, -JOINTS.torque_Nm, JOINTS.torque_Nm)
        torque = np.clip(torque, last - MAX_TORQUE_STEP_NM, last + MAX_TORQUE_STEP_NM)
        self._sent = torque.tolist()
        try:
            self._control.writeOnce(self._library.Torques(self._sent))
        except self._library.ControlException as error:
            self._lose_control(error)
        except self._library.NetworkException as error:
            self._control = None
            raise HilserlError(f"The robot at {self._ip} is lost: {error}") from error

    def measurements(self) -> dict[str, np.ndarray]:
        """What a snapshot is made of, of the last tick."""
        return {
            "pose": self.pose,
            "velocity": self.velocity,
            "force": self._wrench[:3],
            "torque": self._wrench[3:],
            "q": self.q,
            "dq": self.dq,
            "jacobian": self.jacobian.ravel(),
            "gripper": np.array([self._hand.position if self._hand else 0.0]),
            "set_point": self.governor.set_point,
            "success_rate": np.array([self._success_rate]),
            "missed": np.array([float(self.missed)]),
            "hand_refusals": np.array([float(self._hand.refusals if self._hand else 0)]),
        }

    def command(self, pose: Pose) -> None:
        """Raises `ArmStateError` where the arm does not follow poses now."""
        self._require_impedance()
        self.law.forget()
        self.governor.command(pose, self.now_s)

    def command_gripper(self, verb: GripperVerb) -> None:
        self._require_motion()
        if self._hand:
            self._hand.do(verb)

    def move_gripper(self, position: float) -> None:
        self._require_motion()
        if self._hand:
            self._hand.move(position)

    def set_compliance(self, compliance: Compliance) -> None:
        self.law.set(compliance)
        self._set_damping(braking=self._is_braking)

    def _set_damping(self, *, braking: bool) -> None:
        """What is set or, to stop the tool, the most there is."""
        self._is_braking = braking
        given = self.law.compliance
        translational = most("translational_damping") if braking else given.translational_damping
        self._damping = np.repeat([translational, given.rotational_damping], 3)

    def set_load(self, load: Load) -> None:
        """The robot takes one only while nobody controls it, so for a moment nobody does."""
        if self.mode == Mode.RESETTING or np.abs(self.dq).max() > _STANDING_RAD_PER_S:
            raise ArmStateError("The arm is moving; a load can be set while it stands.")
        had_control = self._control is not None
        self._give_up_control()
        try:
            self._robot.set_load(load.mass_kg, list(load.centre_m), list(load.inertia_kg_m2))
        except self._library.CommandException as error:
            raise ArmStateError(f"The robot does not take this load: {error}") from error
        finally:
            if had_control:
                self._resume()

    def _resume(self) -> None:
        """Control again, in the mode there was."""
        try:
            self._take_control()
        except ArmStateError as error:
            self._lose_control(error)
            raise
        if self.mode == Mode.IMPEDANCE:
            self._begin_following()
        else:
            self._hold_joints(self.mode)

    def start_impedance(self) -> None:
        self._require_motion()
        self._begin_following()

    def stop_impedance(self) -> None:
        self._require_motion()
        self._hold_joints(Mode.IDLE)

    def joint_reset(self) -> None:
        self._require_motion()
        self._drive.go(self.q, self.now_s)
        self.mode = Mode.RESETTING

    def halt(self, reason: str) -> None:
        self._halted_by = reason
        self._hold_joints(Mode.HALTED)

    def recover(self) -> None:
        """Raises `ArmStateError` where the robot stays as it is, as while its stop button is pressed."""
        if self.mode != Mode.HALTED:
            return
        if self._control is None:
            try:
                self._robot.automatic_error_recovery()
            except (self._library.CommandException, self._library.ControlException) as error:
                raise ArmStateError(f"The robot does not recover: {_line(error)}") from error
            self._take_control()
        self._begin_following()

    def close(self) -> None:
        """Brakes, and leaves the arm to the robot's own control, which holds it."""
        if self._control is None:
            return
        self._hold_joints(Mode.IDLE)
        for _ in range(_STOPPING_TICKS):
            if self._control is None or np.abs(self.dq).max() < _STANDING_RAD_PER_S:
                break
            self.tick()
        self._give_up_control()

    def _take_control(self) -> None:
        """Torque control, and everything of this moment. Raises `ArmStateError` where the robot does not allow it."""
        torques, forces = (list(limits) for limits in self._collision)
        try:
            self._robot.set_collision_behavior(torques, torques, forces, forces)
            self._control = self._robot.start_torque_control()
        except (self._library.CommandException, self._library.ControlException) as error:
            raise ArmStateError(f"The robot does not take torques: {_line(error)}") from error
        self._measure(self._read())
        if self._control is None:
            raise ArmStateError(f"The robot stopped at once: {self._halted_by}")

    def _give_up_control(self) -> None:
        if self._control is None:
            return
        last = self._library.Torques(self._sent)
        last.motion_finished = True
        try:
            self._control.writeOnce(last)
        except self._library.ControlException as error:
            self._lose_control(error)
        # libfranka lets nobody else read while there is one, finished or not.
        self._control = None

    def _lose_control(self, error: Exception) -> None:
        """The robot has stopped by itself; it stays so until somebody means to go on."""
        self._control = None
        self._halted_by = _line(error)
        self.mode = Mode.HALTED

    def _begin_following(self) -> None:
        self.governor.hold(self.pose)
        self.law.forget()
        self._set_damping(braking=False)
        self._posture = self.q.copy()
        self._free = np.linalg.svd(self.jacobian)[2][-1]
        self.mode = Mode.IMPEDANCE

    def _hold_joints(self, mode: Mode) -> None:
        self._drive.hold(self.q)
        self.mode = mode


def _line(error: Exception) -> str:
    """libfranka's messages name the errors, and have line ends within."""
    return " ".join(str(error).split())
