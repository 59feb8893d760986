"""How control changes hands between the policy and a person: one pure state machine for every device.

The robot's next target is its measured pose plus the action, so a change of hands cannot make the arm jump. The gripper
is kept in step by asking for *changes* only: a person who takes over holds whatever is held, and a toggle means the
opposite of what the gripper is told now.
"""

from dataclasses import dataclass
from enum import Enum, IntEnum

import numpy as np

from hilserl.data.spec import ActionLayout


class Control(Enum):
    """Who chooses the action."""

    POLICY = "policy"
    HUMAN = "human"


class GripperRequest(IntEnum):
    """What a person asks of a gripper; the first three are gripper actions."""

    CLOSE = -1
    HOLD = 0
    OPEN = 1
    TOGGLE = 2


class Verdict(Enum):
    """What a person says of the episode in progress; each ends it."""

    SUCCESS = "success"
    """The task is done: the step about to be taken earns the reward and terminates."""
    FAILURE = "failure"
    """It will not get done: the step about to be taken is the last one, and values bootstrap as at a time limit."""
    RESET = "reset"
    """Start again; what happened so far is kept, as an episode cut short."""
    DISCARD = "discard"
    """Start again, and forget the episode."""


@dataclass(frozen=True)
class Intent:
    """What a person's device says at one control step."""

    engaged: bool
    """The person wants control."""
    motion: tuple[float, ...] = ()
    """One number in [-1, 1] for each continuous action, in order; used only while engaged."""
    grippers: tuple[GripperRequest, ...] = ()
    """One request for each gripper."""
    seconds: float | None = None
    """How long the person has been at it since the last control step; None is as long as a control step lasts."""
    hold: bool = False
    """Time stands still: no control step is wanted yet."""
    verdict: Verdict | None = None
    success: bool | None = None
    """Whether the person calls what is seen now a success; None leaves that to the environment."""


@dataclass(frozen=True)
class Decision:
    """The action to execute, float32 [n], and whose it is."""

    action: np.ndarray
    intervened: bool


@dataclass(frozen=True)
class Takeover:
    """Who is in control."""

    control: Control = Control.POLICY

    def advance(
        self, intent: Intent, policy_action: np.ndarray, gripper_commands: np.ndarray, layout: ActionLayout
    ) -> tuple["Takeover", Decision]:
        """One control step. `gripper_commands` says what each gripper is told now: +1 open, -1 closed."""
        if not intent.engaged:
            return Takeover(Control.POLICY), Decision(np.asarray(policy_action, np.float32), False)
        action = np.zeros(layout.size, np.float32)
        action[list(layout.continuous)] = np.clip(intent.motion, -1.0, 1.0)
        for index, request, command in zip(layout.grippers, intent.grippers, gripper_commands, strict=True):
            action[index] = _change(request, command)
        return Takeover(Control.HUMAN), Decision(action, True)


def _change(request: GripperRequest, command: float) -> float:
    """The gripper action that fulfils a request: 0 where the gripper is told so already."""
    if request is GripperRequest.TOGGLE:
        return -1.0 if command > 0 else 1.0
    return 0.0 if request * command > 0 else float(request)
