"""The acting half of a run: an environment, whoever watches over it, and the policy that explores."""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import gymnasium
import jax
import numpy as np

from hilserl.agents.agent import act
from hilserl.data.step import Observation
from hilserl.envs.env import InteractiveEnv, require_supervision
from hilserl.envs.make import make_env
from hilserl.errors import EnvUnavailableError
from hilserl.operators.console.session import ConsoleSession, PanelReport
from hilserl.operators.human import Role
from hilserl.operators.operator import NoOperator, Operator
from hilserl.operators.simulated import SimulatedOperator
from hilserl.rewards.reward_fn import make_reward_fn
from hilserl.rollout.rollout import Rollout, Subscriber
from hilserl.rollout.timers import Stopwatch
from hilserl.training.config import TrainConfig
from hilserl.training.local_learner import LearnerEndpoint

_ACTING_KEYS = 2
_ASK_AGAIN_S, _MOMENT_S = 1.0, 0.05


class ActorLoop:
    """Steps an environment with the newest weights of a link.

    Args:
        config: the run's settings.
        report: what the person at the console, if one is to operate, is told of the run.
        value: what the critics expect of an action in an observation, where they are in reach.
    """

    def __init__(
        self,
        config: TrainConfig,
        report: Callable[[], PanelReport],
        value: Callable[[Observation, np.ndarray], float] | None = None,
    ) -> None:
        self._config, self._trouble = config, ""
        self.env = make_env(config.acting_env)
        self._judge = make_reward_fn(config.reward, config.classifier, self.env.experience)
        self.station = self._open_station(report, value)
        self.operator = self.station.operator if self.station else _unattended(config, self.env)

    def _open_station(
        self, report: Callable[[], PanelReport], value: Callable[[Observation, np.ndarray], float] | None
    ) -> ConsoleSession | None:
        """A place for a person, where one is to operate."""
        config = self._config
        if config.operator in ("scripted", "none"):
            return None
        return ConsoleSession(
            self.env, Role(), console=config.console, device=config.operator, report=report, value=value
        )

    def remember(self, outcomes: Iterable[tuple[bool, bool]]) -> None:
        """Tells the operator how earlier episodes went: success, and whether the operator acted."""
        for success, intervened in outcomes:
            self.operator.end_episode(success, intervened)

    def begin(
        self,
        link: LearnerEndpoint,
        subscribers: Sequence[Subscriber],
        observe: Callable[[Observation], Observation],
        step_number: Callable[[], int],
        *,
        number: int = 0,
        first_episode: int = 0,
        stopwatch: Stopwatch | None = None,
    ) -> None:
        """Everything is there; the next `step` is the first.

        `step_number` decides the exploration of the next step, `number` tells this actor's from the other actors'.
        `stopwatch` times the parts of a step.
        """
        stopwatch = stopwatch or Stopwatch()
        self._link, self._step_number = link, step_number
        self._key = jax.random.fold_in(jax.random.key(self._config.seed), _ACTING_KEYS)
        if number:
            self._key = jax.random.fold_in(self._key, number)
        everybody = [*subscribers, self.station] if self.station else subscribers
        self._choose = stopwatch.timed("policy", act)
        self.rollout = Rollout(
            _Timed(self.env, stopwatch),
            self.env.experience,
            self.operator,
            everybody,
            self._config.seed,
            "train",
            first_episode,
            stopwatch.timed("observe", observe),
            stopwatch.timed("judge", self._judge) if self._judge else None,
        )

    def step(self) -> str:
        """One control step. Where the robot cannot be had it ends the episode, waits, and returns why, once."""
        try:
            self.rollout.step(self._policy)
        except EnvUnavailableError as error:
            self.rollout.cut()
            self._wait(str(error))
            before, self._trouble = self._trouble, str(error)
            return self._trouble if self._trouble != before else ""
        self._trouble = ""
        return ""

    def _wait(self, why: str) -> None:
        until_s = time.monotonic() + _ASK_AGAIN_S
        while time.monotonic() < until_s:
            if self.station:
                self.station.say(why)
                self.station.keep_alive()
            time.sleep(_MOMENT_S)

    def _policy(self, observation: Observation) -> tuple[np.ndarray, int]:
        actor, version = self._link.weights()
        key = jax.random.fold_in(self._key, self._step_number())
        return self._choose(actor, observation, key, explore=True), version

    def say(self, text: str) -> None:
        """A sentence for the person at the console, if there is one."""
        if self.station:
            self.station.say(text)

    def close(self) -> None:
        self.env.close()


class _Timed(gymnasium.Wrapper[Any, Any, Any, Any]):
    """An environment whose steps, simulation and cameras, are timed."""

    def __init__(self, env: InteractiveEnv, stopwatch: Stopwatch) -> None:
        super().__init__(env)
        self._step = stopwatch.timed("environment", env.step)

    def step(self, action: Any) -> Any:
        return self._step(action)


def _unattended(config: TrainConfig, env: InteractiveEnv) -> Operator:
    if config.operator == "none":
        return NoOperator()
    gives_reward = config.reward == "human"
    return SimulatedOperator(
        require_supervision(env),
        env.experience.action,
        config.simulated_operator,
        config.seed,
        gives_reward=gives_reward,
    )
