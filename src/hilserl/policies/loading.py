"""Loading of a policy, of a run or exported."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hilserl.data.step import Observation
from hilserl.envs.config import BackendConfig
from hilserl.envs.env import InteractiveEnv
from hilserl.envs.make import make_env
from hilserl.errors import HilserlError
from hilserl.policies.exported import is_exported, read_policy
from hilserl.rollout.evaluation import DeterministicPolicy
from hilserl.runs.checkpoint import choose, load_checkpoint
from hilserl.runs.run_dir import RunDir
from hilserl.training.algorithms import find_algorithm
from hilserl.training.config import TrainConfig
from hilserl.training.config_file import load_config


@dataclass(frozen=True)
class LoadedPolicy:
    """A policy with an environment of its task."""

    config: TrainConfig
    """Settings of the run."""
    checkpoint: Path
    """Directory of the checkpoint, or of the exported policy."""
    policy: DeterministicPolicy
    """The policy."""
    env: InteractiveEnv
    """An environment in which it can act."""

    def propose(self, observation: Observation) -> tuple[np.ndarray, int]:
        """Return the deterministic action, with 0 as the weights' version."""
        return self.act(observation), 0

    def act(self, observation: Observation) -> np.ndarray:
        """Return the deterministic action, float32 [n]."""
        return self.policy.act(observation)


def load_policy(
    directory: RunDir | Path,
    checkpoint: str = "best",
    backend: BackendConfig | None = None,
    *,
    randomise: bool | None = None,
    max_episode_steps: int | None = None,
) -> LoadedPolicy:
    """Load a policy with an environment of its task.

    Args:
        directory: A run, finished or not, or an exported policy.
        checkpoint: `best`, `last` or a step of a run.
        backend: What the environment acts in, wherever the run acted; by default the simulation.
        randomise: Instead of the run's own setting; a robot's scene is not randomised by default.
        max_episode_steps: Instead of the run's limit.

    Raises:
        HilserlError: The policy or the checkpoint does not exist; the message names what does.
    """
    run_dir, backend = directory if isinstance(directory, RunDir) else RunDir(directory), backend or BackendConfig()

    def env_of(config: TrainConfig) -> InteractiveEnv:
        as_trained = config.env.randomise and backend.backend == "sim"
        return make_env(
            replace(
                config.simulated_env,
                backend=backend.backend,
                robot=backend.robot,
                randomise=as_trained if randomise is None else randomise,
                max_episode_steps=max_episode_steps or config.env.max_episode_steps,
            )
        )

    if is_exported(run_dir.path):
        return _load_exported(run_dir.path, checkpoint, env_of)
    run_dir.require()
    config, path = load_config(run_dir.config), choose(run_dir.checkpoints, checkpoint)
    env = env_of(config)
    agent, _ = load_checkpoint(path, find_algorithm(config.algorithm).create(env.experience, config.agent, config.seed))
    return LoadedPolicy(config, path, DeterministicPolicy.of(agent), env)


def _load_exported(path: Path, checkpoint: str, env_of: Callable[[TrainConfig], InteractiveEnv]) -> LoadedPolicy:
    if checkpoint not in ("best", "last"):
        raise HilserlError(f"{path} is an exported policy, which has no checkpoint {checkpoint!r}.")
    exported = read_policy(path)
    env = env_of(exported.config)
    if exported.spec != env.experience:
        env.close()
        raise HilserlError(
            f"The policy {path} is of another version of the task {exported.config.task!r}: the layout of its "
            "observations and actions differs. Train it again, and export it with hilserl export."
        )
    return LoadedPolicy(exported.config, path, exported.policy, env)
