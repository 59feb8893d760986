"""Exported policies as ONNX, by the package jax2onnx."""

import importlib
import importlib.util
import logging
from typing import Any

import jax
from jaxtyping import Array

from hilserl.data.arrays import named_arrays
from hilserl.errors import HilserlError
from hilserl.rollout.evaluation import DeterministicPolicy


def onnx_model(policy: DeterministicPolicy) -> bytes:
    """Convert a deterministic actor to an ONNX model.

    Its inputs are float32 [batch, ...] by the names of `actor.encoder.names`: `state`, and the features of each camera.
    Its output `action` is float32 [batch, actions].

    Raises:
        HilserlError: jax2onnx is not installed, or the policy has an image encoder that is trained itself.
    """
    actor, inputs = policy.actor, policy.frame_encoder.inputs
    if importlib.util.find_spec("jax2onnx") is None:
        raise HilserlError("ONNX needs the package jax2onnx. Install it: pip install 'hilserl[onnx]'")
    if any(name.startswith("encoder.") and ".trunk." in name for name in named_arrays(actor)):
        raise HilserlError(
            "The policy's image encoder is trained with it. ONNX has policies from the state, and from the features "
            "of a frozen encoder; safetensors have this one: leave --onnx out."
        )
    names = list(actor.encoder.names)
    exporter: Any = importlib.import_module("jax2onnx")

    def act(*values: Array) -> Array:
        return actor(dict(zip(names, values, strict=True)), jax.random.key(0), explore=False)

    shapes: dict[str, tuple[int, ...]] = {"state": (actor.encoder.centre.size,), **inputs}
    # It warns of every constant whose type it leaves out, which ONNX allows.
    logging.getLogger("onnx_ir").setLevel(logging.ERROR)
    model = exporter.to_onnx(
        jax.vmap(act),
        [("batch", *shapes[name]) for name in names],
        model_name="policy",
        input_names=names,
        output_names=["action"],
    )
    return model.SerializeToString()
