"""A model of the person: a script's knowledge in human hands, and a person's reasons to take over and hand back."""

from collections import deque
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from hilserl.data.spec import ActionLayout
from hilserl.operators.takeover import GripperRequest, Intent, Verdict


class Supervised(Protocol):
    """What the simulated operator sees of a task; a simulated environment provides it."""

    def expert_action(self) -> np.ndarray:
        """A good action from the present state, [n] in [-1, 1]."""
        ...

    def progress(self) -> float:
        """How far the task has come, 0 to 1."""
        ...

    def harm(self) -> bool:
        """Whether a person would stop the robot now."""
        ...

    def succeeded(self) -> bool:
        """Whether the task is done, as far as a person can see."""
        ...


@dataclass(frozen=True)
class SimulatedOperatorConfig:
    """The person's hands and the person's judgement. A control step lasts 0.1 s."""

    max_speed: float = 0.8
    """Fastest hand motion, as a part of a full action."""
    motion_noise: float = 0.15
    """Standard deviation of the hand's error, as a part of a full action."""
    reaction_delay_steps: int = 3
    """From seeing a reason to take over, or to hand back, to doing it."""
    first_patience_steps: int = 25
    """Steps without progress that a person tolerates from a policy that never succeeds."""
    last_patience_steps: int = 60
    """The same from a policy that always succeeds; in between by its recent success rate."""
    noticeable_progress: float = 0.02
    """Less than this does not count as progress."""
    handback_progress: float = 0.25
    """Hand back once the task has come this much further than at the takeover."""
    max_intervention_steps: int = 30
    """Hand back anyway after this long."""
    remembered_episodes: int = 10
    """How many past episodes the person's trust rests on."""

    def __post_init__(self) -> None:
        if not 0 < self.max_speed <= 1 or self.motion_noise < 0:
            raise ValueError(f"max_speed {self.max_speed} must be in (0, 1], motion_noise {self.motion_noise} >= 0.")
        if self.remembered_episodes < 1:
            raise ValueError(f"remembered_episodes must be at least 1, got {self.remembered_episodes}.")


class Demonstrator:
    """Drives from the first step to the last, as a person recording demonstrations does."""

    done = False

    def __init__(self, task: Supervised, layout: ActionLayout, config: SimulatedOperatorConfig, seed: int) -> None:
        self._task, self._layout, self._config, self._seed = task, layout, config, seed
        self._rng = np.random.default_rng(seed)

    def begin_episode(self, episode: int) -> None:
        self._rng = np.random.default_rng([self._seed, episode])

    def intent(self) -> Intent:
        expert = self._task.expert_action()
        motion = self._config.max_speed * expert[list(self._layout.continuous)]
        motion += self._config.motion_noise * self._rng.standard_normal(motion.shape)
        grippers = tuple(GripperRequest(round(expert[i])) for i in self._layout.grippers)
        return Intent(True, tuple(np.clip(motion, -1.0, 1.0)), grippers)

    def confirms(self) -> bool:
        return True

    def end_episode(self, success: bool, intervened: bool) -> None:
        del success, intervened


class SimulatedOperator:
    """Watches; takes over when the policy makes no progress or is about to do harm; hands back when it is going well.

    Patience grows with the policy's recent autonomous success, so interventions fade as they stop being needed.
    Where the operator `classifier_spec`, nothing else says that the task is done.
    """

    done = False

    def __init__(
        self,
        task: Supervised,
        layout: ActionLayout,
        config: SimulatedOperatorConfig,
        seed: int,
        *,
        classifier_spec: bool = False,
    ) -> None:
        self._task, self._config, self._judges = task, config, classifier_spec
        self._hands = Demonstrator(task, layout, config, seed)
        self._outcomes: deque[bool] = deque(maxlen=config.remembered_episodes)
        self._restart_watch()

    def _restart_watch(self) -> None:
        self._engaged = False
        self._delay = 0
        self._held_steps = 0
        self._idle_steps = 0
        self._reference = 0.0
        self._seen_success = 0

    @property
    def trust(self) -> float:
        """The part of recent episodes that the policy finished alone; episodes not yet seen count as failures."""
        return sum(self._outcomes) / self._config.remembered_episodes

    def begin_episode(self, episode: int) -> None:
        self._hands.begin_episode(episode)
        self._restart_watch()
        self._reference = self._task.progress()

    def confirms(self) -> bool:
        """Denies nothing: what fools the reward is to be seen in the figures."""
        return True

    def end_episode(self, success: bool, intervened: bool) -> None:
        self._outcomes.append(success and not intervened)

    def intent(self) -> Intent:
        self._seen_success = self._seen_success + 1 if self._judges and self._task.succeeded() else 0
        verdict = Verdict.SUCCESS if self._seen_success > self._config.reaction_delay_steps else None
        return replace(self._driven(), verdict=verdict)

    def _driven(self) -> Intent:
        if self._wants_to_change():
            self._delay += 1
            if self._delay > self._config.reaction_delay_steps:
                self._engaged = not self._engaged
                self._delay = self._held_steps = self._idle_steps = 0
                self._reference = self._task.progress()
        else:
            self._delay = 0
        if not self._engaged:
            return Intent(engaged=False)
        self._held_steps += 1
        return self._hands.intent()

    def _wants_to_change(self) -> bool:
        """Whether the person sees a reason to take over (while watching) or to hand back (while driving)."""
        config, progress = self._config, self._task.progress()
        if self._engaged:
            gained = progress >= self._reference + config.handback_progress
            return gained or self._held_steps >= config.max_intervention_steps
        if progress > self._reference + config.noticeable_progress:
            self._reference, self._idle_steps = progress, 0
        else:
            self._idle_steps += 1
        patience = config.first_patience_steps + self.trust * (config.last_patience_steps - config.first_patience_steps)
        return self._idle_steps > patience or self._task.harm()
