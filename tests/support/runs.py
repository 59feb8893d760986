"""Small runs and what they leave."""

from typing import Any

import numpy as np
from safetensors.numpy import load_file

from hilserl.agents.agent import AgentConfig
from hilserl.runs.run_dir import RunDir
from hilserl.training.config import TrainConfig
from tests.support.configs import changed, train_config

SMALL_AGENT = AgentConfig(hidden=(16, 16), num_critics=2, num_target_critics=2, utd_ratio=2, batch_size=8)
WRITE_VIDEO = "hilserl.training.run.write_video"
"""The function that writes a run's video: for an untrained policy it takes longer than all the rest."""


def config(**changes: Any) -> TrainConfig:
    """Settings of a run of four steps from state, with some changes."""
    small = train_config(
        "pick_cube",
        obs="state",
        demonstrations=1,
        max_env_steps=4,
        training_starts=1,
        update_steps_per_env_step=1.0,
        eval_every=1000,
        eval_episodes=1,
        final_eval_episodes=1,
        agent=SMALL_AGENT,
    )
    return changed(small, **changes)


def weights(run_dir: RunDir, step: int) -> dict[str, np.ndarray]:
    """The arrays of a checkpoint, by name."""
    return load_file(run_dir.checkpoints / str(step) / "agent.safetensors")


def same_weights(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    """True if two checkpoints have the same arrays."""
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)
