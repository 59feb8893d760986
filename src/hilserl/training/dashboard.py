"""What a person at the console is told of a training run."""

import time
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np

from hilserl.data.episode_summary import EpisodeSummary
from hilserl.data.step import Step
from hilserl.envs.make import is_gymnasium_id
from hilserl.operators.console.messages import Curve
from hilserl.operators.console.session import PanelReport
from hilserl.runs.metrics import RECENT_EPISODES, RunCounters
from hilserl.training.config import TrainConfig
from hilserl.training.learner import LearnerFacts

_KEPT_EPISODES = 200
_LOSSES = ("critic_loss", "motion_loss", "gripper_loss")
_RATE_OVER_S = 5.0


class Dashboard:
    """A run's curves and counters: a rollout's subscriber that comes after those that count."""

    def __init__(
        self, tally: RunCounters, learner: Callable[[], LearnerFacts], where: Callable[[], str], config: TrainConfig
    ) -> None:
        self._tally, self._learner, self._where, self._judged = tally, learner, where, config.judged
        self._by_return = is_gymnasium_id(config.task)
        self._episodes: deque[tuple[int, float, float, float]] = deque(maxlen=_KEPT_EPISODES)
        self._losses: deque[tuple[int, dict[str, float]]] = deque(maxlen=_KEPT_EPISODES)
        self._moments: deque[float] = deque()

    def on_step(self, step: Step) -> None:
        del step
        now = time.monotonic()
        self._moments.append(now)
        while now - self._moments[0] > _RATE_OVER_S:
            self._moments.popleft()

    def on_episode(self, steps: Sequence[Step], summary: EpisodeSummary) -> None:
        del steps, summary
        tally = self._tally
        self._episodes.append(
            (tally.env_steps, tally.autonomous_success_rate, tally.intervention_rate, tally.agreement)
        )
        if losses := self._learner().losses:
            self._losses.append((tally.env_steps, dict(losses)))

    def on_discard(self, episode: int) -> None:
        """Leaves no trace in the curves."""

    def report(self) -> PanelReport:
        tally, learner = self._tally, self._learner()
        facts = (
            ("environment steps", f"{tally.env_steps}, {len(self._moments) / _RATE_OVER_S:.1f} a second"),
            ("of them human", f"{tally.human_steps}, {tally.human_seconds:.0f} s"),
            ("episodes, interventions", f"{tally.episodes}, {tally.interventions}"),
            (f"alone, last {RECENT_EPISODES}", f"{100 * tally.autonomous_success_rate:.0f} % succeed"),
            ("update steps", f"{learner.update_steps}, {learner.update_steps_per_s:.0f} a second"),
            ("replay, prior data", f"{learner.online}, {learner.prior} steps"),
            ("learner", self._where()),
        )
        if self._by_return:
            facts = (*facts, (f"mean return, last {RECENT_EPISODES}", f"{tally.mean_return:.4g}"))
        if self._judged:
            wrong = f"{tally.fooled} of {tally.called_successes} were none, {tally.denied_steps} denied"
            facts = (*facts, ("successes by the reward", wrong))
        return PanelReport(facts, self._plots())

    def _plots(self) -> tuple[tuple[str, tuple[Curve, ...]], ...]:
        plots = []
        if self._episodes:
            x, alone, human, agreement = np.array(self._episodes, float).T.copy()
            curves = [Curve("succeed alone", x, alone), Curve("human steps", x, human)]
            if self._judged:
                curves.append(Curve("reward is true", x, agreement))
            plots.append(("Recent episodes", tuple(curves)))
        if self._losses:
            x = np.array([steps for steps, _ in self._losses], float)
            names = [name for name in _LOSSES if name in self._losses[-1][1]]
            curves = [Curve(name, x, np.array([values.get(name, 0.0) for _, values in self._losses])) for name in names]
            plots.append(("Losses", tuple(curves)))
        return tuple(plots)
