"""What an operator is to the rollout: somebody who says at each step whether, and how, they would act."""

from typing import Protocol

from hilserl.operators.takeover import Intent


class Operator(Protocol):
    """A person at a device, or a model of one."""

    @property
    def done(self) -> bool:
        """The operator wants no further control step."""
        ...

    def begin_episode(self, episode: int) -> None:
        """An episode starts; its number seeds whatever the operator draws."""

    def intent(self) -> Intent:
        """What the operator wants at this control step. Called once a step, before the action is executed."""
        ...

    def confirms(self) -> bool | None:
        """Whether the operator believes the reward that it sees a success; None as long as they think about it.

        Called again and again, while time stands still, where something other than the task itself judges.
        """
        ...

    def end_episode(self, success: bool, intervened: bool) -> None:
        """An episode ended; `intervened` says whether the operator acted in it."""


class Nobody:
    """No operator: the policy always acts."""

    done = False

    def begin_episode(self, episode: int) -> None:
        del episode

    def intent(self) -> Intent:
        return Intent(engaged=False)

    def confirms(self) -> bool:
        return True

    def end_episode(self, success: bool, intervened: bool) -> None:
        del success, intervened
