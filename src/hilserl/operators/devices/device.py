"""The interface of an input device."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from hilserl.operators.devices.key_map import Command
from hilserl.operators.takeover import GripperRequest


@dataclass(frozen=True)
class Reading:
    """The state of an input device at one moment."""

    present: bool
    """True if the page answers, or the device is plugged in."""
    motion: tuple[float, ...] = ()
    """One number in [-1, 1] for each of `action_axes.AXES`.

    Empty means no motion.
    """
    commands: tuple[Command, ...] = ()
    """Commands since the last reading, in order."""
    goal_m: tuple[float, float, float] | None = None
    """Goal of a tool, in metres in the world frame.

    It is set while the target marker is dragged.
    """
    goal_arm: str = ""
    """Name of the arm whose tool has the goal."""
    success: bool = False
    """True while the operator holds "this is success"."""
    gripper: GripperRequest | None = None
    """Request to the gripper of the driven arm, if any."""

    @property
    def moves(self) -> bool:
        """True if the device asks for a motion."""
        return any(self.motion) or self.goal_m is not None


class InputDevice(Protocol):
    """An input device that is read once a control step."""

    name: str
    """Name of the device in messages."""
    arm: str | None
    """Name of the only arm it drives; None for the chosen arm."""

    def read(self) -> Reading:
        """Return the present state, without waiting.

        Presses and releases since the last reading count too.
        """
        ...

    def close(self) -> None:
        """Release the device."""
        ...


@runtime_checkable
class FollowingDevice(InputDevice, Protocol):
    """An input device whose motion counts from the takeover."""

    def follow(self, arm: str, tool_m: np.ndarray | None) -> None:
        """Take the place of the tool that the operator drives.

        This comes before every reading.

        Args:
            arm: name of the chosen arm.
            tool_m: position of its tool (world frame), [3]; None while the operator does not drive.
        """
        ...
