"""Settings of a phone."""

from dataclasses import dataclass
from pathlib import Path

from hilserl.settings import Port, Positive, Rate, check_settings


@dataclass(frozen=True)
class PhoneConfig:
    """A phone as an input device."""

    host: str = ""
    """Address of this machine at which the phone reaches the page.

    Empty takes the address in the local network.
    """
    port: Port = 0
    """Port of the phone's page. 0 takes the first free port from 8443."""
    certificate: Path | None = None
    """Directory that `hilserl credentials` made.

    Without it the certificate is a new one at each start, and the phone warns again.
    """
    scale: Positive = 1.0
    """Motion of the tool for one metre of the phone, in metres."""
    pad_scale: Rate = 1.0
    """Motion at a pad's edge, as a part of a full action."""
    heading_deg: float = 0.0
    """Direction in which you look, anticlockwise from the robot's forward.

    It is 180 if you face the robot.
    """

    def __post_init__(self) -> None:
        check_settings(self)
