"""Every kind of task in a scene of one's own is done by its generic script; mistakes are sentences."""

from pathlib import Path

import numpy as np
import pytest

from hilserl import tasks
from hilserl.cli.main import main
from hilserl.envs.config import EnvConfig
from hilserl.envs.make import canonical_name, make_env
from hilserl.errors import HilserlError
from hilserl.sim.environment import ManipulationEnv
from hilserl.tasks import make_sim_env
from hilserl.tasks.scenes.check import overlaps, try_script
from hilserl.training.config import preset
from tests.support.source_code import REPOSITORY

SCENES = REPOSITORY / "docs" / "scenes"
PEG = """<mujoco>
  <worldbody>
    <geom name="floor" type="plane" size="1 1 0.1"/>
    <light pos="0 0 2"/>
    <body name="peg" pos="0.4 -0.08 0.03">
      <freejoint/>
      <geom type="box" size="0.015 0.015 0.03" mass="0.08"/>
    </body>
    <body name="block" pos="0.42 0.1 0">
      <geom type="box" size="0.008 0.04 0.01" pos="0.026 0 0.01"/>
      <geom type="box" size="0.008 0.04 0.01" pos="-0.026 0 0.01"/>
      <geom type="box" size="0.018 0.01 0.01" pos="0 0.028 0.01"/>
      <geom type="box" size="0.018 0.01 0.01" pos="0 -0.028 0.01"/>
      <site name="hole" pos="0 0 0.03"/>
    </body>
    <body name="box" pos="0.35 0.05 0.02">
      <geom type="box" size="0.03 0.03 0.02"/>
      <body name="button" pos="0 0 0.022">
        <joint name="press" type="slide" axis="0 0 -1" range="0 0.01" stiffness="300" damping="5"/>
        <geom type="cylinder" size="0.012 0.008" pos="0 0 0.008" mass="0.02"/>
        <site name="cap" pos="0 0 0.016"/>
      </body>
    </body>
  </worldbody>
</mujoco>
"""
LIFT = '[goal]\nkind = "lift"\nbody = "peg"\n[random.peg]\nx_m = [-0.04, 0.04]\n'
INSERT = (
    '[goal]\nkind = "insert"\nbody = "peg"\nsite = "hole"\ntolerance_m = 0.004\n[random.peg]\ny_m = [-0.03, 0.03]\n'
)
PRESS = '[goal]\nkind = "turn"\njoint = "press"\nto = 0.008\nat = "cap"\n[random.box]\nx_m = [-0.05, 0.05]\n'


def write(directory: Path, toml: str, scene: str = PEG) -> Path:
    """Write a task and its scene."""
    (directory / "own_task.xml").write_text(scene)
    path = directory / "own_task.toml"
    path.write_text(toml)
    return path


def successes(path: Path, episodes: int = 8, robot: str = "panda") -> int:
    env = make_sim_env(str(path), arm=robot)
    return try_script(env, episodes).successes


@pytest.mark.parametrize("toml", [LIFT, INSERT, PRESS], ids=["lift", "insert", "press"])
def test_script_does_each_kind(tmp_path: Path, toml: str) -> None:
    assert successes(write(tmp_path, toml)) == 8


@pytest.mark.parametrize("name", ["place_block", "open_valve"])
@pytest.mark.parametrize("robot", ["panda", "ur5e"])
def test_script_does_the_scenes_of_the_docs(name: str, robot: str) -> None:
    assert successes(SCENES / f"{name}.toml", 8, robot) == 8


@pytest.fixture
def placing() -> ManipulationEnv:
    env = make_sim_env(str(SCENES / "place_block.toml"))
    env.reset(seed=0)
    return env


def test_start_is_random_and_the_seeds_own(placing: ManipulationEnv) -> None:
    starts = []
    for seed in (0, 1, 0):
        placing.reset(seed=seed)
        sim = placing.simulation
        starts.append(np.concatenate([sim.position_m("scene/block"), sim.position_m("scene/tray")]))
    assert np.array_equal(starts[0], starts[2])
    assert np.abs(starts[0] - starts[1]).max() > 0.005
    assert np.abs(starts[0][:3] - (0.42, -0.12, 0.02)).max() <= 0.0601


def test_fixed_bodies_do_not_wander_from_reset_to_reset(placing: ManipulationEnv) -> None:
    for seed in range(30):
        placing.reset(seed=seed)
        assert np.abs(placing.simulation.position_m("scene/tray")[:2] - (0.42, 0.13)).max() <= 0.0401


def test_block_that_is_carried_over_the_region_is_no_success(placing: ManipulationEnv) -> None:
    sim = placing.simulation
    sim.place("scene/block", sim.position_m("scene/tray") + np.array([0, 0, 0.1]), 0.0)
    sim.settle()
    assert not placing.task.success(sim)


def test_block_that_lies_in_the_region_is_a_success(placing: ManipulationEnv) -> None:
    sim = placing.simulation
    sim.place("scene/block", sim.position_m("scene/tray") + np.array([0, 0, 0.0285]), 0.0)
    sim.wait(0.3)
    assert placing.task.success(sim)


def test_block_beside_the_region_is_no_success(placing: ManipulationEnv) -> None:
    sim = placing.simulation
    sim.place("scene/block", sim.position_m("scene/tray") + np.array([0.12, 0, 0.02]), 0.0)
    sim.wait(0.3)
    assert not placing.task.success(sim)


def test_state_is_told_without_images_and_hidden_with_them() -> None:
    path = str(SCENES / "open_valve.toml")
    assert "stem_left" in make_sim_env(path).experience.state.names
    pixels = make_sim_env(path, obs="pixels", image_size=32)
    assert "stem_left" not in pixels.experience.state.names
    pixels.close()


def test_name_is_the_files_path_so_that_a_run_finds_it_again() -> None:
    path = SCENES / "place_block.toml"
    assert canonical_name(str(path)) == str(path)
    config = preset(str(path))
    assert config.env.task == str(path)
    env = make_env(EnvConfig(task=config.env.task, obs="state"))
    assert env.experience.task == "place_block"


def test_scene_flag_takes_the_place_of_the_named_scene(tmp_path: Path) -> None:
    path = write(tmp_path, LIFT)
    other = tmp_path / "heavier.xml"
    other.write_text(PEG.replace('mass="0.08"', 'mass="0.2"'))
    masses = [
        make_sim_env(str(path), scene=scene).simulation.model.body("scene/peg").mass[0] for scene in ("", str(other))
    ]
    assert masses == pytest.approx([0.08, 0.2])
    with pytest.raises(HilserlError, match="pick_cube has its own scene"):
        make_sim_env("pick_cube", scene=str(other))


def test_floor_and_lights_of_the_file_stay_out(tmp_path: Path) -> None:
    model = make_sim_env(str(write(tmp_path, LIFT))).simulation.model
    assert model.nlight == 1
    assert [model.geom(geom).name for geom in range(model.ngeom)].count("scene/floor") == 0


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('body = "peg"', 'body = "pig"', r"goal.body: Unknown body 'pig'. Did you mean 'peg'\?"),
        ('body = "peg"', 'body = "block"', r"goal.body 'block' cannot move: give it a <freejoint/>"),
        ('body = "peg"', "", r"a goal of the kind 'lift' needs goal.body"),
        ('kind = "lift"', 'kind = "throw"', "invalid enum value 'throw'"),
        ('body = "peg"', 'body = "peg"\nregion = "hole"', r"a goal of the kind 'lift' has no goal.region"),
        ("[random.peg]", "[random.pig]", "random: Unknown body 'pig'"),
        ("x_m = [-0.04, 0.04]", "x_m = [0.04, -0.04]", "the first is above the second"),
        ("[goal]", "seconds = 0.1\n[goal]", r"seconds = 0.1: expected at least 1"),
        ("[goal]", 'cameras = ["back"]\n[goal]', "cameras: Unknown camera 'back'"),
        ("[goal]", 'scene = "none.xml"\n[goal]', r"There is no file .*none.xml"),
        ("[goal]", "hight = 3\n[goal]", "unknown field `hight`"),
    ],
)
def test_mistake_in_the_task_is_told(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    assert old in LIFT
    with pytest.raises(HilserlError, match=sentence):
        tasks.find(str(write(tmp_path, LIFT.replace(old, new))))


def test_value_outside_the_joints_range_is_told_with_the_likely_cause(tmp_path: Path) -> None:
    path = write(tmp_path, PRESS.replace("to = 0.008", "to = 0.5"))
    with pytest.raises(HilserlError, match=r"outside the joint's range, 0 to 0.01 in m or rad"):
        tasks.find(str(path))


def test_parts_that_overlap_are_told(tmp_path: Path) -> None:
    scene = PEG.replace('name="peg" pos="0.4 -0.08 0.03"', 'name="peg" pos="0.42 0.13 0.02"')
    env = make_sim_env(str(write(tmp_path, LIFT, scene)))
    env.reset(seed=0)
    (problem,) = [each for each in overlaps(env) if "block" in each]
    assert problem.startswith("block and peg overlap by")


def test_check_draws_the_task_and_tries_the_script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, PRESS)
    assert main(["tasks", "check", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "The script succeeded in 20 of 20" in shown
    assert (tmp_path / "own_task.png").read_bytes().startswith(b"\x89PNG")


def test_check_of_a_hopeless_task_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = LIFT + "[workspace]\nlow_m = [0.3, -0.2, 0.2]\nhigh_m = [0.6, 0.2, 0.4]\n"
    assert main(["tasks", "check", str(write(tmp_path, text))]) == 1
    assert "The script succeeded in 0 of 20" in capsys.readouterr().out
