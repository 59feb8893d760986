"""Grippers under ROS 1."""

import pytest

from tests.support.loopback import until
from tests.support.robot_rig import serving
from tests.support.ros_rig import RosSystem, ros_backend


@pytest.mark.ros
def test_robotiq_gets_its_registers(quiet_system: RosSystem) -> None:
    def outputs() -> list[list[int]]:
        return quiet_system.franka.ask("tell")["robotiq"]

    with ros_backend(quiet_system, gripper="robotiq") as backend, serving(backend) as rig:
        assert quiet_system.franka.ask("tell")["launched"][-1][2] == "false", "it has no Franka hand"
        for route, body, expected in (
            ("activate_gripper", None, [1, 1, 0, 0, 255, 30]),
            ("close_gripper", None, [1, 1, 0, 255, 255, 30]),
            ("close_gripper_slow", None, [1, 1, 0, 255, 50, 30]),
            ("move_gripper", {"gripper_pos": 100}, [1, 1, 0, 100, 255, 30]),
            ("open_gripper", None, [1, 1, 0, 0, 255, 30]),
        ):
            assert rig.post(f"/{route}", body).status == 200
            until(lambda: outputs()[-1:] == [expected], route)  # noqa: B023 (called at once)
        until(lambda: rig.post("/get_gripper").json["gripper"] > 0.9, "open")
        rig.post("/reset_gripper")
        until(lambda: outputs()[-2:] == [[0] * 6, [1, 1, 0, 0, 255, 30]], "the reset and the activation that ends it")
