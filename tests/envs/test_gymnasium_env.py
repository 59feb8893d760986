"""Environments of other packages train, are judged, filmed and driven like tasks, or are refused with a reason."""

import dataclasses
import importlib.util
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from hilserl.cli.main import main
from hilserl.cli.parsing import UsageError, require_task
from hilserl.data.spec import ActionLayout
from hilserl.envs.config import EnvConfig
from hilserl.envs.gymnasium_env import RENDERED, GymnasiumEnv
from hilserl.envs.make import canonical_name, make_env
from hilserl.envs.options import EnvOptions
from hilserl.errors import HilserlError
from hilserl.images import letterboxed, resized
from hilserl.operators.action_axes import AXES, arm_axes
from hilserl.operators.devices import key_map as keys
from hilserl.operators.operator import Operator
from hilserl.operators.takeover import Intent
from hilserl.rollout.evaluation import Evaluation
from hilserl.rollout.recording import EpisodeRecorder, record
from hilserl.runs.checkpoint import best_in
from hilserl.runs.metrics import read_metrics
from hilserl.runs.run_dir import RunDir, read_episodes
from hilserl.training.config import TrainConfig, preset
from hilserl.training.config_file import load_config, save_config
from hilserl.training.trainer import train
from tests.support import toy_envs
from tests.support.configs import changed
from tests.support.runs import SMALL_AGENT, same_weights, weights

SLIDE, BARE, BLIND, ENDLESS, LATE = (
    f"tests.support.toy_envs:toys/{kind}-v0" for kind in ("Slide", "Bare", "Blind", "Endless", "Late")
)
PENDULUM, REACH = "gymnasium:InvertedPendulum-v5", "panda_gym:PandaReach-v3"
# PyBullet has wheels for one version of Python alone.
HAS_PYBULLET = importlib.util.find_spec("pybullet") is not None
reach = pytest.param(REACH, marks=pytest.mark.skipif(not HAS_PYBULLET, reason="PyBullet has no wheel here"))
EVERYWHERE = [SLIDE, BARE, PENDULUM, reach]


@pytest.fixture
def slide() -> Iterator[GymnasiumEnv]:
    with closing(GymnasiumEnv(SLIDE, EnvOptions(obs="pixels", image_size=32))) as env:
        yield env


def config(task: str, **changes: Any) -> TrainConfig:
    small = {
        "max_env_steps": 12,
        "training_starts": 1,
        "update_steps_per_env_step": 1.0,
        "eval_every": 8,
        "eval_episodes": 2,
        "final_eval_episodes": 2,
        "image_size": 32,
        "agent": SMALL_AGENT,
    }
    return changed(preset(task), **(small | changes))


@pytest.mark.parametrize("obs", ["state", "pixels"])
@pytest.mark.parametrize("name", EVERYWHERE)
@pytest.mark.filterwarnings("ignore:.*not within the observation space.*:UserWarning")
@pytest.mark.filterwarnings("ignore:.*observation space.*infinity.*:UserWarning")
def test_foreign_env_keeps_gymnasiums_contract(name: str, obs: Any) -> None:
    with closing(make_env(EnvConfig(task=name, obs=obs, image_size=32))) as env:
        check_env(env, skip_render_check=True)
        images = [shape for _, shape in env.experience.images]
        assert images == ([] if obs == "state" else [(32, 32, 3)])


@pytest.mark.parametrize("name", EVERYWHERE)
def test_seed_decides_episode_and_nominal_ranges(name: str) -> None:
    told = []
    for _ in range(2):
        with closing(make_env(EnvConfig(task=name))) as env:
            observation, _ = env.reset(seed=5)
            steps = [env.step(np.full(env.experience.action.size, 0.3, np.float32)) for _ in range(3)]
            told.append((env.experience.to_json(), observation["state"], *(step[0]["state"] for step in steps)))
    assert told[0][0] == told[1][0]
    assert all(np.array_equal(a, b) for a, b in zip(told[0][1:], told[1][1:], strict=True))


def test_nominal_ranges_do_not_depend_on_the_limit() -> None:
    """Otherwise a run with the default limit would refuse what an operator recorded in a minute."""
    told = set()
    for limit in (None, 2, 600):
        with closing(make_env(EnvConfig(task=SLIDE, max_episode_steps=limit))) as env:
            told.add(env.experience.to_json())
    assert len(told) == 1


def test_actions_span_the_range_of_the_box(slide: GymnasiumEnv) -> None:
    slide.reset(seed=0)
    for action in (-1.0, 0.0, 1.0, 5.0):
        slide.step(np.array([action], np.float32))
    assert cast("toy_envs.Slide", slide._env.unwrapped).speeds == [-2.0, 1.0, 4.0, 4.0]
    for junk in ([], [0.0, 0.0], [np.nan], [np.inf]):
        with pytest.raises(HilserlError, match="1 finite numbers"):
            slide.step(np.array(junk, np.float32))


def test_numbers_are_expected_where_random_actions_lead(slide: GymnasiumEnv) -> None:
    entries = {entry.name: entry for entry in slide.experience.state.entries}
    assert list(entries) == ["agent_pos", "goal"]
    near, far = entries["agent_pos"].scale
    assert 0.1 < near < 1
    assert far == pytest.approx(100 * near, rel=0.1)
    assert (entries["goal"].centre, entries["goal"].scale) == ((1.0,), (1.0,)), "what stands still keeps its unit"
    observation, _ = slide.reset(seed=3)
    at = cast("toy_envs.Slide", slide._env.unwrapped).at
    assert np.allclose(observation["state"], [at, 100 * at, 1.0])


def test_images_in_a_dict_of_dicts_are_cameras(slide: GymnasiumEnv) -> None:
    observation, _ = slide.reset(seed=0)
    ((name, shape),) = slide.experience.images
    assert (name, shape) == ("pixels_top", (32, 32, 3))
    assert observation[name].shape == shape
    assert observation[name].dtype == np.uint8
    assert observation[name][:, :2, 0].mean() > 200 > observation[name][:, -2:, 0].mean(), "red to the left"
    drawing = slide.scene.console_image()
    assert drawing is not None
    assert drawing.shape == (30, 40, 3), "the operator sees the rendering for people"


def test_rendering_is_the_camera_without_images() -> None:
    with closing(GymnasiumEnv(BARE, EnvOptions(obs="pixels", image_size=48))) as env:
        observation, _ = env.reset(seed=0)
        assert observation[RENDERED].shape == (48, 48, 3)


def test_sparse_reward_ends_with_the_success() -> None:
    outcomes = {}
    for reward in ("dense", "sparse"):
        with closing(GymnasiumEnv(SLIDE, EnvOptions(reward=reward))) as env:
            env.reset(seed=0)
            steps = []
            while not steps or not (steps[-1][2] or steps[-1][3]):
                steps.append(env.step(np.ones(1, np.float32)))
        outcomes[reward] = [(step[1], step[2], step[3], step[4]["success"]) for step in steps]
    assert len(outcomes["dense"]) == toy_envs.LIMIT
    assert outcomes["dense"][-1] == (0.0, False, True, True)
    assert outcomes["sparse"][-1] == (1.0, True, False, True)
    assert all(step == (0.0, False, False, False) for step in outcomes["sparse"][:-1])
    assert len(outcomes["sparse"]) < toy_envs.LIMIT


def test_episodes_are_as_long_as_they_are_asked_to_be() -> None:
    for limit in (3, 2 * toy_envs.LIMIT):
        with closing(GymnasiumEnv(BARE, EnvOptions(max_episode_steps=limit, ends_on_success=False))) as env:
            env.reset(seed=0)
            ends = [env.step(-np.ones(1, np.float32))[2:4] for _ in range(limit)]
        assert ends == [(False, False)] * (limit - 1) + [(False, True)]


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("Discrete", r"Discrete\(3\); expected a Box of floats"),
        ("Unbounded", "expected one that is bounded"),
        ("ImagesAlone", "shows images alone"),
        ("Words", r"is Text\(.*expected a Box of numbers"),
        ("Twins", "would both be called a_b"),
        ("Broken", "cannot be stepped: AssertionError: at .*toy_envs.py:.*assert not LIMIT"),
        ("Unmakeable", "cannot be made: KeyError: 'a file that is not there'"),
        ("Absent", "cannot be made: .*Absent"),
    ],
)
def test_unfit_envs_are_refused_by_name(kind: str, says: str) -> None:
    with pytest.raises(HilserlError, match=f"tests.support.toy_envs:toys/{kind}-v0.*{says}"):
        GymnasiumEnv(f"tests.support.toy_envs:toys/{kind}-v0")


def test_options_of_tasks_are_refused() -> None:
    for name, option, says in (
        (SLIDE, {"randomise": True}, "no randomise, got True"),
        (SLIDE, {"frame": "tool"}, "no frame, got 'tool'"),
        (SLIDE, {"crop": {"top": (0.0, 0.0, 1.0, 1.0)}}, "no crop"),
        (SLIDE, {"obs": "pixels", "cameras": ("wrist",)}, "no camera wrist\\. Available: pixels_top"),
        (SLIDE, {"obs": "sounds"}, "Unknown obs 'sounds'"),
        (BARE, {"reward": "sparse"}, "--reward dense"),
        (BLIND, {"obs": "pixels"}, "has no images and draws none"),
        ("no_such_package:toys/Slide-v0", {}, "package 'no_such_package' cannot be imported"),
    ):
        with pytest.raises(HilserlError, match=says):
            make_env(EnvConfig(task=name, **cast("Any", option)))
    with pytest.raises(HilserlError, match="no arm behind a robot server"):
        make_env(EnvConfig(task=SLIDE, backend="robot"))
    for half in (":toys/Slide-v0", "tests.support.toy_envs:", ":"):
        with pytest.raises(HilserlError, match="expected PACKAGE:ENV_ID"):
            canonical_name(half)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"operator": "scripted"}, "no script that could operate"),
        ({"demonstrations": 3}, "hilserl record tests.support.toy_envs:toys/Slide-v0"),
        ({"reward": "classifier", "classifier": Path("x"), "obs": "pixels"}, "another --reward"),
    ],
)
def test_run_that_needs_a_script_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(HilserlError, match=says):
        config(SLIDE, **changes)


def test_command_line_names_it_as_its_task() -> None:
    assert require_task("train", [SLIDE, "--seed", "3"]) == [SLIDE, "--seed", "3"]
    assert require_task("train", ["pick-cube", "--env", "robot"]) == ["pick_cube", "--env", "robot"]
    with pytest.raises(UsageError, match="PACKAGE:ENV_ID"):
        require_task("train", ["--env", "robot"])


@pytest.mark.parametrize("obs", ["state", "pixels"])
def test_resumed_run_equals_an_uninterrupted_one(tmp_path: Path, obs: Any) -> None:
    whole, halves = RunDir(tmp_path / "whole"), RunDir(tmp_path / "halves")
    settings = config(SLIDE, obs=obs, max_env_steps=16)
    train(settings, whole)
    train(dataclasses.replace(settings, max_env_steps=8), halves)
    train(settings, halves, resume=True)
    assert same_weights(weights(whole, 16), weights(halves, 16))


def test_run_writes_the_same_files_as_a_tasks_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_dir = RunDir(tmp_path / "run")
    result = train(config(SLIDE, obs="pixels"), run_dir)
    assert result is not None
    assert result["evaluation"]["mean_return"] <= 0
    assert all(record["mean_return"] is not None for record in read_metrics(run_dir.metrics, "evaluation"))
    assert run_dir.curve.stat().st_size > 1000
    with av.open(str(run_dir.video)) as video:
        assert video.streams.video[0].average_rate == 40, "two images a step, in real time"
    figures, again = tmp_path / "figures.json", tmp_path / "again.mp4"
    assert main(["eval", str(run_dir.path), "--episodes", "3", "--json", str(figures), "--video", str(again)]) == 0
    assert "mean return" in capsys.readouterr().out
    assert json.loads(figures.read_text())["episodes"] == 3
    assert again.stat().st_size > 1000


def test_config_keeps_the_environment(tmp_path: Path) -> None:
    settings = config(SLIDE)
    save_config(tmp_path / "config.json", settings)
    assert load_config(tmp_path / "config.json") == settings


class Pusher(Operator):
    """An operator who always drives to the right."""

    def intent(self) -> Intent:
        return Intent(True, (1.0,), ())


@pytest.mark.parametrize("obs", ["state", "pixels"])
def test_demonstrations_are_recorded_and_learned_from(tmp_path: Path, obs: Any) -> None:
    """Pictures that the policy does not see may be in what was recorded, as they are unless told otherwise."""
    with closing(make_env(EnvConfig(task=SLIDE, obs=obs))) as env:
        keeper = EpisodeRecorder(tmp_path / "demos", env.experience, 2)
        record(env, Pusher(), keeper, 0)
        recorded = list(read_episodes(tmp_path / "demos", env.experience))
    assert [(len(steps) - 1, steps[-1].success) for steps in recorded] == [(toy_envs.LIMIT, True)] * 2
    run_dir = RunDir(tmp_path / "run")
    assert train(config(SLIDE, demos=(tmp_path / "demos",)), run_dir) is not None
    cloned = RunDir(tmp_path / "cloned")
    agent = dataclasses.replace(SMALL_AGENT, learning_rate=3e-3, ema_rate=0.05)
    cloning = config(SLIDE, demos=(tmp_path / "demos",), algorithm="bc", cloning_updates=600, agent=agent)
    result = train(cloning, cloned)
    assert result is not None
    assert result["evaluation"]["successes"] == 2, "what was always done is done"


def test_operator_may_reward_an_env_without_success() -> None:
    with closing(GymnasiumEnv(BARE, EnvOptions(reward="sparse", ends_on_success=False))) as env:
        env.reset(seed=0)
        assert env.step(np.zeros(1, np.float32))[1:4] == (0.0, False, False)


def test_simulated_operator_is_refused_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["record", SLIDE, "--out", str(tmp_path / "demos")]) != 0
    assert "has no script" in capsys.readouterr().err


def test_best_checkpoint_without_success_has_the_highest_return(tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path / "run")
    train(config(BARE, max_env_steps=40, keep_checkpoints=10, solved_evaluations=0), run_dir)
    records = {r["env_steps"]: r["mean_return"] for r in read_metrics(run_dir.metrics, "evaluation")}
    assert len(records) > 1
    assert records[best_in(run_dir.checkpoints)] == max(records.values())


def test_evaluation_text_names_what_is_known() -> None:
    assert (
        str(Evaluation(0, 5, 10.0, 0.5, -3.25, tells_success=False))
        == "5 episodes: mean return -3.25, 0.5 s an episode"
    )
    told = str(Evaluation(5, 5, 10.0, 0.5, -3.25))
    assert told.startswith("5 of 5 episodes succeed")
    assert "mean return -3.25" in told
    assert "return" not in str(Evaluation(5, 5, 10.0, 0.5))


def test_solved_is_no_failure_or_the_return_that_was_asked_for() -> None:
    assert Evaluation(5, 5, 10.0, 0.5).is_solved
    assert not Evaluation(4, 5, 10.0, 0.5).is_solved
    assert not Evaluation(4, 5, 10.0, 0.5, 99.0, return_to_reach=10.0).is_solved
    for reached, wanted, solved in ((9.9, 10.0, False), (10.0, 10.0, True), (99.0, None, False)):
        assert Evaluation(0, 5, 1.0, 0.1, reached, tells_success=False, return_to_reach=wanted).is_solved == solved


def test_run_ends_at_the_registered_return(tmp_path: Path) -> None:
    """Nothing that a bead does is worse than -2 a step."""
    result = train(config(BARE, max_env_steps=80), RunDir(tmp_path / "run"))
    assert result is not None
    assert (result["ended"], result["env_steps"]) == ("solved", 8)


def test_keys_drive_six_numbers_at_a_time() -> None:
    layout = ActionLayout(tuple(f"action_{i}" for i in range(8)))
    arms = arm_axes(layout)
    assert [arm.name for arm in arms] == ["", "second"]
    meanings = {key.label: key.meaning for key in keys.keys_for(layout)}
    for index, axis in enumerate(AXES):
        up, down = (next(k for k in keys.KEYS if k.moves == (axis, way)) for way in (1.0, -1.0))
        names = f"action_{index} / action_{index + 6}" if index < 2 else f"action_{index}"
        assert meanings[up.label] == f"{names} up"
        assert meanings[down.label] == f"{names} down"
        for first, arm in zip((0, 6), arms, strict=True):
            action = arm.action(keys.key_motion([up.name, "F"], layout))
            assert action.tolist() == [float(i == first + index) for i in range(8)]
    assert "L" not in meanings, "there is no gripper"
    assert "O" in meanings, "it drives the other numbers"


@pytest.mark.parametrize(("height", "width"), [(30, 40), (60, 80), (32, 32), (1, 1), (481, 17)])
def test_images_keep_their_whole_content_at_any_size(height: int, width: int) -> None:
    image = np.full((30, 40, 3), (200, 100, 50), np.uint8)
    for made in (resized(image, height, width), letterboxed(image, height, width)):
        assert made.shape == (height, width, 3)
    assert np.abs(resized(image, height, width).astype(int) - (200, 100, 50)).max() <= 3
    boxed = letterboxed(image, height, width)
    assert np.abs(boxed[height // 2, width // 2].astype(int) - (200, 100, 50)).max() <= 3


@pytest.mark.slow
def test_pendulum_is_learned_within_1100_steps(tmp_path: Path) -> None:
    """Random actions hold it for 6 steps, this policy for 85."""
    result = train(dataclasses.replace(preset(PENDULUM), max_env_steps=1100), RunDir(tmp_path / "run"))
    assert result is not None
    assert result["evaluation"]["mean_return"] >= 30


@pytest.mark.slow
@pytest.mark.skipif(not HAS_PYBULLET, reason="PyBullet has no wheel here")
def test_foreign_arm_is_learned_within_3100_steps(tmp_path: Path) -> None:
    """The return of random actions is -9.7, that of this policy was -2.2 on one thread (seed 0)."""
    config = dataclasses.replace(preset("panda_gym:PandaReachDense-v3"), max_env_steps=3100, final_eval_episodes=50)
    result = train(config, RunDir(tmp_path / "run"))
    assert result is not None
    assert result["evaluation"]["mean_return"] >= -6


def test_foreign_env_without_a_time_limit_needs_one() -> None:
    """An evaluation of it would run for ever."""
    with pytest.raises(HilserlError, match=r"no time limit.*--env\.max-episode-steps"):
        GymnasiumEnv(ENDLESS)
    with closing(GymnasiumEnv(ENDLESS, EnvOptions(max_episode_steps=3))) as env:
        env.reset(seed=0)
        assert [env.step(np.zeros(1))[3] for _ in range(3)] == [False, False, True]


@pytest.mark.parametrize("key", [None, "stacked"])
def test_foreign_success_at_the_end_alone_is_understood(key: str | None) -> None:
    with closing(GymnasiumEnv(LATE, EnvOptions(reward="sparse", success_key=key))) as env:
        env.reset(seed=0)
        outcomes = [env.step(np.zeros(1)) for _ in range(70)]
    assert [outcome[4]["success"] for outcome in outcomes] == [False] * 69 + [True]


def test_foreign_env_names_the_keys_that_it_has() -> None:
    with pytest.raises(HilserlError, match="none of lifted is in its info, which has is_success, stacked"):
        GymnasiumEnv(LATE, EnvOptions(reward="sparse", success_key="lifted"))
