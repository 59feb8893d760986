"""Statistics of finished episodes."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from hilserl.data.step import Step


@dataclass(frozen=True)
class EpisodeSummary:
    """Numbers of one finished episode."""

    episode: int
    """Number of the episode in its run."""
    steps: int
    """Environment steps, without the reset."""
    episode_return: float
    """Sum of the rewards, without discount."""
    success: bool
    """True if it ended as a success, by reward function or operator."""
    truth: bool
    """True if it was a success according to the environment."""
    agreeing_steps: int
    """Steps in which reward function and environment agree."""
    denied_steps: int
    """Steps in which the operator denied the reward function's success."""
    intervened_steps: int
    """Steps in which the operator chose the action."""
    interventions: int
    """Times that the operator took over."""
    human_seconds: float
    """Seconds of the operator's time."""

    @property
    def autonomous_success(self) -> bool:
        """True if it was a success without interventions."""
        return self.success and self.intervened_steps == 0

    @property
    def fooled(self) -> bool:
        """True if the environment does not confirm its success."""
        return self.success and not self.truth


def summarise(steps: Sequence[Step]) -> EpisodeSummary:
    """Summarise one episode's steps, its reset first."""
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
    """Return the 95 % Wilson interval of a success rate.

    Without episodes it is (0, 1).
    """
    # Imported here: scipy.stats takes half a second, and most commands count nothing.
    from scipy.stats import binomtest

    if episodes == 0:
        return 0.0, 1.0
    interval = binomtest(successes, episodes).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)
