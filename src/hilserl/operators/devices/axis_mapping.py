"""Mapping from device axes to a motion."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from hilserl.data.spec import ActionLayout
from hilserl.errors import HilserlError
from hilserl.operators.action_axes import AXES, driven_axes
from hilserl.operators.devices.key_map import KEYS, Command

_MEANINGS = {key.moves: key.meaning for key in KEYS if key.moves is not None}
_LABEL_MEANING = next(key.meaning for key in KEYS if key.labels)


@dataclass(frozen=True)
class ControlMapping:
    """One row of a device's map.

    The control is a direction of an axis, or a button.
    """

    label: str
    axis: tuple[str, float] | None = None
    """Axis of the device and direction on it, +1 or -1."""
    button: str | None = None
    moves: tuple[str, float] | None = None
    """Axis (`action_axes.AXES`) and direction, +1 or -1, of the arm's motion."""
    command: Command | None = None

    @property
    def meaning(self) -> str:
        """Meaning in the words of the key with the same effect."""
        if self.command is not None:
            return self.command.value
        return _LABEL_MEANING if self.moves is None else _MEANINGS[self.moves]


def deflection(values: Sequence[float], dead_zone: float, scale: float) -> tuple[float, ...]:
    """Apply dead zone and scale to the axes of one stick.

    The direction stays. The length is 0 up to the edge of the dead zone and grows from there without a jump, to `scale`
    at a length of 1. A diagonal that the device reports as longer than 1 counts as 1.

    Args:
        values: the axes of the stick, full deflection is 1.
        dead_zone: part of full deflection without effect.
        scale: length of the result at full deflection.
    """
    length = math.hypot(*values)
    if length <= dead_zone:
        return (0.0,) * len(values)
    wanted = scale * min(1.0, (length - dead_zone) / (1.0 - dead_zone))
    return tuple(wanted * value / length for value in values)


def axis_motion(
    controls: Iterable[ControlMapping], axes: Mapping[str, float], layout: ActionLayout
) -> tuple[float, ...]:
    """Map the axes of a device to a motion.

    Args:
        controls: the device's map.
        axes: deflection of each axis of the device.
        layout: layout of the actions; axes that no action has stay 0.

    Returns:
        One number in [-1, 1] for each of `AXES`.
    """
    wanted, available = dict.fromkeys(AXES, 0.0), driven_axes(layout)
    for control in controls:
        if control.axis is not None and control.moves is not None and control.moves[0] in available:
            (axis, way), (moved, sign) = control.axis, control.moves
            wanted[moved] += sign * max(0.0, way * axes[axis])
    return tuple(min(1.0, max(-1.0, number)) for number in wanted.values())


def check_deflection(dead_zone: float, **scales: float) -> None:
    """Check the dead zone and the scales of a device.

    Raises:
        HilserlError: a number is out of range.
    """
    if not 0 <= dead_zone < 1:
        raise HilserlError(
            f"Invalid dead_zone {dead_zone}: expected a part of full deflection, at least 0 and below 1."
        )
    for name, value in scales.items():
        if not 0 < value <= 1:
            raise HilserlError(f"Invalid {name} {value}: expected a part of a full action, above 0 and at most 1.")
