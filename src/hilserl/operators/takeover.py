"""Takeover: a pure state machine that passes control between policy and operator.

The robot's next target is its measured pose plus the action, so a change of control cannot make the arm jump. The
operator asks for *changes* of the gripper only: after a takeover the gripper keeps its state, and a toggle reverses the
present gripper command.
"""

from dataclasses import dataclass
from enum import Enum, IntEnum

import numpy as np

from hilserl.data.spec import ActionLayout


class Control(Enum):
    """The source of the executed action."""

    POLICY = "policy"
    HUMAN = "human"


class GripperRequest(IntEnum):
    """An operator's request to a gripper; the first three are gripper actions."""

    CLOSE = -1
    HOLD = 0
    OPEN = 1
    TOGGLE = 2


class Verdict(Enum):
    """An operator's verdict on the episode in progress; each ends it."""

    SUCCESS = "success"
    """The task is done: the next step earns the reward and terminates."""
    FAILURE = "failure"
    """The task failed: the next step is the last one.

    Values bootstrap as at a time limit.
    """
    RESET = "reset"
    """Start again and keep the steps so far as a truncated episode."""
    DISCARD = "discard"
    """Start again and forget the episode."""


@dataclass(frozen=True)
class Intent:
    """An operator's intent at one control step."""

    engaged: bool
    """True if the operator wants control."""
    motion: tuple[float, ...] = ()
    """One number in [-1, 1] for each continuous action, in order.

    It is used only while engaged.
    """
    grippers: tuple[GripperRequest, ...] = ()
    """One request for each gripper, in order."""
    seconds: float | None = None
    """Human time since the last control step, in seconds.

    None means the length of a control step.
    """
    hold: bool = False
    """True if time stands still: no control step is wanted yet."""
    verdict: Verdict | None = None
    """Verdict on the episode, if any."""
    success: bool | None = None
    """True if the operator labels the present state a success.

    None leaves the label to the environment.
    """


@dataclass(frozen=True)
class Decision:
    """The decision of one control step."""

    action: np.ndarray
    """Action to execute, float32 [n]."""
    intervened: bool
    """True if the operator chose the action."""


@dataclass(frozen=True)
class Takeover:
    """The state machine of control; immutable."""

    control: Control = Control.POLICY
    """Source of the last action."""

    def advance(
        self, intent: Intent, policy_action: np.ndarray, gripper_commands: np.ndarray, layout: ActionLayout
    ) -> tuple["Takeover", Decision]:
        """Advance by one control step.

        Args:
            intent: the operator's intent.
            policy_action: action proposed by the policy, [n].
            gripper_commands: present command of each gripper, +1 open, -1 closed.
            layout: layout of the actions.

        Returns:
            The next state and the decision.
        """
        if not intent.engaged:
            return Takeover(Control.POLICY), Decision(np.asarray(policy_action, np.float32), False)
        action = np.zeros(layout.size, np.float32)
        action[list(layout.continuous)] = np.clip(intent.motion, -1.0, 1.0)
        for index, request, command in zip(layout.grippers, intent.grippers, gripper_commands, strict=True):
            action[index] = _gripper_action(request, command)
        return Takeover(Control.HUMAN), Decision(action, True)


def _gripper_action(request: GripperRequest, command: float) -> float:
    """Return the gripper action for a request.

    It is 0 if the gripper has the same command already.
    """
    if request is GripperRequest.TOGGLE:
        return -1.0 if command > 0 else 1.0
    return 0.0 if request * command > 0 else float(request)
