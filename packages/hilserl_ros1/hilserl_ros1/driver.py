"""Driver of a Franka arm through franka_control under ROS 1."""

import time
from functools import partial
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation
from typing_extensions import override

from hilserl.robot.control.backend import GripperKind, Load, Mode
from hilserl.robot.control.command_limiter import CommandLimiter
from hilserl.robot.control.driver import BaseArm
from hilserl.robot.control.impedance import Compliance
from hilserl.robot.control.limits import Box, Limits
from hilserl.robot.control.loop import request_real_time
from hilserl.robot.control.poses import Pose
from hilserl_ros1.controllers import Controllers
from hilserl_ros1.gripper import make_gripper
from hilserl_ros1.launch import Programs
from hilserl_ros1.node import RosNode
from hilserl_ros1.options import RosOptions
from hilserl_ros1.worker import CommandWorker


class RosArm(BaseArm):
    """Arm that franka_control's impedance controller moves; the driver starts that controller.

    A worker thread runs the commands that take longer than a tick; `outcome` tells how the last one ended.

    Args:
        robot_ip: address of the robot's control box.
        options: ROS master and programs.
        box: region in which the tool may be.
        limits: bounds on commanded poses.
        gripper: kind of the gripper.
        reset_joints_rad: posture of a joint reset.

    Raises:
        HilserlError: ROS, its master or the arm's state is missing.
    """

    def __init__(
        self,
        robot_ip: str,
        options: RosOptions,
        box: Box,
        limits: Limits,
        gripper: GripperKind,
        reset_joints_rad: tuple[float, ...],
    ) -> None:
        self._state: Any = None
        self._published: Pose | None = None
        self._begun_s = time.monotonic()
        self._now_s = 0.0
        self._programs = Programs(robot_ip, options, gripper)
        self._worker = CommandWorker()
        # Before rospy starts the threads that receive the robot's state: they inherit the priority.
        request_real_time()
        self._node = RosNode(options.master_uri)
        self._controllers = Controllers(self._node, self._programs, reset_joints_rad, self._worker.given_up)
        try:
            self._worker.run(self._programs.start_driver)
            self._gripper = make_gripper(gripper, self._node)
            self._worker.run(self._controllers.run_impedance)
            self._measure()
        except BaseException:
            self.close()
            raise
        # The state comes too late and too rarely for braking; the controller's damping brakes the arm.
        super().__init__(CommandLimiter(box, limits, self.pose, brake_s=0.0), self._gripper)
        self._enter_impedance()

    @property
    @override
    def now_s(self) -> float:
        return self._now_s

    @override
    def tick(self) -> None:
        self._now_s = time.monotonic() - self._begun_s
        self._node.check()
        self._measure()
        self._gripper.tick()
        error = self._worker.finish()
        if error is not None and self.mode == Mode.RESETTING:
            self.halt(f"the joint reset failed: {error}")
        if self.mode == Mode.IMPEDANCE and (why := self._controllers.trouble()):
            self.halt(why)
        if self.mode == Mode.IMPEDANCE:
            self._publish(self.limiter.update(self.pose, self.velocity[:3], self.now_s))
        elif self.mode == Mode.HALTED and not self._worker.is_busy:
            if not self._controllers.is_moving:
                # A person may move it by hand meanwhile; a recovery must not draw it back.
                self.limiter.hold(self.pose)
            self._publish(self.limiter.set_point)

    def _publish(self, set_point: Pose) -> None:
        """Publish a changed set point; each empties the controller's integral."""
        if set_point is not self._published:
            self._node.publish_set_point(set_point)
            self._published = set_point

    def _measure(self) -> None:
        """Record the newest state (in idle mode the last one before)."""
        state, jacobian = self._node.states.message, self._node.jacobians.message
        if state is not self._state:
            self._state = state
            transform = np.array(state.O_T_EE).reshape(4, 4).T
            turn = Rotation.from_matrix(transform[:3, :3])
            self.pose = np.concatenate([transform[:3, 3], turn.as_quat()])
            self.q, self.dq = np.array(state.q), np.array(state.dq)
            # The robot measures its own force on the environment (libfranka, RobotState); a snapshot has the reverse.
            self._wrench = -np.array(state.K_F_ext_hat_K)
        # The controller publishes no Jacobian before the arm has been set in motion.
        self.jacobian = np.zeros((6, 7)) if jacobian is None else np.array(jacobian.zero_jacobian).reshape(7, 6).T
        self.velocity = self.jacobian @ self.dq

    @property
    @override
    def wrench(self) -> np.ndarray:
        return self._wrench

    @override
    def set_compliance(self, compliance: Compliance) -> None:
        self._worker.require_idle()
        self._worker.clear_outcome()
        self._controllers.compliance = compliance
        if self.mode in (Mode.IMPEDANCE, Mode.HALTED):
            self._worker.begin("setting the compliance", partial(self._node.set_compliance, compliance))

    @override
    def set_load(self, load: Load) -> None:
        self._worker.begin("setting the load", partial(self._node.set_load, load))

    @override
    def recover(self) -> None:
        # Without a halt no recovery begins, whose end would set an outcome.
        self._worker.clear_outcome()
        super().recover()

    def outcome(self) -> str | None:
        """Return the last slow command's error message.

        Returns:
            An empty string after a success, None while the command is running.
        """
        return self._worker.outcome()

    @override
    def close(self) -> None:
        """End all started programs; franka_control leaves the arm standing."""
        self._worker.give_up()
        self._programs.terminate()
        self._worker.close()
        self._programs.close()
        self._node.close()

    @override
    def _on_new_goal(self) -> None:
        self._published = None

    @override
    def _on_impedance(self) -> None:
        self._published = None

    @override
    def _start_impedance(self) -> None:
        if self.mode == Mode.IMPEDANCE:
            self._enter_impedance()
            self._worker.clear_outcome()
        else:
            self._worker.begin("starting the impedance", self._controllers.run_impedance, self._enter_impedance)

    @override
    def _stop_impedance(self) -> None:
        self._worker.begin("stopping the impedance", self._programs.end_launch)

    @override
    def _start_joint_reset(self) -> None:
        self._worker.begin("resetting the joints", self._controllers.run_joint_reset, self._enter_impedance)

    @override
    def _stop_motion(self) -> None:
        """Hold the measured pose; a running joint reset ends early."""
        self._worker.give_up()
        self.limiter.hold(self.pose)

    @override
    def _start_recovery(self) -> None:
        self._worker.begin("recovering", self._controllers.run_recovery, self._enter_impedance)
