"""The file `config.json`, in which a run keeps its settings."""

import dataclasses
import json
import re
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from hilserl.errors import HilserlError, unknown
from hilserl.files import atomically, json_digest
from hilserl.operators.devices.key_bindings import KeyBindings
from hilserl.operators.devices.lerobot_teleop import LeRobotTeleopConfig
from hilserl.operators.phone.config import PhoneConfig
from hilserl.training.config import TrainConfig

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
ADDED_SETTINGS: dict[str, Any] = {
    "env.arm": "panda",
    "env.scene": "",
    "env.frame": "world",
    "env.max_episode_steps": None,
    "env.success_key": None,
    "env.ends_on_success": True,
    "env.reward": None,
    "eval_max_failures": None,
    "agent.cloning_weight": 0.0,
    "agent.cloning_half_life": None,
    "agent.cloning_filter": False,
    "agent.imitate_stillness": True,
    "agent.return_floor": False,
    "agent.vision.frequencies": None,
    "simulated_operator.hands.device": "free",
    "simulated_operator.hands.delay_steps": 0,
    "simulated_operator.hands.misjudged": 0.0,
    "simulated_operator.hands.decision_steps": 1,
    "simulated_operator.hands.wrong": 0.0,
    "simulated_operator.hands.pause": 0.0,
    "simulated_operator.hands.gripper_delay_steps": 0,
    "simulated_operator.hands.arcs": False,
    "simulated_operator.overlooked": 0.0,
    "console.token": True,  # earlier versions asked for none; that is no reason to go on without one
    "console.keys": dataclasses.asdict(KeyBindings()),
    "agent.vision.goal_prediction": False,
    "console.phone": dataclasses.asdict(PhoneConfig()),
    "console.lerobot": dataclasses.asdict(LeRobotTeleopConfig()),
    "env.python": None,
    "env.kwargs": {},
    "env.timeout_s": 60.0,
    "env.closes_at": None,
    "env.expert": None,
    "init_from": None,
    "init_experience": False,
    "simulated_operator.follows_advice": False,
    "video": True,
    "env.action_repeat": 1,
    "agent.imitated_motions": 1,
    "agent.relative_values": False,
}
"""Settings that earlier versions did not have, with what they did.

The newest comes last."""


def to_json(config: TrainConfig) -> str:
    """Write every setting as JSON."""
    return json.dumps(dataclasses.asdict(config), indent=2, default=str) + "\n"


def from_json(text: str | bytes) -> TrainConfig:
    """Read the settings that `to_json` wrote, under their old names as well.

    Types are strict: `"false"` is no boolean and `1.9` no integer. Every setting must be there, except those that the
    earlier version which wrote the file did not have.

    Raises:
        HilserlError: names the settings that are unknown, missing or of the wrong type.
    """
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise HilserlError(f"Not a configuration: {error}") from error
    if not isinstance(values, dict):
        raise HilserlError(f"Not a configuration: expected a JSON object, got {type(values).__name__}.")
    _rename(values)
    _check_names(TrainConfig, values, "")
    _complete(values)
    if missing := list(_missing(TrainConfig, values, "")):
        raise HilserlError(f"Missing settings: {', '.join(missing)}. A file of settings has all of them.")
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
    """Add the settings that an earlier version did not have."""
    if _group(values, [*ADDED_SETTINGS][-1]) is None:
        return  # this version wrote it
    for path, value in ADDED_SETTINGS.items():
        if (group := _group(values, path)) is not None:
            group[path.rpartition(".")[-1]] = value


def _group(values: dict[str, Any], path: str) -> dict[str, Any] | None:
    """Return the group that lacks a setting, if it exists."""
    *names, name = path.split(".")
    group: Any = values
    for each in names:
        group = group.get(each) if isinstance(group, dict) else None
    return group if isinstance(group, dict) and name not in group else None


def _missing(kind: Any, values: dict[str, Any], prefix: str) -> Iterator[str]:
    """Yield the names of settings that are absent."""
    for name, each in typing.get_type_hints(kind).items():
        if name not in values:
            yield f"{prefix}{name}"
        elif dataclasses.is_dataclass(each) and isinstance(values[name], dict):
            yield from _missing(each, values[name], f"{prefix}{name}.")


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
