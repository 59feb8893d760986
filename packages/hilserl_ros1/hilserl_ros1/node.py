"""Topics, services and parameters of a Franka arm under ROS 1.

Names and types are those of franka_ros and of serl_franka_controllers
(https://github.com/rail-berkeley/serl_franka_controllers), whose impedance controller moves the arm.
"""

import contextlib
import importlib
import os
import time
from typing import Any

from hilserl.errors import HilserlError
from hilserl.robot.control.backend import ArmStateError, Load
from hilserl.robot.control.impedance import Compliance
from hilserl.robot.control.poses import Pose
from hilserl_ros1.messages import import_rospy, message_class

STATES = "/franka_state_controller/franka_states"
JACOBIAN = "/cartesian_impedance_controller/franka_jacobian"
SET_POINT = "/cartesian_impedance_controller/equilibrium_pose"
SET_COMPLIANCE = "/cartesian_impedance_controllerdynamic_reconfigure_compliance_param_node/set_parameters"
"""Service of the compliance; the missing slash is the controller's."""
RECOVERY = "/franka_control/error_recovery/goal"
SET_LOAD = "/franka_control/set_load"
RESET_JOINTS = "/target_joint_positions"
"""Parameter that joint.launch reads, rad."""
_NAME = "hilserl_robot_server"
_FRAME = "panda_link0"
_SERVICE_WAIT_S = 5.0


class LatestMessage:
    """Newest message of a topic; rospy receives it in a separate thread."""

    def __init__(self, rospy: Any, topic: str, name: str) -> None:
        self._latest: tuple[Any, float] = (None, -float("inf"))
        rospy.Subscriber(topic, message_class(name), self._receive, queue_size=1, tcp_nodelay=True)

    def _receive(self, message: Any) -> None:
        self._latest = (message, time.monotonic())

    @property
    def message(self) -> Any:
        """The message; None before the first."""
        return self._latest[0]

    @property
    def received_s(self) -> float:
        """Time of its receipt on the monotonic clock."""
        return self._latest[1]


class RosNode:
    """Node that connects to its master at once.

    All names are absolute, so two arms need two masters. Methods that call a service block; the others may be called
    between two ticks.

    Args:
        master_uri: address of the master; by default the variable ROS_MASTER_URI.

    Raises:
        HilserlError: rospy or the master is missing.
    """

    def __init__(self, master_uri: str | None) -> None:
        # rospy and the programs that it starts read it from there.
        if master_uri is not None:
            os.environ["ROS_MASTER_URI"] = master_uri
        self._rospy = rospy = import_rospy()
        rosgraph = importlib.import_module("rosgraph")
        if not rosgraph.is_master_online():
            raise HilserlError(f"No ROS master answers at {rosgraph.get_master_uri()}. Start one with `roscore`.")
        rospy.init_node(_NAME, argv=[], disable_signals=True)
        self.states = LatestMessage(rospy, STATES, "franka_msgs/FrankaState")
        """Newest state of the robot."""
        self.jacobians = LatestMessage(rospy, JACOBIAN, "serl_franka_controllers/ZeroJacobian")
        """Newest Jacobian of the controller."""
        self._set_points = self.publisher(SET_POINT, "geometry_msgs/PoseStamped", queue_size=1)
        self._recovery = self.publisher(RECOVERY, "franka_msgs/ErrorRecoveryActionGoal")

    def publisher(self, topic: str, name: str, queue_size: int = 10) -> Any:
        """Make a rospy.Publisher, which sends from a separate thread."""
        return self._rospy.Publisher(topic, message_class(name), queue_size=queue_size, tcp_nodelay=True)

    def subscribe(self, topic: str, name: str) -> LatestMessage:
        """Subscribe to a topic."""
        return LatestMessage(self._rospy, topic, name)

    @property
    def has_listener(self) -> bool:
        """True if an impedance controller listens for set points."""
        return self._set_points.get_num_connections() > 0

    def check(self) -> None:
        """Raise HilserlError if ROS has ended this node."""
        if self._rospy.is_shutdown():
            raise HilserlError(f"ROS ended the node {_NAME}; perhaps another node of that name has started.")

    def publish_set_point(self, set_point: Pose) -> None:
        """Send a set point to the impedance controller.

        The controller then empties its integral.
        """
        stamped = message_class("geometry_msgs/PoseStamped")()
        stamped.header.frame_id, stamped.header.stamp = _FRAME, self._rospy.Time.now()
        position, orientation = stamped.pose.position, stamped.pose.orientation
        position.x, position.y, position.z, orientation.x, orientation.y, orientation.z, orientation.w = (
            set_point.tolist()
        )
        self._set_points.publish(stamped)

    def recover(self) -> None:
        """Ask franka_control to leave its error state."""
        self._recovery.publish(self.make_goal("franka_msgs/ErrorRecoveryActionGoal"))

    def make_goal(self, name: str) -> Any:
        """Make a stamped goal message of an action, without an id."""
        goal = message_class(name)()
        goal.header.stamp = goal.goal_id.stamp = self._rospy.Time.now()
        return goal

    def set_compliance(self, compliance: Compliance) -> None:
        """Set the impedance parameters. Raises `ArmStateError` if the controller changes them."""
        encoding = importlib.import_module("dynamic_reconfigure.encoding")
        wanted = compliance.as_dict()
        answer = self._call(
            SET_COMPLIANCE, "dynamic_reconfigure/Reconfigure", config=encoding.encode_config(dict(wanted))
        )
        got = encoding.decode_config(answer.config)
        changed = {name: got.get(name) for name, value in wanted.items() if got.get(name) != value}
        if changed:
            requested = {name: wanted[name] for name in changed}
            raise ArmStateError(f"The impedance controller set {changed}; expected {requested}.")

    def set_load(self, load: Load) -> None:
        """Set the load of the hand. Raises `ArmStateError` if franka_control refuses it."""
        answer = self._call(
            SET_LOAD,
            "franka_msgs/SetLoad",
            mass=load.mass_kg,
            F_x_center_load=load.centre_m,
            load_inertia=load.inertia_kg_m2,
        )
        if not answer.success:
            raise ArmStateError(
                f"{SET_LOAD} failed: {answer.error}. A Franka takes a load while its user stop is pressed."
            )

    def set_reset_joints(self, joints_rad: tuple[float, ...]) -> None:
        """Set the posture of joint.launch. Raises HilserlError if the master is gone."""
        try:
            self._rospy.set_param(RESET_JOINTS, list(joints_rad))
        except OSError as error:
            raise HilserlError(f"The ROS master refused {RESET_JOINTS}: {error}") from error

    def _call(self, service: str, name: str, **given: Any) -> Any:
        rospy = self._rospy
        try:
            rospy.wait_for_service(service, _SERVICE_WAIT_S)
            return rospy.ServiceProxy(service, message_class(name, "srv"))(**given)
        except (rospy.ROSException, rospy.ServiceException) as error:
            raise ArmStateError(f"The ROS service {service} failed: {error}") from error

    def close(self) -> None:
        """End the node."""
        with contextlib.suppress(self._rospy.ROSException):
            self._rospy.signal_shutdown("the robot server ends")
