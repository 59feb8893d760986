"""Simulated Franka under ROS.

`SimArm` acts behind the topics, services and parameters of franka_control and of serl_franka_controllers, as far as
the robot server uses them.

It runs as a process: `python franka_node.py PORT`, with ROS's master in ROS_MASTER_URI. Connections to PORT of
127.0.0.1 decide which controller runs: `roslaunch` starts the controller.py in ros_package, which connects, names its
controller, and stays. Tests connect, too: a line of JSON calls a method, another line of JSON is its result.
"""

import contextlib
import importlib
import json
import queue
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from hilserl_ros1.messages import import_rospy, message_class
from hilserl_ros1.node import (
    JACOBIAN,
    RECOVERY,
    RESET_JOINTS,
    SET_COMPLIANCE,
    SET_LOAD,
    SET_POINT,
    STATES,
)

from hilserl.robot.control.backend import Mode
from hilserl.robot.control.impedance import Compliance, max_value
from hilserl.robot.control.joint_space import JointDrive
from hilserl.robot.control.limits import Box, Limits
from hilserl.robot.control.loop import request_real_time
from hilserl.robot.control.poses import angle_rad, rotation_matrix, turned_towards
from hilserl.robot.control.timing import WINDOW, LoopTimer
from hilserl.robot.drivers.franka.driver import JOINTS
from hilserl.robot.drivers.sim.driver import SimArm
from hilserl.robot.drivers.sim.world import TICK_S, SimWorld
from hilserl.sim.robot_models.panda import HOME_JOINTS_RAD
from hilserl.tasks.pick_cube import PickCube

FILTER = 0.005
"""Part of the way to a set point in a millisecond (filter_params_ of the controller)."""
STATE_TICKS = 33
"""Ticks between states; franka_control publishes 30 times a second."""
JACOBIAN_TICKS = 5
"""Ticks between Jacobians; the real controller publishes in every tick, which costs too much here."""
IDLE, MOVE, REFLEX, USER_STOPPED = 1, 2, 4, 5
UNITS_PER_M = 2550
EVERYWHERE = Box((-9.0, -9.0, -9.0), (9.0, 9.0, 9.0))


class FrankaNode:
    """Robot with its controllers.

    `run` ticks; all other methods may be called from any thread or callback and act between two ticks.
    """

    def __init__(self) -> None:
        self._rospy = rospy = import_rospy()
        rospy.init_node("franka_control", argv=[], disable_signals=True)
        self._arm = SimArm(SimWorld(PickCube()), EVERYWHERE, Limits(), "franka", HOME_JOINTS_RAD)
        self._arm.halt("no controller")
        self._asked: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._controller = ""
        self._target = self._set_point = self._arm.pose
        self._error, self._is_user_stopped, self._is_mute = "", False, False
        self.seen: dict[str, Any] = {"recoveries": 0, "load": None, "set_points": 0, "launched": [], "robotiq": []}
        self._gripper = np.zeros(6, int)

        def publisher(topic: str, name: str) -> Any:
            return rospy.Publisher(topic, message_class(name), queue_size=1, tcp_nodelay=True)

        self._states = publisher(STATES, "franka_msgs/FrankaState")
        self._jacobians = publisher(JACOBIAN, "serl_franka_controllers/ZeroJacobian")
        self._hand = publisher("/franka_gripper/joint_states", "sensor_msgs/JointState")
        self._robotiq = publisher(
            "/Robotiq2FGripperRobotInput", "robotiq_2f_gripper_control/Robotiq2FGripper_robot_input"
        )
        self._listen(SET_POINT, "geometry_msgs/PoseStamped", self._take_set_point)
        self._listen(RECOVERY, "franka_msgs/ErrorRecoveryActionGoal", self._recover)
        self._listen("/franka_gripper/move/goal", "franka_gripper/MoveActionGoal", self._move_hand)
        self._listen("/franka_gripper/grasp/goal", "franka_gripper/GraspActionGoal", self._grasp)
        output = "robotiq_2f_gripper_control/Robotiq2FGripper_robot_output"
        self._listen("/Robotiq2FGripperRobotOutput", output, self._move_robotiq)
        self._services = []

    def _listen(self, topic: str, name: str, act: Callable[[Any], None]) -> None:
        self._rospy.Subscriber(topic, message_class(name), lambda said: self._asked.put(lambda: act(said)))

    def run(self) -> None:
        """Tick until ROS ends."""
        timer = LoopTimer(TICK_S, np.zeros(WINDOW), np.zeros(WINDOW))
        while not self._rospy.is_shutdown():
            with contextlib.suppress(queue.Empty):
                while True:
                    self._asked.get_nowait()()
            if self._controller == "impedance" and self._arm.mode == Mode.IMPEDANCE:
                self._filter()
            self._arm.tick()
            self._publish()
            timer.wait()

    def _filter(self) -> None:
        """Filter the set point as the controller does: it never jumps."""
        now, target = self._set_point, self._target
        turn = angle_rad(now[3:], target[3:])
        self._set_point = np.concatenate(
            [now[:3] + FILTER * (target[:3] - now[:3]), turned_towards(now[3:], target[3:], FILTER * turn)]
        )
        self._arm.limiter.hold(self._set_point)

    @property
    def _robot_mode(self) -> int:
        if self._is_user_stopped:
            return USER_STOPPED
        if self._error:
            return REFLEX
        return MOVE if self._controller else IDLE

    def _publish(self) -> None:
        arm = self._arm
        if not self._controller or self._is_mute:
            return
        ticks = round(arm.now_s / TICK_S)
        if ticks % JACOBIAN_TICKS == 0 and self._controller == "impedance" and self._robot_mode == MOVE:
            self._jacobians.publish(zero_jacobian=arm.jacobian.T.ravel().tolist())
        if ticks % STATE_TICKS:
            return
        state = message_class("franka_msgs/FrankaState")()
        transform = np.eye(4)
        transform[:3, :3], transform[:3, 3] = rotation_matrix(arm.pose[3:]), arm.pose[:3]
        measured = arm.measurements()
        state.O_T_EE, state.q, state.dq = transform.T.ravel().tolist(), arm.q.tolist(), arm.dq.tolist()
        # The robot measures its own force on the environment.
        state.K_F_ext_hat_K = (-np.concatenate([measured["force"], measured["torque"]])).tolist()
        state.robot_mode = self._robot_mode
        if self._error:
            setattr(state.current_errors, self._error, True)
        self._states.publish(state)
        self._hand.publish(position=[0.04 * arm.gripper.position] * 2)
        self._robotiq.publish(gACT=int(self._gripper[0]), gPO=round(255 * (1 - arm.gripper.position)))

    # Topics.

    def _take_set_point(self, said: Any) -> None:
        self.seen["set_points"] += 1
        p, q = said.pose.position, said.pose.orientation
        self._target = np.array([p.x, p.y, p.z, q.x, q.y, q.z, q.w])
        self._arm.law.reset_integral()

    def _recover(self, _: Any) -> None:
        self.seen["recoveries"] += 1
        if not self._is_user_stopped:
            self._error = ""
            self._start_controller()

    def _move_hand(self, said: Any) -> None:
        self._arm.gripper.move(said.goal.width * UNITS_PER_M)

    def _grasp(self, said: Any) -> None:
        self._arm.gripper.do("close_slow" if said.goal.speed < 0.2 else "close")

    def _move_robotiq(self, said: Any) -> None:
        self._gripper[:] = said.rACT, said.rGTO, said.rATR, said.rPR, said.rSP, said.rFR
        self.seen["robotiq"].append(self._gripper.tolist())
        if said.rACT and said.rGTO:
            self._arm.gripper.move(0.08 * (1 - said.rPR / 255) * UNITS_PER_M)

    # Services, which the controllers offer.

    def _take_compliance(self, asked: Any) -> Any:
        encoding = importlib.import_module("dynamic_reconfigure.encoding")
        given = encoding.decode_config(asked.config)
        values = {name: min(max(value, 0.0), max_value(name)) for name, value in given.items() if name != "groups"}
        self._asked.put(lambda: self._arm.set_compliance(Compliance(**values)))
        return {"config": encoding.encode_config(values)}

    def _take_load(self, asked: Any) -> Any:
        if not self._is_user_stopped:
            return {"success": False, "error": "command not possible in the current mode (Move)"}
        self.seen["load"] = [asked.mass, *asked.F_x_center_load]
        return {"success": True, "error": ""}

    # Controllers and tests.

    def start(self, controller: str, arguments: list[str]) -> None:
        """Start a controller with the arguments of its launch file."""
        self._controller = controller
        self.seen["launched"].append([controller, *arguments])
        self._start_controller()
        service = self._rospy.Service
        self._services = [service(SET_LOAD, message_class("franka_msgs/SetLoad", "srv"), self._take_load)]
        if controller == "impedance":
            reconfigure = message_class("dynamic_reconfigure/Reconfigure", "srv")
            self._services.append(service(SET_COMPLIANCE, reconfigure, self._take_compliance))

    def stop(self) -> None:
        """End the running controller."""
        self._controller = ""
        if self._arm.mode != Mode.HALTED:
            self._arm.halt("no controller")
        for service in self._services:
            service.shutdown()

    def _start_controller(self) -> None:
        self._arm.recover()
        self._target = self._set_point = self._arm.pose
        if self._controller == "joint":
            self._arm._drive = JointDrive(JOINTS, tuple(self._rospy.get_param(RESET_JOINTS)))
            self._arm.joint_reset()

    def be_stopped(self, error: str = "", user_stop: bool = False) -> None:
        """Stop the robot by a reflex or by its user stop; without arguments, free it."""
        self._error, self._is_user_stopped = error, user_stop
        if (error or user_stop) and self._arm.mode != Mode.HALTED:
            self._arm.halt("stopped")

    def mute(self, on: bool) -> None:
        """Stop or resume the publication of states."""
        self._is_mute = on

    def tell(self) -> dict[str, Any]:
        """Return all that the robot was asked, and its state."""
        return {
            **self.seen,
            "controller": self._controller,
            "pose": self._arm.pose.tolist(),
            "compliance": self._arm.law.compliance.as_dict(),
        }

    def ask(self, what: str, **given: Any) -> Any:
        """Call a method between two ticks and return its result."""
        answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._asked.put(lambda: answers.put(getattr(self, what)(**given)))
        return answers.get()


def serve(line: socket.socket, franka: FrankaNode) -> None:
    """Serve one connection, of a controller or of a test."""
    # rospy sets a timeout of a minute for all sockets.
    line.settimeout(None)
    with line, line.makefile("rw") as words:
        launched = False
        for word in words:
            said = json.loads(word)
            launched |= said["do"] == "start"
            words.write(json.dumps(franka.ask(said.pop("do"), **said)) + "\n")
            words.flush()
        if launched:
            franka.ask("stop")


def accept(listener: socket.socket, franka: FrankaNode) -> None:
    """Accept connections for ever."""
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0], franka), daemon=True).start()


def main() -> None:
    """Run the node."""
    # A robot does not wait for other programs; the threads of rospy inherit the priority.
    request_real_time()
    franka = FrankaNode()
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    threading.Thread(target=accept, args=(listener, franka), daemon=True).start()
    franka.run()


if __name__ == "__main__":
    main()
