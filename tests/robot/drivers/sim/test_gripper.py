"""The simulated fingers as each kind of gripper."""

import pytest

from hilserl.robot.control.backend import GripperKind
from tests.support.arms import run, sim_arm


@pytest.mark.parametrize("kind", ["franka", "robotiq", "none"])
def test_sim_gripper_takes_the_numbers_of_its_kind(kind: GripperKind) -> None:
    arm = sim_arm(kind)

    def after(seconds: float = 1.0) -> float:
        run(arm, seconds)
        return arm.gripper.position

    arm.move_gripper(102)
    assert after() == pytest.approx({"franka": 0.5, "robotiq": 0.6, "none": 0.0}[kind], abs=0.02)
    arm.command_gripper("close")
    assert after() == pytest.approx(0.0, abs=0.02)
    arm.command_gripper("open")
    assert after() == pytest.approx(0.0 if kind == "none" else 1.0, abs=0.02)
    if kind != "none":
        arm.command_gripper("close_slow")
        assert after(0.4) == pytest.approx(0.55, abs=0.1), "at 0.1 m/s, the gap being 0.08 m"
