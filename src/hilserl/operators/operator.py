"""The operator interface of a rollout."""

from hilserl.operators.takeover import Intent


class Operator:
    """A human operator, or a model of one, beside the policy.

    Every method has a default: no intervention, no objection, nothing to remember. A subclass overrides what it needs.
    """

    @property
    def done(self) -> bool:
        """True if the operator wants no further control step."""
        return False

    def begin_episode(self, episode: int) -> None:
        """Start an episode.

        Args:
            episode: number of the episode; it seeds the operator's random draws.
        """

    def intent(self) -> Intent:
        """Return the operator's intent at this control step.

        The rollout calls this once a step, before the action is executed.
        """
        return Intent(engaged=False)

    def confirms(self) -> bool | None:
        """Answer if the success that the reward reports is real.

        The rollout asks only where something other than the task itself decides on success. It asks again, while time
        stands still, until the answer is not None.

        Returns:
            True for a success, False for a denial, None while the operator has not decided.
        """
        return True

    def end_episode(self, success: bool, intervened: bool) -> None:
        """Close an episode.

        Args:
            success: True if the episode ended in success.
            intervened: True if the operator acted in the episode.
        """


class NoOperator(Operator):
    """No operator: the policy always acts."""
