"""The pages about one's own robot and scene: their files are as they say, and lead to a trained policy."""

import json
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from hilserl.cli.main import main
from hilserl.sim.robot_files.description import RobotDescription, description_path, read_description, to_toml
from hilserl.sim.robot_models.registry import ROBOTS
from hilserl.tasks import find, names
from tests.support.source_code import REPOSITORY

ROBOTS_PAGE = (REPOSITORY / "docs" / "robots.md").read_text()
TASK_PAGE = (REPOSITORY / "docs" / "add_a_task.md").read_text()
SCENES = REPOSITORY / "docs" / "scenes"

own_robot = pytest.mark.skipif(find_spec("trossen_arm_sim") is None, reason="the wheel of the page's robot is not here")


def block(page: str, kind: str) -> str:
    (found,) = re.findall(rf"```{kind}\n(.*?)```", page, re.DOTALL)
    return found


@pytest.fixture
def wxai(tmp_path: Path) -> Path:
    """The page's robot, copied from its wheel as the page does it."""
    spec = find_spec("trossen_arm_sim")
    assert spec is not None
    assert spec.origin is not None
    shutil.copytree(Path(spec.origin).parent / "assets", tmp_path / "wxai")
    return tmp_path / "wxai" / "wxai_follower.xml"


def without_numbers(text: str) -> str:
    return re.sub(r"-?\d+(\.\d+)?", "N", text)


def test_scene_of_the_page_is_that_of_the_file() -> None:
    shown = re.sub(r" +#.*", "", block(TASK_PAGE, "TOML"))
    assert shown == (SCENES / "place_block.toml").read_text()


def test_table_of_robots_has_them_all_with_their_figures() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*)$", ROBOTS_PAGE.split("## Control")[0], re.MULTILINE))
    assert list(rows) == list(ROBOTS)
    for name, robot in ROBOTS.items():
        cells = [cell.strip() for cell in rows[name].split("|")]
        assert cells[1:3] == [str(len(robot.joints)), f"{robot.control}s"]
        assert cells[3] == ("yes" if robot.senses_wrench else "no")
        assert cells[4].startswith(f"{1000 * robot.gripper.opening_m:.0f} mm")


def test_table_of_tasks_is_what_the_robots_can_do() -> None:
    shown = ROBOTS_PAGE.split("## Robots and tasks")[1].split("## Figures")[0]
    for tasks, robots in re.findall(r"^\| (`.*?) \| (.*?) \|$", shown, re.MULTILINE):
        expected = list(ROBOTS) if robots == "all" else re.findall(r"`(\w+)`", robots)
        for task in re.findall(r"`(\w+)`", tasks):
            assert task in names()
            assert [name for name, robot in ROBOTS.items() if find(task).obstacle(robot) is None] == expected


@own_robot
def test_check_writes_the_description_of_the_page(wxai: Path) -> None:
    assert main(["robots", "check", str(wxai), "--write"]) == 0
    written = description_path(wxai).read_text()
    assert without_numbers(written) == without_numbers(block(ROBOTS_PAGE, "toml"))
    assert main(["robots", "check", str(wxai)]) == 0


@own_robot
@pytest.mark.slow
def test_robot_of_the_page_learns_from_file_to_98_of_100(wxai: Path) -> None:
    assert main(["robots", "check", str(wxai), "--write"]) == 0
    run = wxai.parent / "run"
    words = ["train", "pick_cube", "--robot", str(wxai), "--obs", "state", "--run-dir", str(run)]
    subprocess.run([sys.executable, "-m", "hilserl", *words], check=True)
    assert json.loads((run / "result.json").read_text())["evaluation"]["successes"] >= 98


def test_description_survives_being_written_and_read(tmp_path: Path) -> None:
    (tmp_path / "arm.xml").touch()
    (tmp_path / "arm.toml").write_text(block(ROBOTS_PAGE, "toml"))
    found = read_description(tmp_path / "arm.xml")
    assert isinstance(found, RobotDescription)
    (tmp_path / "arm.toml").write_text(to_toml(found))
    assert read_description(tmp_path / "arm.xml") == found
