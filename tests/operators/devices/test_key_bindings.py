"""Keys of the console's actions, as settings."""

import dataclasses
from typing import Any

import pytest
import tyro

from hilserl.errors import HilserlError
from hilserl.operators.config import ConsoleConfig
from hilserl.operators.devices.key_bindings import KeyBindings
from hilserl.operators.devices.key_map import KEYS, bound_keys

ACTIONS = [field.name for field in dataclasses.fields(KeyBindings)]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"forward": ("I",), "up": ("I",)}, "The key I is named twice, for 'forward' and for 'up'"),
        ({"takeover": ("Space",)}, "The key Space is named twice, for 'takeover' and for 'success_label'"),
        ({"takeover": ("Tab", "Tab")}, "The key Tab is named twice"),
        ({"gripper": ("Spcae",)}, "Unknown key of 'gripper' 'Spcae'. Did you mean 'Space'?"),
        ({"end": ("ESC",)}, "Unknown key of 'end' 'ESC'"),
    ],
)
def test_bindings_at_fault_are_refused_by_the_key(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(HilserlError) as refused:
        KeyBindings(**changes)
    assert complaint in str(refused.value)


@pytest.mark.parametrize("action", ACTIONS)
def test_action_without_a_key_is_refused(action: str) -> None:
    changes: dict[str, Any] = {action: ()}
    with pytest.raises(HilserlError, match=f"No key for '{action}'"):
        KeyBindings(**changes)


@pytest.mark.parametrize("action", ACTIONS)
def test_actions_can_have_other_keys(action: str) -> None:
    changes: dict[str, Any] = {action: ("KeypadEnter",)}
    keys = bound_keys(KeyBindings(**changes))
    (key,) = [key for key in keys if key.name == "KeypadEnter"]
    assert key.meaning in {key.meaning for key in KEYS}


def test_bindings_are_flags() -> None:
    words = ["--keys.takeover", "Tab", "RightBracket", "--keys.fast", "F"]
    config = tyro.cli(ConsoleConfig, args=words)
    assert config.keys == KeyBindings(takeover=("Tab", "RightBracket"), fast=("F",))
