"""What an environment is told of its robot."""

from dataclasses import dataclass, field

from hilserl.errors import HilserlError


@dataclass(frozen=True)
class RobotConfig:
    """Which robot, and how it is used."""

    server: str = "http://127.0.0.1:5000"
    """The robot server's address; its token, if it wants one, is taken from HILSERL_TOKEN."""
    camera_sources: dict[str, str] = field(default_factory=dict)
    """Where a camera's pictures come from: opencv:0, opencv:/dev/video2, realsense:SERIAL, or by default the server."""
    compliance: dict[str, float] = field(default_factory=dict)
    """Impedance parameters during episodes; by default what the server has when it is first asked."""
    precision: dict[str, float] = field(default_factory=dict)
    """Impedance parameters on the way home."""
    gripper_pause_s: float = 0.0
    """A gripper that has just been told to open or to close takes no other command for so long."""
    reset_spread_m: float = 0.0
    """Episodes begin at most this far from home in x and in y."""
    reset_turn_rad: float = 0.0
    """Episodes begin turned by at most this about the vertical, and keep that turn."""
    joint_reset_every: int = 0
    """Episodes from one reset of the joints to the next; 0 for never."""
    reset_speed_m_per_s: float = 0.25
    """How fast the tool goes home."""

    def __post_init__(self) -> None:
        for name in ("gripper_pause_s", "reset_spread_m", "reset_turn_rad", "joint_reset_every"):
            if getattr(self, name) < 0:
                raise HilserlError(f"{name} must not be negative, got {getattr(self, name)}.")
        if self.reset_speed_m_per_s <= 0:
            raise HilserlError(f"reset_speed_m_per_s must be positive, got {self.reset_speed_m_per_s}.")
