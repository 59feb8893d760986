"""The topics, services and parameters of a Franka arm under ROS 1, as one node speaks them.

Names and types are those of franka_ros and of serl_franka_controllers
(https://github.com/rail-berkeley/serl_franka_controllers), whose impedance controller follows.
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
from hilserl.robot.drivers.ros1.messages import import_rospy, message

STATES = "/franka_state_controller/franka_states"
JACOBIAN = "/cartesian_impedance_controller/franka_jacobian"
SET_POINT = "/cartesian_impedance_controller/equilibrium_pose"
SET_COMPLIANCE = "/cartesian_impedance_controllerdynamic_reconfigure_compliance_param_node/set_parameters"
"""The missing slash is the controller's own."""
RECOVERY = "/franka_control/error_recovery/goal"
SET_LOAD = "/franka_control/set_load"
RESET_JOINTS = "/target_joint_positions"
"""The parameter that joint.launch reads, rad."""
_NAME = "hilserl_robot_server"
_FRAME = "panda_link0"
_SERVICE_WAIT_S = 5.0


class Newest:
    """The newest message of a topic; rospy takes it in a thread of its own."""

    def __init__(self, rospy: Any, topic: str, name: str) -> None:
        self._seen: tuple[Any, float] = (None, -float("inf"))
        rospy.Subscriber(topic, message(name), self._take, queue_size=1, tcp_nodelay=True)

    def _take(self, message: Any) -> None:
        self._seen = (message, time.monotonic())

    @property
    def message(self) -> Any:
        """None before the first."""
        return self._seen[0]

    @property
    def came_s(self) -> float:
        """When it came, on the monotonic clock."""
        return self._seen[1]


class RosNode:
    """Connected to its master at once; everything is addressed absolutely, so two arms are two masters.

    Methods that call a service block; the others may be called between two ticks. Raises HilserlError where rospy or
    the master is missing.
    """

    def __init__(self, master_uri: str | None) -> None:
        # Where rospy and all that it starts read it from.
        if master_uri is not None:
            os.environ["ROS_MASTER_URI"] = master_uri
        self._rospy = rospy = import_rospy()
        rosgraph = importlib.import_module("rosgraph")
        if not rosgraph.is_master_online():
            raise HilserlError(f"No ROS master answers at {rosgraph.get_master_uri()}; start one with `roscore`.")
        rospy.init_node(_NAME, argv=[], disable_signals=True)
        self.states = Newest(rospy, STATES, "franka_msgs/FrankaState")
        self.jacobians = Newest(rospy, JACOBIAN, "serl_franka_controllers/ZeroJacobian")
        self._set_points = self.publisher(SET_POINT, "geometry_msgs/PoseStamped", queue_size=1)
        self._recovery = self.publisher(RECOVERY, "franka_msgs/ErrorRecoveryActionGoal")

    def publisher(self, topic: str, name: str, queue_size: int = 10) -> Any:
        """A rospy.Publisher, which sends from a thread of its own."""
        return self._rospy.Publisher(topic, message(name), queue_size=queue_size, tcp_nodelay=True)

    def newest(self, topic: str, name: str) -> Newest:
        return Newest(self._rospy, topic, name)

    @property
    def is_heard(self) -> bool:
        """Whether an impedance controller listens for set points."""
        return self._set_points.get_num_connections() > 0

    def check(self) -> None:
        """Raises HilserlError where this node is no longer one."""
        if self._rospy.is_shutdown():
            raise HilserlError(f"ROS ended the node {_NAME}; another one of that name takes its place, perhaps.")

    def follow(self, set_point: Pose) -> None:
        """To the impedance controller, which empties its integral with every one of these."""
        stamped = message("geometry_msgs/PoseStamped")()
        stamped.header.frame_id, stamped.header.stamp = _FRAME, self._rospy.Time.now()
        position, orientation = stamped.pose.position, stamped.pose.orientation
        position.x, position.y, position.z, orientation.x, orientation.y, orientation.z, orientation.w = (
            set_point.tolist()
        )
        self._set_points.publish(stamped)

    def recover(self) -> None:
        """Asks franka_control to leave its error state."""
        self._recovery.publish(self.goal("franka_msgs/ErrorRecoveryActionGoal"))

    def goal(self, name: str) -> Any:
        """An action's goal message, stamped; the action's server gives it a name."""
        goal = message(name)()
        goal.header.stamp = goal.goal_id.stamp = self._rospy.Time.now()
        return goal

    def set_compliance(self, compliance: Compliance) -> None:
        """Raises `ArmStateError` where the controller does not take it as it is."""
        encoding = importlib.import_module("dynamic_reconfigure.encoding")
        wanted = compliance.as_dict()
        answer = self._call(
            SET_COMPLIANCE, "dynamic_reconfigure/Reconfigure", config=encoding.encode_config(dict(wanted))
        )
        got = encoding.decode_config(answer.config)
        other = {name: got.get(name) for name, value in wanted.items() if got.get(name) != value}
        if other:
            raise ArmStateError(
                f"The impedance controller made {other} of { ({name: wanted[name] for name in other}) }."
            )

    def set_load(self, load: Load) -> None:
        """Raises `ArmStateError` where franka_control does not take it."""
        answer = self._call(
            SET_LOAD,
            "franka_msgs/SetLoad",
            mass=load.mass_kg,
            F_x_center_load=load.centre_m,
            load_inertia=load.inertia_kg_m2,
        )
        if not answer.success:
            raise ArmStateError(f"{SET_LOAD} failed: {answer.error}. A Franka takes it with its user stop pressed.")

    def set_reset_joints(self, joints_rad: tuple[float, ...]) -> None:
        """For joint.launch. Raises HilserlError where the master is gone."""
        try:
            self._rospy.set_param(RESET_JOINTS, list(joints_rad))
        except OSError as error:
            raise HilserlError(f"The ROS master did not take {RESET_JOINTS}: {error}") from error

    def _call(self, service: str, name: str, **given: Any) -> Any:
        rospy = self._rospy
        try:
            rospy.wait_for_service(service, _SERVICE_WAIT_S)
            return rospy.ServiceProxy(service, message(name, "srv"))(**given)
        except (rospy.ROSException, rospy.ServiceException) as error:
            raise ArmStateError(f"The ROS service {service} did not do it: {error}") from error

    def close(self) -> None:
        with contextlib.suppress(self._rospy.ROSException):
            self._rospy.signal_shutdown("the robot server ends")
