"""Simulated human operators for demonstrations and interventions."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from typing_extensions import override

from hilserl.data.spec import ActionLayout
from hilserl.envs.env import Supervision
from hilserl.operators.hands import HandsConfig
from hilserl.operators.operator import Operator
from hilserl.operators.remote_hands import make_hands
from hilserl.operators.takeover import Intent, Verdict
from hilserl.settings import AtLeastOne, Count, Fraction, NotNegative, check_settings

_ATTENTION_KEY = 1
"""Constant of the seed of what is overlooked."""


@dataclass(frozen=True)
class SimulatedOperatorConfig:
    """The simulated operator's hands and judgement. A control step lasts 0.1 s."""

    hands: HandsConfig = field(default_factory=HandsConfig)
    """Eyes and hands."""
    reaction_delay_steps: Count = 3
    """Steps between a reason to change control and the reaction."""
    overlooked: Fraction = 0.0
    """Part of the moments in which a needed takeover is overlooked."""
    first_patience_steps: Count = 25
    """Tolerated steps without progress if the policy never succeeds."""
    last_patience_steps: Count = 60
    """Tolerated steps without progress if the policy always succeeds.

    In between, the patience follows the policy's recent success rate.
    """
    noticeable_progress: NotNegative = 0.02
    """Smallest change of the progress that counts as progress."""
    handback_progress: NotNegative = 0.25
    """Progress since the takeover at which the operator hands back."""
    max_intervention_steps: AtLeastOne = 30
    """Longest intervention in steps; the operator then hands back in any case."""
    remembered_episodes: AtLeastOne = 10
    """Number of past episodes that decide the operator's trust in the policy."""
    follows_advice: bool = False
    """Take over when the critics advise it, instead of judging the progress."""

    def __post_init__(self) -> None:
        check_settings(self)


class Demonstrator(Operator):
    """An operator who drives every step, as for a demonstration."""

    def __init__(self, task: Supervision, layout: ActionLayout, config: SimulatedOperatorConfig, seed: int) -> None:
        self._hands, self._seed = make_hands(task, layout, config.hands), seed

    @override
    def begin_episode(self, episode: int) -> None:
        self._hands.begin_episode(np.random.default_rng([self._seed, episode]))

    @override
    def intent(self) -> Intent:
        motion, grippers = self._hands.drive()
        return Intent(True, tuple(np.clip(motion, -1.0, 1.0)), grippers)

    def watch(self) -> None:
        """Look at the scene for one step without driving."""
        self._hands.watch()


class SimulatedOperator(Operator):
    """An operator who watches, intervenes when needed and hands back afterwards.

    The operator takes over when the policy makes no progress or is about to do harm. Its patience grows with the
    policy's recent autonomous success, so interventions become rare as the policy improves. The operator never denies a
    success: an error of the reward then shows in the figures.

    Args:
        task: expert, progress, harm and success of the task.
        layout: layout of the actions.
        config: hands and judgement.
        seed: seed of the hands' errors and of what is overlooked.
        gives_reward: the operator ends an episode with a success verdict; nothing else reports success.
        advised: returns True if the critics advise a takeover.
    """

    def __init__(
        self,
        task: Supervision,
        layout: ActionLayout,
        config: SimulatedOperatorConfig,
        seed: int,
        *,
        gives_reward: bool = False,
        advised: Callable[[], bool] = lambda: False,
    ) -> None:
        self._task, self._config, self._gives_reward, self._advised = task, config, gives_reward, advised
        self._demonstrator, self._seed = Demonstrator(task, layout, config, seed), seed
        self._attention = np.random.default_rng(seed)
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
        self._attention = np.random.default_rng([self._seed, episode, _ATTENTION_KEY])
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
            self._delay_steps += self._engaged or not self._overlooks()
            if self._delay_steps > self._config.reaction_delay_steps:
                self._engaged = not self._engaged
                self._delay_steps = self._held_steps = self._idle_steps = 0
                self._reference_progress = self._task.progress()
        else:
            self._delay_steps = 0
        if not self._engaged:
            self._demonstrator.watch()
            return Intent(engaged=False)
        self._held_steps += 1
        return self._demonstrator.intent()

    def _overlooks(self) -> bool:
        """Return True if a reason is overlooked; advice is heard."""
        return self._attention.random() < self._config.overlooked and not self._config.follows_advice

    def _wants_to_change(self) -> bool:
        """Return True for a reason to take over or to hand back."""
        config, progress = self._config, self._task.progress()
        if self._engaged:
            gained = progress >= self._reference_progress + config.handback_progress
            return gained or self._held_steps >= config.max_intervention_steps
        if config.follows_advice:
            return self._advised() or self._task.harm()
        if progress > self._reference_progress + config.noticeable_progress:
            self._reference_progress, self._idle_steps = progress, 0
        else:
            self._idle_steps += 1
        patience = config.first_patience_steps + self.trust * (config.last_patience_steps - config.first_patience_steps)
        return self._idle_steps > patience or self._task.harm()
