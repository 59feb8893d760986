"""Layouts find their entries, and a spec survives JSON."""

import json
from typing import Any

import numpy as np
import pytest

from hilserl.data.spec import ExperienceSpec, StateLayout, count_changes, entry
from hilserl.errors import HilserlError


def test_layout_finds_its_entries() -> None:
    layout = StateLayout((entry("a", 2), entry("b", 3, centre=1.0, scale=[1.0, 2.0, 3.0])))
    vector = layout.pack({"b": np.array([1.0, 2.0, 3.0]), "a": np.array([8.0, 9.0])})
    assert vector.dtype == np.float32
    assert vector[layout.slice("a")].tolist() == [8.0, 9.0]
    assert vector[layout.slice("b")].tolist() == [1.0, 2.0, 3.0]
    assert layout.centre.tolist() == [0.0, 0.0, 1.0, 1.0, 1.0]
    with pytest.raises(HilserlError, match="Available: a, b"):
        layout.slice("c")
    with pytest.raises(HilserlError, match="do not match"):
        layout.pack({"a": np.zeros(2)})
    with pytest.raises(HilserlError, match="shape"):
        layout.pack({"a": np.zeros(2), "b": np.zeros(2)})


def test_spec_survives_json(spec: ExperienceSpec) -> None:
    assert ExperienceSpec.from_json(spec.to_json()) == spec


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ((), "control_hz"),
        (("state",), "entry"),
        (("state", "entries", 0), "unit"),
        (("action",), "gripper"),
    ],
)
def test_spec_refuses_an_unknown_key_and_names_its_place(spec: ExperienceSpec, path: tuple[Any, ...], key: str) -> None:
    raw = json.loads(spec.to_json())
    target = raw
    for part in path:
        target = target[part]
    target[key] = 1
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in (*path, key)).lstrip(".")
    with pytest.raises(HilserlError) as refusal:
        ExperienceSpec.from_json(json.dumps(raw))
    assert f"Unknown key of the experience's layout {place!r}." in str(refusal.value)


@pytest.mark.parametrize("name", ["task", "state", "action", "images", "control_dt_s"])
def test_spec_refuses_a_missing_key_by_its_name(spec: ExperienceSpec, name: str) -> None:
    raw = json.loads(spec.to_json())
    del raw[name]
    with pytest.raises(HilserlError, match=rf"lacks {name}\."):
        ExperienceSpec.from_json(json.dumps(raw))


def test_changes_are_of_the_gripper_seen_before_the_action() -> None:
    commands, actions = np.array([1.0, 1.0, 1.0, -1.0, -1.0, -1.0]), np.array([-1.0, 0.0, 1.0, -1.0, 0.0, 1.0])
    one = [count_changes(np.array([c]), np.array([a])) for c, a in zip(commands, actions, strict=True)]
    assert one == [1, 0, 0, 0, 0, 1]
    assert count_changes(np.array([1.0, -1.0]), np.array([-1.0, 1.0])) == 2
    assert count_changes(np.zeros(0), np.array([-1.0])) == 0, "before a reset no command is known"
