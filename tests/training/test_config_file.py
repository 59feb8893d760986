"""Settings survive their file, also under the names of earlier versions."""

import copy
import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest

from hilserl.errors import HilserlError
from hilserl.training.config_file import ADDED_SETTINGS, RENAMED_SETTINGS, from_json, load_config, save_config, to_json
from tests.support.configs import train_config


def test_config_survives_its_file(tmp_path: Path) -> None:
    settings = train_config(
        "pick_cube", demos=(Path("a"), Path("b/c")), free_running=True, crop={"front": (0.0, 0.1, 0.9, 0.9)}
    )
    save_config(tmp_path / "config.json", settings)
    assert load_config(tmp_path / "config.json") == settings


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("{", "config.json"), ("[]", "expected a JSON object, got list"), ("{}", "Missing settings: env, algorithm, ")],
)
def test_load_config_refuses_what_is_no_configuration(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(HilserlError, match=complaint):
        load_config(tmp_path / "config.json")


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        ("sed", 3, "Did you mean 'seed'"),
        ("agent.utd_ration", 3, r"Did you mean 'agent\.utd_ratio'"),
        ("console.keys.takover", ["Tab"], r"Did you mean 'console\.keys\.takeover'"),
        ("operator", "ghost", "scripted"),
        ("seed", -1, "Invalid seed -1: expected `int` >= 0"),
        ("env.randomise", "false", r"randomise 'false': expected `bool`"),
        ("seed", 1.9, r"seed 1\.9: expected `int`"),
        ("actor_hz", float("nan"), "Invalid actor_hz nan: expected `float` > 0"),
        ("agent.initial_temperature", float("inf"), "initial_temperature inf: expected a finite number"),
        ("env.cameras", "front", r"env\.cameras 'front': expected `array`"),
        ("agent.utd_ratio", "4", r"agent\.utd_ratio '4': expected `int`"),
        ("demos", [3], "demos"),
        ("env.crop", {"front": [0, 1]}, "crop.*length 4"),
        ("console.keys.up", ["W"], "The key W is named twice"),
        ("env", 3, "env 3: expected `object`"),
    ],
)
def test_load_config_names_what_is_wrong(tmp_path: Path, path: str, value: Any, complaint: str) -> None:
    values = json.loads(to_json(train_config("pick_cube")))
    *groups, name = path.split(".")
    group = values
    for each in groups:
        group = group[each]
    group[name] = value
    (tmp_path / "config.json").write_text(json.dumps(values))
    with pytest.raises(HilserlError, match=complaint):
        load_config(tmp_path / "config.json")


def settings_of(values: dict[str, Any], prefix: str = "") -> list[str]:
    """Return the dotted names of all settings and groups."""
    names = []
    for name, value in values.items():
        names.append(f"{prefix}{name}")
        if isinstance(value, dict) and name not in ("crop", "camera_sources", "compliance", "precision"):
            names += settings_of(value, f"{prefix}{name}.")
    return names


def without(values: dict[str, Any], *names: str) -> str:
    """Return the JSON of settings without some of them."""
    values = copy.deepcopy(values)
    for name in names:
        *groups, last = name.split(".")
        group = values
        for each in groups:
            group = group[each]
        del group[last]
    return json.dumps(values)


def test_missing_settings_are_refused_by_their_names() -> None:
    values = json.loads(to_json(train_config("pick_cube")))
    names = settings_of(values)
    assert len(names) > 120
    for name in names:
        if name == [*ADDED_SETTINGS][-1]:
            continue  # without the newest setting it is the file of an earlier version
        with pytest.raises(HilserlError, match=rf"Missing settings: {re.escape(name)}\."):
            from_json(without(values, name))
    with pytest.raises(HilserlError, match=r"Missing settings: seed, agent\.tau, agent\.vision\.width\."):
        from_json(without(values, "agent.tau", "seed", "agent.vision.width"))


def moved(values: dict[str, Any], old: str, new: str) -> None:
    """Moves the value of a dotted path to another one."""
    *path, name = old.split(".")
    parent = values
    for part in path:
        parent = parent[part]
    value = parent.pop(name)
    *path, name = new.split(".")
    parent = values
    for part in path:
        parent = parent.setdefault(part, {})
    parent[name] = value


def test_settings_of_earlier_versions_are_read() -> None:
    settings = train_config("pick_cube")
    agent = dataclasses.replace(settings.agent, num_critics=7, num_target_critics=3, tau=0.1, ema_rate=0.2)
    console = dataclasses.replace(settings.console, view="web", port=9)
    settings = dataclasses.replace(settings, update_steps_per_env_step=3.0, agent=agent, console=console)
    values = json.loads(to_json(settings))
    for old, new in reversed(RENAMED_SETTINGS.items()):
        moved(values, new, old)
    assert {"person", "seat", "rounds_per_step", "task", "obs", "where"} <= values.keys()
    assert {"critics", "averaging_rate"} <= values["agent"].keys()
    assert from_json(json.dumps(values)) == settings


def test_renamed_settings_exist_today() -> None:
    values = json.loads(to_json(train_config("pick_cube")))
    for new in RENAMED_SETTINGS.values():
        found = values
        for part in new.split("."):
            assert part in found, new
            found = found[part]


def test_settings_added_later_have_what_earlier_versions_did() -> None:
    """A run of an earlier version goes on as it began, whenever that was."""
    values = json.loads(to_json(train_config("pick_cube")))
    added = list(ADDED_SETTINGS)
    for count in range(1, len(added) + 1):
        read = json.loads(to_json(from_json(without(values, *added[-count:]))))
        for index, name in enumerate(added):
            now, expected = read, values
            for part in name.split("."):
                now, expected = now[part], expected[part]
            earlier = json.loads(json.dumps(ADDED_SETTINGS[name]))
            assert now == (expected if index < len(added) - count else earlier), name
        assert settings_of(read) == settings_of(values)


def test_earlier_runs_learn_as_they_did() -> None:
    values = json.loads(to_json(train_config("pick_cube")))
    agent = from_json(without(values, *ADDED_SETTINGS)).agent
    assert (agent.cloning_weight, agent.imitate_stillness, agent.return_floor) == (0.0, True, False)
    assert agent.vision.frequencies is None


def test_earlier_file_without_another_setting_is_refused() -> None:
    values = json.loads(to_json(train_config("pick_cube")))
    with pytest.raises(HilserlError, match=r"Missing settings: agent\.tau\."):
        from_json(without(values, *ADDED_SETTINGS, "agent.tau"))
