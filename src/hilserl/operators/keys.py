"""The one key map: what each key of the console means. The panel, the documentation and the tests read it from here."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

import numpy as np

from hilserl.experience import ActionLayout


class Command(Enum):
    """Something asked for once, by a key or a button."""

    TAKEOVER = "take over / hand back"
    GRIPPER = "open / close the gripper"
    SUCCESS = "success: the task is done"
    FAILURE = "failure: end the episode"
    RESET = "new episode"
    DISCARD = "discard this episode"
    PAUSE = "pause / go on"
    END = "end the run"


@dataclass(frozen=True)
class Key:
    """One key of the map; `name` is Dear ImGui's name of it."""

    name: str
    label: str
    meaning: str
    moves: tuple[str, float] | None = None
    """The action it moves while held, and which way."""
    command: Command | None = None
    speed: float | None = None
    """The speed it sets while held, as a part of a full action."""
    button: str = ""
    """What stands on the button that does the same."""
    twice: bool = False
    """Only a second press within a moment counts."""


SPEED = 0.5
"""Of a full action, with neither slow nor fast held."""

KEYS = (
    Key("W", "W", "forward (+x)", ("tcp_dx", 1.0)),
    Key("S", "S", "backward (-x)", ("tcp_dx", -1.0)),
    Key("A", "A", "left (+y)", ("tcp_dy", 1.0)),
    Key("D", "D", "right (-y)", ("tcp_dy", -1.0)),
    Key("J", "J", "up (+z)", ("tcp_dz", 1.0)),
    Key("K", "K", "down (-z)", ("tcp_dz", -1.0)),
    Key("Q", "Q", "turn left (+yaw)", ("tcp_drz", 1.0)),
    Key("E", "E", "turn right (-yaw)", ("tcp_drz", -1.0)),
    Key("T", "T", "tilt forward (+pitch)", ("tcp_dry", 1.0)),
    Key("G", "G", "tilt backward (-pitch)", ("tcp_dry", -1.0)),
    Key("Y", "Y", "roll right (+roll)", ("tcp_drx", 1.0)),
    Key("H", "H", "roll left (-roll)", ("tcp_drx", -1.0)),
    Key("L", "L", Command.GRIPPER.value, command=Command.GRIPPER, button="Gripper"),
    Key("Semicolon", ";", Command.TAKEOVER.value, command=Command.TAKEOVER, button="Take over / back"),
    Key("LeftShift", "Shift", "slow, while held", speed=0.2),
    Key("RightShift", "Shift", "slow, while held", speed=0.2),
    Key("LeftCtrl", "Ctrl", "fast, while held", speed=1.0),
    Key("RightCtrl", "Ctrl", "fast, while held", speed=1.0),
    # Browsers keep Ctrl+W and its like for themselves.
    Key("F", "F", "fast, while held", speed=1.0),
    Key("Enter", "Enter", Command.SUCCESS.value, command=Command.SUCCESS, button="Success"),
    Key("Backspace", "Backspace", Command.FAILURE.value, command=Command.FAILURE, button="Failure"),
    Key("N", "N", Command.RESET.value, command=Command.RESET, button="New episode"),
    Key("X", "X", Command.DISCARD.value, command=Command.DISCARD, button="Discard"),
    Key("P", "P", Command.PAUSE.value, command=Command.PAUSE, button="Pause"),
    Key("Escape", "Esc Esc", Command.END.value, command=Command.END, button="End", twice=True),
)
LABEL_KEY = Key("Space", "Space", "this is success, while held")
"""What `hilserl label` reads beside the others."""

HELD = tuple(key for key in KEYS if key.command is None)
PRESSED = {key.name: key for key in KEYS if key.command is not None}


def keys_for(layout: ActionLayout, *, labels: bool = False) -> tuple[Key, ...]:
    """The keys that mean something where actions have this layout, each label once."""
    mine = [
        key
        for key in KEYS
        if (key.moves is None or key.moves[0] in layout.names) and (layout.grippers or key.command != Command.GRIPPER)
    ]
    first = {key.label: key for key in reversed(mine)}
    shown = tuple(key for key in mine if first[key.label] is key)
    return (*shown, LABEL_KEY) if labels else shown


def motion(held: Iterable[str], layout: ActionLayout) -> tuple[float, ...]:
    """What held keys move: one number for each continuous action, a vector of one length in every direction.

    Opposite keys cancel. Slow wins over fast. Names that are not in the map mean nothing.
    """
    held = set(held)
    direction = np.zeros(layout.size)
    for key in KEYS:
        if key.name in held and key.moves is not None and key.moves[0] in layout.names:
            direction[layout.names.index(key.moves[0])] += key.moves[1]
    length = np.linalg.norm(direction)
    speeds = [key.speed for key in KEYS if key.name in held and key.speed is not None]
    speed = min(speeds, default=SPEED)
    if length > 0:
        direction *= speed / length
    return tuple(float(v) for v in direction[list(layout.continuous)])
