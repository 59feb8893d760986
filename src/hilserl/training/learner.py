"""The learner: steps in, rounds of updates, weights out."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import jax
import numpy as np

from hilserl.agents.agent import Agent, update_step
from hilserl.data.replay import Replay
from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Observation, Step, Transitions
from hilserl.errors import HilserlError
from hilserl.rollout.timers import Stopwatch
from hilserl.training.algorithms import ALGORITHMS
from hilserl.training.config import TrainConfig
from hilserl.training.device_placement import Placement

_DRAWN_KEYS = 1


class DivergenceError(HilserlError):
    """A loss is no longer a finite number."""


@dataclass(frozen=True)
class LearnerFacts:
    """How a learner is doing, for whoever watches."""

    update_steps: int = 0
    update_steps_per_s: float = 0.0
    """While it learns; waiting for steps is not counted."""
    online: int = 0
    """Online transitions in replay."""
    prior: int = 0
    """Transitions of demonstrations and interventions in replay."""
    losses: dict[str, float] = field(default_factory=dict)
    """Metrics of the last round, those that are finite."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "losses", finite(self.losses))


def finite(numbers: dict[str, float]) -> dict[str, float]:
    """What JSON can say of some numbers: it has no word for the others."""
    return {name: number for name, number in numbers.items() if math.isfinite(number)}


class Learner:
    """An agent and its replay. Everything random in a round follows from the seed and the round's number.

    `prior` are the steps of demonstrations, one after the other.
    Both live where `placement` puts them, which is on every device that JAX sees where it is not told.
    """

    def __init__(
        self, spec: ExperienceSpec, config: TrainConfig, prior: Sequence[Step], placement: Placement | None = None
    ) -> None:
        self.spec = spec
        self._placement = placement or Placement(jax.devices(), config.agent.batch_size)
        self.algorithm = ALGORITHMS[config.algorithm]
        seen = config.policy_spec(spec)
        agent = self.algorithm.create(seen, config.agent, config.seed)
        self.snapshot: tuple[Agent, int] = (self._placement.agent(agent), 0)
        self.stopwatch = Stopwatch()
        self.metrics: dict[str, float] = {}
        self._config = config
        self.frames = self.snapshot[0].frame_encoder
        prior = [self.seen(step) for step in prior]
        self.demonstration_seconds = sum(step.human_seconds for step in prior)
        """Of a person's time that the demonstrations took, those kept out included."""
        self.pretraining_update_steps = self.algorithm.pretraining_update_steps(
            config.agent, config.cloning_updates, demonstrated=bool(prior)
        )
        """Update steps on demonstrations before the first environment step."""
        prior, held_out = self.algorithm.split_demonstrations(prior)
        self._replay = Replay(seen, config.replay_capacity, prior, self.frames.stored, self._placement.store)
        self._held_out = Replay(seen, 2, held_out, self.frames.stored)
        self._key = jax.random.fold_in(jax.random.key(config.seed), _DRAWN_KEYS)
        self.online_steps = 0

    def restore(self, agent: Agent, update_steps: int) -> None:
        """Goes on from a checkpoint; the steps come again through `receive`."""
        self.snapshot = (self._placement.agent(agent), update_steps)

    @property
    def update_steps(self) -> int:
        """Rounds of updates done so far."""
        return self.snapshot[1]

    def receive(self, step: Step) -> None:
        """Stores one online step."""
        with self.stopwatch.lap("receive"):
            self._replay.add(self.seen(step))
        self.online_steps += not step.is_reset

    def forget(self, episode: int) -> None:
        """Nothing is learned any more from an online episode; the steps still count as done."""
        self._replay.forget(episode)

    def end_episode(self, episode: int) -> None:
        """No more steps of an episode will come, whether or not its last one ended it."""
        self._replay.end(episode)

    def seen(self, step: Step) -> Step:
        """The step with its frames' features, where replay keeps those and the actor has not computed them."""
        if not self.frames.stored:
            return step
        return dataclasses.replace(step, observation=self.frames.encode(step.observation))

    @property
    def facts(self) -> LearnerFacts:
        """How it stands now."""
        online, prior = len(self._replay.online_rows()), len(self._replay.prior_rows())
        seconds = sum(self.stopwatch.typical_s(lap) for lap in ("sample", "update"))
        return LearnerFacts(self.update_steps, 1 / seconds if seconds else 0.0, online, prior, self.metrics)

    @property
    def value(self) -> Callable[[Observation, np.ndarray], float] | None:
        """Value of an action in an observation, by the newest agent; None without critics."""
        if (value := self.algorithm.value) is None:
            return None
        return lambda observation, action: value(self.snapshot[0], observation, action)

    def held_out_loss(self) -> dict[str, float]:
        """Measure the newest agent on the demonstrations held out; empty without any."""
        if not self._held_out.holds():
            return {}
        return self.algorithm.held_out_loss(self.snapshot[0], self._held_out.transitions(self._held_out.prior_rows()))

    @property
    def ready(self) -> bool:
        return self.online_steps >= max(1, self._config.training_starts) and self._replay.holds(
            self.algorithm.replay_source
        )

    @property
    def owed(self) -> int:
        """In lockstep: rounds that the steps so far call for and that have not been done."""
        if not self.ready:
            return 0
        due = (self.online_steps - max(1, self._config.training_starts) + 1) * self._config.update_steps_per_env_step
        return max(0, int(due) - (self.update_steps - self.pretraining_update_steps))

    @property
    def may_learn(self) -> bool:
        """Where it runs freely: whether it should do another round now."""
        done = self.update_steps - self.pretraining_update_steps
        return self.ready and done < self.online_steps * self._config.max_update_steps_per_env_step

    def compile(self) -> None:
        """Compiles a round, where there is anything to compile it with: the first one is then as fast as the rest."""
        if self._replay.holds(self.algorithm.replay_source):
            update_step(self.snapshot[0], self._batches(0), self._key)

    def _batches(self, number: int) -> Transitions:
        rng = np.random.default_rng([self._config.seed, number])
        settings = self._config.agent
        drawn = self._replay.sample(rng, settings.utd_ratio, settings.batch_size, self.algorithm.replay_source)
        return self._placement.batches(drawn)

    def learn(self) -> None:
        """One round of updates. Raises DivergenceError, leaving the last agent in place, when a loss is not finite."""
        agent, number = self.snapshot
        with self.stopwatch.lap("sample"):
            batches = self._batches(number)
        with self.stopwatch.lap("update"):
            agent, values = update_step(agent, batches, jax.random.fold_in(self._key, number))
            metrics = {name: float(value) for name, value in values.items()}
        bad = [name for name, value in metrics.items() if not np.isfinite(value)]
        if bad:
            raise DivergenceError(f"Training diverged in update step {number}: {', '.join(bad)} is not finite.")
        if number + 1 == self.pretraining_update_steps:
            agent = self.algorithm.after_pretraining(agent)
        self.snapshot, self.metrics = (self._placement.agent(agent), number + 1), metrics
