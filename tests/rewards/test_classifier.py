"""The reward classifier: honest about what it cannot tell, kept whole, and never used where it does not fit."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load, save

from hilserl import tasks
from hilserl.cli.main import main
from hilserl.data.arrays import named_arrays
from hilserl.data.episodes import write_episode
from hilserl.data.spec import ExperienceSpec, StateLayout
from hilserl.data.step import Step
from hilserl.errors import HilserlError
from hilserl.rewards.classifier import RewardClassifier
from hilserl.rewards.dataset import LabelledImages, read_labels, split_by_episode
from hilserl.rewards.fit import calibration, threshold_for
from hilserl.rewards.network import ClassifierConfig
from hilserl.rewards.report import report, roc_area
from hilserl.rewards.train import train_classifier
from hilserl.sim.reference_frame import World
from hilserl.vision.frame_encoder import FrameEncoder, VisionConfig
from tests.support.layouts import ACTION

SIZE = 32
TINY = {"encoder": "small_cnn", "width": 8, "hidden": 16, "batch_size": 16, "max_updates": 60, "check_every": 20,
        "shift_px": 1, "embeddings": 1, "proprioception": 1.0, "false_positive_rate": 0.05}  # fmt: skip
SMALL = ClassifierConfig(**(TINY | {"encoder": "efficientnet_lite0", "max_updates": 200, "learning_rate": 3e-3}))
FLAGS = [word for name, value in TINY.items() for word in (f"--{name.replace('_', '-')}", str(value))]


def spec_of(task: str = "pick_cube", size: int = SIZE, cameras: tuple[str, ...] = ("front",)) -> ExperienceSpec:
    images = tuple((camera, (size, size, 3)) for camera in cameras)
    return ExperienceSpec(task, StateLayout(World().entries(tasks.find("pick_cube").arms[0])), ACTION, images)


def labels_of(seed: int = 0, episodes: int = 30, signal: float = 4.0, config: ClassifierConfig = SMALL):
    """Features that tell success, where there is a signal; the classes are the same with and without one."""
    rng = np.random.default_rng(seed)
    spec, n = spec_of(), 12 * episodes
    frames = FrameEncoder(spec, config.vision)
    classes = (np.arange(n) % 12 >= 8).astype(int)
    features = rng.standard_normal((n, *frames.inputs["front.features"]))
    features[:, :4] += signal * classes[:, None, None, None]
    measured = rng.standard_normal((n, spec.state.size)).astype(np.float32)
    where = np.arange(n) // 12
    inputs = {"front.features": features.astype(np.float16)}
    files = tuple(Path(f"{e}.parquet") for e in range(episodes))
    return LabelledImages(spec, frames, inputs, measured, classes, where, np.arange(n) % 12 + 1, files)


def write_labels(
    folder: Path,
    label: Callable[[int, int], bool],
    *,
    spec: ExperienceSpec | None = None,
    episodes: int = 12,
    told: Callable[[int, int], bool] | None = None,
) -> Path:
    """Episodes of ten frames, bright where `told` (else `label`) says so, labelled by `label`."""
    spec = spec or spec_of()
    for episode in range(episodes):
        steps = []
        for index in range(11):
            success = index > 0 and label(episode, index)
            bright = index > 0 and (told or label)(episode, index)
            rng = np.random.default_rng([episode, index])
            frame = rng.integers(0, 60, spec.images[0][1]) if spec.images else np.zeros((1, 1, 3))
            observation = {"state": np.zeros(spec.state.size, np.float32)}
            observation |= {name: (frame + 150 * bright).astype(np.uint8) for name, _ in spec.images}
            steps.append(Step(episode, index, observation, np.zeros(4, np.float32), float(success), success=success))
        write_episode(folder / f"{episode:06d}.parquet", steps, spec)
    return folder


def late(episode: int, index: int) -> bool:
    del episode
    return index > 6


def drawn(episode: int, index: int) -> bool:
    """A label that has nothing to do with the picture."""
    return bool(np.random.default_rng([7, episode, index]).random() < 0.4)


@pytest.fixture(scope="module")
def trained() -> RewardClassifier:
    return train_classifier(labels_of(), SMALL, 0).classifier


def test_the_verb_trains_reports_and_keeps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = write_labels(tmp_path / "data", late), tmp_path / "c.safetensors"
    assert main(["classifier", "pick_cube", "--data", str(data), "--out", str(out), *FLAGS]) == 0
    text = capsys.readouterr().out
    assert all(word in text for word in ("accuracy", "precision", "recall", "ROC area", "confusion", "threshold"))
    figures = json.loads((tmp_path / "c.json").read_text())
    assert figures["held_out"]["auc"] > 0.95
    assert RewardClassifier.load(out).report == figures
    for picture in ("c.report.png", "c.mistakes.png"):
        assert (tmp_path / picture).read_bytes().startswith(b"\x89PNG")


def test_shuffled_labels_are_refused_and_nothing_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = write_labels(tmp_path / "data", drawn, told=late), tmp_path / "c.safetensors"
    assert main(["classifier", "pick_cube", "--data", str(data), "--out", str(out), *FLAGS]) == 1
    assert "refused" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("seed", range(3))
def test_a_report_refuses_chance_and_accepts_knowledge(seed: int) -> None:
    assert train_classifier(labels_of(seed), SMALL, seed).report.refusal() is None
    assert train_classifier(labels_of(seed, signal=0.0), SMALL, seed).report.refusal() is not None


@pytest.mark.parametrize("always", [True, False])
def test_labels_of_one_class_are_an_error_that_counts_them(tmp_path: Path, always: bool) -> None:
    data = write_labels(tmp_path, lambda episode, index: always)  # noqa: ARG005
    labels = read_labels([data], "pick_cube", ClassifierConfig(**TINY).vision)
    with pytest.raises(HilserlError, match=f"class {int(not always)} has 0 images in 0 episodes"):
        split_by_episode(labels, (0.2, 0.2), 2, 0)


def test_a_class_in_too_few_episodes_is_an_error(tmp_path: Path) -> None:
    data = write_labels(tmp_path, lambda episode, index: episode == 3 and index > 5)
    labels = read_labels([data], "pick_cube", ClassifierConfig(**TINY).vision)
    with pytest.raises(HilserlError, match="class 1 has 5 images in 1 episodes"):
        split_by_episode(labels, (0.2, 0.2), 2, 0)


def test_a_missing_stage_and_a_reward_that_is_none_are_errors(tmp_path: Path) -> None:
    vision = ClassifierConfig(**TINY).vision
    labels = read_labels([write_labels(tmp_path, late)], "pick_cube", vision, classes=3)
    with pytest.raises(HilserlError, match="No image of class 2"):
        split_by_episode(labels, (0.2, 0.2), 3, 0)


def test_what_cannot_be_read_together_is_an_error_with_both_sides(tmp_path: Path) -> None:
    vision = ClassifierConfig(**TINY).vision
    data = write_labels(tmp_path / "a", late, episodes=2)
    for name, other, expected in (
        ("size", spec_of(size=16), "front 16 x 16.*front 32 x 32"),
        ("camera", spec_of(cameras=("wrist",)), "wrist 32 x 32.*front 32 x 32"),
    ):
        folder = write_labels(tmp_path / name, late, spec=other, episodes=1)
        with pytest.raises(HilserlError, match=expected):
            read_labels([data, folder], "pick_cube", vision)
    blind = write_labels(tmp_path / "blind", late, spec=spec_of(cameras=()), episodes=1)
    with pytest.raises(HilserlError, match="no camera"):
        read_labels([blind], "pick_cube", vision)
    with pytest.raises(HilserlError, match="expected camera images of task 'push'"):
        read_labels([data], "push", vision)


def test_an_empty_a_missing_and_a_damaged_directory_are_errors(tmp_path: Path) -> None:
    vision = ClassifierConfig(**TINY).vision
    (tmp_path / "empty").mkdir()
    for folder, expected in ((tmp_path / "empty", "holds no labelled episodes"), (tmp_path / "no", "no directory")):
        with pytest.raises(HilserlError, match=expected):
            read_labels([folder], "pick_cube", vision)
    (tmp_path / "empty" / "000000.parquet").write_bytes(b"not a table")
    with pytest.raises(HilserlError, match=r"000000\.parquet"):
        read_labels([tmp_path / "empty"], "pick_cube", vision)


@pytest.mark.parametrize("seed", range(5))
def test_no_episode_is_on_two_sides_and_every_image_is_on_one(seed: int) -> None:
    labels = labels_of(episodes=17)
    parts = split_by_episode(labels, (0.2, 0.2), 2, seed)
    sides = [set(labels.episodes[rows].tolist()) for rows in parts]
    assert sum(map(len, sides)) == len(set.union(*sides)), "disjoint"
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(labels.classes)))
    again = split_by_episode(labels, (0.2, 0.2), 2, seed)
    assert all(np.array_equal(a, b) for a, b in zip(parts, again, strict=True))
    other = split_by_episode(labels, (0.2, 0.2), 2, seed + 100)
    assert set(labels.episodes[other.test].tolist()) != sides[2] or seed


def test_one_seed_gives_one_classifier() -> None:
    first, second, other = (train_classifier(labels_of(), SMALL, seed).classifier for seed in (3, 3, 4))
    arrays = [named_arrays(classifier.network) for classifier in (first, second, other)]
    assert all(np.array_equal(arrays[0][name], arrays[1][name]) for name in arrays[0])
    assert (first.log_odds, first.report) == (second.log_odds, second.report)
    assert any(not np.array_equal(arrays[0][name], arrays[2][name]) for name in arrays[0])


@pytest.mark.parametrize("rate", [0.0, 0.0004, 0.001, 0.01, 0.2])
def test_a_threshold_keeps_its_rate_where_it_was_chosen_and_wastes_none(rate: float) -> None:
    rng = np.random.default_rng(5)
    success = rng.random(3000) < 0.3
    log_odds = rng.standard_normal(3000) + 2 * success
    threshold = threshold_for(log_odds, success, rate)
    allowed = int(rate * (~success).sum())
    passed = np.sort(log_odds[~success])[::-1][allowed]
    assert (log_odds[~success] > threshold).sum() <= allowed
    assert threshold == 0.0 or not (success & (log_odds > passed) & (log_odds <= threshold)).sum() > 1
    assert (log_odds[success] > threshold).any()


def test_calibration_mends_what_is_too_sure() -> None:
    rng = np.random.default_rng(0)
    true = rng.standard_normal(4000) * 2
    classes = (rng.random(4000) < 1 / (1 + np.exp(-true))).astype(int)
    scale, bias = calibration(np.stack([np.zeros(4000), 5 * true + 3], 1).astype(np.float32), classes)
    assert float(scale) == pytest.approx(0.2, rel=0.15)
    assert float(bias[0]) == pytest.approx(-0.6, abs=0.2)


def test_the_report_counts_by_hand() -> None:
    log_odds, classes = np.array([3.0, 1.0, -1.0, 2.0, -2.0]), np.array([1, 1, 1, 0, 0])
    found = report(log_odds, (log_odds > 0).astype(int), classes, 2, 1)
    assert found.confusion == [[1, 1], [1, 2]]
    assert (found.accuracy, found.recall, found.false_positive_rate) == (3 / 5, 2 / 3, 1 / 2)
    assert found.auc == pytest.approx(4 / 6)
    assert roc_area(np.zeros(5), classes == 1) == pytest.approx(0.5), "ties are worth half"


def test_a_classifier_survives_its_file(trained: RewardClassifier, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "c.safetensors"
    trained.save(path)
    loaded = RewardClassifier.load(path)
    assert (loaded.config, loaded.spec, loaded.log_odds) == (trained.config, trained.spec, trained.log_odds)
    assert 0 < loaded.threshold < 1
    classifier_spec = [one.predictor(spec_of(), trained.frame_encoder) for one in (trained, loaded)]
    seen = {name: values[11] for name, values in labels_of().inputs.items()}
    assert classifier_spec[0](seen) == classifier_spec[1](seen)
    assert classifier_spec[0](seen).success
    assert not classifier_spec[0]({name: values[0] for name, values in labels_of().inputs.items()}).success


def test_a_damaged_file_is_an_error_and_never_a_judge(trained: RewardClassifier, tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    trained.save(path)
    whole = path.read_bytes()
    with safe_open(path, "numpy") as file:
        metadata = file.metadata()
    foreign = json.loads(metadata["hilserl.classifier"])
    foreign["config"]["encoder"] = "resnet99"
    other = json.loads(metadata["hilserl.classifier"])
    other["config"]["encoder"] = "resnet10"
    for damaged, expected in (
        (whole[:-1] + bytes([whole[-1] ^ 1]), "checksum"),
        (whole[: len(whole) // 2], "Cannot read"),
        (b"", "Cannot read"),
        (save(load(whole)), "of no classifier"),
        (save(load(whole), {"hilserl.classifier": json.dumps(foreign)}), "Unknown encoder 'resnet99'"),
        (save(load(whole), {"hilserl.classifier": json.dumps(other)}), "made for features"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(HilserlError, match=expected):
            RewardClassifier.load(path)
    with pytest.raises(HilserlError, match="There is no classifier"):
        RewardClassifier.load(tmp_path / "none")


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (spec_of(size=64), "front 32 x 32.*front 64 x 64"),
        (spec_of(cameras=("wrist",)), "front 32 x 32.*wrist"),
        (spec_of(task="push"), "'pick_cube'.*'push'"),
        (spec_of(cameras=()), "no camera"),
    ],
)
def test_a_classifier_fits_only_what_it_was_made_for(
    trained: RewardClassifier, other: ExperienceSpec, expected: str
) -> None:
    with pytest.raises(HilserlError, match=expected):
        trained.predictor(other)
    trained.check(spec_of(cameras=("wrist", "front")))


def test_features_are_used_only_of_the_same_encoder(trained: RewardClassifier, monkeypatch: pytest.MonkeyPatch) -> None:
    spec, encoded = spec_of(), []
    made = np.zeros(trained.frame_encoder.inputs["front.features"], np.float16)

    def encode(self: FrameEncoder, seen: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        del self
        encoded.append(sorted(seen))
        return seen | {"front.features": made}

    monkeypatch.setattr(FrameEncoder, "observe", encode)
    observation = {"front": np.zeros((SIZE, SIZE, 3), np.uint8), "front.features": made, "state": np.zeros(3)}
    same = FrameEncoder(spec, VisionConfig(noise=0.0, width=9))
    trained.predictor(spec, same)(observation)
    assert not encoded
    for frames in (None, FrameEncoder(spec, VisionConfig("resnet10")), FrameEncoder(spec, VisionConfig("small_cnn"))):
        trained.predictor(spec, frames)(observation)
    assert encoded == [["front"]] * 3, "it looks at its camera and at nothing else"


def test_what_the_robot_measures_changes_no_judgement(trained: RewardClassifier) -> None:
    judge = trained.predictor(spec_of(), trained.frame_encoder)
    features = {name: values[11] for name, values in labels_of().inputs.items()}
    size = trained.spec.state.size
    kinds = [np.zeros(size), np.full(size, 1e6), np.full(size, np.nan)]
    assert len({judge(features | {"state": state.astype(np.float32)}) for state in kinds}) == 1


def test_stages_are_told_apart() -> None:
    config = replace(SMALL, classes=3, max_updates=200)
    labels = labels_of()
    stages = (labels.steps - 1) // 4
    features = labels.inputs["front.features"].astype(np.float32) * 0.3
    features[:, :4] += 3 * (stages == 1)[:, None, None, None]
    features[:, 4:8] += 3 * (stages == 2)[:, None, None, None]
    labels = replace(labels, classes=stages, inputs={"front.features": features.astype(np.float16)})
    found = train_classifier(labels, config, 0)
    assert np.trace(found.report.confusion) > 0.9 * found.report.images
    assert [row.index(max(row)) for row in found.report.confusion] == [0, 1, 2]
