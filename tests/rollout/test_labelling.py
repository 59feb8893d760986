"""Images are labelled by an operator, by the simulated labeller or from recordings."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from hilserl.cli.main import main
from hilserl.data.step import Step
from hilserl.data.subscriber import Subscriber
from hilserl.errors import HilserlError
from hilserl.operators.simulated_labeller import SimulatedLabeller
from hilserl.rollout.labelling import LabelRecorder, label, label_by_script, label_recorded
from hilserl.rollout.recording import hold_still
from hilserl.rollout.rollout import EpisodeSeeds, Rollout
from hilserl.runs.run_dir import read_episodes
from hilserl.sim.environment import ManipulationEnv
from hilserl.tasks import make_sim_env
from hilserl.tasks.pick_cube import CUBE, HALF_M, PickCube
from tests.support.recordings import DISCARD, FAILURE, NO, RESET, YES, ScriptedOperator, contents

EPISODES = 27


@dataclass(frozen=True)
class Truth:
    """One moment as the simulator knows it."""

    step: Step
    lift_m: float
    moved_m: float
    width_m: float
    held: bool
    success: bool


@pytest.fixture(scope="module")
def env() -> ManipulationEnv:
    return make_sim_env("pick_cube", max_episode_steps=100, ends_on_success=False)


def played(env: ManipulationEnv, seed: int, episodes: int) -> list[Truth]:
    seen, sim = [], env.simulation
    start = np.zeros(3)

    class Watch(Subscriber):
        def on_step(self, step: Step) -> None:
            nonlocal start
            cube = sim.position_m(CUBE)
            start = cube if step.is_reset else start
            moved = float(np.linalg.norm((cube - start)[:2]))
            truth = env.task.success(sim)
            seen.append(Truth(step, cube[2] - HALF_M, moved, sim.arm.gripper_width_m, sim.held(CUBE), truth))

    layout = env.experience.action
    rollout = Rollout(env, SimulatedLabeller(env.supervision, layout, seed), [Watch()], EpisodeSeeds(seed, "label"))
    while rollout.episode < episodes:
        rollout.step(hold_still(layout.size))
    return [truth for truth in seen if not truth.step.is_reset]


@pytest.fixture(scope="module")
def truths(env: ManipulationEnv) -> list[Truth]:
    return played(env, 0, EPISODES)


def test_labels_are_the_tasks_success(truths: list[Truth]) -> None:
    assert all(truth.step.success == truth.success for truth in truths)
    assert 0.02 < np.mean([truth.success for truth in truths]) < 0.3


def test_near_misses_are_recorded(truths: list[Truth]) -> None:
    failures = [truth for truth in truths if not truth.success]

    def episodes(chosen: list[Truth]) -> int:
        return len({truth.step.episode for truth in chosen})

    assert episodes([t for t in failures if t.held and 0.02 < t.lift_m < 0.05]) >= 3, "lifted a little"
    assert episodes([t for t in failures if t.held and 0.08 < t.lift_m < 0.1]) >= 3, "lifted nearly far enough"
    assert episodes([t for t in failures if t.width_m < 0.01]) >= 3, "closed on nothing"
    assert episodes([t for t in failures if t.moved_m > 0.02 and t.lift_m < 0.005]) >= 3, "pushed"
    assert episodes([t for t in failures if t.lift_m > 0.03 and not t.held]) >= 1, "dropped"


def test_success_is_seen_from_many_heights(truths: list[Truth]) -> None:
    lifts = [truth.lift_m for truth in truths if truth.success]
    assert min(lifts) < 0.11
    assert max(lifts) > 0.14
    assert len({truth.step.episode for truth in truths if truth.success}) >= 6


def test_seed_decides_the_labelling(env: ManipulationEnv) -> None:
    actions = [np.stack([t.step.action for t in played(env, seed, 2)]) for seed in (1, 1, 2)]
    assert np.array_equal(actions[0], actions[1])
    assert actions[0].shape != actions[2].shape or not np.array_equal(actions[0], actions[2])


def test_labeller_without_success_gives_up(
    env: ManipulationEnv, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(env.task, "success", lambda sim: False)  # noqa: ARG005
    recorder = LabelRecorder(tmp_path, env.experience, 5)
    with pytest.raises(HilserlError, match="No success in 3 episodes"):
        label_by_script(env, recorder, 0, stop=lambda: False, give_up_after=3)


def test_label_verb_takes_over_recordings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    demos, made = tmp_path / "demos", tmp_path / "made"
    assert main(["record", "pick_cube", "--successes", "2", "--out", str(demos)]) == 0
    assert main(["label", "pick_cube", "--from", str(demos), "--out", str(made)]) == 0
    assert "2 images of success" in capsys.readouterr().out
    spec = make_sim_env("pick_cube", obs="pixels").experience
    before, after = (list(read_episodes(directory, spec)) for directory in (demos, made))
    assert [[s.success for s in e] for e in before] == [[s.success for s in e] for e in after]
    assert np.array_equal(before[1][3].observation["front"], after[1][3].observation["front"])

    labelled = tmp_path / "labelled"
    words = ["label", "pick_cube", "--operator", "scripted", "--successes", "2", "--seed", "3", "--out", str(labelled)]
    assert main(words) == 0
    seen = make_sim_env("pick_cube", obs="pixels", cameras=PickCube.reward_cameras).experience
    assert sum(step.success for episode in read_episodes(labelled, seen) for step in episode) >= 2


def test_recordings_that_show_nothing_are_errors(tmp_path: Path) -> None:
    blind, show = tmp_path / "blind", lambda recorder: None  # noqa: ARG005
    assert main(["record", "pick_cube", "--obs", "state", "--successes", "1", "--out", str(blind)]) == 0
    with pytest.raises(HilserlError, match="record with --obs pixels"):
        label_recorded(blind, "pick_cube", tmp_path / "out", show=show)
    (tmp_path / "empty").mkdir()
    for directory, expected in ((tmp_path / "empty", "no recorded episodes"), (tmp_path / "none", "no directory")):
        with pytest.raises(HilserlError, match=expected):
            label_recorded(directory, "pick_cube", tmp_path / "out", show=show)


def labelled(directory: Path, env: ManipulationEnv) -> tuple[int, int]:
    """Positives and negatives on disk."""
    steps = [step for episode in read_episodes(directory, env.experience) for step in episode if not step.is_reset]
    return sum(step.success for step in steps), sum(not step.success for step in steps)


@pytest.fixture(scope="module")
def endless() -> ManipulationEnv:
    """For labels: success ends nothing."""
    return make_sim_env("pick_cube", max_episode_steps=9, ends_on_success=False)


def test_labels_are_counted_as_they_are_said_and_a_discard_takes_its_own_back(
    endless: ManipulationEnv, tmp_path: Path
) -> None:
    recorder, seen = LabelRecorder(tmp_path / "a", endless.experience, 100), []

    def watch() -> bool:
        seen.append((recorder.positives, recorder.negatives))
        return False

    label(endless, ScriptedOperator([NO, YES, YES, RESET, RESET, YES, NO, DISCARD, YES, NO]), recorder, 0, stop=watch)
    assert seen == [(0, 0), (0, 1), (1, 1), (2, 1), (2, 1), (2, 1), (3, 1), (3, 2), (2, 1), (3, 1)]
    assert (recorder.positives, recorder.negatives) == labelled(tmp_path / "a", endless) == (3, 2), (
        "the last one is kept"
    )
    assert sorted(contents(tmp_path / "a")) == ["000000.parquet", "000003.parquet"]


@pytest.mark.parametrize("seed", range(3))
def test_labels_are_counted_as_they_are_on_disk_and_survive_a_resume(endless, tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    said = [[NO, YES, RESET, DISCARD, FAILURE][i] for i in rng.choice(5, 60, p=[0.4, 0.35, 0.1, 0.1, 0.05])]
    recorder = LabelRecorder(tmp_path / "a", endless.experience)
    label(endless, ScriptedOperator(said[:30]), recorder, 0)
    resumed = LabelRecorder(tmp_path / "a", endless.experience)
    for one in (recorder, resumed):
        assert (one.positives, one.negatives) == labelled(tmp_path / "a", endless)
    first, half = resumed.positives, contents(tmp_path / "a")
    resumed.wanted = first + 5
    label(endless, ScriptedOperator(said[30:]), resumed, 0)
    assert (resumed.positives, resumed.negatives) == labelled(tmp_path / "a", endless)
    assert resumed.positives <= first + 5
    assert half.items() <= contents(tmp_path / "a").items(), "and nothing is written over"


def test_labels_decide_without_ending_the_episode(tmp_path: Path) -> None:
    env = make_sim_env("pick_cube", max_episode_steps=30, ends_on_success=False)
    env.reset(seed=0)
    outcomes = [env.step(env.supervision.expert_action())[2:] for _ in range(30)]
    assert [terminated for terminated, _, _ in outcomes] == [False] * 30
    assert [truncated for _, truncated, _ in outcomes] == [False] * 29 + [True]
    assert sum(info["success"] for *_, info in outcomes) > 3, "it goes on after success, and says so"
    label(env, ScriptedOperator([YES] * 30), LabelRecorder(tmp_path / "a", env.experience, 30), 0)
    assert labelled(tmp_path / "a", env) == (30, 0)
