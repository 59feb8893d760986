"""Which arm each number of an action moves, and which way: the one place where names of actions are read.

Whatever a move is called, a displacement, a turn, a force or a torque, it is along or about one axis of the world, and
that axis is what keys and devices speak of.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from hilserl.data.spec import ActionLayout

AXES: tuple[str, ...] = ("x", "y", "z", "roll", "pitch", "yaw")
"""Along the world's x (away from the person), y (left) and z (up), then right-handed turns about them."""
STILL = (0.0,) * len(AXES)


class Kind(Enum):
    """What a move changes; the value is said before the way it goes."""

    POSE = ""
    FORCE = "force "
    TORQUE = "torque to "
    NUMBER = "number "
    """Of an environment of another package, which does not say what its numbers do."""


_MOVE = re.compile(r"(?:(\w+)_)?tcp_(dr|d|f|t)([xyz])")
_NUMBER = re.compile(r"action_(\d)")
_GRIPPER = re.compile(r"(?:(\w+)_)?gripper")
_KINDS = {"d": Kind.POSE, "dr": Kind.POSE, "f": Kind.FORCE, "t": Kind.TORQUE}
_TURNS = dict(zip("xyz", AXES[3:], strict=True))


@dataclass(frozen=True)
class Move:
    """What the name of an action says."""

    arm: str
    axis: str
    kind: Kind


def move_called(name: str) -> Move | None:
    """What a name says; None where it names no move of an arm.

    Numbers without a meaning, `action_0` and so on, take the axes in order, as far as they go.
    """
    number = _NUMBER.fullmatch(name)
    if number is not None and int(number[1]) < len(AXES):
        return Move("", AXES[int(number[1])], Kind.NUMBER)
    match = _MOVE.fullmatch(name)
    if match is None:
        return None
    arm, what, letter = match.groups(default="")
    return Move(arm, _TURNS[letter] if what in ("dr", "t") else letter, _KINDS[what])


def kinds_along(axis: str, layout: ActionLayout) -> tuple[Kind, ...]:
    """What a motion along or about an axis changes, each kind once; empty where no action has that axis."""
    moves = [move_called(layout.names[i]) for i in layout.continuous]
    return tuple(dict.fromkeys(move.kind for move in moves if move is not None and move.axis == axis))


@dataclass(frozen=True)
class DrivenArm:
    """One arm of a layout: where its numbers stand."""

    name: str
    """Before the names of its actions; empty where it is the only one."""
    size: int
    """How many continuous actions the whole layout has."""
    axes: Mapping[str, int]
    """Which of the continuous actions is along or about which axis."""
    gripper: int | None = None
    """Which of the grippers is its own."""

    def action(self, motion: Sequence[float]) -> np.ndarray:
        """All continuous actions where this arm makes a motion along and about AXES, as far as its axes go.

        The other arms hold still.
        """
        action = np.zeros(self.size)
        for axis, number in zip(AXES, motion, strict=bool(motion)):
            if axis in self.axes:
                action[self.axes[axis]] = number
        return action


def arms_of(layout: ActionLayout) -> tuple[DrivenArm, ...]:
    """The arms in the order in which the layout names them, at least one. Names that say nothing belong to none."""
    axes: dict[str, dict[str, int]] = {}
    grippers: dict[str, int] = {}
    for index, name in enumerate(layout.names):
        move, gripper = move_called(name), _GRIPPER.fullmatch(name)
        if index in layout.grippers and gripper is not None:
            arm = gripper[1] or ""
            axes.setdefault(arm, {})
            grippers[arm] = layout.grippers.index(index)
        elif index not in layout.grippers and move is not None:
            axes.setdefault(move.arm, {})[move.axis] = layout.continuous.index(index)
    size = len(layout.continuous)
    return tuple(DrivenArm(name, size, own, grippers.get(name)) for name, own in (axes or {"": {}}).items())


def axes_of(layout: ActionLayout) -> Collection[str]:
    """The axes along or about which some arm moves."""
    return {axis for arm in arms_of(layout) for axis in arm.axes}
