"""An environment in another interpreter is the same as in this one, and its faults are sentences."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hilserl.cli.main import main
from hilserl.envs.child.env import ChildEnv, OpaqueSpace
from hilserl.envs.config import EnvConfig
from hilserl.envs.gymnasium_env import GymnasiumEnv
from hilserl.envs.make import make_env
from hilserl.envs.options import EnvOptions
from hilserl.errors import HilserlError
from tests.support.child_envs import TASK, write_package

Make = Callable[..., ChildEnv]
ANSWER_S = 10.0


@pytest.fixture(autouse=True)
def expert(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The package is on the other interpreter's path alone."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return write_package(tmp_path)


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[ChildEnv] = []

    def make_child(timeout_s: float = ANSWER_S, expert: str = "", **kwargs: Any) -> ChildEnv:
        making = {"kwargs": kwargs, "max_episode_steps": None, "adapter": None, "expert": expert}
        made.append(ChildEnv(TASK, Path(sys.executable), timeout_s, making))
        return made[-1]

    yield make_child
    for env in made:
        env.close()


def options(**changes: Any) -> EnvOptions:
    return EnvOptions(python=sys.executable, timeout_s=ANSWER_S, **changes)


def is_running(process_id: int) -> bool:
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_until(reached: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while not reached() and time.monotonic() < deadline:
        time.sleep(0.05)
    return reached()


def test_spaces_steps_and_images_cross_the_border(make: Make) -> None:
    env = make()
    assert env.observation_space["deep"]["eye"].shape == (30, 40, 3)  # type: ignore[index]
    assert isinstance(env.observation_space["word"], OpaqueSpace)  # type: ignore[index]
    assert env.action_space.low.tolist() == [-2.0, 0.0]  # type: ignore[attr-defined]
    assert env.spec
    assert (env.spec.max_episode_steps, env.render_mode, env.metadata["render_fps"]) == (20, "rgb_array", 20)
    first, info = env.reset(seed=3)
    assert info == {"odd": None, "array": None}
    at = first["pos"][0]
    second, reward, terminated, truncated, info = env.step(np.array([1.0, 2.0], np.float32))
    assert second["pos"] == pytest.approx([at + 0.1, 2.0])
    assert first["pos"][0] == at, "an observation is not changed by the next step"
    assert (reward, terminated, truncated) == (pytest.approx(at - 0.9), False, False)
    assert info == {"success": False, "array": None}
    assert second["deep"]["eye"].max() == int(100 * (at + 1.1))
    assert env.render().shape == (30, 40, 3)


def test_seed_decides_episodes_that_draw_from_the_global_generator(make: Make) -> None:
    starts = [
        [env.reset(seed=seed)[0]["pos"][0] for seed in (5, 6, 5)]
        for env in (make(fault="global"), make(fault="global"))
    ]
    assert starts[0] == starts[1]
    assert starts[0][0] == starts[0][2] != starts[0][1]


def test_images_of_several_views_stand_side_by_side(make: Make) -> None:
    env = make(fault="two")
    env.reset(seed=0)
    assert env.render().shape == (30, 80, 3)
    assert env.render()[:, 40:].min() == 9


def test_prints_of_the_package_disturb_nothing(make: Make) -> None:
    env = make(fault="print")
    env.reset(seed=0)
    for _ in range(300):
        assert env.step(np.zeros(2, np.float32))[4]["success"] is False


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("raise", "step failed: ValueError: the dot fell off"),
        ("exit", "step failed: SystemExit: 3"),
        ("die", "ended with status 7 during step(.|\n)*Segmentation fault, so to say"),
        ("shape", r"observation pos is float64 \(3,\); its space says float64 \(2,\)"),
        ("kind", r"observation deep.eye is float64 \(30, 40, 3\); its space says uint8"),
        ("reward", "its reward is <U4"),
    ],
)
def test_faults_of_a_step_are_sentences(make: Make, fault: str, says: str) -> None:
    env = make(fault=fault)
    env.reset(seed=0)
    with pytest.raises(HilserlError, match=f"{TASK}: .*{says}"):
        env.step(np.zeros(2, np.float32))


def test_fault_of_the_constructor_is_a_sentence(make: Make) -> None:
    with pytest.raises(HilserlError, match="make failed: KeyError: 'a file that is not there'"):
        make(fault="make")


def test_hang_ends_at_the_time_limit_and_names_the_flag(make: Make) -> None:
    env = make(fault="hang", timeout_s=ANSWER_S)
    env.reset(seed=0)
    env._timeout_s = 0.3
    with pytest.raises(HilserlError, match=r"did not answer step within 0\.3 s .*--env\.timeout-s"):
        env.step(np.zeros(2, np.float32))
    assert not is_running(env.process_id)
    with pytest.raises(HilserlError, match="is closed"):
        env.reset(seed=0)


def test_kill_of_the_other_process_is_a_sentence(make: Make) -> None:
    env = make()
    env.reset(seed=0)
    os.kill(env.process_id, signal.SIGKILL)
    with pytest.raises(HilserlError, match="was ended by SIGKILL during step"):
        env.step(np.zeros(2, np.float32))


def test_image_of_2_gb_is_refused(make: Make) -> None:
    env = make(fault="large")
    env.reset(seed=0)
    with pytest.raises(HilserlError, match=r"its image has 2,187 MB; expected at most 67 MB"):
        env.render()


def test_image_may_grow(make: Make) -> None:
    small, large = make(size=40), make(size=4000)
    for env, width in ((small, 40), (large, 4000)):
        env.reset(seed=0)
        assert env.render().shape == (30, width, 3)


def test_shared_memory_and_process_leave_nothing_behind(make: Make) -> None:
    before = set(Path("/dev/shm").glob("hilserl-*"))
    env = make()
    env.reset(seed=0)
    env.render()
    assert set(Path("/dev/shm").glob("hilserl-*")) <= before
    env.close()
    assert not is_running(env.process_id)
    env.close()


@pytest.mark.parametrize("fault", ["", "hang"])
def test_child_ends_when_its_parent_is_killed(tmp_path: Path, fault: str) -> None:
    program = f"""
import sys
from pathlib import Path
import numpy as np
from hilserl.envs.child.env import ChildEnv
making = dict(kwargs=dict(fault={fault!r}), max_episode_steps=None, adapter=None, expert="")
env = ChildEnv({TASK!r}, Path(sys.executable), 60, making)
env.reset(seed=0)
print(env.process_id, flush=True)
while True:
    env.step(np.zeros(2, np.float32))
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env=environment)
    with parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        assert is_running(child)
        parent.kill()
    assert wait_until(lambda: not is_running(child))


def test_interpreter_that_does_not_exist_is_a_sentence(tmp_path: Path) -> None:
    for python, says in ((str(tmp_path / "python"), "Unknown interpreter"), (str(tmp_path), "cannot be started")):
        with pytest.raises(HilserlError, match=says):
            make_env(EnvConfig(task=TASK, python=python))


def test_package_without_gymnasium_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gymnasium.py").write_text("raise ImportError('there is no gymnasium here')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(HilserlError, match=r"ended with status 1 during make(.|\n)*there is no gymnasium here"):
        make_env(EnvConfig(task=TASK, python=sys.executable))


def test_numbers_that_are_not_finite_are_refused_by_name() -> None:
    with pytest.raises(HilserlError, match="numbers that are not finite, in pos"):
        GymnasiumEnv(TASK, options(kwargs={"fault": "nan"}))


def test_env_is_the_same_here_and_in_another_interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    told = []
    for given in (options(obs="pixels", image_size=32), EnvOptions(obs="pixels", image_size=32)):
        with closing(GymnasiumEnv(TASK, given)) as env:
            steps: list[Any] = [(env.reset(seed=7)[0], 0.0, False, False, {})]
            steps += [env.step(np.array([0.3, 0.5], np.float32)) for _ in range(20)]
            console = env.scene.console_image()
            assert console is not None
            told.append((env.experience, steps, console.tolist()))
    (here_spec, here, here_image), (there_spec, there, there_image) = told
    assert (here_spec, here_image) == (there_spec, there_image)
    for ours, theirs in zip(here, there, strict=True):
        assert ours[1:] == theirs[1:]
        assert all(np.array_equal(ours[0][name], theirs[0][name]) for name in ours[0] | theirs[0])


def test_kwargs_reach_the_environment_and_tasks_refuse_them() -> None:
    with closing(GymnasiumEnv(TASK, options(kwargs={"size": 50}))) as env:
        env.reset(seed=0)
        assert env.render().shape == (30, 50, 3)
    with pytest.raises(HilserlError, match="unexpected keyword argument 'colour'"):
        GymnasiumEnv(TASK, options(kwargs={"colour": 1}))
    with pytest.raises(HilserlError, match="pick_cube is a task of hilserl: it has no kwargs"):
        make_env(EnvConfig(task="pick_cube", kwargs={"size": 50}))


def test_command_line_says_faults_with_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--env.kwargs", "size=5"], ["--env.kwargs", "[1]"], ["--env.python", "nowhere"]):
        assert main(["train", TASK, *words]) == 1
        assert "hilserl: " in capsys.readouterr().err
