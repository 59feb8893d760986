"""The actor's loop: observe, propose, let the operator decide, act, tell everybody."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

import gymnasium
import numpy as np

from hilserl.data.episode_summary import EpisodeSummary, summarise
from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Observation, RewardFn, Step
from hilserl.operators.operator import Operator
from hilserl.operators.takeover import Intent, Takeover, Verdict

Policy = Callable[[Observation], tuple[np.ndarray, int]]
"""The action a policy proposes, and the version of the weights that chose it."""


class Subscriber(Protocol):
    """Somebody who wants to know what happens in a rollout."""

    def on_step(self, step: Step) -> None: ...

    def on_episode(self, steps: Sequence[Step], summary: EpisodeSummary) -> None: ...

    def on_discard(self, episode: int) -> None:
        """A person wants the episode in progress forgotten; its steps so far were told of."""


def seed_for(seed: int, stream: str, number: int) -> int:
    """A seed of its own for each use and each episode, so that any episode can be run again alone."""
    words = [seed, *stream.encode(), number]
    return int(np.random.SeedSequence(words).generate_state(1)[0])


class Rollout:
    """An environment, an operator and the episode in progress.

    `observe` may add to each observation what the policy and the learner both need of it. `judge`, where there is one,
    says of each observation whether it earns the reward and ends the episode; the operator may deny it. The environment
    then must not end episodes by itself when the task is done (`ends_on_success=False`).
    Episodes are numbered from `first_episode`; number and seed decide the episode's start and the operator's hand.
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        spec: ExperienceSpec,
        operator: Operator,
        subscribers: Sequence[Subscriber],
        seed: int,
        stream: str,
        first_episode: int = 0,
        observe: Callable[[Observation], Observation] = lambda observation: observation,
        judge: RewardFn | None = None,
    ) -> None:
        self._env, self._spec, self._operator = env, spec, operator
        self._subscribers, self._seed, self._stream = subscribers, seed, stream
        self.episode = first_episode
        self._observe, self._judge = observe, judge
        self._claim: tuple[Step, Step] | None = None
        """A step with a success that the operator may deny, and the same denied; time stands still meanwhile."""
        self._takeover = Takeover()
        self._steps: list[Step] = []

    @property
    def between_episodes(self) -> bool:
        return not self._steps

    def step(self, policy: Policy) -> None:
        """One control step, unless the operator lets time stand still; begins an episode where none is in progress."""
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
        observation = self._observe(observation)
        claimed = success = bool(info["success"])
        if self._judge is not None:
            claimed = success = terminated = self._judge(observation)
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
        if self._judge is not None and claimed and intent.verdict is None:
            denied = replace(step, reward=0.0, terminated=False, success=False)
            self._claim = replace(step, truncated=False), denied
            self._confirm()
        else:
            self._finish(step)

    def _confirm(self) -> None:
        """Asks the operator whether a claimed success is one; what is denied goes on as if it had not been claimed."""
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
        seed = seed_for(self._seed, self._stream, self.episode)
        observation, _ = self._env.reset(seed=seed)
        self._takeover = Takeover()
        self._operator.begin_episode(self.episode)
        nothing = np.zeros(self._spec.action.size, np.float32)
        self._tell(Step(self.episode, 0, self._observe(observation), nothing, seed=seed))

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

    def cut(self) -> None:
        """The environment is lost: closes the episode in progress, or forgets it where nothing has been done in it."""
        if len(self._steps) == 1:
            self._discard()
        else:
            self.end_episode()

    def end_episode(self) -> None:
        """Closes the episode in progress, finished or not; a cut one keeps its last step open, so values bootstrap."""
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
