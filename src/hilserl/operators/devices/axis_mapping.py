"""From what a stick or a puck says to a motion: the dead zone, the scale and the rows of a device's map."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from hilserl.data.spec import ActionLayout
from hilserl.errors import HilserlError
from hilserl.operators.action_axes import AXES, axes_of
from hilserl.operators.devices.key_map import KEYS, LABEL_KEY, Command

_MEANINGS = {key.moves: key.meaning for key in KEYS if key.moves is not None}


@dataclass(frozen=True)
class AxisControl:
    """One row of a device's map: a way a stick can be pushed, or a button."""

    label: str
    axis: tuple[str, float] | None = None
    """The device's axis, and which way."""
    button: str | None = None
    moves: tuple[str, float] | None = None
    """The axis (`arms.AXES`) along or about which it moves the arm, and which way."""
    command: Command | None = None

    @property
    def meaning(self) -> str:
        """The words of the key that does the same."""
        if self.command is not None:
            return self.command.value
        return LABEL_KEY.meaning if self.moves is None else _MEANINGS[self.moves]


def deflection(values: Sequence[float], dead_zone: float, scale: float) -> tuple[float, ...]:
    """What a stick asks for, its axes taken together: the same direction, and a length in [0, scale].

    The length is 0 up to the edge of the dead zone and grows from there without a jump, to `scale` at a length of 1.
    A diagonal that the device calls longer than 1 is no longer than a straight push.
    """
    length = math.hypot(*values)
    if length <= dead_zone:
        return (0.0,) * len(values)
    wanted = scale * min(1.0, (length - dead_zone) / (1.0 - dead_zone))
    return tuple(wanted * value / length for value in values)


def motion(controls: Iterable[AxisControl], axes: Mapping[str, float], layout: ActionLayout) -> tuple[float, ...]:
    """One number in [-1, 1] for each of AXES, from the numbers of the device's axes; 0 for what no action has."""
    wanted, there = dict.fromkeys(AXES, 0.0), axes_of(layout)
    for control in controls:
        if control.axis is not None and control.moves is not None and control.moves[0] in there:
            (axis, way), (moved, sign) = control.axis, control.moves
            wanted[moved] += sign * max(0.0, way * axes[axis])
    return tuple(min(1.0, max(-1.0, number)) for number in wanted.values())


def check_stick(dead_zone: float, **scales: float) -> None:
    """Raises HilserlError where the settings of a stick make no sense."""
    if not 0 <= dead_zone < 1:
        raise HilserlError(f"dead_zone is {dead_zone}; it must be a part of full deflection, from 0 to below 1.")
    for name, value in scales.items():
        if not 0 < value <= 1:
            raise HilserlError(f"{name} is {value}; it must be a part of a full action, above 0 and at most 1.")
