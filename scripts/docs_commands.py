"""Reference of commands and configuration, generated from their dataclasses."""

import argparse
import contextlib
import dataclasses
import io
import itertools
import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import tyro

from hilserl import tasks
from hilserl.cli import main as command_line
from hilserl.training.config import preset

_GENERATED = "Generated from the code of this version."
_PER_TASK = "depends on the task"


COMMANDS_OF = {"dataset": ("dataset info", "dataset check", "dataset convert")}
"""Commands of a verb that has several."""


class Captured(BaseException):
    """The parser of a command."""

    def __init__(self, parser: argparse.ArgumentParser, summary: str) -> None:
        super().__init__()
        self.parser, self.summary = parser, summary


def _capture(form: Callable[..., Any], *, description: str = "", **options: Any) -> None:
    """Stand in for `tyro.cli`: raise the parser instead of parsing."""
    options.pop("args", None)
    with warnings.catch_warnings():
        # tyro has no other public way to a parser that can be read.
        warnings.simplefilter("ignore", DeprecationWarning)
        parser: Any = tyro.extras.get_parser(form, **options)
    raise Captured(parser, description)


def captured(verb: str) -> tuple[argparse.ArgumentParser, str]:
    """Return the parser of a command, and its help without the options."""
    shown = io.StringIO()
    with mock.patch.object(tyro, "cli", _capture), contextlib.redirect_stdout(shown):
        try:
            command_line.main([*verb.split(), "--help-all"])
        except Captured as found:
            return found.parser, " ".join(f"{found.summary} {shown.getvalue()}".split())
    raise AssertionError(f"hilserl {verb} --help-all parses nothing")


@dataclasses.dataclass(frozen=True)
class Flag:
    """One argument of a command."""

    name: str
    """Its flag, or the word for a positional argument."""
    setting: str
    """Its place in the arguments' dataclass, dotted."""
    group: str
    """The group of settings that it belongs to."""
    values: str
    """The form or the choices of its value."""
    default: str
    """Default as text; empty if there is none."""
    meaning: str
    """Its docstring."""


def flags_of(parser: argparse.ArgumentParser) -> Iterator[Flag]:
    """Yield the arguments of a parser in their order."""
    for group in parser._action_groups:
        title = "" if group.title in ("options", "positional arguments") else (group.title or "").split()[0]
        for action in group._group_actions:
            if "--help" in action.option_strings or action.dest == "help-all":
                continue
            text, default = _split_default(action.help or "")
            values = action.metavar.replace(",", ", ") if isinstance(action.metavar, str) else ""
            yield Flag(
                ", ".join(action.option_strings) or (values or str(action.dest)).upper(),
                str(action.dest).replace("-", "_"),
                title,
                values,
                default,
                text,
            )


def _split_default(text: str) -> tuple[str, str]:
    """Split a help text into the text and the default."""
    text = " ".join(text.split())
    match = re.search(r" ?\((?:default: )?((?:default: )?[^()]*(?:\([^()]*\))?[^()]*)\)$", text)
    if match is None or not re.search(r"\((default: |required|depends)", match.group()):
        return text, ""
    default = match.group(1).removeprefix("default: ")
    return text[: match.start()].strip(), _PER_TASK if default == "depends on TASK" else default


def _cell(text: str) -> str:
    """Return a text for one cell of a table."""
    return text.replace("|", "\\|").replace("<", "&lt;").strip()


def _code(text: str) -> str:
    return f"`{text.replace('|', chr(92) + '|')}`" if text else ""


def _default(text: str) -> str:
    return text if text in ("", "required", _PER_TASK) else _code(text)


def write_commands(path: Path) -> None:
    """Write the page of all commands with their arguments."""
    lines = ["# Command line", "", f"{_GENERATED} `hilserl COMMAND --help` shows the same in a terminal.", ""]
    for purpose, verbs in command_line.GROUPS.items():
        lines += [f"## {purpose}", ""]
        for verb in verbs:
            for command in COMMANDS_OF.get(verb, (verb,)):
                lines += _command(command)
    _write(path, lines)


def _command(verb: str) -> list[str]:
    parser, text = captured(verb)
    lines = [f"### hilserl {verb}", "", text, ""]
    shown = list(flags_of(parser))
    of_train = {flag.name for flag in flags_of(captured("train")[0]) if flag.name != "TASK"}
    if verb != "train" and len(of_train & {flag.name for flag in shown}) > len(of_train) / 2:
        lines += ["It has the settings of [hilserl train](#hilserl-train), too.", ""]
        shown = [flag for flag in shown if flag.name not in of_train]
    for group, flags in itertools.groupby(shown, key=lambda flag: flag.group):
        lines += [f"`--{group}.*`", ""] if group else []
        lines += ["| argument | value | default | |", "| --- | --- | --- | --- |"]
        lines += [
            f"| {_code(flag.name)} | {_code(flag.values)} | {_default(flag.default)} | {_cell(flag.meaning)} |"
            for flag in flags
        ]
        lines.append("")
    return lines


def write_configuration(path: Path) -> None:
    """Write the page of all settings, with the tasks' presets."""
    parser, _ = captured("train")
    settings = [flag for flag in flags_of(parser) if flag.setting.startswith("config.")]
    lines = [
        *("# Configuration", ""),
        f"{_GENERATED} These are the settings of a run: the keys of its `config.json`, the fields of",
        "`hilserl.TrainConfig`, and the flags of `hilserl train`. A flag is the setting after `--`, with hyphens,",
        "unless another one stands below it.",
        "",
    ]
    for group, flags in itertools.groupby(settings, key=lambda flag: flag.group):
        lines += [f"## {group or 'The run'}", "", "| setting | value | default | |", "| --- | --- | --- | --- |"]
        lines += [
            f"| {_setting(flag)} | {_code(flag.values)} | {_default(flag.default)} | {_cell(flag.meaning)} |"
            for flag in flags
        ]
        lines.append("")
    _write(path, [*lines, *_presets()])


def _setting(flag: Flag) -> str:
    """Return a setting's name, and its flag if that is called otherwise."""
    name = flag.setting.removeprefix("config.")
    regular = f"--{name.replace('_', '-')}"
    return _code(name) + (f"<br>{_code(flag.name)}" if flag.name != regular else "")


def _presets() -> list[str]:
    """Return the table of the settings that differ between tasks."""
    names = tasks.names()
    settings = {name: dict(_flat(preset(name))) for name in names}
    rows = sorted(
        key
        for key in settings[names[0]]
        if key != "env.task" and len({str(settings[name].get(key)) for name in names}) > 1
    )
    lines = ["## Presets of the tasks", "", "The settings in which the tasks differ.", ""]
    lines += [f"| setting | {' | '.join(map(_code, names))} |", "| --- |" + " --- |" * len(names)]
    lines += [
        f"| {_code(key)} | " + " | ".join(_cell(str(settings[name].get(key))) for name in names) + " |" for key in rows
    ]
    return lines


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for field in dataclasses.fields(value):
        inner = getattr(value, field.name)
        if dataclasses.is_dataclass(inner):
            yield from _flat(inner, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", inner


def _write(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines).rstrip() + "\n")
