"""A trained classifier: its file, what it fits to, and its judgement of one observation."""

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
from hilserl.errors import HilserlError, unknown
from hilserl.files import atomically
from hilserl.rewards.dataset import describe
from hilserl.rewards.fit import log_odds_of_success
from hilserl.rewards.network import ClassifierConfig, ClassifierNetwork
from hilserl.vision.encoders import FROZEN
from hilserl.vision.frame_encoder import FrameEncoder

FORMAT_VERSION = 1
_METADATA = "hilserl.classifier"
_TRAINED = ("small_cnn",)
Observation = dict[str, np.ndarray]


class Prediction(NamedTuple):
    """What a classifier says of one moment."""

    success: bool
    probability: float
    """Of success, calibrated on the frequencies of the images it was trained with."""
    stage: int
    """The class: the last one where it is a success, else the likeliest of the others."""


@dataclass(frozen=True)
class RewardClassifier:
    """A network, its threshold, and what it was made for. It looks at camera images and at nothing else."""

    network: ClassifierNetwork
    config: ClassifierConfig
    spec: ExperienceSpec
    """Of the labelled images."""
    log_odds: float
    """What the log-odds of success must exceed."""
    report: dict[str, Any]
    """What it came to on held-out episodes, and on what data."""

    @property
    def threshold(self) -> float:
        """The same as a probability."""
        return 1 / (1 + math.exp(-self.log_odds))

    @property
    def frames(self) -> FrameEncoder:
        return FrameEncoder(self.spec, self.config.vision)

    def check(self, spec: ExperienceSpec) -> None:
        """Raises HilserlError where a task, a camera or a picture's size is not what this classifier was made for."""
        wanted, existing = dict(self.spec.images), dict(spec.images)
        if spec.task != self.spec.task or any(existing.get(name) != shape for name, shape in wanted.items()):
            raise HilserlError(
                f"This classifier is for {describe(self.spec)}; what it is to judge is {describe(spec)}."
            )

    def predictor(
        self, spec: ExperienceSpec, encoded: FrameEncoder | None = None
    ) -> Callable[[Observation], Prediction]:
        """A function that judges observations of a spec, each an unbatched dict of NumPy arrays.

        Where `encoded` has already seen to the observations with the same encoder, its features are used; otherwise
        the frames are encoded here. Raises HilserlError as `check`.
        """
        self.check(spec)
        frames = self.frames
        shared = encoded is not None and encoded.config.frozen and _encoding(encoded) == _encoding(frames)
        names, cameras = tuple(frames.inputs), frames.cameras

        def judge(observation: Observation) -> Prediction:
            if not (shared and all(name in observation for name in names)):
                observation = frames.encode({camera: observation[camera] for camera in cameras})
            seen = {name: observation[name][None] for name in names}
            return self.judgement(np.asarray(_logits(self.network, seen))[0])

        return judge

    def judgement(self, logits: np.ndarray) -> Prediction:
        """Of one image's logits, float [classes]."""
        log_odds = float(log_odds_of_success(logits[None])[0])
        success = log_odds > self.log_odds
        stage = len(logits) - 1 if success else int(np.argmax(logits[:-1]))
        return Prediction(success, 0.5 * (1 + math.tanh(log_odds / 2)), stage)

    def save(self, path: Path) -> None:
        """Writes one safetensors file, whole or not at all."""
        arrays = {name: np.asarray(leaf) for name, leaf in named_arrays(self.network).items()}
        facts = {
            "format_version": FORMAT_VERSION,
            "config": asdict(self.config),
            "spec": json.loads(self.spec.to_json()),
            "inputs": self.frames.inputs,
            "log_odds": self.log_odds,
            "threshold": self.threshold,
            "report": self.report,
            "sha256": _digest(arrays),
        }
        atomically(path, lambda part: part.write_bytes(save(arrays, {_METADATA: json.dumps(facts)})))

    @classmethod
    def load(cls, path: Path) -> "RewardClassifier":
        """Reads what `save` wrote. Raises HilserlError naming what is missing, damaged or not known here."""
        if not path.is_file():
            raise HilserlError(f"There is no classifier {path}; hilserl classifier makes one.")
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
            raise HilserlError("its arrays are not those that were written: the checksum differs.")
        config = ClassifierConfig(**facts["config"])
        spec = ExperienceSpec.from_json(json.dumps(facts["spec"]))
        frames = FrameEncoder(spec, config.vision)
        made = {name: tuple(shape) for name, shape in facts["inputs"].items()}
        if made != frames.inputs:
            raise HilserlError(
                f"it was made for features {made}; the encoder {config.encoder!r} gives {frames.inputs} here."
            )
        like = ClassifierNetwork(frames, spec.state.size, config, key=jax.random.key(0))
        return cls(with_arrays(like, arrays), config, spec, float(facts["log_odds"]), facts["report"])


_logits = eqx.filter_jit(lambda network, seen: network(seen))


def _encoding(frames: FrameEncoder) -> tuple[str, str]:
    return frames.config.encoder, frames.config.precision


def _digest(arrays: dict[str, np.ndarray]) -> str:
    return hashlib.sha256(save(arrays)).hexdigest()


def _read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    with safe_open(path, "numpy") as file:
        metadata = file.metadata() or {}
        if _METADATA not in metadata:
            raise HilserlError("it is a safetensors file of something else.")
        return json.loads(metadata[_METADATA]), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
