"""The reward classifier: what it learns from, what it refuses, and that it sees nothing but pictures."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from hilserl.cli.main import main
from hilserl.errors import HilserlError
from hilserl.experience import ActionLayout, ExperienceSpec, StateLayout, Step, entry, write_episode
from hilserl.rewards.classifier import RewardClassifier
from hilserl.rewards.dataset import LabelledImages, read_labels, split_by_episode
from hilserl.rewards.fit import threshold_for
from hilserl.rewards.network import ClassifierConfig
from hilserl.rewards.train import train_classifier
from hilserl.tasks import make_env
from hilserl.training.config import preset
from hilserl.training.judge import reward_judge
from hilserl.training.labels import LabelKeeper, label_by_script
from hilserl.vision.frames import FrameEncoder, VisionConfig

SMALL = ClassifierConfig(max_updates=200, batch_size=32, hidden=16, width=8, embeddings=2, proprioception=0.0)
TASK = "pick_cube"


def spec_of(size: int = 32, cameras: tuple[str, ...] = ("side", "wrist"), task: str = TASK) -> ExperienceSpec:
    state = StateLayout((entry("position_m", 2), entry("gripper_command", 1)))
    images = tuple((name, (size, size, 3)) for name in cameras)
    return ExperienceSpec(task, state, ActionLayout(("dx", "gripper"), grippers=(1,)), images)


def picture(rng: np.random.Generator, size: int, *, success: bool) -> np.ndarray:
    """Noise; where it is a success its upper half is bright."""
    frame = rng.integers(0, 120, (size, size, 3))
    frame[: size // 2] += 120 * success
    return frame.astype(np.uint8)


def labels_in(
    folder: Path, episodes: int = 20, length: int = 8, spec: ExperienceSpec | None = None, **changes: Any
) -> Path:
    """Episodes the second half of whose steps is a success; `successes` says otherwise."""
    spec, rng = spec or spec_of(), np.random.default_rng(0)
    for episode in range(episodes):
        steps = []
        for index in range(length + 1):
            success = index > length // 2
            seen: dict[str, np.ndarray] = {"state": rng.standard_normal(3).astype(np.float32)}
            seen |= {name: picture(rng, shape[0], success=success) for name, shape in spec.images}
            told = changes["successes"](rng, success) if "successes" in changes else success
            steps.append(Step(episode, index, seen, np.zeros(2, np.float32), success=told and index > 0))
        write_episode(folder / f"{episode:06d}.parquet", steps, spec)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return labels_in(tmp_path_factory.mktemp("labels"))


@pytest.fixture(scope="module")
def labels(folder: Path) -> LabelledImages:
    return read_labels([folder], TASK, SMALL.vision)


@pytest.fixture(scope="module")
def classifier(labels: LabelledImages) -> RewardClassifier:
    return train_classifier(labels, SMALL, 0).classifier


def seen(rng: np.random.Generator, *, success: bool, size: int = 32) -> dict[str, np.ndarray]:
    return {name: picture(rng, size, success=success) for name in ("side", "wrist")}


def test_it_tells_success_from_everything_else(classifier: RewardClassifier) -> None:
    judge, rng = classifier.judge_for(spec_of()), np.random.default_rng(9)
    right = [judge(seen(rng, success=success)).success is success for success in (True, False) * 20]
    assert sum(right) >= 38


def test_it_is_the_same_after_having_been_kept(tmp_path: Path, classifier: RewardClassifier) -> None:
    classifier.save(tmp_path / "a.safetensors")
    again = RewardClassifier.load(tmp_path / "a.safetensors")
    assert (again.log_odds, again.spec, again.config) == (classifier.log_odds, classifier.spec, classifier.config)
    rng = np.random.default_rng(1)
    observation = seen(rng, success=True)
    one, other = (each.judge_for(spec_of())(observation) for each in (classifier, again))
    assert one == other


def test_the_seed_decides_everything(labels: LabelledImages) -> None:
    one, same, other = (train_classifier(labels, replace(SMALL, max_updates=50), seed) for seed in (0, 0, 1))
    assert np.array_equal(one.log_odds, same.log_odds)
    assert one.classifier.log_odds == same.classifier.log_odds
    assert not np.array_equal(one.log_odds, other.log_odds)


def test_no_episode_is_on_two_sides(labels: LabelledImages) -> None:
    split = split_by_episode(labels, (0.2, 0.2), 2, 0)
    sides = [set(labels.episodes[rows].tolist()) for rows in split]
    assert sum(map(len, sides)) == len(set.union(*sides)) == 20
    assert sorted(np.concatenate(split).tolist()) == list(range(len(labels.classes)))
    assert all(set(labels.classes[rows]) == {0, 1} for rows in split)


@pytest.mark.parametrize("rate", [0.0, 0.01, 0.1, 0.5])
def test_the_threshold_keeps_its_rate(rate: float) -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        success = rng.random(300) < 0.3
        log_odds = rng.standard_normal(300) + 2 * success
        called = log_odds > threshold_for(log_odds, success, rate)
        assert (called & ~success).sum() <= rate * (~success).sum()


def test_features_that_a_policy_has_made_already_are_used(classifier: RewardClassifier) -> None:
    spec, rng = spec_of(cameras=("front", "side", "wrist")), np.random.default_rng(2)
    frames = FrameEncoder(spec, VisionConfig())
    observation = {"front": picture(rng, 32, success=True), **seen(rng, success=True)}
    encoded = frames.observe(observation)
    blind = {name: value for name, value in encoded.items() if name.endswith(".features")}
    judge = classifier.judge_for(spec, frames)
    assert judge(blind).probability == pytest.approx(judge(observation).probability, abs=1e-3)


@pytest.mark.parametrize(
    "spec", [spec_of(64), spec_of(cameras=("side",)), spec_of(cameras=("side", "front")), spec_of(task="other")]
)
def test_other_pictures_than_it_was_made_for_are_refused_with_both_shown(
    classifier: RewardClassifier, spec: ExperienceSpec
) -> None:
    with pytest.raises(HilserlError, match=r"is for task 'pick_cube' .*side 32 x 32.*what it is to judge is"):
        classifier.check(spec)


def broken(path: Path, how: str) -> None:
    """Damages a classifier's file."""
    data = path.read_bytes()
    if how == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif how == "junk":
        path.write_bytes(b"junk" * 100)
    elif how == "changed":
        path.write_bytes(data[:-4] + bytes(4))
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "something else":
        save_file(load_file(path), path)
    elif how == "gone":
        path.unlink()
    else:
        path.write_bytes(data.replace(b"efficientnet_lite0", b"efficientnet_lite9"))


@pytest.mark.parametrize("how", ["cut", "junk", "changed", "empty", "something else", "gone", "another encoder"])
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, classifier: RewardClassifier, how: str) -> None:
    path = tmp_path / "a.safetensors"
    classifier.save(path)
    broken(path, how)
    with pytest.raises(HilserlError, match=r"a\.safetensors"):
        RewardClassifier.load(path)


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda folder: None, "no directory"),  # noqa: ARG005
        (lambda folder: folder.mkdir(), "no labelled episodes"),
        (lambda folder: labels_in(folder, successes=lambda rng, success: False), "class 1"),  # noqa: ARG005
        (lambda folder: labels_in(folder, successes=lambda rng, success: True), "class 0"),  # noqa: ARG005
        (lambda folder: labels_in(folder, episodes=2), "label more"),
        (lambda folder: labels_in(folder, spec=spec_of(task="other")), "task 'other'"),
        (lambda folder: labels_in(folder, spec=spec_of(cameras=())), "no camera"),
        (lambda folder: (labels_in(folder) / "000003.parquet").write_bytes(b"junk"), "000003.parquet"),
        (lambda folder: write_mixed(folder), "64 x 64"),
    ],
    ids=range(9),
)
def test_labels_that_teach_nothing_are_refused(
    tmp_path: Path, make: Any, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = tmp_path / "labels", tmp_path / "a.safetensors"
    make(data)
    assert main(["classifier", TASK, "--data", str(data), "--out", str(out)]) == 1
    assert complaint in capsys.readouterr().err
    assert not out.exists()


def write_mixed(folder: Path) -> None:
    """Episodes of two sizes."""
    labels_in(folder, episodes=6)
    other = labels_in(folder / "other", episodes=1, spec=spec_of(64))
    (other / "000000.parquet").rename(folder / "000009.parquet")


def test_shuffled_labels_are_refused_by_the_classifiers_own_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = labels_in(tmp_path / "labels", successes=lambda rng, success: bool(rng.random() < 0.5))  # noqa: ARG005
    out = tmp_path / "a.safetensors"
    words = [
        "--max-updates",
        "200",
        "--batch-size",
        "32",
        "--hidden",
        "16",
        "--width",
        "8",
        "--embeddings",
        "2",
        "--proprioception",
        "0",
    ]
    assert main(["classifier", TASK, "--data", str(data), "--out", str(out), *words]) == 1
    assert "refused" in capsys.readouterr().err
    assert not out.exists()


def test_the_verb_writes_classifier_figures_and_pictures(tmp_path: Path, folder: Path) -> None:
    out = tmp_path / "a.safetensors"
    words = [
        "--max-updates",
        "200",
        "--batch-size",
        "32",
        "--hidden",
        "16",
        "--width",
        "8",
        "--embeddings",
        "2",
        "--proprioception",
        "0",
    ]
    assert main(["classifier", TASK, "--data", str(folder), "--out", str(out), *words]) == 0
    assert RewardClassifier.load(out).spec == spec_of()
    assert json.loads((tmp_path / "a.json").read_text())["held_out"]["accuracy"] > 0.9
    assert all((tmp_path / f"a.{name}.png").stat().st_size > 1000 for name in ("report", "mistakes"))


def test_the_state_may_say_anything(tmp_path: Path, classifier: RewardClassifier) -> None:
    """The reward of a run looks at pictures alone."""
    classifier.save(tmp_path / "a.safetensors")
    config = replace(preset(TASK), reward="classifier", classifier=tmp_path / "a.safetensors")
    judge = reward_judge(config, spec_of(cameras=("front", "side", "wrist")))
    assert judge
    rng = np.random.default_rng(4)
    for success in (True, False):
        pictures = seen(rng, success=success)
        for state in (np.full(3, np.nan), np.zeros(0), None):
            assert judge({**pictures, "state": state}) is success
        assert judge(pictures) is success


def test_the_simulated_labeller_visits_near_misses(tmp_path: Path) -> None:
    with make_env(TASK, obs="pixels", image_size=16, cameras=("side",), ends_on_success=False) as env:
        sim, half = env.simulation, 0.02
        start: dict[str, np.ndarray] = {}
        heights, labels, found = [], [], {"pushed": 0, "closed beside": 0, "half lifted": 0}

        class Watch(LabelKeeper):
            def on_step(self, step: Step) -> None:
                super().on_step(step)
                cube, held = sim.position_m("cube"), sim.held("cube")
                if step.is_reset:
                    start["cube"] = cube.copy()
                    return
                heights.append(cube[2] - half)
                labels.append(step.success)
                assert step.success == env.succeeded()
                on_floor = heights[-1] < 0.005
                found["pushed"] += on_floor and np.linalg.norm((cube - start["cube"])[:2]) > 0.02
                found["closed beside"] += on_floor and not held and sim.arm.gripper_width_m < 0.02
                found["half lifted"] += held and 0.02 < heights[-1] < 0.09

        keeper = Watch(tmp_path / "labels", env.experience)
        label_by_script(env, keeper, 40, 0, stop=lambda keeper: False)  # noqa: ARG005
    assert keeper.positives >= 40
    assert sum(labels) == keeper.positives
    assert min(found.values()) >= 10, found
    assert all(height >= 0.1 - 1e-6 for height, success in zip(heights, labels, strict=True) if success)
