"""Labelled images without a person: the simulated labeller meets near misses, and recordings become labels."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from hilserl.cli.main import main
from hilserl.data.step import Step
from hilserl.data.subscriber import Subscriber
from hilserl.errors import HilserlError
from hilserl.operators.simulated_labeller import SimulatedLabeller
from hilserl.rollout.labelling import LabelRecorder, label_by_script, label_recorded
from hilserl.rollout.recording import hold_still
from hilserl.rollout.rollout import EpisodeSeeds, Rollout
from hilserl.runs.run_dir import read_episodes
from hilserl.sim.environment import ManipulationEnv
from hilserl.tasks import make_sim_env
from hilserl.tasks.pick_cube import CUBE, HALF_M, PickCube

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


def test_the_label_is_the_predicate(truths: list[Truth]) -> None:
    assert all(truth.step.success == truth.success for truth in truths)
    assert 0.02 < np.mean([truth.success for truth in truths]) < 0.3


def test_the_near_misses_are_there(truths: list[Truth]) -> None:
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


def test_a_seed_repeats_and_another_does_not(env: ManipulationEnv) -> None:
    actions = [np.stack([t.step.action for t in played(env, seed, 2)]) for seed in (1, 1, 2)]
    assert np.array_equal(actions[0], actions[1])
    assert actions[0].shape != actions[2].shape or not np.array_equal(actions[0], actions[2])


def test_a_labeller_who_never_succeeds_is_an_error(
    env: ManipulationEnv, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(env.task, "success", lambda sim: False)  # noqa: ARG005
    keeper = LabelRecorder(tmp_path, env.experience, 5)
    with pytest.raises(HilserlError, match="No success in 3 episodes"):
        label_by_script(env, keeper, 0, stop=lambda: False, give_up_after=3)


def test_the_verb_labels_and_recordings_become_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    demos, made = tmp_path / "demos", tmp_path / "made"
    assert main(["record", "pick_cube", "--successes", "2", "--out", str(demos)]) == 0
    assert main(["label", "pick_cube", "--from", str(demos), "--out", str(made)]) == 0
    assert "2 images of success" in capsys.readouterr().out
    spec = make_sim_env("pick_cube", obs="pixels").experience
    before, after = (list(read_episodes(folder, spec)) for folder in (demos, made))
    assert [[s.success for s in e] for e in before] == [[s.success for s in e] for e in after]
    assert np.array_equal(before[1][3].observation["front"], after[1][3].observation["front"])

    labelled = tmp_path / "labelled"
    words = ["label", "pick_cube", "--operator", "scripted", "--successes", "2", "--seed", "3", "--out", str(labelled)]
    assert main(words) == 0
    seen = make_sim_env("pick_cube", obs="pixels", cameras=PickCube.reward_cameras).experience
    assert sum(step.success for episode in read_episodes(labelled, seen) for step in episode) >= 2


def test_recordings_that_show_nothing_are_errors(tmp_path: Path) -> None:
    blind, show = tmp_path / "blind", lambda keeper: None  # noqa: ARG005
    assert main(["record", "pick_cube", "--obs", "state", "--successes", "1", "--out", str(blind)]) == 0
    with pytest.raises(HilserlError, match="record with --obs pixels"):
        label_recorded(blind, "pick_cube", tmp_path / "out", show=show)
    (tmp_path / "empty").mkdir()
    for folder, expected in ((tmp_path / "empty", "no recorded episodes"), (tmp_path / "none", "no directory")):
        with pytest.raises(HilserlError, match=expected):
            label_recorded(folder, "pick_cube", tmp_path / "out", show=show)
