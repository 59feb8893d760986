"""Facts and curves of a run for the human operator's console."""

import time
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np
from typing_extensions import override

from hilserl.data.episode_summary import EpisodeSummary
from hilserl.data.step import Step
from hilserl.data.subscriber import Subscriber
from hilserl.envs.make import is_gymnasium_id
from hilserl.operators.console.messages import Curve
from hilserl.operators.console.session import PanelReport
from hilserl.runs.counters import RECENT_EPISODES, RunCounters
from hilserl.training.config import TrainConfig
from hilserl.training.learner import LearnerFacts

_KEPT_EPISODES = 200
_LOSSES = ("critic_loss", "continuous_loss", "gripper_loss")
_RATE_OVER_S = 5.0


class Dashboard(Subscriber):
    """Curves and counters of a run.

    Args:
        config: settings of the run.
        counters: counters of the run, which the rollout tells before the dashboard.
        learner: returns the state of the learner.
        connection: returns how the learner is connected.
    """

    def __init__(
        self,
        config: TrainConfig,
        counters: RunCounters,
        learner: Callable[[], LearnerFacts],
        connection: Callable[[], str],
    ) -> None:
        self._counters, self._learner, self._connection, self._judged = counters, learner, connection, config.judged
        self._by_return = is_gymnasium_id(config.task)
        self._episodes: deque[tuple[int, float, float, float, float]] = deque(maxlen=_KEPT_EPISODES)
        self._losses: deque[tuple[int, dict[str, float]]] = deque(maxlen=_KEPT_EPISODES)
        self._moments: deque[float] = deque()

    @override
    def on_step(self, step: Step) -> None:
        now = time.monotonic()
        self._moments.append(now)
        while now - self._moments[0] > _RATE_OVER_S:
            self._moments.popleft()

    @override
    def on_episode(self, steps: Sequence[Step], summary: EpisodeSummary) -> None:
        counters = self._counters
        rates = counters.autonomous_success_rate, counters.intervention_rate, counters.agreement
        self._episodes.append((counters.env_steps, *rates, counters.human_seconds))
        if losses := self._learner().losses:
            self._losses.append((counters.env_steps, dict(losses)))

    def report(self) -> PanelReport:
        """Return the facts and curves as they are now."""
        counters, learner = self._counters, self._learner()
        facts = (
            ("environment steps", f"{counters.env_steps}, {len(self._moments) / _RATE_OVER_S:.1f} a second"),
            ("of them human", f"{counters.human_steps}, {counters.human_seconds:.0f} s"),
            ("episodes, interventions", f"{counters.episodes}, {counters.interventions}"),
            (f"alone, last {RECENT_EPISODES}", f"{100 * counters.autonomous_success_rate:.0f} % succeed"),
            ("update steps", f"{learner.update_steps}, {learner.update_steps_per_s:.0f} a second"),
            ("replay, prior data", f"{learner.online}, {learner.prior} steps"),
            ("learner", self._connection()),
        )
        if self._by_return:
            facts = (*facts, (f"mean return, last {RECENT_EPISODES}", f"{counters.mean_return:.4g}"))
        if self._judged:
            wrong = f"{counters.fooled} of {counters.called_successes} were false, {counters.denied_steps} denied"
            facts = (*facts, ("successes by the reward", wrong))
        return PanelReport(facts, self._plots())

    def _plots(self) -> tuple[tuple[str, tuple[Curve, ...]], ...]:
        plots = []
        if self._episodes:
            x, alone, human, agreement, seconds = np.array(self._episodes, float).T.copy()
            curves = [Curve("succeed alone", x, alone), Curve("human steps", x, human)]
            if self._judged:
                curves.append(Curve("reward is true", x, agreement))
            plots.append(("Recent episodes", tuple(curves)))
            plots.append(("Human time", (Curve("seconds", x, seconds),)))
        if self._losses:
            x = np.array([steps for steps, _ in self._losses], float)
            names = [name for name in _LOSSES if name in self._losses[-1][1]]
            curves = [Curve(name, x, np.array([values.get(name, 0.0) for _, values in self._losses])) for name in names]
            plots.append(("Losses", tuple(curves)))
        return tuple(plots)
