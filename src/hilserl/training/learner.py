"""The learner: steps in, update steps, weights out."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import jax
import numpy as np

from hilserl.agents.agent import Agent, AgentT, update_step
from hilserl.data.arrays import named_arrays, with_arrays
from hilserl.data.hindsight import Hindsight, motions_at_once
from hilserl.data.replay import Replay
from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Step, Transitions
from hilserl.operators.value_watch import ActionValue
from hilserl.rollout.timers import LapTimers
from hilserl.training.algorithms import find_algorithm
from hilserl.training.config import TrainConfig
from hilserl.training.device_placement import Placement
from hilserl.training.divergence import OTHER_RUN, DivergenceError, named_suspects

_DRAWN_KEYS = 1
_OPTIMIZERS = "optimizer"
"""First letters of the names of an agent's optimizer states."""
_STANDARDISED_ON = 512
"""Observations whose camera features give the mean and deviation to standardise with."""


@dataclass(frozen=True)
class LearnerFacts:
    """State of a learner, for display."""

    update_steps: int = 0
    """Update steps done so far."""
    update_steps_per_s: float = 0.0
    """Speed while it learns; waiting for steps is not counted."""
    online: int = 0
    """Online transitions in replay."""
    prior: int = 0
    """Transitions of demonstrations and interventions in replay."""
    losses: dict[str, float] = field(default_factory=dict)
    """Metrics of the last update step, without those that are not finite."""

    def __post_init__(self) -> None:
        """Drop metrics that JSON cannot express."""
        object.__setattr__(self, "losses", finite(self.losses))


def finite(numbers: dict[str, float]) -> dict[str, float]:
    """Return the numbers that are finite; JSON cannot express the others."""
    return {name: number for name, number in numbers.items() if math.isfinite(number)}


class Learner:
    """An agent and its replay.

    Everything random in an update step follows from the seed and the number of the step.

    Args:
        spec: layout of the recorded experience.
        config: settings of the run.
        prior: steps of demonstrations, one episode after the other.
        placement: devices of agent and replay; every device that JAX sees by default.
        timers: where the durations of the learner's work are kept.
    """

    def __init__(
        self,
        spec: ExperienceSpec,
        config: TrainConfig,
        prior: Sequence[Step],
        placement: Placement | None = None,
        timers: LapTimers | None = None,
    ) -> None:
        self.spec = spec
        self._placement = placement or Placement(jax.devices(), config.agent.batch_size)
        self.algorithm = find_algorithm(config.algorithm)
        policy_spec = config.policy_spec(spec)
        agent = self.algorithm.create(policy_spec, config.agent, config.seed)
        self.snapshot: tuple[Agent, int] = (self._placement.agent(agent), 0)
        """The newest agent and the update steps that it has done."""
        self.timers = timers or LapTimers()
        self.metrics: dict[str, float] = {}
        """Metrics of the newest update step."""
        self._config = config
        self.frame_encoder = self.snapshot[0].frame_encoder
        prior = [self.encode_step(step) for step in prior]
        self.demonstration_seconds = sum(step.human_seconds for step in prior)
        """Human seconds of all demonstrations, of failed attempts and of those held out."""
        self.pretraining_update_steps = 0
        """Update steps on demonstrations before the first environment step."""
        if config.init_from is None or not self.algorithm.acts:
            self.pretraining_update_steps = self.algorithm.pretraining_update_steps(
                config.agent, config.cloning_updates, demonstrated=bool(prior)
            )
        prior, held_out = self.algorithm.split_demonstrations(prior)
        features = self.frame_encoder.stored
        motions = config.agent.imitated_motions or motions_at_once([step.action for step in prior], spec.action)
        hindsight = Hindsight(config.agent.discount, motions)
        self._replay = Replay(policy_spec, config.replay_capacity, prior, features, self._placement.store, hindsight)
        self._held_out = Replay(policy_spec, 2, held_out, features, hindsight=hindsight)
        self._key = jax.random.fold_in(jax.random.key(config.seed), _DRAWN_KEYS)
        self.online_steps = 0
        """Environment steps received so far, without resets."""

    def begin_with(self, agent: Agent) -> None:
        """Take the weights of another run's agent before the first update step.

        The optimizers begin anew.
        """
        own = self.snapshot[0]
        fresh = {name: array for name, array in named_arrays(own).items() if name.startswith(_OPTIMIZERS)}
        self.snapshot = (self._placement.agent(with_arrays(own, named_arrays(agent) | fresh)), 0)

    def recall(self, episode: Sequence[Step]) -> None:
        """Store an episode of another run.

        Its steps do not count as done here.
        """
        for step in episode:
            self._replay.add(self.encode_step(dataclasses.replace(step, episode=OTHER_RUN)))
        self._replay.end(OTHER_RUN)

    def restore(self, agent: Agent, update_steps: int) -> None:
        """Continue with the agent of a checkpoint.

        The steps of the run come again through `receive`.
        """
        self.snapshot = (self._placement.agent(agent), update_steps)

    @property
    def update_steps(self) -> int:
        """Update steps done so far."""
        return self.snapshot[1]

    def receive(self, step: Step) -> None:
        """Store one online step."""
        with self.timers.lap("receive"):
            self._replay.add(self.encode_step(step))
        self.online_steps += not step.is_reset

    def forget(self, episode: int) -> None:
        """Learn nothing more from an online episode.

        Its steps still count as done.
        """
        self._replay.forget(episode)

    def end_episode(self, episode: int) -> None:
        """Close an episode, even if its last step did not end it."""
        self._replay.end(episode)

    def encode_step(self, step: Step) -> Step:
        """Add the features of a step's images.

        Nothing is added if replay stores images, or if the actor has added the features.
        """
        if not self.frame_encoder.stored:
            return step
        return dataclasses.replace(step, observation=self.frame_encoder.encode(step.observation))

    @property
    def facts(self) -> LearnerFacts:
        """Its state now."""
        online, prior = len(self._replay.online_rows()), len(self._replay.prior_rows())
        seconds = sum(self.timers.median_s(lap) for lap in ("sample", "update"))
        return LearnerFacts(self.update_steps, 1 / seconds if seconds else 0.0, online, prior, self.metrics)

    @property
    def value(self) -> ActionValue | None:
        """Value of an action by the newest agent; None without critics."""
        if (value := self.algorithm.value) is None:
            return None
        return lambda observation, action: value(self.snapshot[0], observation, action)

    def held_out_loss(self) -> dict[str, float]:
        """Measure the newest agent on the demonstrations held out; empty without any."""
        if not self._held_out.holds():
            return {}
        held_out = self._held_out.transitions(self._held_out.prior_rows())
        return self.algorithm.held_out_loss(self.snapshot[0], held_out)

    @property
    def ready(self) -> bool:
        """True if there is enough experience to learn from."""
        begun = self.online_steps >= max(1, self._config.training_starts)
        return begun and self._replay.holds(self.algorithm.replay_source)

    @property
    def owed(self) -> int:
        """Update steps that lockstep calls for and that are not done."""
        if not self.ready:
            return 0
        due = (self.online_steps - max(1, self._config.training_starts) + 1) * self._config.update_steps_per_env_step
        return max(0, int(due) - (self.update_steps - self.pretraining_update_steps))

    @property
    def may_learn(self) -> bool:
        """True if a free-running learner should do another update step now."""
        done = self.update_steps - self.pretraining_update_steps
        return self.ready and done < self.online_steps * self._config.max_update_steps_per_env_step

    def _standardised(self, agent: AgentT) -> AgentT:
        """Return the agent with camera features standardised as in replay now."""
        rng = np.random.default_rng([self._config.seed, 0])
        drawn = self._replay.sample(rng, 1, _STANDARDISED_ON, self.algorithm.replay_source)
        first = jax.tree.map(lambda leaf: leaf[0], drawn.observation)
        return agent.standardised(self.frame_encoder.augment(first, self._key))

    def compile(self) -> None:
        """Compile the update step ahead of its first use.

        Nothing is compiled without transitions.
        """
        if self._replay.holds(self.algorithm.replay_source):
            update_step(self.snapshot[0], self._batches(0), self._key)

    def _rows(self, number: int) -> np.ndarray:
        """Draw the rows of an update step, int [utd_ratio, batch_size]."""
        rng, settings = np.random.default_rng([self._config.seed, number]), self._config.agent
        return self._replay.draw(rng, settings.utd_ratio, settings.batch_size, self.algorithm.replay_source)

    def _batches(self, number: int) -> Transitions:
        return self._placement.batches(self.algorithm.rewarded(self._replay.transitions(self._rows(number))))

    def learn(self) -> None:
        """Do one update step.

        Raises:
            DivergenceError: a loss is not finite; the agent before this step stays in place.
        """
        agent, number = self.snapshot
        if not number and self._config.init_from is None:
            agent = self._standardised(agent)
        with self.timers.lap("sample"):
            batches = self._batches(number)
        with self.timers.lap("update"):
            agent, values = update_step(agent, batches, jax.random.fold_in(self._key, number))
            metrics = {name: float(value) for name, value in values.items()}
        bad = [name for name, value in metrics.items() if not np.isfinite(value)]
        if bad:
            rows = self._rows(number)
            suspects = named_suspects(self.spec, self._replay.transitions(rows), self._replay.episodes_of(rows))
            raise DivergenceError(
                f"Training diverged in update step {number}: {', '.join(bad)} is not finite. {suspects}"
            )
        if number + 1 == self.pretraining_update_steps:
            agent = self.algorithm.after_pretraining(agent)
        self.snapshot, self.metrics = (self._placement.agent(agent), number + 1), metrics
