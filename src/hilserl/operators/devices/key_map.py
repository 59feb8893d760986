"""Key map of the console.

The panel, the documentation and the tests read it from here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from hilserl.data.spec import ActionLayout
from hilserl.operators.action_axes import AXES, ActionKind, arm_axes, driven_axes, kinds_along, numbers_along
from hilserl.operators.devices.key_bindings import KeyBindings
from hilserl.operators.devices.key_names import label_of


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
    """Name of the key's place (`key_names`)."""
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
    labels: bool = False
    """True for the key of `hilserl label`, which says success while held."""


SPEED = 0.5
"""Speed without slow or fast, as a part of a full action."""


def _moves(meaning: str, axis: str, way: float) -> Key:
    return Key("", "", meaning, moves=(axis, way))


def _commands(command: Command, button: str, *, twice: bool = False) -> Key:
    return Key("", "", command.value, command=command, button=button, twice=twice)


_ACTIONS = {
    "forward": _moves("forward (+x)", "x", 1.0),
    "backward": _moves("backward (-x)", "x", -1.0),
    "left": _moves("left (+y)", "y", 1.0),
    "right": _moves("right (-y)", "y", -1.0),
    "up": _moves("up (+z)", "z", 1.0),
    "down": _moves("down (-z)", "z", -1.0),
    "turn_left": _moves("turn left (+yaw)", "yaw", 1.0),
    "turn_right": _moves("turn right (-yaw)", "yaw", -1.0),
    "tilt_forward": _moves("tilt forward (+pitch)", "pitch", 1.0),
    "tilt_backward": _moves("tilt backward (-pitch)", "pitch", -1.0),
    "roll_right": _moves("roll right (+roll)", "roll", 1.0),
    "roll_left": _moves("roll left (-roll)", "roll", -1.0),
    "gripper": _commands(Command.GRIPPER, "Gripper"),
    "other_arm": _commands(Command.SWITCH_ARM, "Other arm"),
    "takeover": _commands(Command.TAKEOVER, "Take over / back"),
    "slow": Key("", "", "slow, while held", speed=0.2),
    "fast": Key("", "", "fast, while held", speed=1.0),
    "success": _commands(Command.SUCCESS, "Success"),
    "failure": _commands(Command.FAILURE, "Failure"),
    "new_episode": _commands(Command.RESET, "New episode"),
    "discard": _commands(Command.DISCARD, "Discard"),
    "pause": _commands(Command.PAUSE, "Pause"),
    "end": _commands(Command.END, "End", twice=True),
    "success_label": Key("", "", "this is success, while held", labels=True),
}
"""Effects of the actions of `KeyBindings`."""


def bound_keys(bindings: KeyBindings) -> tuple[Key, ...]:
    """Return the keys of all actions."""
    return tuple(
        replace(action, name=name, label=labelled(action, label_of(name)))
        for setting, action in _ACTIONS.items()
        for name in getattr(bindings, setting)
    )


def labelled(key: Key, label: str) -> str:
    """Return a key's label, twice for two presses."""
    return f"{label} {label}" if key.twice else label


KEYS = bound_keys(KeyBindings())
"""The keys by default."""


def keys_for(layout: ActionLayout, *, keys: Sequence[Key] = KEYS, labels: bool = False) -> tuple[Key, ...]:
    """Return the keys that have an effect with this layout.

    Each label occurs once. The meanings follow the layout: a key that turns an arm in one task exerts a torque in
    another.

    Args:
        layout: layout of the actions.
        keys: all keys.
        labels: adds the key of `hilserl label`.
    """
    arms = arm_axes(layout)
    missing = {
        *((Command.GRIPPER,) if all(arm.gripper is None for arm in arms) else ()),
        *((Command.SWITCH_ARM,) if len(arms) == 1 else ()),
    }
    available = [_with_meaning(key, layout) for key in keys if key.command not in missing and labels >= key.labels]
    first = {key.label: key for key in reversed(available) if key.meaning}
    return tuple(key for key in available if first.get(key.label) is key)


def takeover_hint(keys: Iterable[Key]) -> str:
    """Name the keys that take over, move and hand back."""
    keys = tuple(keys)

    def labels(command: Command) -> str:
        return " or ".join(key.label for key in keys if key.command is command)

    moves = " ".join(key.label for key in keys if key.moves)
    gripper, takeover = labels(Command.GRIPPER), labels(Command.TAKEOVER)
    grips = f", {gripper} grips" if gripper else ""
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
        return replace(key, meaning=f"{' / '.join(numbers_along(axis, layout))} {'up' if way > 0 else 'down'}")
    return replace(key, meaning=" / ".join(kind.value + key.meaning for kind in kinds))


def key_motion(held: Iterable[str], layout: ActionLayout, keys: Sequence[Key] = KEYS) -> tuple[float, ...]:
    """Map held keys to a motion of one length in every direction.

    Opposite keys cancel. Slow wins over fast. Unknown names, and axes that no action has, have no effect.

    Args:
        held: names of the held keys.
        layout: layout of the actions.
        keys: all keys.

    Returns:
        One number in [-1, 1] for each of `AXES`.
    """
    held, available = set(held), driven_axes(layout)
    direction = dict.fromkeys(AXES, 0.0)
    for key in keys:
        if key.name in held and key.moves is not None and key.moves[0] in available:
            direction[key.moves[0]] += key.moves[1]
    length = float(np.linalg.norm(list(direction.values())))
    speed = min((key.speed for key in keys if key.name in held and key.speed is not None), default=SPEED)
    return tuple(number * speed / max(length, 1.0) for number in direction.values())
