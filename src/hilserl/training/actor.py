"""The acting half of a run: environment, operator and exploring policy."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import jax
import numpy as np

from hilserl.agents.agent import act
from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Observation, RewardFn
from hilserl.data.subscriber import Subscriber
from hilserl.envs.env import InteractiveEnv, require_supervision
from hilserl.envs.make import make_env
from hilserl.errors import EnvUnavailableError, HilserlError
from hilserl.operators.console.session import ConsoleSession, PanelReport
from hilserl.operators.human import Role
from hilserl.operators.operator import NoOperator, Operator
from hilserl.operators.simulated import SimulatedOperator
from hilserl.operators.value_watch import ActionValue, ValueWatch
from hilserl.rewards.reward_fn import make_reward_fn
from hilserl.rollout.rollout import EpisodeSeeds, Rollout
from hilserl.rollout.timers import LapTimers
from hilserl.training.algorithms import find_algorithm
from hilserl.training.config import TrainConfig
from hilserl.training.local_learner import LearnerEndpoint

_ACTING_KEYS = 2
_RETRY_S, _TICK_S = 1.0, 0.05


@dataclass(frozen=True)
class ActorSetup:
    """An actor's surroundings, open and ready."""

    config: TrainConfig
    env: InteractiveEnv
    reward_fn: RewardFn | None
    """Decides on success; None leaves that to the environment."""
    operator: Operator
    session: ConsoleSession | None
    """The human operator's console, or None without a human."""
    timers: LapTimers = field(default_factory=LapTimers)
    """Durations of the parts of a step."""
    watch: ValueWatch | None = None
    """Watch of the critics' values that a simulated operator follows."""

    def recall(self, outcomes: Iterable[tuple[bool, bool]]) -> None:
        """Tell the operator how earlier episodes ended.

        Args:
            outcomes: of each episode its success, and True if the operator acted in it.
        """
        for success, intervened in outcomes:
            self.operator.end_episode(success, intervened)

    def say(self, text: str) -> None:
        """Show a sentence at the console, if there is one."""
        if self.session:
            self.session.say(text)

    def breathe(self) -> None:
        """Keep the console alive, if there is one, between two control steps."""
        if self.session:
            self.session.keep_alive()

    def close(self) -> None:
        """Close the environment."""
        self.env.close()


def open_actor(
    config: TrainConfig,
    report: Callable[[], PanelReport],
    value: ActionValue | None = None,
    timers: LapTimers | None = None,
) -> ActorSetup:
    """Open environment, reward function and operator of an actor.

    Args:
        config: settings of the run.
        report: facts of the run for a human operator's console.
        value: the critics' value of an action, if they are in reach.
        timers: where the durations of the actor's work are kept.

    Raises:
        HilserlError: the environment, the classifier or the operator's device is missing.
    """
    watch = ValueWatch(value) if value else None
    follows = _follows_advice(config, watch)
    env = make_env(config.acting_env)
    reward_fn = make_reward_fn(config.reward, config.classifier, env.experience)
    timers = timers or LapTimers()
    if config.operator == "none":
        return ActorSetup(config, env, reward_fn, NoOperator(), None, timers)
    if config.operator == "scripted":
        operator = SimulatedOperator(
            require_supervision(env),
            env.experience.action,
            config.simulated_operator,
            config.seed,
            gives_reward=config.reward == "human",
            advised=lambda: watch is not None and watch.stagnates,
        )
        return ActorSetup(config, env, reward_fn, operator, None, timers, watch if follows else None)
    session = ConsoleSession(env, Role(), console=config.console, device=config.operator, report=report, watch=watch)
    return ActorSetup(config, env, reward_fn, session.operator, session, timers)


def _follows_advice(config: TrainConfig, watch: ValueWatch | None) -> bool:
    """Return True if a simulated operator follows the critics' advice.

    Raises:
        HilserlError: there are no critics that could advise.
    """
    follows = config.operator == "scripted" and config.simulated_operator.follows_advice
    if follows and watch is None and find_algorithm(config.algorithm).acts:
        raise HilserlError(
            "The simulated operator follows the critics' advice, and none are in reach: it needs --algorithm rlpd or "
            "sac with actor and learner in one process, without --async and --actors."
        )
    return follows


@dataclass(frozen=True)
class ExplorationKeys:
    """Random keys of the exploring policy, one for each step."""

    seed: int
    step_number: Callable[[], int]
    """Returns the number of the step that decides its key."""
    actor_number: int = 0
    """Number of this actor; every actor has its own keys."""

    @cached_property
    def _base(self) -> jax.Array:
        key = jax.random.fold_in(jax.random.key(self.seed), _ACTING_KEYS)
        return jax.random.fold_in(key, self.actor_number) if self.actor_number else key

    def next(self) -> jax.Array:
        """Return the key of the next step."""
        return jax.random.fold_in(self._base, self.step_number())


class ActorLoop:
    """A rollout of the newest weights of a learner.

    Args:
        setup: environment and operator.
        learner: takes steps and gives weights.
        subscribers: told of every step and episode, before the console.
        encode: adds the features of camera images to an observation.
        keys: decide the exploration.
        first_episode: number of the first episode.
    """

    def __init__(
        self,
        setup: ActorSetup,
        learner: LearnerEndpoint,
        subscribers: Sequence[Subscriber],
        encode: Callable[[Observation], Observation],
        keys: ExplorationKeys,
        first_episode: int = 0,
    ) -> None:
        timers, watchers = setup.timers, [each for each in (setup.watch, setup.session) if each]
        self._setup, self._learner, self._keys, self._trouble = setup, learner, keys, ""
        self._act = timers.timed("policy", act)
        self.rollout = Rollout(
            _TimedEnv(setup.env, timers),
            setup.operator,
            [*subscribers, *watchers],
            EpisodeSeeds(setup.config.seed, "train", first_episode),
            timers.timed("encode", encode),
            timers.timed("reward", setup.reward_fn) if setup.reward_fn else None,
        )

    def step(self) -> str:
        """Do one control step.

        If the arm is not available, this ends the episode and waits a moment.

        Returns:
            What is wrong with the arm, once for each new trouble; otherwise "".
        """
        try:
            self.rollout.step(self._policy)
        except EnvUnavailableError as error:
            self.rollout.abort_episode()
            self._wait(str(error))
            before, self._trouble = self._trouble, str(error)
            return self._trouble if self._trouble != before else ""
        self._trouble = ""
        return ""

    def _wait(self, reason: str) -> None:
        deadline_s = time.monotonic() + _RETRY_S
        while time.monotonic() < deadline_s:
            self._setup.say(reason)
            self._setup.breathe()
            time.sleep(_TICK_S)

    def _policy(self, observation: Observation) -> tuple[np.ndarray, int]:
        actor, version = self._learner.weights()
        return self._act(actor, observation, self._keys.next(), explore=True), version


class _TimedEnv:
    """An environment whose steps, simulation and cameras together, are timed."""

    def __init__(self, env: InteractiveEnv, timers: LapTimers) -> None:
        self._env, self.step = env, timers.timed("environment", env.step)

    @property
    def experience(self) -> ExperienceSpec:
        """Layout of observations and actions."""
        return self._env.experience

    def reset(self, *, seed: int) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode; resets are not timed."""
        return self._env.reset(seed=seed)
