"""Settings survive their file, also under the names of earlier versions."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from hilserl.errors import HilserlError
from hilserl.training.config_file import RENAMED_SETTINGS, from_json, load_config, save_config, to_json
from tests.support.configs import train_config


def test_config_survives_its_file(tmp_path: Path) -> None:
    settings = train_config(
        "pick_cube", demos=(Path("a"), Path("b/c")), free_running=True, crop={"front": (0.0, 0.1, 0.9, 0.9)}
    )
    save_config(tmp_path / "config.json", settings)
    assert load_config(tmp_path / "config.json") == settings


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "config.json"),
        ("[]", "expected a JSON object, got list"),
        ("{}", "missing required field `task`"),
        ('{"task": "pick_cube", "sed": 3}', "Did you mean 'seed'"),
        ('{"task": "pick_cube", "agent": {"utd_ration": 3}}', r"Did you mean 'agent\.utd_ratio'"),
        ('{"task": "pick_cube", "operator": "ghost"}', "scripted"),
        ('{"task": "pick_cube", "seed": -1}', "Invalid seed -1: expected `int` >= 0"),
        ('{"task": "pick_cube", "randomise": "false"}', "randomise 'false': expected `bool`"),
        ('{"task": "pick_cube", "seed": 1.9}', r"seed 1\.9: expected `int`"),
        ('{"task": "pick_cube", "agent": {"utd_ratio": "4"}}', r"agent\.utd_ratio '4': expected `int`"),
        ('{"task": "pick_cube", "demos": [3]}', "demos"),
        ('{"task": "pick_cube", "crop": {"front": [0, 1]}}', "crop.*length 4"),
    ],
)
def test_load_config_names_what_is_wrong(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(HilserlError, match=complaint):
        load_config(tmp_path / "config.json")


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
    values.pop("console")
    assert from_json(json.dumps(values)) == settings


def test_renamed_settings_exist_today() -> None:
    values = json.loads(to_json(train_config("pick_cube")))
    for new in RENAMED_SETTINGS.values():
        found = values
        for part in new.split("."):
            assert part in found, new
            found = found[part]


def test_run_of_an_earlier_version_goes_on_as_it_began() -> None:
    """Its file has every setting of its time; a file by hand has the defaults of today."""
    values = json.loads(to_json(train_config("pick_cube")))
    del values["agent"]["cloning_filter"]
    assert from_json(json.dumps(values)) == train_config("pick_cube")
    del values["agent"]["imitate_stillness"]
    assert from_json(json.dumps(values)).agent.imitate_stillness
    del values["agent"]["return_floor"], values["agent"]["vision"]["frequencies"]
    earlier = from_json(json.dumps(values)).agent
    assert (earlier.return_floor, earlier.vision.frequencies) == (False, None)
    by_hand = from_json(json.dumps({"env": {"task": "pick_cube"}, "agent": {"utd_ratio": 3, "vision": {"width": 32}}}))
    assert (by_hand.agent.return_floor, by_hand.agent.vision.frequencies) == (True, 5)
