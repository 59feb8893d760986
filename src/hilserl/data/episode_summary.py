"""One finished episode in numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from hilserl.data.step import Step


@dataclass(frozen=True)
class EpisodeSummary:
    """One finished episode in numbers."""

    episode: int
    steps: int
    episode_return: float
    success: bool
    truth: bool
    """Whether it was a success as far as the environment knows."""
    agreeing_steps: int
    """In which the reward said what the environment knows."""
    denied_steps: int
    """In which a person denied the success that the reward saw."""
    intervened_steps: int
    interventions: int
    human_seconds: float

    @property
    def autonomous_success(self) -> bool:
        return self.success and self.intervened_steps == 0

    @property
    def fooled(self) -> bool:
        """Whether it ended as a success that was none."""
        return self.success and not self.truth


def summarise(steps: Sequence[Step]) -> EpisodeSummary:
    """The numbers of one episode's steps, its reset first."""
    flags = [s.intervened for s in steps]
    return EpisodeSummary(
        episode=steps[0].episode,
        steps=len(steps) - 1,
        episode_return=sum(s.reward for s in steps),
        success=steps[-1].success,
        truth=steps[-1].truth,
        agreeing_steps=sum(s.claimed == s.truth for s in steps[1:]),
        denied_steps=sum(s.claimed and not s.success for s in steps),
        intervened_steps=sum(flags),
        interventions=sum(now and not before for before, now in pairwise(flags)),
        human_seconds=sum(s.human_seconds for s in steps),
    )


def wilson_interval(successes: int, episodes: int) -> tuple[float, float]:
    """Return the 95 % Wilson score interval of a success rate; (0, 1) without episodes."""
    # Imported here: scipy.stats takes half a second, and most commands count nothing.
    from scipy.stats import binomtest

    if episodes == 0:
        return 0.0, 1.0
    interval = binomtest(successes, episodes).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)
