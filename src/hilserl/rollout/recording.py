"""Recording: episodes that an operator drives, kept when they succeed."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from hilserl.data.episode_summary import EpisodeSummary, summarise
from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import RewardFn, Step
from hilserl.envs.env import InteractiveEnv, require_supervision
from hilserl.errors import HilserlError
from hilserl.operators.operator import Operator
from hilserl.operators.simulated import Demonstrator, SimulatedOperatorConfig
from hilserl.rollout.rollout import Policy, Rollout, Subscriber
from hilserl.runs.run_dir import EpisodeWriter, read_episodes

_TRIES_PER_SUCCESS = 5


class Keeper:
    """A rollout's subscriber that keeps successful episodes, and failures where asked to."""

    def __init__(self, folder: Path, spec: ExperienceSpec, *, failures: bool = False) -> None:
        self._writer, self._failures = EpisodeWriter(folder, spec), failures
        self.successes = self.steps = self.next_episode = 0
        self.human_seconds = 0.0
        if folder.exists():
            for steps in read_episodes(folder, spec):
                self._count(summarise(steps))

    def _count(self, summary: EpisodeSummary) -> None:
        self.successes += summary.success
        self.steps += summary.steps
        self.human_seconds += summary.human_seconds
        self.next_episode = summary.episode + 1

    def on_step(self, step: Step) -> None:
        """Only whole episodes matter here."""

    def on_episode(self, steps: Sequence[Step], summary: EpisodeSummary) -> None:
        if summary.success or (self._failures and steps[-1].ends_episode):
            self._writer.on_episode(steps, summary)
            self._count(summary)

    def on_discard(self, episode: int) -> None:
        """What was never written need not be forgotten."""


def hold_still(layout_size: int) -> Policy:
    """A policy for where there is none."""
    nothing = np.zeros(layout_size, np.float32)
    return lambda observation: (nothing, 0)  # noqa: ARG005


def record(
    env: InteractiveEnv,
    operator: Operator,
    keeper: Keeper,
    successes: int,
    seed: int,
    *,
    subscribers: Sequence[Subscriber] = (),
    stop: Callable[[Keeper, int], bool] = lambda keeper, episodes: False,  # noqa: ARG005
    judge: RewardFn | None = None,
) -> None:
    """Lets an operator drive until the keeper has `successes` episodes or the operator wants to stop.

    `stop` is asked after every step, with the number of episodes so far. `judge` says what a success is, where it is
    not the task; `env` must not end episodes by itself then.
    """
    spec, first = env.experience, keeper.next_episode
    rollout = Rollout(env, spec, operator, [keeper, *subscribers], seed, "demonstration", first, judge=judge)
    policy = hold_still(spec.action.size)
    while keeper.successes < successes and not operator.done and not stop(keeper, rollout.episode):
        rollout.step(policy)


def record_demonstrations(
    env: InteractiveEnv,
    folder: Path,
    successes: int,
    seed: int,
    config: SimulatedOperatorConfig,
    *,
    keep_failures: bool = False,
    show: Callable[[Keeper], object] = lambda _: None,
    judge: RewardFn | None = None,
) -> Keeper:
    """Lets the simulated operator demonstrate until `successes` episodes succeeded; goes on where a folder has some.

    Raises HilserlError when most attempts fail.
    """
    keeper = Keeper(folder, env.experience, failures=keep_failures)
    operator = Demonstrator(require_supervision(env), env.experience.action, config, seed)

    def watch(keeper: Keeper, episodes: int) -> bool:
        show(keeper)
        if episodes > _TRIES_PER_SUCCESS * successes:
            raise HilserlError(
                f"Only {keeper.successes} of {episodes} demonstrations succeeded; {successes} were asked for."
            )
        return False

    record(env, operator, keeper, successes, seed, stop=watch, judge=judge)
    return keeper
