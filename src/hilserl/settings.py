"""Ranges of settings, declared in the types of dataclasses."""

import dataclasses
import math
import types
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from msgspec import Meta

from hilserl.errors import HilserlError

Count = Annotated[int, Meta(ge=0)]
"""An integer from 0."""
AtLeastOne = Annotated[int, Meta(ge=1)]
"""An integer from 1."""
Port = Annotated[int, Meta(ge=0, le=65_535)]
"""A TCP port; 0 takes a free one."""
NotNegative = Annotated[float, Meta(ge=0)]
"""A number from 0."""
Positive = Annotated[float, Meta(gt=0)]
"""A number above 0."""
Fraction = Annotated[float, Meta(ge=0, le=1)]
"""A number in [0, 1]."""
Rate = Annotated[float, Meta(gt=0, le=1)]
"""A number in (0, 1]."""


def check_settings(settings: object, *, as_flags: bool = False) -> None:
    """Check every number of a dataclass against its type.

    Ranges are `msgspec.Meta` in an `Annotated` type. Numbers in tuples, mappings and other dataclasses are checked too,
    and every number must be finite.

    Args:
        settings: The dataclass.
        as_flags: True if errors name the setting as its flag on the command line.

    Raises:
        HilserlError: A number is out of its range; the message names the setting.
    """
    for name, value, ranges in _numbers("", settings, type(settings)):
        shown = f"--{name.replace('_', '-')}" if as_flags else name
        if not math.isfinite(value):
            raise HilserlError(f"Invalid {shown} {value}: expected a finite number.")
        if not all(_in_range(value, each) for each in ranges):
            raise HilserlError(f"Invalid {shown} {value}: expected {_expectation(ranges[0])}.")


def _numbers(name: str, value: object, hint: Any, ranges: tuple[Meta, ...] = ()) -> Iterator[tuple[str, float, Any]]:
    """Yield the name of each number, its value and its ranges."""
    if get_origin(hint) is Annotated:
        hint, *more = get_args(hint)
        yield from _numbers(name, value, hint, (*ranges, *(each for each in more if isinstance(each, Meta))))
    elif get_origin(hint) in (Union, types.UnionType):
        for each in get_args(hint):
            if _fits(value, each):
                yield from _numbers(name, value, each, ranges)
                break
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield name, value, ranges
    elif isinstance(value, tuple):
        hints = get_args(hint)
        for index, each in enumerate(value):
            same = not hints or hints[-1] is Ellipsis
            yield from _numbers(f"{name}[{index}]", each, (hints or (object,))[0 if same else index])
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _numbers(f"{name}.{key}", each, (get_args(hint) or (object, object))[1])
    elif dataclasses.is_dataclass(value):
        hints = _hints(type(value))
        for field in dataclasses.fields(value):
            path = f"{name}.{field.name}" if name else field.name
            yield from _numbers(path, getattr(value, field.name), hints[field.name])


@lru_cache(maxsize=128)
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _fits(value: object, hint: Any) -> bool:
    """Return True if a member of a union is the value's type."""
    plain = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    kind = get_origin(plain) or plain
    return isinstance(kind, type) and isinstance(value, (float, int) if kind is float else kind)


def _in_range(value: float, meta: Meta) -> bool:
    return (
        (meta.ge is None or value >= meta.ge)
        and (meta.gt is None or value > meta.gt)
        and (meta.le is None or value <= meta.le)
        and (meta.lt is None or value < meta.lt)
    )


def _expectation(meta: Meta) -> str:
    """Describe a range."""
    if meta.le is None and meta.lt is None:
        return f"at least {meta.ge}" if meta.gt is None else f"a number above {meta.gt}"
    low = f"[{meta.ge}" if meta.ge is not None else f"({'-inf' if meta.gt is None else meta.gt}"
    high = f"{meta.le}]" if meta.le is not None else f"{meta.lt})"
    return f"a number in {low}, {high}"
