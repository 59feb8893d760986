"""Settings of an environment's robot."""

from typing import Any

import pytest

from hilserl.errors import HilserlError
from hilserl.robot.client.config import RobotConfig


@pytest.mark.parametrize(
    "setting",
    [
        {"gripper_pause_s": -1.0},
        {"reset_spread_m": -0.1},
        {"reset_turn_rad": -0.1},
        {"joint_reset_every": -1},
        {"reset_speed_m_per_s": 0.0},
    ],
    ids=lambda setting: next(iter(setting)),
)
def test_robot_config_names_the_invalid_setting(setting: dict[str, Any]) -> None:
    with pytest.raises(HilserlError, match=next(iter(setting))):
        RobotConfig(**setting)
