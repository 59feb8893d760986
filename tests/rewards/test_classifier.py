"""A classifier survives its file, and is refused for another spec."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load, save

from hilserl.data.spec import ExperienceSpec
from hilserl.errors import HilserlError
from hilserl.rewards.classifier import RewardClassifier
from hilserl.rewards.train import train_classifier
from hilserl.vision.frame_encoder import FrameEncoder, VisionConfig
from tests.support.labels import SIZE, SMALL, labels_of, spec_of


@pytest.fixture(scope="module")
def trained() -> RewardClassifier:
    return train_classifier(labels_of(), SMALL, 0).classifier


def test_classifier_survives_its_file(trained: RewardClassifier, tmp_path: Path) -> None:
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


def test_damaged_classifier_is_an_error(trained: RewardClassifier, tmp_path: Path) -> None:
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
def test_classifier_refuses_another_spec(trained: RewardClassifier, other: ExperienceSpec, expected: str) -> None:
    with pytest.raises(HilserlError, match=expected):
        trained.predictor(other)
    trained.check(spec_of(cameras=("wrist", "front")))


def test_features_of_another_encoder_are_not_used(trained: RewardClassifier, monkeypatch: pytest.MonkeyPatch) -> None:
    spec, encoded = spec_of(), []
    made = np.zeros(trained.frame_encoder.inputs["front.features"], np.float16)

    def encode(self: FrameEncoder, seen: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        del self
        encoded.append(sorted(seen))
        return seen | {"front.features": made}

    monkeypatch.setattr(FrameEncoder, "encode", encode)
    observation = {"front": np.zeros((SIZE, SIZE, 3), np.uint8), "front.features": made, "state": np.zeros(3)}
    same = FrameEncoder(spec, VisionConfig(noise=0.0, width=9, frequencies=None))
    trained.predictor(spec, same)(observation)
    assert not encoded
    others = VisionConfig("resnet10", frequencies=None), VisionConfig("small_cnn"), VisionConfig()
    for frames in (None, *(FrameEncoder(spec, other) for other in others)):
        trained.predictor(spec, frames)(observation)
    assert encoded == [["front"]] * 4, "it looks at its camera and at nothing else"


def test_prediction_ignores_the_state(trained: RewardClassifier) -> None:
    predict = trained.predictor(spec_of(), trained.frame_encoder)
    features = {name: values[11] for name, values in labels_of().inputs.items()}
    size = trained.spec.state.size
    kinds = [np.zeros(size), np.full(size, 1e6), np.full(size, np.nan)]
    assert len({predict(features | {"state": state.astype(np.float32)}) for state in kinds}) == 1
