"""The one key map: what each key of the console means. The panel, the documentation and the tests read it from here."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from hilserl.data.spec import ActionLayout
from hilserl.operators.action_axes import AXES, Kind, arms_of, axes_of, kinds_along


class Command(Enum):
    """Something asked for once, by a key or a button."""

    TAKEOVER = "take over / hand back"
    GRIPPER = "open / close the gripper"
    SWITCH_ARM = "drive the other arm"
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
    """The axis (`arms.AXES`) along or about which it moves the arm while held, and which way."""
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
    Key("W", "W", "forward (+x)", ("x", 1.0)),
    Key("S", "S", "backward (-x)", ("x", -1.0)),
    Key("A", "A", "left (+y)", ("y", 1.0)),
    Key("D", "D", "right (-y)", ("y", -1.0)),
    Key("J", "J", "up (+z)", ("z", 1.0)),
    Key("K", "K", "down (-z)", ("z", -1.0)),
    Key("Q", "Q", "turn left (+yaw)", ("yaw", 1.0)),
    Key("E", "E", "turn right (-yaw)", ("yaw", -1.0)),
    Key("T", "T", "tilt forward (+pitch)", ("pitch", 1.0)),
    Key("G", "G", "tilt backward (-pitch)", ("pitch", -1.0)),
    Key("Y", "Y", "roll right (+roll)", ("roll", 1.0)),
    Key("H", "H", "roll left (-roll)", ("roll", -1.0)),
    Key("L", "L", Command.GRIPPER.value, command=Command.GRIPPER, button="Gripper"),
    Key("O", "O", Command.SWITCH_ARM.value, command=Command.SWITCH_ARM, button="Other arm"),
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
    """The keys that mean something where actions have this layout, each label once, in the words that are right there:
    what turns an arm in one task makes it exert a torque in another."""
    arms = arms_of(layout)
    missing = {
        *((Command.GRIPPER,) if all(arm.gripper is None for arm in arms) else ()),
        *((Command.SWITCH_ARM,) if len(arms) == 1 else ()),
    }
    mine = [_worded(key, layout) for key in KEYS if key.command not in missing]
    first = {key.label: key for key in reversed(mine) if key.meaning}
    shown = tuple(key for key in mine if first.get(key.label) is key)
    return (*shown, LABEL_KEY) if labels else shown


def _worded(key: Key, layout: ActionLayout) -> Key:
    """The key with what it means in this layout, which is nothing where no action has the axis that it moves."""
    if key.moves is None:
        return key
    axis, way = key.moves
    kinds = kinds_along(axis, layout)
    if Kind.NUMBER in kinds:
        return replace(key, meaning=f"action_{AXES.index(axis)} {'up' if way > 0 else 'down'}")
    return replace(key, meaning=" / ".join(kind.value + key.meaning for kind in kinds))


def motion(held: Iterable[str], layout: ActionLayout) -> tuple[float, ...]:
    """What held keys move: one number for each of AXES, a vector of one length in every direction.

    Opposite keys cancel. Slow wins over fast. Names that are not in the map, and axes that no action has, mean nothing.
    """
    held, there = set(held), axes_of(layout)
    direction = dict.fromkeys(AXES, 0.0)
    for key in KEYS:
        if key.name in held and key.moves is not None and key.moves[0] in there:
            direction[key.moves[0]] += key.moves[1]
    length = float(np.linalg.norm(list(direction.values())))
    speed = min((key.speed for key in KEYS if key.name in held and key.speed is not None), default=SPEED)
    return tuple(number * speed / max(length, 1.0) for number in direction.values())
