"""What a device tells at a control step, whatever it is: keys, gamepad, SpaceMouse."""

from dataclasses import dataclass
from typing import Protocol

from hilserl.operators.devices.key_map import Command


@dataclass(frozen=True)
class Reading:
    """All that a device says at one moment."""

    present: bool
    """Somebody could steer by it: the page is open and answers, the device is plugged in."""
    motion: tuple[float, ...] = ()
    """One number in [-1, 1] for each of `arms.AXES`; empty means none."""
    commands: tuple[Command, ...] = ()
    """What was asked for since the last reading, in order."""
    goal_m: tuple[float, float, float] | None = None
    """Where a tool should go (world frame), while a target is dragged."""
    goal_arm: str = ""
    """The name of the arm whose tool that is."""
    success: bool = False
    """The person is holding "this is success"."""

    @property
    def moves(self) -> bool:
        return any(self.motion) or self.goal_m is not None


class InputDevice(Protocol):
    """A device that is read once a control step."""

    name: str
    """What a person calls it."""
    arm: str | None
    """The name of the only arm that it drives; None is whichever the person has chosen."""

    def read(self) -> Reading:
        """What it says now; what was pressed and let go since the last reading counts too. Never waits."""
        ...

    def close(self) -> None:
        """Lets the device go."""
        ...
