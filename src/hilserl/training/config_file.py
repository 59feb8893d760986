"""The file `config.json`, in which a run keeps its settings."""

import dataclasses
import json
import re
import typing
from pathlib import Path
from typing import Any, Literal

import msgspec

from hilserl.agents.agent import AgentConfig
from hilserl.errors import HilserlError, unknown
from hilserl.files import atomically, json_digest
from hilserl.training.config import TrainConfig
from hilserl.vision.frame_encoder import VisionConfig

RENAMED_SETTINGS: dict[str, str] = {
    "task": "env.task",
    "obs": "env.obs",
    "cameras": "env.cameras",
    "image_size": "env.image_size",
    "crop": "env.crop",
    "frame": "env.frame",
    "randomise": "env.randomise",
    "where.env": "env.backend",
    "where.robot": "env.robot",
    "rounds_per_step": "update_steps_per_env_step",
    "max_rounds_per_step": "max_update_steps_per_env_step",
    "person": "simulated_operator",
    "simulated_operator.max_speed": "simulated_operator.hands.max_speed",
    "simulated_operator.motion_noise": "simulated_operator.hands.noise",
    "seat.console": "console.view",
    "seat.console_port": "console.port",
    "seat.gamepad": "console.gamepad",
    "seat.spacemouse": "console.spacemouse",
    "agent.critics": "agent.num_critics",
    "agent.target_critics": "agent.num_target_critics",
    "agent.target_rate": "agent.tau",
    "agent.averaging_rate": "agent.ema_rate",
}
"""Dotted names of settings in earlier versions, with their names today."""

_DIGEST = "sha256"
"""Key of the checksum of all settings in a file."""
_DEFAULTS_OF_EARLIER_VERSIONS: dict[str, Any] = {"obs": "pixels", "cameras": ["front", "wrist"], "frame": "world"}
"""Defaults of settings that are absent in a file without `env`."""
_ABSENT_IN_EARLIER_VERSIONS: dict[tuple[str, ...], tuple[type, dict[str, Any]]] = {
    ("agent",): (AgentConfig, {"cloning_filter": False, "imitate_stillness": True, "return_floor": False}),
    ("agent", "vision"): (VisionConfig, {"frequencies": None, "goal_prediction": False}),
}
"""Settings that a group has since then, with what earlier versions did. They wrote all others."""


def to_json(config: TrainConfig) -> str:
    """Write every setting as JSON."""
    return json.dumps(dataclasses.asdict(config), indent=2, default=str) + "\n"


def from_json(text: str | bytes) -> TrainConfig:
    """Read the settings that `to_json` wrote, under their old names as well.

    Types are strict: `"false"` is no boolean and `1.9` no integer. A setting that is absent has its default.

    Raises:
        HilserlError: names the setting that is unknown, missing or of the wrong type.
    """
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise HilserlError(f"Not a configuration: {error}") from error
    if not isinstance(values, dict):
        raise HilserlError(f"Not a configuration: expected a JSON object, got {type(values).__name__}.")
    if "task" in values:
        values = _DEFAULTS_OF_EARLIER_VERSIONS | values
    _rename(values)
    values.setdefault("env", {})
    _complete(values)
    _check_names(TrainConfig, values, "")
    try:
        return msgspec.convert(values, TrainConfig, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise _explained(error, values) from error


def save_config(path: Path, config: TrainConfig) -> None:
    """Write the settings of a run to a file, with their checksum. Raises HilserlError if the disk refuses."""
    values = json.loads(to_json(config))
    text = json.dumps({**values, _DIGEST: json_digest(values)}, indent=2) + "\n"
    atomically(path, lambda part: part.write_text(text))


def load_config(path: Path) -> TrainConfig:
    """Read the settings of a run from a file.

    Raises:
        HilserlError: names the file and the setting at fault.
    """
    try:
        return from_json(_unsealed(path.read_text()))
    except (OSError, UnicodeDecodeError, HilserlError) as error:
        raise HilserlError(f"Cannot read the configuration {path}: {error}") from error


def _unsealed(text: str) -> str:
    """Check and remove the checksum of a file; earlier versions wrote none."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if not isinstance(values, dict) or _DIGEST not in values:
        return text
    found = values.pop(_DIGEST)
    if found != json_digest(values):
        raise HilserlError(f"It is damaged or was edited: its checksum is wrong. If you edited it, remove {_DIGEST!r}.")
    return json.dumps(values)


def differences(old: TrainConfig, new: TrainConfig) -> dict[str, tuple[Any, Any]]:
    """Return the settings in which two configurations differ.

    Settings of the environment are compared one by one, other groups as a whole.
    """
    ours, theirs = _flat(old), _flat(new)
    return {name: (ours[name], theirs[name]) for name in ours if ours[name] != theirs[name]}


def _flat(config: TrainConfig) -> dict[str, Any]:
    whole = {each.name: getattr(config, each.name) for each in dataclasses.fields(config)}
    env = whole.pop("env")
    return {f"env.{each.name}": getattr(env, each.name) for each in dataclasses.fields(env)} | whole


def _rename(values: dict[str, Any]) -> None:
    for old, new in RENAMED_SETTINGS.items():
        *path, name = old.split(".")
        parents = [values]
        for part in path:
            parents.append(parents[-1].get(part) if isinstance(parents[-1], dict) else None)  # pyright: ignore
        if not isinstance(parents[-1], dict) or name not in parents[-1]:
            continue
        value = parents[-1].pop(name)
        for part, parent in zip(reversed(path), reversed(parents[:-1]), strict=True):
            if not parent[part]:
                del parent[part]
        *path, name = new.split(".")
        target = values
        for part in path:
            target = target.setdefault(part, {})
        target.setdefault(name, value)


def _complete(values: dict[str, Any]) -> None:
    """Complete the file of an earlier version."""
    for path, (kind, earlier) in _ABSENT_IN_EARLIER_VERSIONS.items():
        group: Any = values
        for name in path:
            group = group.get(name) if isinstance(group, dict) else None
        names = {each.name for each in dataclasses.fields(kind)}
        # A file that lacks any other setting is no file of an earlier version, and has the defaults of today.
        if isinstance(group, dict) and names - group.keys() <= earlier.keys():
            group |= earlier | group


def _check_names(kind: Any, values: Any, prefix: str) -> None:
    """Refuse names that no setting has. For a dataclass msgspec ignores them."""
    kinds = typing.get_type_hints(kind)
    for name, value in values.items():
        if name not in kinds:
            raise unknown("setting", f"{prefix}{name}", [f"{prefix}{each}" for each in kinds])
        if dataclasses.is_dataclass(kinds[name]) and isinstance(value, dict):
            _check_names(kinds[name], value, f"{prefix}{name}.")


def _decode(kind: type, value: Any) -> Any:
    """Read what JSON has no type for."""
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise TypeError(f"Expected `str`, got `{type(value).__name__}`")


def _explained(error: msgspec.ValidationError, values: dict[str, Any]) -> HilserlError:
    """Name the setting at fault, its value and the expected type."""
    complaint, _, path = str(error).partition(" - at `$.")
    setting = re.split(r"[\[`]", path)[0]
    kind, value = TrainConfig, values
    for part in setting.split(".") if setting else ():
        kind, value = typing.get_type_hints(kind)[part], value[part]
    if not setting:
        return HilserlError(f"Not a configuration: {complaint}.")
    choices = typing.get_args(kind) if typing.get_origin(kind) is Literal else ()
    if choices:
        return unknown(setting, str(value), choices)
    return HilserlError(f"Invalid {setting} {value!r}: {complaint[0].lower()}{complaint[1:]}.")
