"""Recording of episodes that an operator drives."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from typing_extensions import override

from hilserl.data.checks import MAX_HUMAN_SECONDS
from hilserl.data.episode_summary import EpisodeSummary, summarise
from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Observation, RewardFn, Step
from hilserl.data.subscriber import Subscriber
from hilserl.envs.env import InteractiveEnv, require_supervision
from hilserl.errors import HilserlError
from hilserl.operators.operator import Operator
from hilserl.operators.simulated import Demonstrator, SimulatedOperatorConfig
from hilserl.rollout.rollout import EpisodeSeeds, Policy, Rollout
from hilserl.runs.run_dir import EpisodeWriter, read_episodes

_TRIES_PER_SUCCESS = 5


class EpisodeRecorder(Subscriber):
    """Writer of successful episodes, and of failures if asked to.

    Failed attempts cost the operator time as well. The reset of the next episode that is kept has their seconds, so
    that whoever reads the directory counts them. Those after the last episode are only in `failed_seconds`.

    Args:
        directory: the episodes' directory; recording goes on after the episodes that it has.
        spec: layout of the experience.
        wanted: successful episodes to record; None has no end.
        keep_failures: write failed episodes as well.
        reward_fn: decides what a success is; None leaves that to the environment.
    """

    def __init__(
        self,
        directory: Path,
        spec: ExperienceSpec,
        wanted: int | None = None,
        *,
        keep_failures: bool = False,
        reward_fn: RewardFn | None = None,
    ) -> None:
        self._writer, self._keep_failures, self.reward_fn = EpisodeWriter(directory, spec), keep_failures, reward_fn
        self.wanted = wanted
        self.successes = self.steps = self.next_episode = 0
        self.human_seconds = 0.0
        """Seconds of the operator's time, failed attempts included."""
        self.failed_seconds = 0.0
        """Seconds of failed attempts, part of `human_seconds`."""
        self._attempt_seconds = self._unwritten_seconds = 0.0
        if directory.exists():
            for steps in read_episodes(directory, spec):
                self._count(steps, summarise(steps))

    @property
    def is_complete(self) -> bool:
        """True if there are as many successful episodes as wanted."""
        return self.wanted is not None and self.successes >= self.wanted

    def _count(self, steps: Sequence[Step], summary: EpisodeSummary) -> None:
        """Count an episode that is kept, with the attempts before it."""
        self.successes += summary.success
        self.steps += summary.steps
        self.next_episode = summary.episode + 1
        self.human_seconds += summary.human_seconds
        self.failed_seconds += steps[0].human_seconds if steps[-1].success else summary.human_seconds

    @override
    def on_step(self, step: Step) -> None:
        self._attempt_seconds = step.human_seconds + (0.0 if step.is_reset else self._attempt_seconds)

    @override
    def on_discard(self, episode: int) -> None:
        self._fail()

    @override
    def on_episode(self, steps: Sequence[Step], summary: EpisodeSummary) -> None:
        if not (summary.success or (self._keep_failures and steps[-1].ends_episode)):
            self._fail()
            return
        self._count(steps, summary)
        before = min(self._unwritten_seconds, MAX_HUMAN_SECONDS)
        self._writer.on_episode([replace(steps[0], human_seconds=before), *steps[1:]], summary)
        self._unwritten_seconds -= before

    def _fail(self) -> None:
        """Count the time of an attempt that is not kept."""
        for_nothing, self._attempt_seconds = self._attempt_seconds, 0.0
        self.human_seconds += for_nothing
        self.failed_seconds += for_nothing
        self._unwritten_seconds += for_nothing


def hold_still(action_size: int) -> Policy:
    """Create a policy that never moves."""
    action = np.zeros(action_size, np.float32)

    def policy(observation: Observation) -> tuple[np.ndarray, int]:
        del observation
        return action, 0

    return policy


def record(
    env: InteractiveEnv,
    operator: Operator,
    recorder: EpisodeRecorder,
    seed: int,
    *,
    stop: Callable[[int], bool] | None = None,
    subscribers: Sequence[Subscriber] = (),
) -> None:
    """Let an operator drive until the recorder is complete.

    An operator who is done ends the recording as well.

    Args:
        env: the environment; it must not end episodes by itself if the recorder has a `reward_fn`.
        operator: who drives.
        recorder: keeps the episodes.
        seed: decides how the episodes begin.
        stop: asked before every step, with the number of the episode in progress.
        subscribers: told of every step besides the recorder.
    """
    seeds = EpisodeSeeds(seed, "demonstration", recorder.next_episode)
    rollout = Rollout(env, operator, [recorder, *subscribers], seeds, reward_fn=recorder.reward_fn)
    policy = hold_still(env.experience.action.size)
    while not recorder.is_complete and not operator.done and not (stop and stop(rollout.episode)):
        rollout.step(policy)


def record_demonstrations(
    env: InteractiveEnv,
    recorder: EpisodeRecorder,
    seed: int,
    config: SimulatedOperatorConfig,
    before_step: Callable[[], object] = lambda: None,
) -> None:
    """Let the simulated operator demonstrate until the recorder is complete.

    Args:
        env: the environment.
        recorder: keeps the episodes.
        seed: decides the episodes and the operator's hand.
        config: the simulated operator's settings.
        before_step: called before every step.

    Raises:
        HilserlError: most attempts fail.
    """
    successes = recorder.wanted or 0
    operator = Demonstrator(require_supervision(env), env.experience.action, config, seed)

    def stop(episodes: int) -> bool:
        before_step()
        if episodes > _TRIES_PER_SUCCESS * successes:
            raise HilserlError(
                f"Only {recorder.successes} of {episodes} demonstrations succeeded; {successes} were asked for."
            )
        return False

    record(env, operator, recorder, seed, stop=stop)
