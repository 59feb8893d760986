"""Simulated SO-101 behind LeRobot's interface, with the backend on it."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hilserl.lerobot.joints import LeRobotConfig
from hilserl.robot.control.limits import Box, Limits
from hilserl.robot.control.poses import to_xyzw
from hilserl.robot.drivers.lerobot.backend import LeRobotBackend, LeRobotSettings
from hilserl.robot.drivers.lerobot.bus import SILENCE_S
from hilserl.sim.robot_models.so101 import SO101
from hilserl.tasks.pick_cube import PickCube

PYTHON = Path(sys.executable)
FAKE = Path(__file__).parent / "lerobot_fake"
PLUGIN = Path(__file__).parents[2] / "packages" / "lerobot_robot_simulated_so101"
WORDS = ("robot.type=simulated_so101", "robot.discover_packages_path=lerobot_robot_simulated_so101")
"""LeRobot's flags for the simulated arm."""

SO101_HOME = np.array([0.225, -0.0038, 0.1016, *to_xyzw(np.array(SO101.tool_wxyz))])
"""Pose of the tool at home, in the base's frame."""


@contextlib.contextmanager
def fake_lerobot() -> Iterator[None]:
    """Provide a package `lerobot` and the simulated arm to child processes of this interpreter."""
    before = os.environ.get("PYTHONPATH")
    source = Path(__file__).parents[2] / "src"
    os.environ["PYTHONPATH"] = os.pathsep.join(map(str, (FAKE, PLUGIN, source)))
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def so101_config(*more: str, **options: Any) -> LeRobotConfig:
    """Make the settings of the simulated arm; `more` are flags of LeRobot."""
    return LeRobotConfig(python=PYTHON, words=(*WORDS, *more), **options)


@contextlib.contextmanager
def lerobot_backend(
    *more: str, limits: Limits | None = None, silence_s: float = SILENCE_S, **options: Any
) -> Iterator[LeRobotBackend]:
    """Start the backend of the simulated SO-101; `more` are flags of LeRobot."""
    arm = PickCube(SO101).arms[0]
    box = Box(arm.workspace_low_m, arm.workspace_high_m).seen_from(arm.base_m, arm.base_yaw_rad)
    config = so101_config(*more, **options)
    settings = LeRobotSettings(
        box, limits or Limits(), "percent", SO101.home_joints_rad, SO101, config, silence_s=silence_s
    )
    with fake_lerobot(), contextlib.closing(LeRobotBackend(settings)) as backend:
        yield backend


@contextlib.contextmanager
def slow_lerobot_backend() -> Iterator[LeRobotBackend]:
    """Start the backend with limits that fit a small arm, and one camera.

    It bears pauses of a busy machine: the tests of a lost bus have backends of their own.
    """
    limits = Limits(max_step_m=0.03, max_speed_m_per_s=0.2)
    with lerobot_backend("robot.views=front", "robot.image_px=64", limits=limits, silence_s=3.0) as backend:
        yield backend
