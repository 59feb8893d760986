"""Arms and axes of an action, read from the action's names.

Each number is a displacement, a turn, a force or a torque along or about one axis of the world frame. Keys and devices
refer to that axis. No other module reads names of actions.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from hilserl.data.spec import UNNAMED_ARMS, ActionLayout

AXES: tuple[str, ...] = ("x", "y", "z", "roll", "pitch", "yaw")
"""Axes of a motion in the world frame.

x points away from the operator, y left, z up; roll, pitch and yaw are right-handed turns about them.
"""
STILL = (0.0,) * len(AXES)
"""No motion."""


class ActionKind(Enum):
    """Effect of a continuous action.

    The value precedes the direction in a key's meaning.
    """

    POSE = ""
    FORCE = "force "
    TORQUE = "torque to "
    NUMBER = "number "
    """A number without a known meaning, from another package's environment."""


_MOVE = re.compile(r"(?:(\w+)_)?tcp_(dr|d|f|t)([xyz])")
_NUMBER = re.compile(r"action_\d+")
_GRIPPER = re.compile(r"(?:(\w+)_)?gripper")
_KINDS = {"d": ActionKind.POSE, "dr": ActionKind.POSE, "f": ActionKind.FORCE, "t": ActionKind.TORQUE}
_TURNS = dict(zip("xyz", AXES[3:], strict=True))


@dataclass(frozen=True)
class ActionName:
    """A parsed name of a continuous action."""

    arm: str
    """Name of the arm; empty if the name has none."""
    axis: str
    kind: ActionKind


def parse_action_name(name: str) -> ActionName | None:
    """Parse the name of a continuous action.

    Returns:
        The arm, axis and kind; None for any other name.
    """
    match = _MOVE.fullmatch(name)
    if match is None:
        return None
    arm, effect, letter = match.groups(default="")
    return ActionName(arm, _TURNS[letter] if effect in ("dr", "t") else letter, _KINDS[effect])


def _parsed(layout: ActionLayout) -> list[ActionName | None]:
    """Parse the names of a layout's continuous actions.

    Numbers without a meaning take the axes in order, six for each arm.
    """
    parsed, numbers = [], 0
    for index in layout.continuous:
        name = parse_action_name(layout.names[index])
        group, axis = divmod(numbers, len(AXES))
        if _NUMBER.fullmatch(layout.names[index]):
            numbers += 1
            name = ActionName(UNNAMED_ARMS[group], AXES[axis], ActionKind.NUMBER) if group < len(UNNAMED_ARMS) else None
        parsed.append(name)
    return parsed


def kinds_along(axis: str, layout: ActionLayout) -> tuple[ActionKind, ...]:
    """Return the kinds of actions along or about an axis, each once."""
    names = _parsed(layout)
    return tuple(dict.fromkeys(name.kind for name in names if name is not None and name.axis == axis))


def numbers_along(axis: str, layout: ActionLayout) -> tuple[str, ...]:
    """Return the names of the continuous actions of an axis."""
    names = [layout.names[index] for index in layout.continuous]
    return tuple(name for name, parsed in zip(names, _parsed(layout), strict=True) if parsed and parsed.axis == axis)


@dataclass(frozen=True)
class ArmAxes:
    """Positions of one arm's numbers in the action."""

    name: str
    """Prefix of the names of its actions; empty for a single arm."""
    size: int
    """Number of continuous actions in the whole layout."""
    axes: Mapping[str, int]
    """Index among the continuous actions, by axis."""
    gripper: int | None = None
    """Index among the grippers; None for an arm without a gripper."""

    def action(self, motion: Sequence[float]) -> np.ndarray:
        """Convert a motion of this arm to continuous actions.

        The other arms hold still. Axes that the arm lacks are dropped.

        Args:
            motion: one number for each of `AXES`; empty means no motion.
        """
        action = np.zeros(self.size)
        for axis, number in zip(AXES, motion, strict=bool(motion)):
            if axis in self.axes:
                action[self.axes[axis]] = number
        return action


def arm_axes(layout: ActionLayout) -> tuple[ArmAxes, ...]:
    """Return the arms of a layout in the order of its names.

    There is at least one arm. Names that cannot be parsed belong to no arm.
    """
    axes: dict[str, dict[str, int]] = {}
    grippers: dict[str, int] = {}
    continuous = dict(zip(layout.continuous, _parsed(layout), strict=True))
    for index, name in enumerate(layout.names):
        parsed, gripper = continuous.get(index), _GRIPPER.fullmatch(name)
        if index in layout.grippers and gripper is not None:
            arm = gripper[1] or ""
            axes.setdefault(arm, {})
            grippers[arm] = layout.grippers.index(index)
        elif parsed is not None:
            axes.setdefault(parsed.arm, {})[parsed.axis] = layout.continuous.index(index)
    size = len(layout.continuous)
    return tuple(ArmAxes(name, size, own, grippers.get(name)) for name, own in (axes or {"": {}}).items())


def driven_axes(layout: ActionLayout) -> Collection[str]:
    """Return the axes along or about which at least one arm moves."""
    return {axis for arm in arm_axes(layout) for axis in arm.axes}
