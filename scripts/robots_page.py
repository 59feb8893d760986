"""Draw the image of docs/robots.md.

python scripts/robots_page.py docs/images/robots.png
"""

import contextlib
import sys
from pathlib import Path

import numpy as np

from hilserl.robot.http.images import as_png
from hilserl.sim.control import ArmSetup
from hilserl.sim.robot_files.drive_through import four_sides
from hilserl.sim.robot_models.model import RobotModel
from hilserl.sim.robot_models.registry import ROBOTS
from hilserl.sim.scene import world
from hilserl.sim.simulation import Simulation
from hilserl.sim.stage.stage import Stage

_SIZE_PX = 300
_COLUMNS = 4


def draw(robot: RobotModel) -> np.ndarray:
    """Render a robot at home, uint8 [300, 300, 3]."""
    setup, view = ArmSetup(robot=robot), four_sides(robot)[0]
    simulation = Simulation(world((setup,), (view,)), 0.1, (setup,))
    simulation.restart()
    with contextlib.closing(Stage(simulation)) as stage:
        return stage.image(view.name, _SIZE_PX, _SIZE_PX)


def draw_all(path: Path) -> None:
    """Write one image of all robots, in the order of `hilserl robots`."""
    images = [draw(robot) for robot in ROBOTS.values()]
    rows = [np.concatenate(images[start : start + _COLUMNS], axis=1) for start in range(0, len(images), _COLUMNS)]
    path.write_bytes(as_png(np.concatenate(rows)))


if __name__ == "__main__":
    draw_all(Path(sys.argv[1]))
