"""Messages of the phone's page."""

import math
from typing import Literal

import msgspec

from hilserl.errors import HilserlError

PressName = Literal["takeover", "gripper", "other_arm", "success", "failure", "discard", "new_episode", "pause"]
MAX_BYTES = 2048
"""Largest message of a page."""
_LARGEST = 1e4
"""Largest number that a phone measures, in metres or degrees."""


class PhoneMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The state of the phone at one moment.

    Presses are those since the last message.
    """

    place_m: tuple[float, float, float] | None = None
    """Place of the phone by WebXR, while the drive button is held.

    x points right, y up, z near.
    """
    turn_xyzw: tuple[float, float, float, float] | None = None
    """Orientation by WebXR, with the place."""
    angles_deg: tuple[float, float, float] | None = None
    """Alpha, beta, gamma of the sensors, while the turn button is held."""
    pads: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Thumbs on the pads, each in [-1, 1].

    Right and up on the first pad, up on the second one.
    """
    presses: tuple[PressName, ...] = ()
    visible: bool = True
    """False if the page is hidden or the phone sleeps."""


def parse_message(text: str | bytes) -> PhoneMessage:
    """Read a message of the page.

    Raises:
        HilserlError: it is no message, or a number is out of range.
    """
    try:
        message = msgspec.json.decode(text, type=PhoneMessage)
    except msgspec.MsgspecError as error:
        raise HilserlError(f"Invalid message of the phone's page: {error}") from error
    measured = (message.place_m or (), message.turn_xyzw or (), message.angles_deg or (), message.pads)
    if not all(math.isfinite(number) and abs(number) <= _LARGEST for numbers in measured for number in numbers):
        raise HilserlError(f"Invalid message of the phone's page: expected numbers up to {_LARGEST:g}, got {message}")
    if message.turn_xyzw is not None and math.hypot(*message.turn_xyzw) < 0.5:
        raise HilserlError(f"Invalid message of the phone's page: expected a unit quaternion, got {message.turn_xyzw}")
    return message
