"""Exported policies: weights and description without the rest of a run.

The directory has `policy.safetensors`, the actor's arrays by name, and `policy.json`: inputs and outputs, the figures
of training, every setting, and the weights' checksum.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from hilserl import __version__
from hilserl.agents.agent import Actor, AgentConfig, create_actor
from hilserl.data.arrays import named_arrays, with_arrays
from hilserl.data.spec import ExperienceSpec
from hilserl.errors import HilserlError
from hilserl.files import new_directory
from hilserl.policies.onnx_model import onnx_model
from hilserl.rollout.evaluation import DeterministicPolicy
from hilserl.training.config import TrainConfig
from hilserl.training.config_file import from_json, to_json
from hilserl.vision.frame_encoder import FrameEncoder

FORMAT_VERSION = 1
"""Version of the directory's format."""
Precision = Literal["float32", "float16"]
_WEIGHTS, _DESCRIPTION, _ONNX = "policy.safetensors", "policy.json", "policy.onnx"


@dataclass(frozen=True)
class ExportedPolicy:
    """A policy with all that an environment must have for it."""

    config: TrainConfig
    """Settings of the run that trained it."""
    spec: ExperienceSpec
    """Layout of its observations and actions."""
    policy: DeterministicPolicy
    figures: dict[str, Any]
    """Counters of its checkpoint, with the result of an ended run."""


def is_exported(directory: Path) -> bool:
    """Return True if a directory has an exported policy."""
    return (directory / _DESCRIPTION).is_file()


def export_policy(
    directory: Path, exported: ExportedPolicy, precision: Precision = "float32", *, onnx: bool = False
) -> None:
    """Write a policy to a new directory.

    Args:
        directory: the directory, which appears when it is complete.
        exported: the policy.
        precision: number format of the weights; float16 is half the size.
        onnx: write `policy.onnx` as well, in float32.

    Raises:
        HilserlError: the directory exists, the disk refuses, or the policy cannot become ONNX.
    """
    if directory.exists():
        raise HilserlError(f"{directory} exists already; name another directory with --out.")
    arrays = {name: np.asarray(leaf) for name, leaf in named_arrays(exported.policy.actor).items()}
    weights = save(
        {name: leaf.astype(precision) if leaf.dtype == np.float32 else leaf for name, leaf in arrays.items()}
    )
    text = json.dumps(_description(exported, precision, hashlib.sha256(weights).hexdigest()), indent=2)
    model = onnx_model(exported.policy) if onnx else None
    with new_directory(directory) as part:
        (part / _WEIGHTS).write_bytes(weights)
        (part / _DESCRIPTION).write_text(text + "\n")
        if model is not None:
            (part / _ONNX).write_bytes(model)


def _description(exported: ExportedPolicy, precision: Precision, digest: str) -> dict[str, Any]:
    spec = exported.spec
    return {
        "format_version": FORMAT_VERSION,
        "hilserl": __version__,
        "task": spec.task,
        "inputs": {
            "state": {"dtype": "float32", "shape": [spec.state.size], "entries": _slices(spec)},
            **{camera: {"dtype": "uint8", "shape": list(shape)} for camera, shape in spec.images},
        },
        "output": {"dtype": "float32", "shape": [spec.action.size], "names": spec.action.names, "range": [-1, 1]},
        "control_dt_s": spec.control_dt_s,
        "weights": {"dtype": precision, "sha256": digest},
        "figures": exported.figures,
        "spec": json.loads(spec.to_json()),
        "config": json.loads(to_json(exported.config)),
    }


def _slices(spec: ExperienceSpec) -> dict[str, list[int]]:
    """Return the first index of each state entry, and its end."""
    slices = {name: spec.state.slice(name) for name in spec.state.names}
    return {name: [found.start, found.stop] for name, found in slices.items()}


def read_policy(directory: Path) -> ExportedPolicy:
    """Read an exported policy.

    Raises:
        HilserlError: a file is missing or damaged, or the format is of another version.
    """
    try:
        description = json.loads((directory / _DESCRIPTION).read_text())
        if (found := description["format_version"]) != FORMAT_VERSION:
            raise HilserlError(f"it has format version {found}; this program reads {FORMAT_VERSION}")
        weights = (directory / _WEIGHTS).read_bytes()
        if hashlib.sha256(weights).hexdigest() != description["weights"]["sha256"]:
            raise HilserlError(f"{_WEIGHTS} is damaged: its checksum is not the one in {_DESCRIPTION}")
        config = from_json(json.dumps(description["config"]))
        spec = ExperienceSpec.from_json(json.dumps(description["spec"]))
        frame_encoder = FrameEncoder(spec, config.agent.vision)
        like = _blank_actor(spec, frame_encoder, config.agent)
        dtypes = {name: leaf.dtype for name, leaf in named_arrays(like).items()}
        stored = {name: leaf.astype(dtypes.get(name, leaf.dtype)) for name, leaf in load(weights).items()}
        policy = DeterministicPolicy(with_arrays(like, stored), frame_encoder)
        return ExportedPolicy(config, spec, policy, dict(description["figures"]))
    except KeyError as error:
        raise HilserlError(f"Cannot read the policy {directory}: {_DESCRIPTION} has no {error}.") from error
    except (OSError, ValueError, TypeError, AttributeError, SafetensorError, HilserlError) as error:
        raise HilserlError(f"Cannot read the policy {directory}: {error}") from error


def _blank_actor(spec: ExperienceSpec, frame_encoder: FrameEncoder, config: AgentConfig) -> Actor:
    """Create an actor of zeros; random weights would take seconds to compile."""
    keys = list(jax.random.split(jax.random.key(0), 3))
    shapes = eqx.filter_eval_shape(create_actor, spec, frame_encoder, config, keys)

    def zeros(leaf: Any) -> Any:
        is_shape = isinstance(leaf, jax.ShapeDtypeStruct)
        return jnp.asarray(np.zeros(leaf.shape, leaf.dtype)) if is_shape else leaf

    return jax.tree.map(zeros, shapes)
