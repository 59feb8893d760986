"""Help texts: common settings first, the rest by group on request."""

import dataclasses
import inspect
import shutil
import textwrap
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NoReturn, TypeVar

import tyro
from tyro.constructors import (
    ConstructorRegistry,
    PrimitiveConstructorSpec,
    StructConstructorSpec,
    StructFieldSpec,
    StructTypeInfo,
)

_T = TypeVar("_T")

_HELP = ("-h", "--help", "--help-all")
_OF_OPERATOR: dict[str, set[str]] = {
    "console": {"--console.*"},
    "gamepad": {"--console.*", "--console.gamepad.*"},
    "spacemouse": {"--console.*", "--console.spacemouse.*"},
    "phone": {"--console.*", "--console.phone.*"},
    "lerobot": {"--console.*", "--console.lerobot.*"},
}
"""The groups of settings that matter to each choice of `--operator`."""
_FOR_PROGRAMS = {"parent", "video"}
"""Settings that programs rather than people use; only `--help-all` shows them."""


def wants_help(words: Sequence[str]) -> bool:
    """Return True if a command line asks for help."""
    return any(word in _HELP for word in words)


def show_help(
    verb: str, form: type[_T], words: Sequence[str], default: _T | None = None, alternatives: Sequence[_T] = ()
) -> NoReturn:
    """Print the help of a command, then exit with status 0.

    Args:
        verb: The command.
        form: The dataclass of its arguments.
        words: Its command line. `--help-all` shows every group of settings; a choice such as `--operator gamepad`
            shows the group that belongs to it.
        default: The arguments' defaults, where they do not follow from `form`.
        alternatives: Other defaults, one for each task; the help says which settings differ between them.
    """
    groups = _groups_of(form)
    chosen = set(groups) if "--help-all" in words else _chosen(words)
    hidden = {name: kind for name, kind in groups.items() if name not in chosen}
    varied = _varied(alternatives) if alternatives else {}
    registry = ConstructorRegistry()
    registry.struct_rule(_HelpRule(form, set(hidden.values()), varied))
    options: dict[str, Any] = {} if default is None else {"default": default}
    summary, _, details = (inspect.getdoc(form) or "").partition("\n\n")
    try:
        tyro.cli(
            form,
            args=["--help"],
            prog=f"hilserl {verb}",
            description=summary,
            registry=registry,
            config=(tyro.conf.DisallowNone, tyro.conf.FlagCreatePairsOff),
            **options,
        )
    finally:
        # tyro prints a description without wrapping it, so only its first sentence stands above the options.
        width = shutil.get_terminal_size().columns
        for paragraph in details.split("\n\n") if details else ():
            print(textwrap.fill(paragraph, width), end="\n\n")
        if hidden:
            print(_more(hidden))
    raise SystemExit(0)


def _more(hidden: dict[str, type]) -> str:
    """Return the groups of settings that the help does not show."""
    width = max(map(len, hidden))
    rows = [f"  {name:<{width}}  {_summary(kind)}" for name, kind in hidden.items()]
    return "\n".join(["More settings, shown by --help-all or if chosen on the command line:", *rows])


def _summary(kind: type) -> str:
    """Return the first sentence of a docstring."""
    return (inspect.getdoc(kind) or "").splitlines()[0].split(". ")[0].removesuffix(".")


def _groups_of(form: Any, prefix: str = "--") -> dict[str, Any]:
    """Return the nested dataclasses whose flags have a prefix, by prefix."""
    groups: dict[str, Any] = {}
    for name, hint in typing.get_type_hints(form, include_extras=True).items():
        kind: Any = getattr(hint, "__origin__", hint)
        notes = getattr(hint, "__metadata__", ())
        if not dataclasses.is_dataclass(kind) or any(isinstance(item, PrimitiveConstructorSpec) for item in notes):
            continue
        names = [item.name for item in notes if getattr(item, "name", None) is not None]
        flags = "".join(f"{part}." for part in (names or [name.replace("_", "-")]) if part)
        is_short = any(getattr(item, "prefix_name", None) is False for item in notes)
        flags = f"{'--' if is_short else prefix}{flags}"
        if flags != prefix:
            groups[f"{flags}*"] = kind
        groups |= _groups_of(kind, flags)
    return groups


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


def _varied(alternatives: Sequence[Any]) -> dict[type, set[str]]:
    """Return the settings that differ between instances, by their class."""
    kind = type(alternatives[0])
    found: dict[type, set[str]] = {kind: set()}
    for field in dataclasses.fields(kind):
        values = [getattr(instance, field.name) for instance in alternatives]
        if dataclasses.is_dataclass(values[0]):
            found |= _varied(values)
        elif any(value != values[0] for value in values):
            found[kind].add(field.name)
    return found


@dataclass
class _HelpRule:
    """Rule for tyro that changes the help of fields."""

    form: type
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
        fields = [self._changed(info.type, field) for field in found.fields]
        if info.type is self.form and self.hidden:
            fields.insert(0, _with_hint(StructFieldSpec("help_all", bool, False, "show every setting and exit"), ""))
        return dataclasses.replace(found, fields=tuple(fields))

    def _changed(self, owner: type, field: StructFieldSpec) -> StructFieldSpec:
        kind = field.type
        metadata = getattr(kind, "__metadata__", ())
        if dataclasses.is_dataclass(kind) or dataclasses.is_dataclass(getattr(kind, "__origin__", None)):
            return field
        if field.name == "task" and tyro.conf.Positional in metadata and not _has_default(owner, "task"):
            from hilserl import tasks

            names = f"One of {', '.join(tasks.names())}; or PACKAGE:ENV_ID, a Gymnasium environment of another package."
            return dataclasses.replace(field, default=tyro.MISSING_NONPROP, helptext=names)
        short = any(getattr(item, "prefix_name", None) is False for item in metadata)
        # A command that takes --seeds gives each run its --seed.
        replaced = owner is not self.form and f"{field.name}s" in {each.name for each in dataclasses.fields(self.form)}
        if replaced or (self.hidden and field.name in _FOR_PROGRAMS) or (owner in self.hidden and not short):
            return dataclasses.replace(field, type=Annotated[kind, tyro.conf.Suppress])
        if field.name in self.varied.get(owner, set()):
            return _with_hint(field, "(default: depends on TASK)")
        if (not field.default and not isinstance(field.default, int | float)) or field.default is False:
            return _with_hint(field, "")
        return field


def _has_default(owner: type, name: str) -> bool:
    return any(field.name == name and field.default is not dataclasses.MISSING for field in dataclasses.fields(owner))


def _with_hint(field: StructFieldSpec, hint: str) -> StructFieldSpec:
    kind: Any = field.type
    return dataclasses.replace(field, type=Annotated[kind, tyro.conf.arg(help_behavior_hint=hint)])
