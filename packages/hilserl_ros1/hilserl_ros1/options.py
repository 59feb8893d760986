"""Options of the backend `ros` on the command line."""

from dataclasses import dataclass

from typing_extensions import override

from hilserl.robot.backends import BackendOptions, ServedArm
from hilserl.robot.control.backend import Backend


@dataclass(frozen=True)
class RosOptions(BackendOptions):
    """ROS master and programs of the arm."""

    gripper_ip: str | None = None
    """Address of a Robotiq gripper; its driver is started. By default it runs already."""
    master_uri: str | None = None
    """Address of the ROS master; by default the variable ROS_MASTER_URI."""
    environment: str = ""
    """Command before `roslaunch` and `rosrun`, as /home/me/catkin_ws/devel/env.sh."""

    @override
    def open(self, arm: ServedArm) -> Backend:
        from hilserl_ros1.backend import RosBackend, RosSettings

        gripper = arm.gripper or "franka"
        return RosBackend(RosSettings(arm.box, arm.limits, gripper, arm.reset_joints_rad, arm.robot_ip, self))
