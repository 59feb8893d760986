"""Settings of the simulated SO-101."""

from dataclasses import dataclass

from lerobot.robots import RobotConfig


@RobotConfig.register_subclass("simulated_so101")
@dataclass(kw_only=True)
class SimulatedSo101Config(RobotConfig):
    """A simulated SO-101 with its servos' imperfections."""

    task: str = "pick_cube"
    """Task of hilserl whose objects lie before the arm."""
    use_degrees: bool = True
    """True for degrees, False for percent of the calibrated range."""
    max_relative_target: float | None = None
    """Largest difference of a goal from the present position, in the joints' unit."""
    views: str = ""
    """Cameras, separated by commas; each costs the time of an image in software."""
    image_px: int = 128
    """Height and width of an image."""
    delay_s: float = 0.02
    """Time from a goal to the servos' answer."""
    backlash_deg: float = 1.0
    """Backlash of the gears (measured by others: about 1 degree)."""
    stiffness_nm_per_rad: float = 65.0
    """Stiffness of a servo (measured by others: 1.8 to 2.6 degrees under 15 kg cm, backlash included)."""
    damping_nms_per_rad: float = 1.5
    """Damping of a servo."""
    fault_file: str = ""
    """File that makes the bus fail while it exists."""
