"""Policies whose every weight is random, of every kind that leaves the package."""

import dataclasses

import jax
import numpy as np

from hilserl.agents.agent import create_actor
from hilserl.data.arrays import named_arrays, with_arrays
from hilserl.data.spec import ActionLayout, ExperienceSpec, StateLayout, entry
from hilserl.policies.exported import ExportedPolicy
from hilserl.rollout.evaluation import DeterministicPolicy
from hilserl.training.config import TrainConfig
from hilserl.vision.frame_encoder import FrameEncoder, VisionConfig
from tests.support.runs import config

TOLERANCE = 1e-5
STATE = StateLayout((entry("position_m", 5, 0.5, 2.0), entry("left_gripper_command", 1)))
TWO_ARMS = ActionLayout(("left_gripper", "left_dx", "right_dx", "right_gripper"), (0, 3))
CAMERAS = (("side", (64, 64, 3)), ("front", (64, 64, 3)))
CASES: dict[str, tuple[ExperienceSpec, VisionConfig]] = {
    "state": (ExperienceSpec("toy", STATE, ActionLayout(("dx", "dy"))), VisionConfig()),
    "grippers": (ExperienceSpec("toy", STATE, TWO_ARMS), VisionConfig()),
    "proprio": (ExperienceSpec("toy", STATE, TWO_ARMS), VisionConfig(proprio_width=16)),
    "frequencies": (ExperienceSpec("toy", STATE, TWO_ARMS, CAMERAS), VisionConfig()),
    "whole map": (ExperienceSpec("toy", STATE, TWO_ARMS, CAMERAS), VisionConfig(frequencies=None)),
}


def random_policy(spec: ExperienceSpec, settings: TrainConfig) -> DeterministicPolicy:
    frame_encoder = FrameEncoder(spec, settings.agent.vision)
    keys = list(jax.random.split(jax.random.key(0), 3))
    return DeterministicPolicy(create_actor(spec, frame_encoder, settings.agent, keys), frame_encoder)


def made_policy(case: str) -> ExportedPolicy:
    """Make a policy whose every weight is random."""
    spec, vision = CASES[case]
    settings = dataclasses.replace(config(), agent=dataclasses.replace(config().agent, vision=vision))
    policy = random_policy(spec, settings)
    draw = np.random.default_rng(0)
    arrays = {
        name: np.asarray(leaf) + draw.uniform(0, 0.2, leaf.shape).astype(np.float32)
        for name, leaf in named_arrays(policy.actor).items()
    }
    return ExportedPolicy(settings, spec, dataclasses.replace(policy, actor=with_arrays(policy.actor, arrays)), {})


def drawn_observation(inputs: dict[str, tuple[int, ...]], state: int, seed: int) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(seed)
    features = {name: draw.normal(0, 2, shape).astype(np.float16) for name, shape in inputs.items()}
    return {"state": draw.normal(0, 5, state).astype(np.float32), **features}
