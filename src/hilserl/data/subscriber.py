"""Base class of a rollout's subscribers."""

from collections.abc import Sequence

from hilserl.data.episode_summary import EpisodeSummary
from hilserl.data.step import Step


class Subscriber:
    """A receiver of a rollout's steps and episodes.

    Every method does nothing by default; a subclass overrides what it needs.
    """

    def on_step(self, step: Step) -> None:
        """Take a step; the first step of an episode is its reset."""

    def on_episode(self, steps: Sequence[Step], summary: EpisodeSummary) -> None:
        """Take a closed episode, whose steps were told one by one before."""

    def on_discard(self, episode: int) -> None:
        """Forget the episode in progress, whose steps so far were told."""
