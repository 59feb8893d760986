"""Simulated human operators for demonstrations and interventions."""

from collections import deque
from dataclasses import dataclass, replace

import numpy as np
from typing_extensions import override

from hilserl.data.spec import ActionLayout
from hilserl.envs.env import Supervision
from hilserl.operators.operator import Operator
from hilserl.operators.takeover import GripperRequest, Intent, Verdict


@dataclass(frozen=True)
class SimulatedOperatorConfig:
    """The simulated operator's motor skill and judgement. A control step lasts 0.1 s."""

    max_speed: float = 0.8
    """Fastest hand motion, as a part of a full action."""
    motion_noise: float = 0.15
    """Standard deviation of the hand's error, in full actions."""
    reaction_delay_steps: int = 3
    """Steps between a reason to change control and the reaction."""
    first_patience_steps: int = 25
    """Tolerated steps without progress if the policy never succeeds."""
    last_patience_steps: int = 60
    """Tolerated steps without progress if the policy always succeeds.

    In between, the patience follows the policy's recent success rate.
    """
    noticeable_progress: float = 0.02
    """Smallest change of the progress that counts as progress."""
    handback_progress: float = 0.25
    """Progress since the takeover at which the operator hands back."""
    max_intervention_steps: int = 30
    """Longest intervention in steps; the operator then hands back in any case."""
    remembered_episodes: int = 10
    """Number of past episodes that decide the operator's trust in the policy."""

    def __post_init__(self) -> None:
        if not 0 < self.max_speed <= 1:
            raise ValueError(f"Invalid max_speed {self.max_speed}: expected a number above 0 and at most 1.")
        if self.motion_noise < 0:
            raise ValueError(f"Invalid motion_noise {self.motion_noise}: expected a number of at least 0.")
        if self.remembered_episodes < 1:
            raise ValueError(f"Invalid remembered_episodes {self.remembered_episodes}: expected at least 1.")


class Demonstrator(Operator):
    """An operator who drives every step, as for a demonstration."""

    def __init__(self, task: Supervision, layout: ActionLayout, config: SimulatedOperatorConfig, seed: int) -> None:
        self._task, self._layout, self._config, self._seed = task, layout, config, seed
        self._rng = np.random.default_rng(seed)

    @override
    def begin_episode(self, episode: int) -> None:
        self._rng = np.random.default_rng([self._seed, episode])

    @override
    def intent(self) -> Intent:
        expert = self._task.expert_action()
        motion = self._config.max_speed * expert[list(self._layout.continuous)]
        motion += self._config.motion_noise * self._rng.standard_normal(motion.shape)
        grippers = tuple(GripperRequest(round(expert[i])) for i in self._layout.grippers)
        return Intent(True, tuple(np.clip(motion, -1.0, 1.0)), grippers)


class SimulatedOperator(Operator):
    """An operator who watches, intervenes when needed and hands back afterwards.

    The operator takes over when the policy makes no progress or is about to do harm. Its patience grows with the
    policy's recent autonomous success, so interventions become rare as the policy improves. The operator never denies a
    success: an error of the reward then shows in the figures.

    Args:
        task: expert, progress, harm and success of the task.
        layout: layout of the actions.
        config: motor skill and judgement.
        seed: seed of the hand's noise.
        gives_reward: the operator ends an episode with a success verdict; nothing else reports success.
    """

    def __init__(
        self,
        task: Supervision,
        layout: ActionLayout,
        config: SimulatedOperatorConfig,
        seed: int,
        *,
        gives_reward: bool = False,
    ) -> None:
        self._task, self._config, self._gives_reward = task, config, gives_reward
        self._demonstrator = Demonstrator(task, layout, config, seed)
        self._outcomes: deque[bool] = deque(maxlen=config.remembered_episodes)
        self._restart_watch()

    def _restart_watch(self) -> None:
        self._engaged = False
        self._delay_steps = 0
        self._held_steps = 0
        self._idle_steps = 0
        self._reference_progress = 0.0
        self._success_steps = 0

    @property
    def trust(self) -> float:
        """Part of the remembered episodes that the policy finished alone.

        Until enough episodes are remembered, the missing ones count as failures.
        """
        return sum(self._outcomes) / self._config.remembered_episodes

    @override
    def begin_episode(self, episode: int) -> None:
        self._demonstrator.begin_episode(episode)
        self._restart_watch()
        self._reference_progress = self._task.progress()

    @override
    def end_episode(self, success: bool, intervened: bool) -> None:
        self._outcomes.append(success and not intervened)

    @override
    def intent(self) -> Intent:
        self._success_steps = self._success_steps + 1 if self._gives_reward and self._task.succeeded() else 0
        verdict = Verdict.SUCCESS if self._success_steps > self._config.reaction_delay_steps else None
        return replace(self._drive_or_watch(), verdict=verdict)

    def _drive_or_watch(self) -> Intent:
        if self._wants_to_change():
            self._delay_steps += 1
            if self._delay_steps > self._config.reaction_delay_steps:
                self._engaged = not self._engaged
                self._delay_steps = self._held_steps = self._idle_steps = 0
                self._reference_progress = self._task.progress()
        else:
            self._delay_steps = 0
        if not self._engaged:
            return Intent(engaged=False)
        self._held_steps += 1
        return self._demonstrator.intent()

    def _wants_to_change(self) -> bool:
        """Return True for a reason to take over or to hand back."""
        config, progress = self._config, self._task.progress()
        if self._engaged:
            gained = progress >= self._reference_progress + config.handback_progress
            return gained or self._held_steps >= config.max_intervention_steps
        if progress > self._reference_progress + config.noticeable_progress:
            self._reference_progress, self._idle_steps = progress, 0
        else:
            self._idle_steps += 1
        patience = config.first_patience_steps + self.trust * (config.last_patience_steps - config.first_patience_steps)
        return self._idle_steps > patience or self._task.harm()
