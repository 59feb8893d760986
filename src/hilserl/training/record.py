"""Recording demonstrations: episodes that an operator drives, kept when they succeed."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from hilserl.errors import HilserlError
from hilserl.experience import ExperienceSpec, Step
from hilserl.operators.simulated import Demonstrator, SimulatedOperatorConfig
from hilserl.sim.environment import ManipulationEnv
from hilserl.training.rollout import EpisodeSummary, Observation, Rollout
from hilserl.training.rundir import EpisodeWriter

_TRIES_PER_SUCCESS = 5


class _SuccessesOnly:
    """A subscriber that passes on successful episodes and counts them."""

    def __init__(self, writer: EpisodeWriter, on_success: Callable[[int], object]) -> None:
        self._writer, self._on_success = writer, on_success
        self.successes = self.steps = 0

    def on_step(self, step: Step) -> None:
        """Only whole episodes matter here."""

    def on_episode(self, steps: Sequence[Step], summary: EpisodeSummary) -> None:
        if summary.success:
            self._writer.on_episode(steps, summary)
            self.successes += 1
            self.steps += summary.steps
            self._on_success(self.successes)


def record_demonstrations(
    env: ManipulationEnv,
    spec: ExperienceSpec,
    folder: Path,
    successes: int,
    seed: int,
    config: SimulatedOperatorConfig,
    on_success: Callable[[int], object] = lambda _: None,
) -> int:
    """Lets the simulated operator demonstrate until `successes` episodes succeeded; returns their steps.

    Raises HilserlError when most attempts fail.
    """
    operator = Demonstrator(env, spec.action, config, seed)
    kept = _SuccessesOnly(EpisodeWriter(folder, spec), on_success)
    rollout = Rollout(env, spec, operator, [kept], seed, "demonstration")
    idle = np.zeros(spec.action.size, np.float32)

    def no_policy(observation: Observation) -> tuple[np.ndarray, int]:
        del observation
        return idle, 0

    while kept.successes < successes:
        if rollout.episode > _TRIES_PER_SUCCESS * successes:
            raise HilserlError(
                f"Only {kept.successes} of {rollout.episode} demonstrations of {spec.task!r} succeeded; "
                f"{successes} were asked for."
            )
        rollout.step(no_policy)
    return kept.steps
