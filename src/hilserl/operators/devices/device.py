"""The interface of an input device."""

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from hilserl.operators.devices.key_map import Command
from hilserl.operators.takeover import GripperRequest

ControlName = Literal["policy", "human", "paused"]
"""The source of control, in the words of the displays."""


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
    hand_m: tuple[float, float, float] | None = None
    """Position of the operator's hand along the world's axes, in metres.

    Its origin is any fixed point: the tool follows its changes. None means that the tool stands still.
    """
    gripper: GripperRequest | None = None
    """Request to the gripper of the driven arm, if any."""

    @property
    def moves(self) -> bool:
        """True if the device asks for a motion."""
        return any(self.motion) or self.goal_m is not None or self.hand_m is not None


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
class DisplayDevice(InputDevice, Protocol):
    """An input device that shows the operator who drives."""

    announcement: str
    """Text for the terminal that leads to the device."""

    def show(self, control: ControlName, message: str) -> None:
        """Show the source of control and a sentence, without waiting."""
        ...


@runtime_checkable
class EngagingDevice(InputDevice, Protocol):
    """An input device to which it matters whether the operator drives."""

    def engage(self, engaged: bool, /) -> None:
        """Take whether the operator drives. This comes before every reading."""
        ...
