"""Message definitions, and the import of rospy."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hilserl_ros1.messages import import_rospy

from hilserl.errors import HilserlError
from tests.support.ros_rig import skip_without_ros

MD5 = {
    "franka_msgs/FrankaState": "431567d5df6caf4e4dd7385f25cb71ee",
    "franka_msgs/ErrorRecoveryActionGoal": "4b30be6cd12b9e72826df56b481f40e0",
    "franka_gripper/MoveActionGoal": "f8907a1e7bb902f2e4c7db8e1cf3d24f",
    "franka_gripper/GraspActionGoal": "7bd1a6e7f94ef15bb6dd05cb170e7909",
    "serl_franka_controllers/ZeroJacobian": "573da0494fbe019a7da2ae31329663cf",
    "robotiq_2f_gripper_control/Robotiq2FGripper_robot_output": "481503a99d995d0e403b7ee708c6862c",
    "robotiq_2f_gripper_control/Robotiq2FGripper_robot_input": "17d49e32c00f4f2fb4fe664060553362",
    "franka_msgs/SetLoad": "c9a8ec436164dd9cbc1e5e137d358e0b",
}
"""Sums in code that was generated from the packages; ROS refuses connections between different sums.

No generated code of ErrorRecovery was found: its sum is that of all actions with an empty goal. The sum of SetLoad is
made of two sums that were found.
"""


_PRINT_MD5 = """
from hilserl_ros1.messages import import_rospy, message_class
import_rospy()
for name in {names}:
    print(name, message_class(name, "srv" if name.endswith("Load") else "msg")._md5sum)
"""


@pytest.mark.ros
def test_definitions_have_the_md5_sums_of_the_packages() -> None:
    skip_without_ros()
    command = [sys.executable, "-c", _PRINT_MD5.format(names=list(MD5))]
    told = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ).stdout
    assert dict(line.split() for line in told.splitlines()) == MD5


@pytest.mark.parametrize(
    ("debian", "python", "why"),
    [("nowhere", "python3", "apt-get install python3-rospy"), ("", "python2.7", "is for python2.7")],
)
def test_import_rospy_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, debian: str, python: str, why: str
) -> None:
    (tmp_path / "rospy").mkdir()
    monkeypatch.setattr(sys, "path", [directory for directory in sys.path if "dist-packages" not in directory])
    with pytest.raises(HilserlError, match=why):
        import_rospy(tmp_path / debian, tmp_path / python)
