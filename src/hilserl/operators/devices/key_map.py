"""Key map of the console.

The panel, the documentation and the tests read it from here.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from hilserl.data.spec import ActionLayout
from hilserl.operators.action_axes import AXES, ActionKind, arm_axes, driven_axes, kinds_along


class Command(Enum):
    """A one-time request by a key or a button."""

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
    """One key of the map."""

    name: str
    """Dear ImGui's name of the key."""
    label: str
    meaning: str
    moves: tuple[str, float] | None = None
    """Axis (`action_axes.AXES`) and direction of the arm's motion while held."""
    command: Command | None = None
    speed: float | None = None
    """Speed while held, as a part of a full action."""
    button: str = ""
    """Label of the panel's button with the same effect."""
    twice: bool = False
    """True if only a second press within a few seconds counts."""


SPEED = 0.5
"""Speed without slow or fast, as a part of a full action."""

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
    # Browsers reserve Ctrl+W and similar combinations.
    Key("F", "F", "fast, while held", speed=1.0),
    Key("Enter", "Enter", Command.SUCCESS.value, command=Command.SUCCESS, button="Success"),
    Key("Backspace", "Backspace", Command.FAILURE.value, command=Command.FAILURE, button="Failure"),
    Key("N", "N", Command.RESET.value, command=Command.RESET, button="New episode"),
    Key("X", "X", Command.DISCARD.value, command=Command.DISCARD, button="Discard"),
    Key("P", "P", Command.PAUSE.value, command=Command.PAUSE, button="Pause"),
    Key("Escape", "Esc Esc", Command.END.value, command=Command.END, button="End", twice=True),
)
LABEL_KEY = Key("Space", "Space", "this is success, while held")
"""Additional key of `hilserl label`."""

HELD_KEYS = tuple(key for key in KEYS if key.command is None)
COMMAND_KEYS = {key.name: key for key in KEYS if key.command is not None}


def keys_for(layout: ActionLayout, *, labels: bool = False) -> tuple[Key, ...]:
    """Return the keys that have an effect with this layout.

    Each label occurs once. The meanings follow the layout: a key that turns an arm in one task exerts a torque in
    another.

    Args:
        layout: layout of the actions.
        labels: adds the key of `hilserl label`.
    """
    arms = arm_axes(layout)
    missing = {
        *((Command.GRIPPER,) if all(arm.gripper is None for arm in arms) else ()),
        *((Command.SWITCH_ARM,) if len(arms) == 1 else ()),
    }
    available = [_with_meaning(key, layout) for key in KEYS if key.command not in missing]
    first = {key.label: key for key in reversed(available) if key.meaning}
    shown = tuple(key for key in available if first.get(key.label) is key)
    return (*shown, LABEL_KEY) if labels else shown


def takeover_hint(layout: ActionLayout) -> str:
    """Name the keys that take over, move and hand back."""
    keys = keys_for(layout)
    by_command = {key.command: key.label for key in keys if key.command}
    moves = " ".join(key.label for key in keys if key.moves)
    grips = f", {by_command[Command.GRIPPER]} grips" if Command.GRIPPER in by_command else ""
    takeover = by_command[Command.TAKEOVER]
    return f"{takeover} takes over, {moves} move{grips}, {takeover} hands back."


def _with_meaning(key: Key, layout: ActionLayout) -> Key:
    """Return the key with its meaning in this layout.

    The meaning is empty if no action has the key's axis.
    """
    if key.moves is None:
        return key
    axis, way = key.moves
    kinds = kinds_along(axis, layout)
    if ActionKind.NUMBER in kinds:
        return replace(key, meaning=f"action_{AXES.index(axis)} {'up' if way > 0 else 'down'}")
    return replace(key, meaning=" / ".join(kind.value + key.meaning for kind in kinds))


def key_motion(held: Iterable[str], layout: ActionLayout) -> tuple[float, ...]:
    """Map held keys to a motion of one length in every direction.

    Opposite keys cancel. Slow wins over fast. Unknown names, and axes that no action has, have no effect.

    Args:
        held: Dear ImGui's names of the held keys.
        layout: layout of the actions.

    Returns:
        One number in [-1, 1] for each of `AXES`.
    """
    held, available = set(held), driven_axes(layout)
    direction = dict.fromkeys(AXES, 0.0)
    for key in KEYS:
        if key.name in held and key.moves is not None and key.moves[0] in available:
            direction[key.moves[0]] += key.moves[1]
    length = float(np.linalg.norm(list(direction.values())))
    speed = min((key.speed for key in KEYS if key.name in held and key.speed is not None), default=SPEED)
    return tuple(number * speed / max(length, 1.0) for number in direction.values())
