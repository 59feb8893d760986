"""Conversion between LeRobot's numbers for joints and angles."""

import math
from typing import Any

import numpy as np
import pytest

from hilserl.errors import HilserlError
from hilserl.lerobot.joints import LeRobotConfig, gripper_map, joint_map
from hilserl.lerobot.process import DeviceInfo

JOINTS = ("shoulder", "elbow")
RANGES_RAD = np.array([[-1.0, 1.0], [-2.0, 2.0]])


def info(**more: Any) -> DeviceInfo:
    keys = ["shoulder.pos", "elbow.pos", "gripper.pos"]
    given = {"lerobot": "0.6.1", "name": "an_arm", "measured": keys, "commanded": keys, "cameras": []}
    return DeviceInfo(**{**given, "use_degrees": True, "calibration": {}, "scene": None, **more})


@pytest.mark.parametrize(
    ("config", "device", "expected"),
    [
        (LeRobotConfig(), info(), np.radians([90.0, -10.0])),
        (LeRobotConfig(units="radians"), info(), [90.0, -10.0]),
        (LeRobotConfig(), info(use_degrees=False), [0.9, -0.2]),
        (LeRobotConfig(units="percent"), info(), [0.9, -0.2]),
        (LeRobotConfig(reversed_joints=("elbow",)), info(), np.radians([90.0, 10.0])),
        (LeRobotConfig(zero_deg=(5.0, 0.0)), info(), np.radians([95.0, -10.0])),
        (LeRobotConfig(joints=("elbow", "shoulder")), info(), np.radians([-10.0, 90.0])),
    ],
)
def test_joint_map_reads_and_writes_the_units(config: LeRobotConfig, device: DeviceInfo, expected: Any) -> None:
    found = joint_map(config, device, JOINTS, RANGES_RAD)
    numbers = {"shoulder.pos": 90.0, "elbow.pos": -10.0}
    assert np.allclose(found.read(numbers | {"gripper.pos": 3.0}), expected)
    assert found.write(found.read(numbers)) == pytest.approx(numbers)


def test_joint_map_takes_percent_of_the_calibrated_range() -> None:
    device = info(use_degrees=False, calibration={"shoulder": (1000, 3000), "elbow": (0, 4095)})
    found = joint_map(LeRobotConfig(), device, JOINTS, RANGES_RAD)
    angles = found.read({"shoulder.pos": 100.0, "elbow.pos": -50.0})
    assert np.allclose(angles, [1000 * 2 * math.pi / 4095, -math.pi / 2])


@pytest.mark.parametrize(
    ("config", "device", "reason"),
    [
        (LeRobotConfig(), info(commanded=["pan.pos", "elbow.pos"]), "no joints shoulder .*Available: pan, elbow"),
        (LeRobotConfig(joints=("elbow",)), info(), "description's 2: shoulder, elbow"),
        (LeRobotConfig(), info(use_degrees=None), "Available: degrees, percent, radians"),
        (LeRobotConfig(reversed_joints=("wrist",)), info(), "reversed_joints wrist. Available: shoulder"),
        (LeRobotConfig(zero_deg=(1.0,)), info(), "zero_deg has 1 numbers"),
    ],
)
def test_joint_map_names_what_does_not_fit(config: LeRobotConfig, device: DeviceInfo, reason: str) -> None:
    with pytest.raises(HilserlError, match=reason):
        joint_map(config, device, JOINTS, RANGES_RAD)


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_joint_map_refuses_numbers_that_are_not_finite(number: float) -> None:
    found = joint_map(LeRobotConfig(), info(), JOINTS, RANGES_RAD)
    for numbers in ({"shoulder.pos": number, "elbow.pos": 0.0}, {"elbow.pos": 0.0}):
        with pytest.raises(HilserlError, match="no finite numbers"):
            found.read(numbers)


def test_gripper_map_declares_its_ends() -> None:
    usual, turned = (
        gripper_map(config, info()) for config in (LeRobotConfig(), LeRobotConfig(gripper_closed=100, gripper_open=0))
    )
    assert usual is not None
    assert turned is not None
    assert (usual.part(25.0), turned.part(25.0)) == (0.25, 0.75)
    assert (usual.number(0.25), turned.number(0.25)) == (25.0, 75.0)
    assert (usual.part(-9.0), usual.part(109.0)) == (0.0, 1.0)
    assert gripper_map(LeRobotConfig(), info(commanded=["shoulder.pos"])) is None
    with pytest.raises(HilserlError, match="expected two numbers"):
        LeRobotConfig(gripper_open=0.0)
