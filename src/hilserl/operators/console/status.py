"""The state of a rollout in words and curves for the panel."""

import numpy as np

from hilserl.data.episode_summary import EpisodeSummary
from hilserl.data.step import Step
from hilserl.envs.env import InteractiveEnv
from hilserl.operators.console.messages import Curve
from hilserl.operators.value_watch import ValueWatch

_NOTICEABLE_PROGRESS = 0.02
_TREND_STEPS = 10
_NOTICEABLE_TREND = 0.03


class RolloutStatus:
    """Texts, advice and value curve of the episode in progress.

    Args:
        env: the environment of the rollout.
        watch: watch of the critics' values, if there are critics.
    """

    def __init__(self, env: InteractiveEnv, watch: ValueWatch | None) -> None:
        self._env, self._watch = env, watch
        self._step: Step | None = None
        self.outcome = ""
        """Result of the last episode, as a sentence."""
        self.success = False
        """True if the last episode was a success."""
        self._best_progress, self._steps_without_progress = 0.0, 0

    def on_step(self, step: Step) -> None:
        """Take a step."""
        if self._watch:
            self._watch.on_step(step)
        self._step = step
        progress = self._env.supervision.progress() if self._env.supervision else 0.0
        if step.is_reset or progress > self._best_progress + _NOTICEABLE_PROGRESS:
            self._best_progress, self._steps_without_progress = progress, 0
        else:
            self._steps_without_progress += 1

    def on_episode(self, summary: EpisodeSummary) -> None:
        """Take the result of an episode."""
        self.success = summary.success
        seconds = summary.steps * self._env.experience.control_dt_s
        result = "success" if summary.success else "no success"
        self.outcome = f"Episode {summary.episode}: {result} after {seconds:.1f} s"

    def on_discard(self, episode: int) -> None:
        """Take note of a discarded episode."""
        self.outcome, self.success = f"Episode {episode}: discarded", False

    def headline(self) -> str:
        """Describe the present task, episode and step."""
        if self._step is None:
            return "No step yet."
        spec = self._env.experience
        seconds = self._step.index * spec.control_dt_s
        return f"{spec.task}, episode {self._step.episode}, step {self._step.index} ({seconds:.1f} s)"

    @property
    def advises_takeover(self) -> bool:
        """True if the policy comes no nearer to success, by its critics."""
        return self._watch is not None and self._watch.stagnates

    @property
    def _values(self) -> list[float]:
        return [*self._watch.values] if self._watch else []

    def plots(self) -> tuple[tuple[str, tuple[Curve, ...]], ...]:
        """Return the curve of the critics' values, if any."""
        if not (values := self._values):
            return ()
        y = np.array(values)
        return (("Value of the action taken", (Curve("Q", np.arange(len(y), dtype=float), y),)),)

    def advice(self) -> tuple[str, ...]:
        """Describe progress and trend, for a decision on a takeover."""
        lines = []
        if self._env.supervision:
            seconds = self._steps_without_progress * self._env.experience.control_dt_s
            lines.append(f"No progress for {seconds:.1f} s" if seconds >= 1.0 else "The task makes progress")
        if len(values := self._values[-_TREND_STEPS:]) == _TREND_STEPS:
            half = _TREND_STEPS // 2
            change = (sum(values[half:]) - sum(values[:half])) / half
            trend = "rising" if change > _NOTICEABLE_TREND else "falling" if change < -_NOTICEABLE_TREND else "level"
            lines.append(f"Expected value {values[-1]:.2f}, {trend}")
        return tuple(lines)
