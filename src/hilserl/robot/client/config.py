"""Configuration of an environment's robot."""

from dataclasses import dataclass, field
from typing import Annotated

import tyro

from hilserl.settings import Count, NotNegative, Positive, check_settings


@dataclass(frozen=True)
class RobotConfig:
    """Robot of an environment, and its use."""

    server: Annotated[str, tyro.conf.arg(prefix_name=False)] = "http://127.0.0.1:5000"
    """Address of the robot server. The variable HILSERL_TOKEN holds its token, if any."""
    camera_sources: dict[str, str] = field(default_factory=dict)
    """Sources of cameras: opencv:0, opencv:/dev/video2 or realsense:SERIAL; by default the server."""
    compliance: dict[str, float] = field(default_factory=dict)
    """Impedance parameters during episodes; by default the server's at the first contact."""
    precision: dict[str, float] = field(default_factory=dict)
    """Impedance parameters on the way home."""
    gripper_pause_s: NotNegative = 0.0
    """Time after a gripper command without a further one."""
    reset_spread_m: NotNegative = 0.0
    """Largest distance from home at an episode's start, in x and y."""
    reset_turn_rad: NotNegative = 0.0
    """Largest turn about the vertical at an episode's start. The episode keeps it."""
    joint_reset_every: Count = 0
    """Number of episodes between joint resets; 0 for never."""
    reset_speed_m_per_s: Positive = 0.25
    """Speed of the tool on its way home."""

    @property
    def start_range(self) -> tuple[float, float, float]:
        """Range of start poses around home, in m, m and rad."""
        return self.reset_spread_m, self.reset_spread_m, self.reset_turn_rad

    def __post_init__(self) -> None:
        check_settings(self)
