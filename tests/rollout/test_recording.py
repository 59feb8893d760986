"""Recordings keep the episodes that were asked for, and resume."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hilserl.data.checks import MAX_HUMAN_SECONDS
from hilserl.data.episodes import read_episode, write_episode
from hilserl.data.spec import ExperienceSpec
from hilserl.errors import HilserlError
from hilserl.operators.simulated import SimulatedOperatorConfig
from hilserl.rollout.labelling import LabelRecorder
from hilserl.rollout.recording import EpisodeRecorder, record, record_demonstrations
from hilserl.runs.run_dir import read_episodes
from hilserl.sim.environment import ManipulationEnv
from hilserl.sim.task_env import CONTROL_DT_S
from hilserl.tasks import make_sim_env
from tests.support.recordings import DISCARD, FAILURE, PUSH, RESET, SUCCESS, ScriptedOperator, contents
from tests.support.steps import make_episode

HANDS = SimulatedOperatorConfig()


def interrupted_after(steps: int) -> Callable[[], None]:
    """Ends a recording after so many steps, whatever it is doing."""
    left = iter(range(steps))

    def watch() -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt

    return watch


@pytest.fixture(scope="module")
def hasty() -> ManipulationEnv:
    """The demonstrator's episodes last 16 to 20 steps, so that some of them fail here."""
    return make_sim_env("pick_cube", max_episode_steps=17)


@pytest.fixture(scope="module")
def recordings(hasty: ManipulationEnv, tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    """Three successes recorded in one go, without and with the failures between them."""
    directories = {failures: tmp_path_factory.mktemp("recordings") / str(failures) for failures in (False, True)}
    for failures, directory in directories.items():
        record_demonstrations(hasty, EpisodeRecorder(directory, hasty.experience, 3, keep_failures=failures), 0, HANDS)
    return directories


def test_failures_are_kept_on_request_and_never_counted(hasty, recordings: dict[bool, Path]) -> None:
    every, good = (list(read_episodes(recordings[failures], hasty.experience)) for failures in (True, False))
    assert [steps[0].episode for steps in every] == list(range(len(every)))
    assert len(good) == 3 < len(every)
    assert all(steps[-1].ends_episode for steps in every)
    assert [steps[0].episode for steps in every if steps[-1].success] == [steps[0].episode for steps in good]
    for steps, same in zip(good, (every[steps[0].episode] for steps in good), strict=True):
        assert [step.action.tolist() for step in steps] == [step.action.tolist() for step in same]
    for failures, episodes in ((True, every), (False, good)):
        recorder = EpisodeRecorder(recordings[failures], hasty.experience, keep_failures=failures)
        steps = sum(len(episode) - 1 for episode in episodes)
        assert (recorder.successes, recorder.steps, recorder.next_episode) == (3, steps, every[-1][0].episode + 1)
        driven = sum(len(episode) - 1 for episode in every)
        lost = sum(len(episode) - 1 for episode in every if not episode[-1].success)
        assert recorder.human_seconds == pytest.approx(CONTROL_DT_S * driven), "failed attempts cost the same time"
        assert recorder.failed_seconds == pytest.approx(CONTROL_DT_S * lost) != 0


@pytest.mark.parametrize("failures", [False, True])
@pytest.mark.parametrize("steps", [0, 1, 16, 17, 18, 30, 40, 55])
def test_interrupted_recording_resumes_to_the_same_end(
    hasty, recordings, tmp_path: Path, failures: bool, steps: int
) -> None:
    recorder = EpisodeRecorder(tmp_path / "b", hasty.experience, 3, keep_failures=failures)
    with pytest.raises(KeyboardInterrupt):
        record_demonstrations(hasty, recorder, 0, HANDS, interrupted_after(steps))
    assert contents(tmp_path / "b").items() < contents(recordings[failures]).items(), "no episode is half written"
    for successes in (3, 2):
        recorder = EpisodeRecorder(tmp_path / "b", hasty.experience, successes, keep_failures=failures)
        record_demonstrations(hasty, recorder, 0, HANDS)
        assert contents(tmp_path / "b") == contents(recordings[failures]), "and what is complete stays as it is"
        assert recorder.successes == 3


def test_demonstrator_that_mostly_fails_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env = make_sim_env("pick_cube", max_episode_steps=2)
    monkeypatch.setattr(env.supervision, "expert_action", lambda: np.zeros(4))
    with pytest.raises(HilserlError, match=r"Only 0 of 11 demonstrations succeeded; 2 were asked for"):
        record_demonstrations(env, EpisodeRecorder(tmp_path / "a", env.experience, 2, keep_failures=True), 0, HANDS)
    assert len(contents(tmp_path / "a")) == 11, "what was kept stays"


@pytest.mark.parametrize("failures", [False, True])
def test_verdicts_decide_what_is_kept_and_nothing_half_is_written(shared_env, tmp_path: Path, failures: bool) -> None:
    said = [PUSH, FAILURE, PUSH, PUSH, RESET, PUSH, DISCARD, PUSH, SUCCESS, RESET, SUCCESS, PUSH, PUSH]
    recorder = EpisodeRecorder(tmp_path / "a", shared_env.experience, 100, keep_failures=failures)
    record(shared_env, ScriptedOperator(said), recorder, 0)
    episodes = list(read_episodes(tmp_path / "a", shared_env.experience))
    assert [(steps[0].episode, len(steps) - 1, steps[-1].success) for steps in episodes] == [
        *([(0, 2, False)] if failures else []),
        (3, 2, True),
        (5, 1, True),
    ]
    assert recorder.successes == 2
    assert sorted(contents(tmp_path / "a")) == [f"{steps[0].episode:06d}.parquet" for steps in episodes]
    assert EpisodeRecorder(tmp_path / "a", shared_env.experience).next_episode == 6


def seconds_of(directory: Path) -> dict[int, Any]:
    return {
        steps[0].episode: pytest.approx([step.human_seconds for step in steps]) for steps in read_episodes(directory)
    }


def test_failed_attempts_are_in_the_reset_of_the_next_success(shared_env, tmp_path: Path) -> None:
    said = [PUSH, FAILURE, PUSH, PUSH, RESET, PUSH, DISCARD, PUSH, SUCCESS, RESET, SUCCESS, PUSH, FAILURE]
    recorder = EpisodeRecorder(tmp_path / "a", shared_env.experience)
    record(shared_env, ScriptedOperator(said), recorder, 0)
    lost = CONTROL_DT_S * (2 + 2 + 1)
    assert seconds_of(tmp_path / "a") == {3: [lost, CONTROL_DT_S, CONTROL_DT_S], 5: [0.0, CONTROL_DT_S]}
    assert recorder.failed_seconds == pytest.approx(lost + 2 * CONTROL_DT_S), "those after the last success too"
    assert recorder.human_seconds == pytest.approx(recorder.failed_seconds + 3 * CONTROL_DT_S)
    again = EpisodeRecorder(tmp_path / "a", shared_env.experience)
    assert again.failed_seconds == pytest.approx(lost)
    assert again.human_seconds == pytest.approx(lost + 3 * CONTROL_DT_S)


def test_failed_attempts_of_many_hours_fill_the_resets_of_several_successes(shared_env, tmp_path: Path) -> None:
    slow = [replace(each, seconds=0.7 * MAX_HUMAN_SECONDS) for each in (FAILURE, FAILURE)]
    recorder = EpisodeRecorder(tmp_path / "a", shared_env.experience)
    record(shared_env, ScriptedOperator([*slow, SUCCESS, SUCCESS]), recorder, 0)
    found = [steps[0].human_seconds for steps in read_episodes(tmp_path / "a")]
    assert found == pytest.approx([MAX_HUMAN_SECONDS, 0.4 * MAX_HUMAN_SECONDS])


def test_record_stops_at_the_wanted_number(shared_env: ManipulationEnv, tmp_path: Path) -> None:
    recorder = EpisodeRecorder(tmp_path / "a", shared_env.experience, 3)
    record(shared_env, ScriptedOperator([]), recorder, 0)
    assert contents(tmp_path) == {}, "none where they are done before they begin"
    operator = ScriptedOperator([SUCCESS] * 5)
    record(shared_env, operator, recorder, 0)
    assert len(contents(tmp_path / "a")) == 3
    assert len(operator.intents) == 2


@pytest.mark.parametrize("recorder", [EpisodeRecorder, LabelRecorder])
@pytest.mark.parametrize("fault", ["cut", "text", "another task", "another spec"])
def test_foreign_directory_is_refused_and_left_as_it_is(
    hasty: ManipulationEnv, recordings: dict[bool, Path], spec: ExperienceSpec, tmp_path: Path, recorder, fault: str
) -> None:
    files = contents(recordings[False])
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    last, data = tmp_path / list(files)[-1], list(files.values())[-1]
    if fault == "cut":
        last.write_bytes(data[:-30])
    elif fault == "text":
        last.write_text("hello")
    elif fault == "another task":
        write_episode(last, make_episode(0, 3), spec, replace=True)
    else:
        steps = [replace(step, observation={"state": step.observation["state"][:-3]}) for step in read_episode(last)[0]]
        layout = replace(hasty.experience.state, entries=hasty.experience.state.entries[:-1])
        write_episode(last, steps, replace(hasty.experience, state=layout), replace=True)
    before = contents(tmp_path)
    with pytest.raises(HilserlError, match=re.escape(last.name)):
        recorder(tmp_path, hasty.experience)
    assert contents(tmp_path) == before
