"""Simulated SO-101 as a robot of LeRobot."""

from lerobot_robot_simulated_so101.config_simulated_so101 import SimulatedSo101Config
from lerobot_robot_simulated_so101.simulated_so101 import SimulatedSo101

__all__ = ["SimulatedSo101", "SimulatedSo101Config"]
