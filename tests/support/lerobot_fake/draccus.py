"""The part of draccus that the bridge uses: flat flags of one registered dataclass."""

import dataclasses
import types
import typing
from typing import Any


class ParsingError(Exception):
    """Flag that does not fit."""


def parse(config_class: Any, args: list[str]) -> Any:
    """Parse `--robot.type=NAME --robot.FIELD=VALUE` into the dataclass's only field."""
    (field,) = dataclasses.fields(config_class)
    given = dict(word.removeprefix(f"--{field.name}.").split("=", 1) for word in args)
    known = typing.cast("Any", field.type).get_known_choices()
    if (chosen := given.pop("type", None)) not in known:
        raise ParsingError(f"Couldn't find a choice class for '{chosen}' in {list(known)}")
    hints = typing.get_type_hints(known[chosen])
    for name, value in given.items():
        if name not in hints:
            raise ParsingError(f"The field `{name}` is not valid for {known[chosen].__name__}")
        given[name] = _converted(hints[name], value)
    return config_class(**{field.name: known[chosen](**given)})


def _converted(hint: Any, text: str) -> Any:
    kinds = [each for each in typing.get_args(hint) if each is not type(None)] if _is_union(hint) else [hint]
    (kind,) = kinds
    if kind is bool:
        return {"true": True, "false": False}[text.lower()]
    return kind(text)


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)
