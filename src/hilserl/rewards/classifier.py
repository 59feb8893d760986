"""Trained reward classifier with its file, its checks and its predictions."""

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from hilserl.data.arrays import named_arrays, with_arrays
from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Observation
from hilserl.errors import HilserlError, unknown
from hilserl.files import atomically
from hilserl.rewards.dataset import describe
from hilserl.rewards.fit import log_odds_of_success
from hilserl.rewards.network import ClassifierConfig, ClassifierNetwork
from hilserl.vision.encoders import FROZEN
from hilserl.vision.frame_encoder import FrameEncoder

FORMAT_VERSION = 1
"""Version of the classifier's file format."""
_METADATA = "hilserl.classifier"
_TRAINED = ("small_cnn",)


class Prediction(NamedTuple):
    """Prediction of a classifier for one observation."""

    success: bool
    """True if the log-odds of success exceed the threshold."""
    probability: float
    """Probability of success, calibrated to the frequencies of the training images."""
    stage: int
    """Class: the last for a success, else the likeliest other."""


@dataclass(frozen=True)
class RewardClassifier:
    """Network with its threshold and the spec that it is for.

    Its inputs are camera images alone.
    """

    network: ClassifierNetwork
    config: ClassifierConfig
    spec: ExperienceSpec
    """Spec of the labelled images."""
    log_odds: float
    """Threshold that the log-odds of success must exceed."""
    report: dict[str, Any]
    """Figures on held-out episodes, with statistics of the data."""

    @property
    def threshold(self) -> float:
        """Threshold as a probability."""
        return 1 / (1 + math.exp(-self.log_odds))

    @property
    def frame_encoder(self) -> FrameEncoder:
        """Encoder of the classifier's images."""
        return FrameEncoder(self.spec, self.config.vision)

    def check(self, spec: ExperienceSpec) -> None:
        """Check that the classifier fits a spec.

        Raises:
            HilserlError: the task, a camera or an image size is another one.
        """
        wanted, existing = dict(self.spec.images), dict(spec.images)
        if spec.task != self.spec.task or any(existing.get(name) != shape for name, shape in wanted.items()):
            raise HilserlError(f"This classifier is for {describe(self.spec)}; the environment has {describe(spec)}.")

    def predictor(
        self, spec: ExperienceSpec, encoded_by: FrameEncoder | None = None
    ) -> Callable[[Observation], Prediction]:
        """Make a function that predicts from single observations.

        Args:
            spec: layouts of the observations.
            encoded_by: encoder that has added its features to the observations. They are used if it is the same
                encoder; otherwise the images are encoded here.

        Raises:
            HilserlError: the classifier does not fit the spec, as in `check`.
        """
        self.check(spec)
        encoder = self.frame_encoder
        shared = encoded_by is not None and encoded_by.config.frozen and _encoding(encoded_by) == _encoding(encoder)
        names, cameras = tuple(encoder.inputs), encoder.cameras

        def predict(observation: Observation) -> Prediction:
            if not (shared and all(name in observation for name in names)):
                observation = encoder.encode({camera: observation[camera] for camera in cameras})
            inputs = {name: observation[name][None] for name in names}
            return self.prediction(np.asarray(_logits(self.network, inputs))[0])

        return predict

    def prediction(self, logits: np.ndarray) -> Prediction:
        """Make the prediction of one observation's logits, float [classes]."""
        log_odds = float(log_odds_of_success(logits[None])[0])
        success = log_odds > self.log_odds
        stage = len(logits) - 1 if success else int(np.argmax(logits[:-1]))
        return Prediction(success, 0.5 * (1 + math.tanh(log_odds / 2)), stage)

    def save(self, path: Path) -> None:
        """Write one safetensors file, which is complete or unchanged."""
        arrays = {name: np.asarray(leaf) for name, leaf in named_arrays(self.network).items()}
        facts = {
            "format_version": FORMAT_VERSION,
            "config": asdict(self.config),
            "spec": json.loads(self.spec.to_json()),
            "inputs": self.frame_encoder.inputs,
            "log_odds": self.log_odds,
            "threshold": self.threshold,
            "report": self.report,
            "sha256": _digest(arrays),
        }
        atomically(path, lambda part: part.write_bytes(save(arrays, {_METADATA: json.dumps(facts)})))

    @classmethod
    def load(cls, path: Path) -> "RewardClassifier":
        """Read a file of `save`.

        Raises:
            HilserlError: the file is missing, damaged, or of another version or encoder.
        """
        if not path.is_file():
            raise HilserlError(f"There is no classifier {path}. Train one: hilserl classifier")
        try:
            facts, arrays = _read(path)
            return cls._of(facts, arrays)
        except (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError, HilserlError) as error:
            raise HilserlError(f"Cannot read the classifier {path}: {error}") from error

    @classmethod
    def _of(cls, facts: dict[str, Any], arrays: dict[str, np.ndarray]) -> "RewardClassifier":
        if facts["format_version"] != FORMAT_VERSION:
            raise HilserlError(f"it has format version {facts['format_version']}; this program reads {FORMAT_VERSION}.")
        if facts["config"]["encoder"] not in (*FROZEN, *_TRAINED):
            raise unknown("encoder", facts["config"]["encoder"], (*FROZEN, *_TRAINED))
        if facts["sha256"] != _digest(arrays):
            raise HilserlError("its arrays are damaged: their checksum differs.")
        config = ClassifierConfig(**facts["config"])
        spec = ExperienceSpec.from_json(json.dumps(facts["spec"]))
        encoder = FrameEncoder(spec, config.vision)
        made = {name: tuple(shape) for name, shape in facts["inputs"].items()}
        if made != encoder.inputs:
            raise HilserlError(
                f"it was made for features {made}; the encoder {config.encoder!r} gives {encoder.inputs} here."
            )
        like = ClassifierNetwork(encoder, spec.state.size, config, key=jax.random.key(0))
        return cls(with_arrays(like, arrays), config, spec, float(facts["log_odds"]), facts["report"])


_logits = eqx.filter_jit(lambda network, inputs: network(inputs))


def _encoding(encoder: FrameEncoder) -> tuple[str, str, int | None]:
    return encoder.config.encoder, encoder.config.precision, encoder.config.frequencies


def _digest(arrays: dict[str, np.ndarray]) -> str:
    return hashlib.sha256(save(arrays)).hexdigest()


def _read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    with safe_open(path, "numpy") as file:
        metadata = file.metadata() or {}
        if _METADATA not in metadata:
            raise HilserlError("it is a safetensors file, but of no classifier.")
        return json.loads(metadata[_METADATA]), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
