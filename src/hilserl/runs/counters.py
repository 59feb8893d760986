"""Counters of a run."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from typing_extensions import override

from hilserl.data.episode_summary import EpisodeSummary
from hilserl.data.step import Step
from hilserl.data.subscriber import Subscriber

RECENT_EPISODES = 20
"""Episodes that rates are computed over."""
_COUNTED = ("steps", "human_steps", "human_seconds")


def _zeros() -> dict[str, Any]:
    return dict.fromkeys(_COUNTED, 0)


class RunCounters(Subscriber):
    """Counters of a run and summaries of its recent episodes."""

    def __init__(self) -> None:
        self.env_steps = self.episodes = self.human_steps = self.interventions = 0
        self.called_successes = self.fooled = self.denied_steps = self.agreeing_steps = self.judged_steps = 0
        self.human_seconds = 0.0
        self._in_progress = _zeros()
        self.discarded = _zeros()
        """Steps, human steps and human seconds of the episode discarded last."""
        self.recent: deque[EpisodeSummary] = deque(maxlen=RECENT_EPISODES)

    @override
    def on_step(self, step: Step) -> None:
        self.env_steps += not step.is_reset
        self.human_steps += step.intervened
        self.human_seconds += step.human_seconds
        if step.is_reset:
            self._in_progress = _zeros()
        for name, more in zip(_COUNTED, (not step.is_reset, step.intervened, step.human_seconds), strict=True):
            self._in_progress[name] += more

    @override
    def on_discard(self, episode: int) -> None:
        # The steps stay counted: they were done, even if nothing is learned from them.
        self.discarded, self._in_progress = self._in_progress, _zeros()

    def count_discarded(self, record: Mapping[str, Any]) -> None:
        """Count an episode that was discarded before the run was resumed."""
        self.env_steps += record["steps"]
        self.human_steps += record["human_steps"]
        self.human_seconds += record["human_seconds"]

    @override
    def on_episode(self, steps: Sequence[Step], summary: EpisodeSummary) -> None:
        self.episodes += 1
        self.interventions += summary.interventions
        self.called_successes += summary.success
        self.fooled += summary.fooled
        self.denied_steps += summary.denied_steps
        self.judged_steps += summary.steps
        self.agreeing_steps += summary.agreeing_steps
        self.recent.append(summary)

    @property
    def autonomous_success_rate(self) -> float:
        """Part of the recent episodes that succeeded without intervention."""
        return sum(e.autonomous_success for e in self.recent) / max(1, len(self.recent))

    @property
    def mean_return(self) -> float:
        """Mean return of the recent episodes."""
        return sum(e.episode_return for e in self.recent) / max(1, len(self.recent))

    @property
    def agreement(self) -> float:
        """Part of the recent steps whose reward agrees with the environment."""
        return sum(e.agreeing_steps for e in self.recent) / max(1, sum(e.steps for e in self.recent))

    @property
    def intervention_rate(self) -> float:
        """Part of the recent steps that the operator chose."""
        return sum(e.intervened_steps for e in self.recent) / max(1, sum(e.steps for e in self.recent))
