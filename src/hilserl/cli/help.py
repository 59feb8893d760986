"""Help texts: the settings that most users need, the rest by group on request."""

import dataclasses
import inspect
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NoReturn, TypeVar

import tyro
from tyro.constructors import ConstructorRegistry, StructConstructorSpec, StructFieldSpec, StructTypeInfo

from hilserl import tasks
from hilserl.agents.agent import AgentConfig
from hilserl.training.config import TrainConfig, preset

_T = TypeVar("_T")

_HELP = ("-h", "--help", "--help-all")
_OF_OPERATOR: dict[str, set[str]] = {
    "scripted": {"--simulated-operator.*"},
    "console": {"--console.*"},
    "gamepad": {"--console.*", "--console.gamepad.*"},
    "spacemouse": {"--console.*", "--console.spacemouse.*"},
}
"""The groups of settings that matter to each choice of `--operator`."""


def wants_help(words: Sequence[str]) -> bool:
    """Return True if a command line asks for help."""
    return any(word in _HELP for word in words)


def show_help(verb: str, form: type[_T], words: Sequence[str], default: _T | None = None) -> NoReturn:
    """Print the help of a command and end the process with status 0.

    Args:
        verb: The command.
        form: The dataclass of its arguments.
        words: Its command line. `--help-all` shows every group of settings; a choice such as `--operator gamepad`
            shows the group that belongs to it.
        default: The arguments' defaults, where they do not follow from `form`.
    """
    groups = _groups_of(form)
    chosen = set(groups) if "--help-all" in words else _chosen(words)
    hidden = {name: kind for name, kind in groups.items() if name not in chosen}
    varied = _varied() if TrainConfig in _dataclasses_in(form).values() and not _starts_with_task(words) else {}
    registry = ConstructorRegistry()
    registry.struct_rule(_HelpRule(set(hidden.values()), varied))
    options: dict[str, Any] = {} if default is None else {"default": default}
    tyro.cli(
        form,
        args=["--help"],
        prog=f"hilserl {verb}",
        description=_description(form, hidden),
        registry=registry,
        config=(tyro.conf.DisallowNone, tyro.conf.FlagCreatePairsOff),
        **options,
    )
    raise SystemExit(0)


def _starts_with_task(words: Sequence[str]) -> bool:
    return bool(words) and not words[0].startswith("-")


def _description(form: type, hidden: dict[str, type]) -> str:
    """Return what the command does, with the groups of settings that are not shown."""
    text = inspect.getdoc(form) or ""
    if hidden:
        width = max(map(len, hidden))
        rows = [f"  {name:<{width}}  {_summary(kind)}" for name, kind in hidden.items()]
        text += "\n\nMore settings, shown by --help-all:\n" + "\n".join(rows)
    return text


def _summary(kind: type) -> str:
    return (inspect.getdoc(kind) or "").splitlines()[0]


def _dataclasses_in(form: type, prefix: str = "--") -> dict[str, type]:
    """Return the dataclasses nested in one, by the prefix of their flags."""
    found: dict[str, type] = {}
    hints = typing.get_type_hints(form, include_extras=True)
    for field in dataclasses.fields(form):
        kind, *metadata = (
            typing.get_args(hints[field.name])
            if typing.get_origin(hints[field.name]) is Annotated
            else (hints[field.name],)
        )
        if not dataclasses.is_dataclass(kind):
            continue
        renamed = [item.name for item in metadata if getattr(item, "name", None) is not None]
        name = renamed[0] if renamed else field.name.replace("_", "-")
        inside = f"{prefix}{name}." if name else prefix
        found |= {inside: kind} | _dataclasses_in(kind, inside)
    return found


def _groups_of(form: type) -> dict[str, type]:
    """Return the groups of settings: dataclasses whose flags have a prefix."""
    return {f"{prefix}*": kind for prefix, kind in _dataclasses_in(form).items() if prefix != "--"}


@dataclass(frozen=True)
class _Choices:
    """Options whose values decide which groups are of interest."""

    operator: str = ""
    env: str = ""


def _chosen(words: Sequence[str]) -> set[str]:
    """Return the groups that belong to what a command line chooses."""
    rest = [word for word in words if word not in _HELP]
    try:
        choices, _ = tyro.cli(_Choices, args=rest, return_unknown_args=True, add_help=False, console_outputs=False)
    except SystemExit:
        choices = _Choices()
    named = {f"{word.rpartition('.')[0]}.*" for word in rest if word.startswith("--") and "." in word}
    return named | _OF_OPERATOR.get(choices.operator, set()) | ({"--robot.*"} if choices.env == "robot" else set())


def _varied() -> dict[type, set[str]]:
    """Return the settings that differ between the presets of the tasks, by the class that declares them."""
    presets = [preset(name) for name in tasks.names()]
    return {
        kind: {
            field.name
            for field in dataclasses.fields(kind)
            if len({repr(getattr(values, field.name)) for values in instances}) > 1
        }
        for kind, instances in ((TrainConfig, presets), (AgentConfig, [config.agent for config in presets]))
    }


@dataclass
class _HelpRule:
    """A rule for tyro that changes how the fields of dataclasses are shown."""

    hidden: set[type]
    varied: dict[type, set[str]]
    _asking: bool = False

    def __call__(self, info: StructTypeInfo) -> StructConstructorSpec | None:
        """Return tyro's own specification of a dataclass, with changes to its fields."""
        if self._asking or not dataclasses.is_dataclass(info.type):
            return None
        self._asking = True
        try:
            found = ConstructorRegistry.get_struct_spec(info)
        finally:
            self._asking = False
        if not isinstance(found, StructConstructorSpec):
            return None
        fields = tuple(self._changed(info.type, field) for field in found.fields)
        return dataclasses.replace(found, fields=fields)

    def _changed(self, owner: type, field: StructFieldSpec) -> StructFieldSpec:
        kind = field.type
        metadata = getattr(kind, "__metadata__", ())
        if dataclasses.is_dataclass(kind) or dataclasses.is_dataclass(getattr(kind, "__origin__", None)):
            return field
        if field.name == "task":
            names = f"One of {', '.join(tasks.names())}; or PACKAGE:ENV_ID, a Gymnasium environment of another package."
            return dataclasses.replace(field, default=tyro.MISSING_NONPROP, helptext=names)
        short = any(getattr(item, "prefix_name", None) is False for item in metadata)
        if owner in self.hidden and not short:
            return dataclasses.replace(field, type=Annotated[kind, tyro.conf.Suppress])
        if field.name in self.varied.get(owner, set()):
            return _with_hint(field, "(default: depends on TASK)")
        if field.default is None or field.default == () or field.default == {}:
            return _with_hint(field, "")
        return field


def _with_hint(field: StructFieldSpec, hint: str) -> StructFieldSpec:
    kind: Any = field.type
    return dataclasses.replace(field, type=Annotated[kind, tyro.conf.arg(help_behavior_hint=hint)])
