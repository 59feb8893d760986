"""The key map: every combination of keys is one motion at one speed, and nothing is reachable by accident."""

from collections.abc import Iterable
from itertools import chain, combinations

import numpy as np
import pytest
from mujoco.studio.dear_imgui import dear_imgui as imgui

from hilserl.data.spec import ActionLayout
from hilserl.operators.action_axes import AXES, ActionKind, arm_axes, driven_axes, kinds_along, parse_action_name
from hilserl.operators.devices import key_map as keys
from hilserl.operators.devices.key_map import COMMAND_KEYS, HELD_KEYS, KEYS, LABEL_KEY, SPEED, Command, keys_for
from tests.support.layouts import ACTION, LAYOUTS, SEVEN

MOVES = {"W": (1, 0, 0), "S": (-1, 0, 0), "A": (0, 1, 0), "D": (0, -1, 0), "J": (0, 0, 1), "K": (0, 0, -1)}
TURNS = {"Y": (1, 0, 0), "H": (-1, 0, 0), "T": (0, 1, 0), "G": (0, -1, 0), "Q": (0, 0, 1), "E": (0, 0, -1)}
SLOW, FAST = ("LeftShift", "RightShift"), ("LeftCtrl", "RightCtrl", "F")
ALL = [pytest.param(layout, id=name) for name, layout in LAYOUTS.items()]


def subsets(names: Iterable[str]) -> list[tuple[str, ...]]:
    names = tuple(names)
    return list(chain.from_iterable(combinations(names, size) for size in range(len(names) + 1)))


def motion(held: Iterable[str], layout: ActionLayout) -> tuple[float, ...]:
    """What held keys make of the continuous actions, the first arm being chosen."""
    return tuple(arm_axes(layout)[0].action(keys.key_motion(held, layout)).tolist())


def speed_of(names: Iterable[str]) -> float:
    """The speed of one key with these held beside it."""
    return motion(("W", *names), ACTION)[0]


def straight(names: Iterable[str], ways: dict[str, tuple[int, int, int]]) -> np.ndarray:
    """Where keys point together, of length 0 or 1."""
    total = np.sum([ways[name] for name in names], axis=0) if names else np.zeros(3)
    return total / max(1e-9, np.linalg.norm(total))


@pytest.mark.parametrize("beside", [(), ("LeftShift",), ("LeftCtrl",), ("F",), ("RightShift", "RightCtrl", "F")])
def test_every_combination_of_movement_keys_moves_straight_at_one_speed(beside: tuple[str, ...]) -> None:
    for held in subsets(MOVES):
        moved = np.array(motion((*held, *beside), ACTION))
        assert moved == pytest.approx(speed_of(beside) * straight(held, MOVES)), held
        assert np.linalg.norm(moved) == pytest.approx(speed_of(beside)) or not moved.any()


@pytest.mark.parametrize("name", MOVES)
def test_each_key_moves_its_own_way(name: str) -> None:
    assert motion([name], ACTION) == tuple(SPEED * v for v in MOVES[name])


def test_opposite_keys_cancel() -> None:
    for pair in (("W", "S"), ("A", "D"), ("J", "K")):
        assert motion(pair, ACTION) == (0.0, 0.0, 0.0)
        for rest in subsets(set(MOVES) - set(pair)):
            assert motion((*pair, *rest), ACTION) == motion(rest, ACTION)


def test_every_combination_of_speed_keys_is_slow_normal_or_fast_and_slow_wins() -> None:
    slow, fast = speed_of(SLOW[:1]), speed_of(FAST[:1])
    assert 0 < slow < SPEED < fast <= 1
    for held in subsets((*SLOW, *FAST)):
        expected = slow if set(held) & set(SLOW) else fast if set(held) & set(FAST) else SPEED
        assert speed_of(held) == expected, held
        assert motion(held, ACTION) == (0.0, 0.0, 0.0), "a speed alone moves nothing"


def test_names_that_are_not_in_the_map_mean_nothing() -> None:
    assert motion(["Tab", "w", "", "F13", "tcp_dx"], ACTION) == (0.0, 0.0, 0.0)
    assert motion(["W", "Tab", "F13"], ACTION) == motion(["W"], ACTION)


def test_keys_of_commands_and_of_labels_move_nothing() -> None:
    assert not any(motion([*COMMAND_KEYS, LABEL_KEY.name], SEVEN))


def test_a_key_held_twice_is_held_once() -> None:
    assert motion(["W", "W", "A"], ACTION) == motion(["A", "W"], ACTION)


def test_rotation_keys_mean_nothing_where_no_action_turns() -> None:
    for turns in subsets(TURNS):
        assert motion(turns, ACTION) == (0.0, 0.0, 0.0)
        assert motion(("W", "J", *turns), ACTION) == motion(("W", "J"), ACTION)


def test_rotation_keys_turn_where_actions_do() -> None:
    for held in subsets(TURNS):
        moved = motion(held, SEVEN)
        assert moved[:3] == (0.0, 0.0, 0.0)
        assert moved[3:] == pytest.approx(SPEED * straight(held, TURNS)), held


def test_moving_and_turning_share_one_speed() -> None:
    for held in subsets(("W", "S", "D", "J", "Q", "T", "H")):
        length = np.linalg.norm(motion((*held, "F"), SEVEN))
        assert length == pytest.approx(speed_of("F")) or length == 0
        assert max(np.abs(motion((*held, "F"), SEVEN))) <= 1


def test_the_layout_decides_the_order_and_grippers_take_no_place() -> None:
    layout = ActionLayout(("gripper", "tcp_dz", "odd", "tcp_dx"), grippers=(0, 2))
    assert motion(["J"], layout) == (SPEED, 0.0)
    assert motion(["S"], layout) == (0.0, -SPEED)
    assert motion(["A", "Q"], layout) == (0.0, 0.0)


@pytest.mark.parametrize("layout", ALL)
@pytest.mark.parametrize("labels", [False, True])
def test_the_keys_that_are_shown_are_those_that_mean_something_each_label_once(
    layout: ActionLayout, labels: bool
) -> None:
    shown = keys_for(layout, labels=labels)
    names = [key.label for key in shown]
    assert len(set(names)) == len(names)
    assert (LABEL_KEY in shown) == labels
    assert (Command.GRIPPER in {key.command for key in shown}) == bool(layout.grippers)
    assert (Command.SWITCH_ARM in {key.command for key in shown}) == (len(arm_axes(layout)) > 1)
    missing = {*(() if layout.grippers else (Command.GRIPPER,))}
    missing |= {*(() if len(arm_axes(layout)) > 1 else (Command.SWITCH_ARM,))}
    for key in KEYS:
        useful = any(keys.key_motion([key.name], layout)) or key.speed is not None
        useful = useful or (key.command is not None and key.command not in missing)
        assert (key.label in names) == useful, key


@pytest.mark.parametrize("layout", ALL)
def test_a_key_moves_the_numbers_along_its_axis_whatever_they_command(layout: ActionLayout) -> None:
    continuous = [layout.names[i] for i in layout.continuous]
    for key in HELD_KEYS:
        made = keys.key_motion([key.name, "F"], layout)
        assert len(made) == len(AXES)
        for arm in arm_axes(layout):
            action = arm.action(made)
            assert len(action) == len(continuous)
            for name, number in zip(continuous, action, strict=True):
                move = parse_action_name(name)
                assert move is not None
                along = key.moves is not None and (move.arm, move.axis) == (arm.name, key.moves[0])
                assert number == (key.moves[1] if along and key.moves is not None else 0.0), (key, name)


@pytest.mark.parametrize("layout", ALL)
def test_every_number_of_an_action_has_two_keys_or_is_a_grippers(layout: ActionLayout) -> None:
    reached = np.zeros((len(KEYS), len(layout.continuous)))
    for arm in arm_axes(layout):
        for row, key in enumerate(KEYS):
            reached[row] += arm.action(keys.key_motion([key.name], layout))
    assert ((reached > 0).sum(0) == 1).all()
    assert ((reached < 0).sum(0) == 1).all()
    assert sorted(arm.gripper for arm in arm_axes(layout) if arm.gripper is not None) == list(
        range(len(layout.grippers))
    )


@pytest.mark.parametrize("layout", ALL)
def test_a_key_says_force_or_torque_where_that_is_what_it_gives(layout: ActionLayout) -> None:
    for key in keys_for(layout):
        if key.moves is None:
            continue
        kinds = kinds_along(key.moves[0], layout)
        plain = next(other.meaning for other in KEYS if other.name == key.name)
        assert key.meaning == " / ".join(kind.value + plain for kind in kinds)
        assert ("force" in key.meaning) == (ActionKind.FORCE in kinds)
        assert ("torque" in key.meaning) == (ActionKind.TORQUE in kinds)


def test_meanings_read_as_sentences() -> None:
    meanings = {
        name: {key.label: key.meaning for key in keys_for(LAYOUTS[name])} for name in ("wrench", "unlike", "planar")
    }
    assert meanings["wrench"]["W"] == "force forward (+x)"
    assert meanings["wrench"]["Q"] == "torque to turn left (+yaw)"
    assert meanings["unlike"]["W"] == "forward (+x) / force forward (+x)"
    assert meanings["unlike"]["J"] == "up (+z)"
    assert not {"A", "D", "Q", "E", "Y", "H", "L", "O"} & set(meanings["planar"])


@pytest.mark.parametrize(
    "name",
    [
        "",
        "x",
        "tcp",
        "tcp_",
        "tcp_dx ",
        "Tcp_dx",
        "tcp_dw",
        "tcp_rx",
        "tcp_ddx",
        "_tcp_dx",
        "tcp_dx_left",
        "lefttcp_dx",
    ],
)
def test_junk_names_move_nothing(name: str) -> None:
    assert parse_action_name(name) is None
    for layout in (ActionLayout((name,)), ActionLayout((name, "odd"), grippers=(1,)), ActionLayout(())):
        (arm,) = arm_axes(layout)
        assert (arm.name, arm.gripper, driven_axes(layout)) == ("", None, set())
        assert not arm.action(keys.key_motion([key.name for key in KEYS], layout)).any()
        assert Command.GRIPPER not in {key.command for key in keys_for(layout)}
        assert not [key for key in keys_for(layout) if key.moves is not None]


def test_arms_come_in_the_order_of_the_layout_and_keep_what_is_theirs() -> None:
    layout = ActionLayout(
        ("far_gripper", "odd", "left_arm_tcp_ty", "far_tcp_dz", "left_arm_gripper", "tcp_dx"), grippers=(4, 0)
    )
    arms = {arm.name: (dict(arm.axes), arm.gripper) for arm in arm_axes(layout)}
    assert list(arms.items()) == [("far", ({"z": 2}, 1)), ("left_arm", ({"pitch": 1}, 0)), ("", ({"x": 3}, None))]


def test_keys_with_one_label_mean_the_same() -> None:
    for one in KEYS:
        for other in KEYS:
            if one.label == other.label:
                same = (one.meaning, one.moves, one.command, one.speed, one.twice)
                assert same == (other.meaning, other.moves, other.command, other.speed, other.twice)


def test_a_key_means_one_thing_and_a_command_has_one_key() -> None:
    names = [key.name for key in (*KEYS, LABEL_KEY)]
    assert len(set(names)) == len(names)
    commands = [key.command for key in KEYS if key.command is not None]
    assert sorted(commands, key=lambda c: c.name) == sorted(Command, key=lambda c: c.name)
    assert {key.name for key in HELD_KEYS} | set(COMMAND_KEYS) == {key.name for key in KEYS}
    for key in KEYS:
        assert sum((key.moves is not None, key.command is not None, key.speed is not None)) == 1, key


def test_no_two_keys_move_the_same_way() -> None:
    moves = [key.moves for key in KEYS if key.moves is not None]
    assert len(set(moves)) == len(moves) == 12
    assert {(name, -way) for name, way in moves} == set(moves), "and each has its opposite"


@pytest.mark.parametrize("key", [*KEYS, LABEL_KEY], ids=lambda key: key.name)
def test_the_console_knows_every_key_by_its_name(key) -> None:
    assert isinstance(getattr(imgui.Key, key.name), imgui.Key)
