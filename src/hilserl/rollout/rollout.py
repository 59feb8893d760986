"""The acting loop of an environment, a policy and an operator."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from hilserl.data.checks import NumberCheck
from hilserl.data.episode_summary import summarise
from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Observation, RewardFn, Step
from hilserl.data.subscriber import Subscriber
from hilserl.operators.operator import Operator
from hilserl.operators.takeover import Intent, Takeover, Verdict

Policy = Callable[[Observation], tuple[np.ndarray, int]]
"""Returns a proposed action and the version of its weights."""


class RolloutEnv(Protocol):
    """The part of an environment that a rollout uses."""

    @property
    def experience(self) -> ExperienceSpec:
        """Layout of observations and actions."""
        ...

    def reset(self, *, seed: int) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode, as in Gymnasium."""
        ...

    def step(self, action: np.ndarray) -> tuple[Observation, Any, bool, bool, dict[str, Any]]:
        """Do a control step, as in Gymnasium."""
        ...


def seed_for(seed: int, stream: str, number: int) -> int:
    """Return the seed of one episode of one use.

    Any episode can be run again alone.
    """
    words = [seed, *stream.encode(), number]
    return int(np.random.SeedSequence(words).generate_state(1)[0])


@dataclass(frozen=True)
class EpisodeSeeds:
    """Seeds of a sequence of episodes."""

    seed: int
    """Seed of the whole run or recording."""
    stream: str
    """Name of the use, which keeps the seeds of two uses apart."""
    first_episode: int = 0
    """Number of the first episode."""

    def seed_of(self, episode: int) -> int:
        """Return the seed that the environment is reset with."""
        return seed_for(self.seed, self.stream, episode)


class Rollout:
    """An environment, an operator and the episode in progress.

    Args:
        env: the environment. With a `reward_fn` it must not end an episode by itself on success
            (`ends_on_success=False`).
        operator: decides who acts, and may deny a success that `reward_fn` reports.
        subscribers: told of every step and episode, in this order.
        seeds: number of the first episode, and the seed of each.
        encode: adds to each observation what both policy and learner need of it.
        reward_fn: decides from an observation if the episode ends in success; None leaves that to the environment.
    """

    def __init__(
        self,
        env: RolloutEnv,
        operator: Operator,
        subscribers: Sequence[Subscriber],
        seeds: EpisodeSeeds,
        encode: Callable[[Observation], Observation] = lambda observation: observation,
        reward_fn: RewardFn | None = None,
    ) -> None:
        self._env, self._spec, self._operator = env, env.experience, operator
        self._subscribers, self._seeds = subscribers, seeds
        self.episode = seeds.first_episode
        """Number of the episode in progress, or of the next one."""
        self._encode, self._reward_fn = encode, reward_fn
        self._claim: tuple[Step, Step] | None = None
        """A step with a claimed success, and the same step denied. Time stands still until the operator answers."""
        self._takeover = Takeover()
        self._check_numbers = NumberCheck(self._spec)
        self._steps: list[Step] = []

    @property
    def between_episodes(self) -> bool:
        """True if no episode is in progress."""
        return not self._steps

    def step(self, policy: Policy) -> None:
        """Do one control step, unless the operator lets time stand still.

        Begins an episode if none is in progress.
        """
        if self._claim is not None:
            self._confirm()
            return
        if self.between_episodes:
            self._begin()
        intent = self._operator.intent()
        untouched = len(self._steps) == 1
        if intent.verdict is Verdict.DISCARD or (intent.verdict is Verdict.RESET and untouched):
            self._discard()
        elif intent.verdict is Verdict.RESET:
            self.end_episode()
        elif not intent.hold:
            self._act(intent, policy)

    def _act(self, intent: Intent, policy: Policy) -> None:
        last = self._steps[-1]
        proposed, version = policy(last.observation)
        commands = last.observation["state"][self._spec.gripper_state]
        self._takeover, decision = self._takeover.advance(intent, proposed, commands, self._spec.action)
        observation, reward, terminated, truncated, info = self._env.step(decision.action)
        self._check(last.index + 1, state=observation["state"], reward=reward)
        observation = self._encode(observation)
        claimed = success = bool(info["success"])
        if self._reward_fn is not None:
            claimed = success = terminated = self._reward_fn(observation)
            reward = float(success)
        if intent.success is not None:
            success, reward = intent.success, float(intent.success)
        if intent.verdict is not None:
            success = terminated = intent.verdict is Verdict.SUCCESS
            truncated, reward = not success, float(success)
        seconds = self._spec.control_dt_s if intent.seconds is None else intent.seconds
        step = Step(
            episode=self.episode,
            index=last.index + 1,
            observation=observation,
            action=decision.action,
            reward=float(reward),
            terminated=terminated,
            truncated=truncated,
            success=success,
            claimed=claimed,
            truth=bool(info["success"]),
            intervened=decision.intervened,
            policy_version=version,
            human_seconds=seconds if decision.intervened else 0.0,
            seed=last.seed,
        )
        if self._reward_fn is not None and claimed and intent.verdict is None:
            denied = replace(step, reward=0.0, terminated=False, success=False)
            self._claim = replace(step, truncated=False), denied
            self._confirm()
        else:
            self._finish(step)

    def _confirm(self) -> None:
        """Ask the operator about a claimed success. A denied step goes on as if nothing had been claimed."""
        assert self._claim
        if (answer := self._operator.confirms()) is not None:
            step, denied = self._claim
            self._claim = None
            self._finish(step if answer else denied)

    def _finish(self, step: Step) -> None:
        self._tell(step)
        if step.ends_episode:
            self.end_episode()

    def _begin(self) -> None:
        seed = self._seeds.seed_of(self.episode)
        observation, _ = self._env.reset(seed=seed)
        self._check(0, state=observation["state"])
        self._takeover = Takeover()
        self._operator.begin_episode(self.episode)
        nothing = np.zeros(self._spec.action.size, np.float32)
        self._tell(Step(self.episode, 0, self._encode(observation), nothing, seed=seed))

    def _check(self, index: int, **numbers: Any) -> None:
        """Refuse numbers of the environment that no step may have."""
        rows = {name: np.asarray(value, np.float64)[None] for name, value in numbers.items()}
        self._check_numbers(rows, f"{self._spec.task}, episode {self.episode}", index)

    def _discard(self) -> None:
        self._steps = []
        self._operator.end_episode(False, True)
        for subscriber in self._subscribers:
            subscriber.on_discard(self.episode)
        self.episode += 1

    def _tell(self, step: Step) -> None:
        self._steps.append(step)
        for subscriber in self._subscribers:
            subscriber.on_step(step)

    def abort_episode(self) -> None:
        """Close the episode in progress after the environment was lost.

        An episode without a step is forgotten.
        """
        if len(self._steps) == 1:
            self._discard()
        else:
            self.end_episode()

    def end_episode(self) -> None:
        """Close the episode in progress, finished or not.

        An unfinished episode keeps its last step open, so that values bootstrap from it.
        """
        if self._claim is not None:
            step, _ = self._claim
            self._claim = None
            self._finish(step)
            return
        if len(self._steps) < 2:
            self._steps = []
            return
        steps, self._steps = self._steps, []
        summary = summarise(steps)
        self._operator.end_episode(summary.success, summary.intervened_steps > 0)
        self.episode += 1
        for subscriber in self._subscribers:
            subscriber.on_episode(steps, summary)
