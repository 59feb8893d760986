"""Grippers under ROS: a Franka hand, a Robotiq 2F, or none."""

from typing import Any, Protocol

import numpy as np
from typing_extensions import override

from hilserl.robot.control.backend import GripperKind, GripperVerb
from hilserl.robot.control.driver import GripperDriver, NoGripper
from hilserl_ros1.node import RosNode

_FULL = 255.0


class RosGripper(GripperDriver, Protocol):
    """Gripper that may act in every tick."""

    def tick(self) -> None:
        """Continue a command that takes several ticks."""
        ...


def make_gripper(kind: GripperKind, node: RosNode) -> RosGripper:
    """Make the gripper of a kind."""
    if kind == "none":
        return NoGripper()
    return FrankaHand(node) if kind == "franka" else Robotiq(node)


class FrankaHand(RosGripper):
    """Franka hand through franka_gripper's actions. Speeds, force and tolerances are HIL-SERL's."""

    _WIDTH_M, _M_PER_UNIT = 0.08, 1 / 2550
    _SPEED_M_PER_S, _SLOW_M_PER_S = 0.3, 0.1
    _GRASP_WIDTH_M, _GRASP_TOLERANCE_M, _GRASP_FORCE_N = 0.01, 1.0, 130.0

    def __init__(self, node: RosNode) -> None:
        self._node = node
        self._joints = node.subscribe("/franka_gripper/joint_states", "sensor_msgs/JointState")
        self._moves = node.publisher("/franka_gripper/move/goal", "franka_gripper/MoveActionGoal")
        self._grasps = node.publisher("/franka_gripper/grasp/goal", "franka_gripper/GraspActionGoal")

    @property
    @override
    def position(self) -> float:
        joints = self._joints.message
        return 0.0 if joints is None else float(np.clip(sum(joints.position) / self._WIDTH_M, 0.0, 1.0))

    @override
    def do(self, verb: GripperVerb) -> None:
        if verb == "open":
            self._move(self._WIDTH_M)
        elif verb in ("close", "close_slow"):
            self._grasp(self._SLOW_M_PER_S if verb == "close_slow" else self._SPEED_M_PER_S)

    @override
    def move(self, position: float) -> None:
        self._move(min(max(position, 0.0) * self._M_PER_UNIT, self._WIDTH_M))

    def _move(self, width_m: float) -> None:
        goal = self._node.make_goal("franka_gripper/MoveActionGoal")
        goal.goal.width, goal.goal.speed = width_m, self._SPEED_M_PER_S
        self._moves.publish(goal)

    def _grasp(self, speed_m_per_s: float) -> None:
        goal = self._node.make_goal("franka_gripper/GraspActionGoal")
        goal.goal.width, goal.goal.speed, goal.goal.force = self._GRASP_WIDTH_M, speed_m_per_s, self._GRASP_FORCE_N
        goal.goal.epsilon.inner = goal.goal.epsilon.outer = self._GRASP_TOLERANCE_M
        self._grasps.publish(goal)

    @override
    def tick(self) -> None:
        """Do nothing: the action's server does the rest."""


class Robotiq(RosGripper):
    """Robotiq 2F through the ros-industrial driver, by its registers (manual, chapter 4).

    Open means fully open. HIL-SERL opens a third, which its own environment does not recognise as open.
    """

    _SLOW, _FORCE = 50, 30
    _NAME = "robotiq_2f_gripper_control/Robotiq2FGripper_robot_"

    def __init__(self, node: RosNode) -> None:
        self._inputs = node.subscribe("/Robotiq2FGripperRobotInput", self._NAME + "input")
        self._outputs = node.publisher("/Robotiq2FGripperRobotOutput", self._NAME + "output")
        self._is_resetting = False

    @property
    @override
    def position(self) -> float:
        status = self._inputs.message
        return 0.0 if status is None else 1.0 - status.gPO / _FULL

    @override
    def do(self, verb: GripperVerb) -> None:
        self._is_resetting = verb == "reset"
        if verb == "reset":
            self._send(rACT=0)
        elif verb == "activate":
            self._send(rACT=1, rGTO=1, rSP=int(_FULL), rFR=self._FORCE)
        else:
            self._go(0.0 if verb == "open" else _FULL, self._SLOW if verb == "close_slow" else int(_FULL))

    @override
    def move(self, position: float) -> None:
        self._is_resetting = False
        self._go(position, int(_FULL))

    def _go(self, position: float, speed: int) -> None:
        closed = round(min(max(position, 0.0), _FULL))
        self._send(rACT=1, rGTO=1, rPR=closed, rSP=speed, rFR=self._FORCE)

    def _send(self, **registers: Any) -> None:
        self._outputs.publish(**registers)

    @override
    def tick(self) -> None:
        """End a reset once the gripper has seen it.

        The driver sends the newest output only, so the activation must not follow at once.
        """
        status = self._inputs.message
        if self._is_resetting and status is not None and status.gACT == 0:
            self.do("activate")
