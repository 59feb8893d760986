"""Draw the image of docs/robots.md, and print its table from finished runs.

python scripts/robots_page.py docs/images/robots.png           # the image of all robots
python scripts/robots_page.py --table runs/pick_cube-*         # the table, a row for each robot
"""

import contextlib
import io
import json
import sys
from collections import defaultdict
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


def table(runs: list[Path]) -> str:
    """Return the table of finished runs as Markdown, a row a robot."""
    found: dict[str, list[tuple[int, dict[str, object]]]] = defaultdict(list)
    for run in runs:
        if (run / "result.json").exists():
            config = json.loads((run / "config.json").read_text())
            result = json.loads((run / "result.json").read_text())
            found[Path(config["env"]["arm"]).stem].append((config["seed"], result))
    shown = io.StringIO()
    shown.write("| robot | seeds | env steps | robot-minutes | human seconds | minutes | successes of 100 |\n")
    shown.write("| --- | --- | --- | --- | --- | --- | --- |\n")
    for robot in (*ROBOTS, *(name for name in found if name not in ROBOTS)):
        if results := sorted(found.get(robot, []), key=lambda each: each[0]):
            shown.write(_row(robot, results))
    return shown.getvalue()


def _row(robot: str, results: list[tuple[int, dict[str, object]]]) -> str:
    """Return a robot's row."""
    columns: list[list[str]] = [[] for _ in range(6)]
    for seed, result in results:
        steps, human_s = float(str(result["env_steps"])), float(str(result["human_seconds"]))
        evaluation = result["evaluation"]
        assert isinstance(evaluation, dict)
        values = (
            str(seed),
            f"{steps:,.0f}",
            f"{steps / 600:.1f}",
            f"{human_s + float(str(result['demonstration_seconds'])):.0f}",
            f"{float(str(result['wall_seconds'])) / 60:.1f}",
            str(evaluation["successes"]),
        )
        for column, value in zip(columns, values, strict=True):
            column.append(value)
    return f"| `{robot}` | " + " | ".join(", ".join(column) for column in columns) + " |\n"


if __name__ == "__main__":
    if sys.argv[1] == "--table":
        print(table([Path(word) for word in sys.argv[2:]]), end="")
    else:
        draw_all(Path(sys.argv[1]))
