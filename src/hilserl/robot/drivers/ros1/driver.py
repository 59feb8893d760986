"""A Franka arm under ROS 1: what the loop measures and commands goes through franka_control and its controllers."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from hilserl.errors import HilserlError
from hilserl.robot.control.backend import ArmStateError, GripperKind, GripperVerb, Load, Mode
from hilserl.robot.control.command_limiter import CommandLimiter
from hilserl.robot.control.driver import Guarded
from hilserl.robot.control.impedance import Compliance
from hilserl.robot.control.limits import Box, Limits
from hilserl.robot.control.loop import ask_for_real_time, be_ordinary
from hilserl.robot.control.poses import Pose
from hilserl.robot.drivers.ros1.gripper import make_gripper
from hilserl.robot.drivers.ros1.launch import Programs, RosOptions
from hilserl.robot.drivers.ros1.node import STATES, RosNode

_START_S, _RESET_S, _RECOVER_S = 30.0, 30.0, 5.0
_POLL_S = 0.01
_STALE_S = 0.5
"""franka_control publishes its state 30 times a second unless it is told otherwise."""
_ARRIVED_RAD = 0.01
_ROBOT_MODES = ("OTHER", "IDLE", "MOVE", "GUIDING", "REFLEX", "USER_STOPPED", "AUTOMATIC_ERROR_RECOVERY")
"""Of franka_msgs/FrankaState, by their numbers."""
_IDLE, _MOVE = _ROBOT_MODES.index("IDLE"), _ROBOT_MODES.index("MOVE")
_WHAT_TO_DO = {
    "IDLE": "its controller is not running",
    "GUIDING": "somebody guides it by hand",
    "USER_STOPPED": "its user stop is pressed",
}


class RosArm(Guarded):
    """Starts the impedance controller. Raises HilserlError where ROS, its master or the arm's state is missing.

    What takes longer than a tick is done one at a time by a thread; `outcome` tells how it went.
    """

    waited_s = None

    def __init__(
        self,
        robot_ip: str,
        options: RosOptions,
        box: Box,
        limits: Limits,
        gripper: GripperKind,
        reset_joints_rad: tuple[float, ...],
    ) -> None:
        self._reset_joints_rad = reset_joints_rad
        self._compliance = Compliance()
        self._halted_by = ""
        self._given_up = threading.Event()
        self._work: Future[None] | None = None
        self._then: Callable[[], None] = _nothing
        self._outcome = ""
        self._what = ""
        self._decoded: Any = None
        self._published: Pose | None = None
        self.mode = Mode.IDLE
        self._begun_s = time.monotonic()
        self.now_s = 0.0
        self._programs = Programs(robot_ip, options, gripper)
        self._worker = ThreadPoolExecutor(1, "ros", be_ordinary)
        # Before rospy makes the threads that receive the robot's state, which are as urgent as the loop.
        ask_for_real_time()
        self._node = RosNode(options.master_uri)
        try:
            self._worker.submit(self._programs.start_driver).result()
            self.gripper = make_gripper(gripper, self._node)
            self._worker.submit(self._run_impedance).result()
            self._measure()
        except BaseException:
            self.close()
            raise
        # The state is too old and too rare to brake by: that is left to the controller's damping.
        self.governor = CommandLimiter(box, limits, self.pose, brake_s=0.0)
        self._begin_following()

    def tick(self) -> None:
        """Raises HilserlError where this node is none any more."""
        self.now_s = time.monotonic() - self._begun_s
        self._node.check()
        self._measure()
        self.gripper.tick()
        self._finish_work()
        if self.mode == Mode.IMPEDANCE and (why := self._trouble()):
            self.halt(why)
        if self.mode == Mode.IMPEDANCE:
            self._follow(self.governor.update(self.pose, self.velocity[:3], self.now_s))
        elif self.mode == Mode.HALTED and self._work is None:
            if not self._is_moving():
                # It may be moved by hand meanwhile, and must not be drawn back when it is recovered.
                self.governor.hold(self.pose)
            self._follow(self.governor.set_point)

    def _follow(self, set_point: Pose) -> None:
        # Only what is new: the controller empties its integral with each.
        if set_point is not self._published:
            self._node.follow(set_point)
            self._published = set_point

    def _measure(self) -> None:
        state, jacobian = self._node.states.message, self._node.jacobians.message
        if state is not self._decoded:
            self._decoded = state
            transform = np.array(state.O_T_EE).reshape(4, 4).T
            turn = Rotation.from_matrix(transform[:3, :3])
            self.pose = np.concatenate([transform[:3, 3], turn.as_quat()])
            self._q, self._dq = np.array(state.q), np.array(state.dq)
            # What the robot does to the world (libfranka, RobotState); a snapshot tells the reverse.
            self._wrench = -np.array(state.K_F_ext_hat_K)
        # Zero until the controller has published one, as long as the arm has not been set in motion.
        self._jacobian = np.zeros((6, 7)) if jacobian is None else np.array(jacobian.zero_jacobian).reshape(7, 6).T
        self.velocity = self._jacobian @ self._dq

    def measurements(self) -> dict[str, np.ndarray]:
        """As of the newest state; without franka_control, in idle mode, that is the last there was."""
        return {
            "pose": self.pose,
            "velocity": self.velocity,
            "force": self._wrench[:3],
            "torque": self._wrench[3:],
            "q": self._q,
            "dq": self._dq,
            "jacobian": self._jacobian.ravel(),
            "gripper": np.array([self.gripper.position]),
            "set_point": self.governor.set_point,
        }

    @property
    def _robot_mode(self) -> int:
        return self._node.states.message.robot_mode

    def _trouble(self) -> str:
        """Why the arm does not follow poses, though it should; empty where it does."""
        silent_s = time.monotonic() - self._node.states.came_s
        if silent_s > _STALE_S:
            return f"no {STATES} for {silent_s:.1f} s; {self._programs.fate()}"
        return "" if self._robot_mode == _MOVE else self._stopped_by()

    def _stopped_by(self) -> str:
        state = self._node.states.message
        mode = dict(enumerate(_ROBOT_MODES)).get(state.robot_mode, str(state.robot_mode))
        if mode == "REFLEX":
            # The errors are gone from the first list once the arm stands.
            for errors in (state.current_errors, state.last_motion_errors):
                if names := [name for name in errors.__slots__ if getattr(errors, name)]:
                    return f"reflex: {', '.join(names)}"
            return "reflex"
        return f"the robot's mode is {mode}" + (f": {_WHAT_TO_DO[mode]}" if mode in _WHAT_TO_DO else "")

    def command(self, pose: Pose) -> None:
        """Raises `ArmStateError` where the arm does not follow poses now."""
        self._require_impedance()
        self.governor.command(pose, self.now_s)
        self._published = None

    def command_gripper(self, verb: GripperVerb) -> None:
        self._require_motion()
        self.gripper.do(verb)

    def move_gripper(self, position: float) -> None:
        self._require_motion()
        self.gripper.move(position)

    def set_compliance(self, compliance: Compliance) -> None:
        """Without a controller it is remembered for the next one."""
        self._require_leisure()
        self._compliance, self._outcome = compliance, ""
        if self.mode in (Mode.IMPEDANCE, Mode.HALTED):
            self._begin("setting the compliance", partial(self._node.set_compliance, compliance))

    def set_load(self, load: Load) -> None:
        self._begin("setting the load", partial(self._node.set_load, load))

    def start_impedance(self) -> None:
        self._require_motion()
        if self.mode == Mode.IMPEDANCE:
            self._begin_following()
            self._outcome = ""
        else:
            self._begin("starting the impedance", self._run_impedance, self._begin_following)

    def stop_impedance(self) -> None:
        self._require_motion()
        self._begin("stopping the impedance", self._programs.end_launch)
        self.mode = Mode.IDLE

    def joint_reset(self) -> None:
        self._require_motion()
        self._begin("resetting the joints", self._run_joint_reset, self._begin_following)
        self.mode = Mode.RESETTING

    def halt(self, reason: str) -> None:
        """Holds where the arm is now; a joint reset is broken off by ending its controller."""
        self._halted_by = reason
        self._then = _nothing
        self._given_up.set()
        self.governor.hold(self.pose)
        self.mode = Mode.HALTED

    def recover(self) -> None:
        self._outcome = ""
        if self.mode == Mode.HALTED:
            self._begin("recovering", self._run_recovery, self._begin_following)

    def outcome(self) -> str | None:
        """None while the last slow command is at work; then what went wrong with it, or nothing."""
        return self._outcome if self._work is None else None

    def close(self) -> None:
        """Ends what was started; franka_control leaves the arm standing."""
        self._given_up.set()
        self._programs.terminate()
        self._worker.shutdown()
        self._programs.close()
        self._node.close()

    def _begin(self, what: str, work: Callable[[], None], then: Callable[[], None] | None = None) -> None:
        """Lets the worker do something, and the loop something after it unless the arm has been halted meanwhile."""
        self._require_leisure()
        self._given_up.clear()
        self._what, self._then = what, then or _nothing
        self._work = self._worker.submit(work)

    def _require_leisure(self) -> None:
        if self._work is not None:
            raise ArmStateError(f"The arm is busy {self._what}.")

    def _finish_work(self) -> None:
        work, then = self._work, self._then
        if work is None or not work.done():
            return
        self._work = None
        error = work.exception()
        if error is None:
            self._outcome = ""
            then()
        elif isinstance(error, HilserlError):
            self._outcome = str(error)
            if self.mode == Mode.RESETTING:
                self.halt(f"the joint reset failed: {error}")
        else:
            raise error

    def _begin_following(self) -> None:
        self.governor.hold(self.pose)
        self._published = None
        self.mode = Mode.IMPEDANCE

    # What follows runs in the worker's thread.

    def _run_impedance(self) -> None:
        """Until the controller follows poses, or the robot says that it was stopped."""
        begun_s = self._programs.launch("impedance")

        def is_up() -> bool:
            if self._node.states.came_s < begun_s:
                return False
            if self._robot_mode not in (_IDLE, _MOVE):
                return True
            return self._robot_mode == _MOVE and self._node.jacobians.came_s > begun_s and self._node.is_heard

        self._require(is_up, "impedance")
        if self._is_moving():
            self._node.set_compliance(self._compliance)

    def _run_joint_reset(self) -> None:
        """Back in impedance, whether the joints got there or not."""
        self._node.set_reset_joints(self._reset_joints_rad)
        begun_s = self._programs.launch("joint")
        self._require(lambda: self._node.states.came_s > begun_s, "joint")
        self._comes(self._reset_is_over, _RESET_S)
        self._run_impedance()

    def _reset_is_over(self) -> bool:
        away_rad = np.abs(np.array(self._node.states.message.q) - self._reset_joints_rad).max()
        return bool(away_rad < _ARRIVED_RAD or self._given_up.is_set() or self._robot_mode not in (_IDLE, _MOVE))

    def _run_recovery(self) -> None:
        if self._programs.has_ended or time.monotonic() - self._node.states.came_s > _STALE_S:
            self._run_impedance()
        if not self._is_moving():
            self._node.recover()
            if not self._comes(self._is_moving, _RECOVER_S) and self._robot_mode == _IDLE:
                self._run_impedance()
        if not self._is_moving():
            raise ArmStateError(f"The arm is still halted: {self._stopped_by()}.")
        self._node.set_compliance(self._compliance)

    def _is_moving(self) -> bool:
        return self._robot_mode == _MOVE

    def _comes(self, condition: Callable[[], bool], within_s: float) -> bool:
        """Whether it comes to be in that time, and while a controller is launched."""
        end_s = time.monotonic() + within_s
        while not condition():
            if time.monotonic() > end_s or self._programs.has_ended:
                return False
            time.sleep(_POLL_S)
        return True

    def _require(self, condition: Callable[[], bool], controller: str) -> None:
        if not self._comes(condition, _START_S):
            state = self._node.states.message
            seen = "no state of the robot has ever come" if state is None else self._stopped_by()
            raise HilserlError(
                f"The {controller} controller did not come up within {_START_S:.0f} s: {self._programs.fate()}; {seen}."
            )


def _nothing() -> None:
    """Comes after what needs nothing after it."""
