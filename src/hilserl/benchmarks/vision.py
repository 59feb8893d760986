"""Speed of updates from stored features, and from images."""

from dataclasses import replace

import jax

from hilserl.agents.agent import AgentConfig
from hilserl.benchmarks.learner import BATCH_SIZE, LearnerBenchmark
from hilserl.benchmarks.rates import BLOCKS
from hilserl.training.config import preset
from hilserl.vision.encoders import FROZEN
from hilserl.vision.frame_encoder import VisionConfig
from hilserl.vision.resnet10 import untrained

_BASELINE = "vision.reference_updates_per_s"


def figures() -> dict[str, float]:
    """Measure full updates per second for each way of encoding.

    Returns:
        The rates, and their ratios to the rate of HIL-SERL's settings.
    """
    # The weights make no difference to the time.
    resnet10 = untrained()
    FROZEN["resnet10"] = FROZEN["resnet10"]._replace(load=lambda: resnet10)
    ours = replace(preset("pick_cube").agent, batch_size=BATCH_SIZE)
    images = replace(ours, vision=replace(ours.vision, encode="every_update"))
    has_bfloat16 = jax.default_backend() != "cpu"
    rates = {"vision.features_updates_per_s": LearnerBenchmark("pixels", ours).update_steps_per_s(1, 10)}
    for name, config in (("frames", images), ("reference", _reference())):
        for suffix, precision in (("", "float32"), ("_bfloat16", "bfloat16")):
            if suffix and not has_bfloat16:
                continue
            bench = LearnerBenchmark("pixels", replace(config, vision=replace(config.vision, precision=precision)))
            count, blocks = (10, BLOCKS) if has_bfloat16 else (1, 1)
            rates[f"vision.{name}{suffix}_updates_per_s"] = bench.update_steps_per_s(1, count, blocks)
    ratios = {
        key.replace("updates_per_s", "over_reference"): rate / rates[_BASELINE]
        for key, rate in rates.items()
        if key != _BASELINE
    }
    return rates | ratios


def _reference() -> AgentConfig:
    """Return the settings of HIL-SERL: ResNet-10, encoded in every update."""
    return AgentConfig(
        hidden=(256, 256),
        num_critics=2,
        batch_size=BATCH_SIZE,
        vision=VisionConfig(
            "resnet10", "every_update", shift_px=4, noise=0.0, embeddings=8, width=256, proprio_width=64
        ),
    )
