"""What is recorded and labelled is whole, counted right, gone on with after any interruption, and can be seen again."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import mujoco
import numpy as np
import pytest

from hilserl.cli.main import main
from hilserl.data.episodes import read_episode, write_episode
from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Step
from hilserl.errors import HilserlError
from hilserl.operators.console.console import TICKS_PER_STEP
from hilserl.operators.operator import Operator
from hilserl.operators.simulated import SimulatedOperatorConfig
from hilserl.operators.takeover import GripperRequest, Intent, Verdict
from hilserl.rollout.labelling import LabelRecorder, label
from hilserl.rollout.playback import reenact
from hilserl.rollout.recording import EpisodeRecorder, record, record_demonstrations
from hilserl.runs.run_dir import read_episodes
from hilserl.sim.environment import ManipulationEnv
from hilserl.sim.task_env import CONTROL_DT_S, steps_of
from hilserl.tasks import make_sim_env
from hilserl.tasks.pick_cube import PickCube
from tests.support.steps import make_episode

HANDS = SimulatedOperatorConfig()
PUSH = Intent(True, (0.6, -0.4, -0.2), (GripperRequest.HOLD,))
YES, NO = replace(PUSH, success=True), replace(PUSH, success=False)
SUCCESS, FAILURE, RESET, DISCARD = (replace(PUSH, verdict=verdict, success=False) for verdict in Verdict)


class Script(Operator):
    """An operator who follows a list of intents and then is done."""

    def __init__(self, intents: Sequence[Intent]) -> None:
        self.intents = list(intents)

    @property
    def done(self) -> bool:
        return not self.intents

    def intent(self) -> Intent:
        return self.intents.pop(0)


def pulled_after(steps: int) -> Callable[[], None]:
    """Ends a recording after so many steps, whatever it is doing."""
    left = iter(range(steps))

    def watch() -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt

    return watch


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())} if folder.exists() else {}


@pytest.fixture(scope="module")
def hasty() -> ManipulationEnv:
    """The demonstrator's episodes last 16 to 20 steps, so that some of them fail here."""
    return make_sim_env("pick_cube", max_episode_steps=17)


@pytest.fixture(scope="module")
def endless() -> ManipulationEnv:
    """For labels: success ends nothing."""
    return make_sim_env("pick_cube", max_episode_steps=9, ends_on_success=False)


@pytest.fixture(scope="module")
def worlds() -> list[ManipulationEnv]:
    """In which recorded episodes are seen again: without and with randomisation."""
    options = {"max_episode_steps": 10**9, "ends_on_success": False}
    return [make_sim_env("pick_cube", randomise=randomise, **options) for randomise in (False, True)]


@pytest.fixture(scope="module")
def recordings(hasty: ManipulationEnv, tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    """Three successes recorded in one go, without and with the failures between them."""
    folders = {failures: tmp_path_factory.mktemp("recordings") / str(failures) for failures in (False, True)}
    for failures, folder in folders.items():
        record_demonstrations(hasty, EpisodeRecorder(folder, hasty.experience, 3, keep_failures=failures), 0, HANDS)
    return folders


def test_failures_are_kept_where_asked_for_and_never_counted(hasty, recordings: dict[bool, Path]) -> None:
    every, good = (list(read_episodes(recordings[failures], hasty.experience)) for failures in (True, False))
    assert [steps[0].episode for steps in every] == list(range(len(every)))
    assert len(good) == 3 < len(every)
    assert all(steps[-1].ends_episode for steps in every)
    assert [steps[0].episode for steps in every if steps[-1].success] == [steps[0].episode for steps in good]
    assert contents(recordings[False]).items() < contents(recordings[True]).items(), "the successes are the same"
    for failures, episodes in ((True, every), (False, good)):
        keeper = EpisodeRecorder(recordings[failures], hasty.experience, keep_failures=failures)
        steps = sum(len(episode) - 1 for episode in episodes)
        assert (keeper.successes, keeper.steps, keeper.next_episode) == (3, steps, every[-1][0].episode + 1)
        assert keeper.human_seconds == pytest.approx(CONTROL_DT_S * steps)


@pytest.mark.parametrize("failures", [False, True])
@pytest.mark.parametrize("steps", [0, 1, 16, 17, 18, 30, 40, 55])
def test_a_recording_interrupted_anywhere_goes_on_to_the_same_end(
    hasty, recordings, tmp_path: Path, failures: bool, steps: int
) -> None:
    recorder = EpisodeRecorder(tmp_path / "b", hasty.experience, 3, keep_failures=failures)
    with pytest.raises(KeyboardInterrupt):
        record_demonstrations(hasty, recorder, 0, HANDS, pulled_after(steps))
    assert contents(tmp_path / "b").items() < contents(recordings[failures]).items(), "no episode is half written"
    for successes in (3, 2):
        recorder = EpisodeRecorder(tmp_path / "b", hasty.experience, successes, keep_failures=failures)
        record_demonstrations(hasty, recorder, 0, HANDS)
        assert contents(tmp_path / "b") == contents(recordings[failures]), "and what is complete stays as it is"
        assert recorder.successes == 3


def test_a_demonstrator_that_mostly_fails_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env = make_sim_env("pick_cube", max_episode_steps=2)
    monkeypatch.setattr(env.supervision, "expert_action", lambda: np.zeros(4))
    with pytest.raises(HilserlError, match=r"Only 0 of 11 demonstrations succeeded; 2 were asked for"):
        record_demonstrations(env, EpisodeRecorder(tmp_path / "a", env.experience, 2, keep_failures=True), 0, HANDS)
    assert len(contents(tmp_path / "a")) == 11, "what was kept stays"


@pytest.mark.parametrize("failures", [False, True])
def test_verdicts_decide_what_is_kept_and_nothing_half_is_written(shared_env, tmp_path: Path, failures: bool) -> None:
    said = [PUSH, FAILURE, PUSH, PUSH, RESET, PUSH, DISCARD, PUSH, SUCCESS, RESET, SUCCESS, PUSH, PUSH]
    keeper = EpisodeRecorder(tmp_path / "a", shared_env.experience, 100, keep_failures=failures)
    record(shared_env, Script(said), keeper, 0)
    episodes = list(read_episodes(tmp_path / "a", shared_env.experience))
    assert [(steps[0].episode, len(steps) - 1, steps[-1].success) for steps in episodes] == [
        *([(0, 2, False)] if failures else []),
        (3, 2, True),
        (5, 1, True),
    ]
    assert keeper.successes == 2
    assert sorted(contents(tmp_path / "a")) == [f"{steps[0].episode:06d}.parquet" for steps in episodes]
    assert EpisodeRecorder(tmp_path / "a", shared_env.experience).next_episode == 6


def test_a_person_records_as_many_as_they_were_asked_for(shared_env: ManipulationEnv, tmp_path: Path) -> None:
    keeper = EpisodeRecorder(tmp_path / "a", shared_env.experience, 3)
    record(shared_env, Script([]), keeper, 0)
    assert contents(tmp_path) == {}, "none where they are done before they begin"
    person = Script([SUCCESS] * 5)
    record(shared_env, person, keeper, 0)
    assert len(contents(tmp_path / "a")) == 3
    assert len(person.intents) == 2


@pytest.mark.parametrize("keeper", [EpisodeRecorder, LabelRecorder])
@pytest.mark.parametrize("fault", ["cut", "text", "another task", "another spec"])
def test_a_folder_with_anything_else_in_it_is_refused_and_left_as_it_was(
    hasty: ManipulationEnv, recordings: dict[bool, Path], spec: ExperienceSpec, tmp_path: Path, keeper, fault: str
) -> None:
    for name, data in contents(recordings[False]).items():
        (tmp_path / name).write_bytes(data)
    last = tmp_path / name
    if fault == "cut":
        last.write_bytes(data[:-30])
    elif fault == "text":
        last.write_text("hello")
    elif fault == "another task":
        write_episode(last, make_episode(0, 3), spec)
    else:
        steps = [replace(step, observation={"state": step.observation["state"][:-3]}) for step in read_episode(last)[0]]
        layout = replace(hasty.experience.state, entries=hasty.experience.state.entries[:-1])
        write_episode(last, steps, replace(hasty.experience, state=layout))
    before = contents(tmp_path)
    with pytest.raises(HilserlError, match=re.escape(last.name)):
        keeper(tmp_path, hasty.experience)
    assert contents(tmp_path) == before


def labelled(folder: Path, env: ManipulationEnv) -> tuple[int, int]:
    """Positives and negatives on disk."""
    steps = [step for episode in read_episodes(folder, env.experience) for step in episode if not step.is_reset]
    return sum(step.success for step in steps), sum(not step.success for step in steps)


def test_labels_are_counted_as_they_are_said_and_a_discard_takes_its_own_back(
    endless: ManipulationEnv, tmp_path: Path
) -> None:
    keeper, seen = LabelRecorder(tmp_path / "a", endless.experience, 100), []

    def watch() -> bool:
        seen.append((keeper.positives, keeper.negatives))
        return False

    label(endless, Script([NO, YES, YES, RESET, RESET, YES, NO, DISCARD, YES, NO]), keeper, 0, stop=watch)
    assert seen == [(0, 0), (0, 1), (1, 1), (2, 1), (2, 1), (2, 1), (3, 1), (3, 2), (2, 1), (3, 1)]
    assert (keeper.positives, keeper.negatives) == labelled(tmp_path / "a", endless) == (3, 2), "the last one is kept"
    assert sorted(contents(tmp_path / "a")) == ["000000.parquet", "000003.parquet"]


@pytest.mark.parametrize("seed", range(3))
def test_labels_are_counted_as_they_are_on_disk_and_survive_a_resume(endless, tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    said = [[NO, YES, RESET, DISCARD, FAILURE][i] for i in rng.choice(5, 60, p=[0.4, 0.35, 0.1, 0.1, 0.05])]
    keeper = LabelRecorder(tmp_path / "a", endless.experience)
    label(endless, Script(said[:30]), keeper, 0)
    resumed = LabelRecorder(tmp_path / "a", endless.experience)
    for one in (keeper, resumed):
        assert (one.positives, one.negatives) == labelled(tmp_path / "a", endless)
    first, half = resumed.positives, contents(tmp_path / "a")
    resumed.wanted = first + 5
    label(endless, Script(said[30:]), resumed, 0)
    assert (resumed.positives, resumed.negatives) == labelled(tmp_path / "a", endless)
    assert resumed.positives <= first + 5
    assert half.items() <= contents(tmp_path / "a").items(), "and nothing is written over"


def test_where_labels_are_given_success_ends_nothing_and_the_person_decides(tmp_path: Path) -> None:
    env = make_sim_env("pick_cube", max_episode_steps=30, ends_on_success=False)
    env.reset(seed=0)
    outcomes = [env.step(env.supervision.expert_action())[2:] for _ in range(30)]
    assert [terminated for terminated, _, _ in outcomes] == [False] * 30
    assert [truncated for _, truncated, _ in outcomes] == [False] * 29 + [True]
    assert sum(info["success"] for *_, info in outcomes) > 3, "it goes on after success, and says so"
    label(env, Script([YES] * 30), LabelRecorder(tmp_path / "a", env.experience, 30), 0)
    assert labelled(tmp_path / "a", env) == (30, 0)


@pytest.mark.parametrize("limit", [1, 2, 7])
def test_an_episode_is_cut_exactly_at_the_limit_it_is_given(limit: int) -> None:
    env = make_sim_env("pick_cube", max_episode_steps=limit)
    for _ in range(2):
        env.reset(seed=0)
        cuts = [env.step(np.zeros(4))[2:4] for _ in range(limit)]
        assert cuts == [(False, False)] * (limit - 1) + [(False, True)]


def test_seconds_become_control_steps() -> None:
    assert [steps_of(0.1 * n) for n in range(1, 700)] == list(range(1, 700))
    for too_short in (0.0, 0.04, -1.0):
        with pytest.raises(HilserlError, match="at least a control step"):
            steps_of(too_short)


@pytest.mark.parametrize("seconds", [float("inf"), float("nan")])
def test_seconds_that_are_no_number_of_steps_are_refused(seconds: float) -> None:
    with pytest.raises(HilserlError, match=str(seconds)):
        steps_of(seconds)


def flail(seed: int, steps: int) -> list[Intent]:
    """Full motions down into the table and the cube, with the gripper at work."""
    rng = np.random.default_rng(seed)
    requests = rng.choice([GripperRequest.HOLD] * 4 + [GripperRequest.TOGGLE], steps)
    return [Intent(True, tuple(rng.uniform(-1, [1, 1, 0.6])), (GripperRequest(r),)) for r in requests] + [FAILURE]


@pytest.fixture(
    scope="module", params=[("state", False), ("state", True), ("pixels", False), ("pixels", True)], ids=str
)
def seen(request, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[list[Step]], ExperienceSpec, bool]]:
    """Demonstrations and wild driving, read back from disk, and whether their world was randomised."""
    obs, randomise = request.param
    env, folder = (
        make_sim_env("pick_cube", obs=obs, randomise=randomise, image_size=16),
        tmp_path_factory.mktemp("seen"),
    )
    record_demonstrations(env, EpisodeRecorder(folder, env.experience, 2), 3, HANDS)
    for seed in range(2):
        record(env, Script(flail(seed, 40)), EpisodeRecorder(folder, env.experience, keep_failures=True), seed)
    yield list(read_episodes(folder, env.experience)), env.experience, randomise
    env.close()


def test_an_episode_played_again_is_the_same(seen, worlds: list[ManipulationEnv]) -> None:
    episodes, _spec, randomise = seen
    assert len(episodes) == 4
    for steps in reversed(episodes):
        enacted = [reenact(world, steps) for world in worlds]
        assert enacted[randomise].deviation_m < 1e-6
        assert [len(one.states) for one in enacted] == [1 + TICKS_PER_STEP * (len(steps) - 1)] * 2
        if steps[-1].success:
            assert enacted[not randomise].deviation_m > 1e-5, "who touched something can tell the other world"


def test_what_is_shown_of_an_episode_is_what_happened(seen, worlds: list[ManipulationEnv]) -> None:
    """The cube too, frame by frame, though only the hand is compared."""
    episodes, spec, randomise = seen
    if spec.images:
        return
    model = worlds[randomise].simulation.model
    data, where = mujoco.MjData(model), spec.state.slice("cube_position_m")
    for steps in episodes:
        states = reenact(worlds[randomise], steps).states
        for step, state in zip(steps, states[::TICKS_PER_STEP], strict=True):
            mujoco.mj_setState(model, data, state, mujoco.mjtState.mjSTATE_INTEGRATION)
            mujoco.mj_forward(model, data)
            assert data.body("cube").xpos == pytest.approx(step.observation["state"][where], abs=1e-6)


def test_an_episode_with_another_seed_strays(seen, worlds: list[ManipulationEnv]) -> None:
    episodes, _spec, _ = seen
    for steps in episodes[:2]:
        wrong = [replace(step, seed=step.seed + 1) for step in steps]
        assert min(reenact(world, wrong).deviation_m for world in worlds) > 1e-5


@pytest.mark.parametrize("verb", ["record", "label"])
def test_a_folder_that_is_not_empty_is_only_gone_on_with_when_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    (tmp_path / "precious").write_text("data")
    assert main([verb, "pick_cube", "--out", str(tmp_path)]) == 1
    assert "--resume" in capsys.readouterr().err
    assert contents(tmp_path) == {"precious": b"data"}


def test_record_resumes_to_what_one_recording_would_have_been(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(PickCube, "max_episode_steps", 17)
    words = ["record", "pick_cube", "--obs", "state", "--keep-failures", "--out"]
    assert main([*words, str(tmp_path / "a"), "--successes", "3"]) == 0
    for successes in ("1", "3"):
        assert main([*words, str(tmp_path / "b"), "--resume", "--successes", successes]) == 0
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert capsys.readouterr().out.count("3 demonstrations") == 2


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["record", "--out", "x", "--operator", "console", "--episode-seconds", "0.01"], "control step"),
        (["label", "--out", "x", "--episode-seconds", "0"], "control step"),
        (["play", "--episode-seconds", "0"], "control step"),
        (["record", "--out", "x", "--successes", "0"], "--successes must be at least 1"),
        (["label", "--out", "x", "--successes", "0"], "--successes must be at least 1"),
    ],
)
def test_mistakes_are_told_before_anything_opens(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: list, complaint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([words[0], "pick_cube", *words[1:]]) == 1
    assert complaint in capsys.readouterr().err
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("verb", ["record", "label"])
def test_a_file_where_the_folder_should_be_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str], verb) -> None:
    (tmp_path / "file").write_text("here first")
    assert main([verb, "pick_cube", "--out", str(tmp_path / "file")]) == 1
    assert str(tmp_path / "file") in capsys.readouterr().err
