"""Loading of the policy of a run, finished or not."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hilserl.data.step import Observation
from hilserl.envs.config import BackendConfig
from hilserl.envs.env import InteractiveEnv
from hilserl.envs.make import make_env
from hilserl.rollout.evaluation import DeterministicPolicy
from hilserl.runs.checkpoint import choose, load_checkpoint
from hilserl.runs.run_dir import RunDir
from hilserl.training.algorithms import ALGORITHMS
from hilserl.training.config import TrainConfig
from hilserl.training.config_file import load_config


@dataclass(frozen=True)
class LoadedPolicy:
    """A run's policy with an environment of its task."""

    config: TrainConfig
    """Settings of the run."""
    checkpoint: Path
    """Directory of the checkpoint."""
    policy: DeterministicPolicy
    """The policy."""
    env: InteractiveEnv
    """An environment in which it can act."""

    def act(self, observation: Observation) -> np.ndarray:
        """Return the deterministic action, float32 [n]."""
        return self.policy.act(observation)


def load_policy(
    run_dir: RunDir,
    checkpoint: str = "best",
    backend: BackendConfig | None = None,
    *,
    randomise: bool | None = None,
    max_episode_steps: int | None = None,
) -> LoadedPolicy:
    """Load the policy of a run, with an environment of its task.

    Args:
        run_dir: The run's directory.
        checkpoint: `best`, `last` or a step.
        backend: What the environment acts in, wherever the run acted; by default the simulation.
        randomise: Instead of the run's own setting; a robot's scene is not randomised by default.
        max_episode_steps: Instead of the task's own limit.

    Raises:
        HilserlError: The run or the checkpoint does not exist; the message names what does.
    """
    run_dir.require()
    config, backend = load_config(run_dir.config), backend or BackendConfig()
    path = choose(run_dir.checkpoints, checkpoint)
    if randomise is None:
        randomise = config.env.randomise and backend.backend == "sim"
    env = make_env(
        replace(
            config.env,
            backend=backend.backend,
            robot=backend.robot,
            randomise=randomise,
            max_episode_steps=max_episode_steps,
        )
    )
    agent, _ = load_checkpoint(path, ALGORITHMS[config.algorithm].create(env.experience, config.agent, config.seed))
    return LoadedPolicy(config, path, DeterministicPolicy.of(agent), env)
