"""Key map: every combination of keys is one motion at one speed."""

from collections.abc import Iterable
from itertools import chain, combinations

import numpy as np
import pytest
from mujoco.studio.dear_imgui import dear_imgui as imgui

from hilserl.data.spec import ActionLayout
from hilserl.operators.action_axes import ActionKind, arm_axes, kinds_along
from hilserl.operators.console.keyboard import window_key
from hilserl.operators.devices.key_bindings import KeyBindings
from hilserl.operators.devices.key_map import (
    KEYS,
    SPEED,
    Command,
    bound_keys,
    key_motion,
    keys_for,
    takeover_hint,
)
from hilserl.operators.devices.key_names import KEY_NAMES
from tests.support.layouts import ACTION, LAYOUTS, SEVEN

MOVES = {"W": (1, 0, 0), "S": (-1, 0, 0), "A": (0, 1, 0), "D": (0, -1, 0), "J": (0, 0, 1), "K": (0, 0, -1)}
TURNS = {"Y": (1, 0, 0), "H": (-1, 0, 0), "T": (0, 1, 0), "G": (0, -1, 0), "Q": (0, 0, 1), "E": (0, 0, -1)}
SLOW, FAST = ("LeftShift", "RightShift"), ("LeftCtrl", "RightCtrl", "F")
ALL = [pytest.param(layout, id=name) for name, layout in LAYOUTS.items()]


def subsets(names: Iterable[str]) -> list[tuple[str, ...]]:
    names = tuple(names)
    return list(chain.from_iterable(combinations(names, size) for size in range(len(names) + 1)))


def action_of(held: Iterable[str], layout: ActionLayout) -> tuple[float, ...]:
    """Return the continuous actions of held keys with the first arm chosen."""
    return tuple(arm_axes(layout)[0].action(key_motion(held, layout)).tolist())


def speed_of(names: Iterable[str]) -> float:
    """Return the speed of one key with others held."""
    return action_of(("W", *names), ACTION)[0]


def straight(names: Iterable[str], ways: dict[str, tuple[int, int, int]]) -> np.ndarray:
    """Return the common direction of keys, of length 0 or 1."""
    total = np.sum([ways[name] for name in names], axis=0) if names else np.zeros(3)
    return total / max(1e-9, np.linalg.norm(total))


@pytest.mark.parametrize("beside", [(), ("LeftShift",), ("LeftCtrl",), ("F",), ("RightShift", "RightCtrl", "F")])
def test_combinations_of_movement_keys_move_straight_at_one_speed(beside: tuple[str, ...]) -> None:
    for held in subsets(MOVES):
        moved = np.array(action_of((*held, *beside), ACTION))
        assert moved == pytest.approx(speed_of(beside) * straight(held, MOVES)), held
        assert np.linalg.norm(moved) == pytest.approx(speed_of(beside)) or not moved.any()


@pytest.mark.parametrize("name", MOVES)
def test_keys_move_in_their_direction(name: str) -> None:
    assert action_of([name], ACTION) == tuple(SPEED * v for v in MOVES[name])


def test_opposite_keys_cancel() -> None:
    for pair in (("W", "S"), ("A", "D"), ("J", "K")):
        assert action_of(pair, ACTION) == (0.0, 0.0, 0.0)
        for rest in subsets(set(MOVES) - set(pair)):
            assert action_of((*pair, *rest), ACTION) == action_of(rest, ACTION)


def test_combinations_of_speed_keys_are_slow_normal_or_fast_and_slow_wins() -> None:
    slow, fast = speed_of(SLOW[:1]), speed_of(FAST[:1])
    assert 0 < slow < SPEED < fast <= 1
    for held in subsets((*SLOW, *FAST)):
        expected = slow if set(held) & set(SLOW) else fast if set(held) & set(FAST) else SPEED
        assert speed_of(held) == expected, held
        assert action_of(held, ACTION) == (0.0, 0.0, 0.0), "a speed alone moves nothing"


def test_unknown_keys_have_no_effect() -> None:
    assert action_of(["Tab", "w", "", "F13", "tcp_dx"], ACTION) == (0.0, 0.0, 0.0)
    assert action_of(["W", "Tab", "F13"], ACTION) == action_of(["W"], ACTION)


def test_keys_of_commands_and_of_labels_move_nothing() -> None:
    names = [key.name for key in KEYS if key.command or key.labels]
    assert len(names) == 11
    assert not any(action_of(names, SEVEN))


def test_key_held_twice_counts_once() -> None:
    assert action_of(["W", "W", "A"], ACTION) == action_of(["A", "W"], ACTION)


def test_rotation_keys_have_no_effect_without_turning_actions() -> None:
    for turns in subsets(TURNS):
        assert action_of(turns, ACTION) == (0.0, 0.0, 0.0)
        assert action_of(("W", "J", *turns), ACTION) == action_of(("W", "J"), ACTION)


def test_rotation_keys_turn_with_turning_actions() -> None:
    for held in subsets(TURNS):
        moved = action_of(held, SEVEN)
        assert moved[:3] == (0.0, 0.0, 0.0)
        assert moved[3:] == pytest.approx(SPEED * straight(held, TURNS)), held


def test_motion_and_turn_share_one_speed() -> None:
    for held in subsets(("W", "S", "D", "J", "Q", "T", "H")):
        length = np.linalg.norm(action_of((*held, "F"), SEVEN))
        assert length == pytest.approx(speed_of("F")) or length == 0
        assert max(np.abs(action_of((*held, "F"), SEVEN))) <= 1


@pytest.mark.parametrize("layout", ALL)
@pytest.mark.parametrize("labels", [False, True])
def test_shown_keys_have_an_effect_and_a_label_once(layout: ActionLayout, labels: bool) -> None:
    shown = keys_for(layout, labels=labels)
    names = [key.label for key in shown]
    assert len(set(names)) == len(names)
    assert any(key.labels for key in shown) == labels
    assert (Command.GRIPPER in {key.command for key in shown}) == bool(layout.grippers)
    assert (Command.SWITCH_ARM in {key.command for key in shown}) == (len(arm_axes(layout)) > 1)
    missing = {*(() if layout.grippers else (Command.GRIPPER,))}
    missing |= {*(() if len(arm_axes(layout)) > 1 else (Command.SWITCH_ARM,))}
    for key in KEYS:
        useful = any(key_motion([key.name], layout)) or key.speed is not None
        useful = useful or (key.command is not None and key.command not in missing) or (key.labels and labels)
        assert (key.label in names) == useful, key


@pytest.mark.parametrize("layout", ALL)
def test_meaning_names_force_or_torque(layout: ActionLayout) -> None:
    for key in keys_for(layout):
        if key.moves is None:
            continue
        kinds = kinds_along(key.moves[0], layout)
        plain = next(other.meaning for other in KEYS if other.name == key.name)
        assert key.meaning == " / ".join(kind.value + plain for kind in kinds)
        assert ("force" in key.meaning) == (ActionKind.FORCE in kinds)
        assert ("torque" in key.meaning) == (ActionKind.TORQUE in kinds)


def test_meanings_follow_the_layout() -> None:
    meanings = {
        name: {key.label: key.meaning for key in keys_for(LAYOUTS[name])} for name in ("wrench", "unlike", "planar")
    }
    assert meanings["wrench"]["W"] == "force forward (+x)"
    assert meanings["wrench"]["Q"] == "torque to turn left (+yaw)"
    assert meanings["unlike"]["W"] == "forward (+x) / force forward (+x)"
    assert meanings["unlike"]["J"] == "up (+z)"
    assert not {"A", "D", "Q", "E", "Y", "H", "L", "O"} & set(meanings["planar"])


def test_keys_with_one_label_mean_the_same() -> None:
    for one in KEYS:
        for other in KEYS:
            if one.label == other.label:
                same = (one.meaning, one.moves, one.command, one.speed, one.twice)
                assert same == (other.meaning, other.moves, other.command, other.speed, other.twice)


def test_keys_have_one_meaning_and_commands_a_key() -> None:
    names = [key.name for key in KEYS]
    assert len(set(names)) == len(names)
    assert {key.command for key in KEYS} - {None} == set(Command)
    for key in KEYS:
        effects = (key.moves is not None, key.command is not None, key.speed is not None, key.labels)
        assert sum(effects) == 1, key


def test_takeover_has_a_key_that_every_board_prints_alike() -> None:
    takeover = {key.name: key.label for key in KEYS if key.command is Command.TAKEOVER}
    assert takeover == {"Semicolon": ";", "Tab": "Tab"}
    assert takeover_hint(keys_for(ACTION)).startswith("; or Tab takes over, W S A D J K move, L grips, ")


def test_bound_keys_move_as_their_actions_say() -> None:
    keys = bound_keys(
        KeyBindings(forward=("UpArrow", "I"), left=("A", "LeftArrow"), takeover=("Space",), success_label=("0",))
    )
    for name in ("UpArrow", "I"):
        assert key_motion([name], ACTION, keys) == key_motion(["W"], ACTION)
    assert not any(key_motion(["W"], ACTION, keys))
    assert key_motion(["I", "LeftArrow"], ACTION, keys) == key_motion(["W", "A"], ACTION)
    by_name = {key.name: key for key in keys}
    assert by_name["Space"].command is Command.TAKEOVER
    assert by_name["0"].labels
    assert {"Semicolon", "Tab", "W"}.isdisjoint(by_name)
    assert takeover_hint(keys_for(ACTION, keys=keys)).startswith("Space takes over, UpArrow I S A LeftArrow D J K move")


def test_keys_move_in_different_directions() -> None:
    moves = [key.moves for key in KEYS if key.moves is not None]
    assert len(set(moves)) == len(moves) == 12
    assert {(name, -way) for name, way in moves} == set(moves), "and each has its opposite"


@pytest.mark.parametrize("name", KEY_NAMES)
def test_dear_imgui_knows_the_names_of_the_keys(name: str) -> None:
    assert isinstance(window_key(name), imgui.Key)
