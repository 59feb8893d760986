"""The key map: every combination of keys is one motion at one speed, and nothing is reachable by accident."""

from collections.abc import Iterable
from itertools import chain, combinations

import numpy as np
import pytest
from mujoco.studio.dear_imgui import dear_imgui as imgui

from hilserl.experience import ActionLayout
from hilserl.operators.keys import HELD, KEYS, LABEL_KEY, PRESSED, SPEED, Command, keys_for, motion
from hilserl.sim.interface import ACTION

MOVES = {"W": (1, 0, 0), "S": (-1, 0, 0), "A": (0, 1, 0), "D": (0, -1, 0), "J": (0, 0, 1), "K": (0, 0, -1)}
TURNS = {"Y": (1, 0, 0), "H": (-1, 0, 0), "T": (0, 1, 0), "G": (0, -1, 0), "Q": (0, 0, 1), "E": (0, 0, -1)}
SLOW, FAST = ("LeftShift", "RightShift"), ("LeftCtrl", "RightCtrl", "F")
SEVEN = ActionLayout(
    ("tcp_dx", "tcp_dy", "tcp_dz", "tcp_drx", "tcp_dry", "tcp_drz", "gripper"),
    grippers=(6,),
)
BARE = ActionLayout(("tcp_dx", "tcp_dy", "tcp_dz"))


def subsets(names: Iterable[str]) -> list[tuple[str, ...]]:
    names = tuple(names)
    return list(chain.from_iterable(combinations(names, size) for size in range(len(names) + 1)))


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
    assert not any(motion([*PRESSED, LABEL_KEY.name], SEVEN))


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
    layout = ActionLayout(("left_gripper", "tcp_dz", "right_gripper", "tcp_dx"), grippers=(0, 2))
    assert motion(["J"], layout) == (SPEED, 0.0)
    assert motion(["S"], layout) == (0.0, -SPEED)
    assert motion(["A", "Q"], layout) == (0.0, 0.0)


@pytest.mark.parametrize("layout", [ACTION, SEVEN, BARE], ids=["pick_cube", "seven", "bare"])
@pytest.mark.parametrize("labels", [False, True])
def test_the_keys_that_are_shown_are_those_that_mean_something_each_label_once(
    layout: ActionLayout, labels: bool
) -> None:
    shown = keys_for(layout, labels=labels)
    names = [key.label for key in shown]
    assert len(set(names)) == len(names)
    assert (LABEL_KEY in shown) == labels
    assert (Command.GRIPPER in {key.command for key in shown}) == bool(layout.grippers)
    for key in KEYS:
        useful = any(motion([key.name], layout)) or key.speed is not None
        useful = useful or (key.command is not None and (key.command is not Command.GRIPPER or bool(layout.grippers)))
        assert (key.label in names) == useful, key


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
    assert {key.name for key in HELD} | set(PRESSED) == {key.name for key in KEYS}
    for key in KEYS:
        assert sum((key.moves is not None, key.command is not None, key.speed is not None)) == 1, key


def test_no_two_keys_move_the_same_way() -> None:
    moves = [key.moves for key in KEYS if key.moves is not None]
    assert len(set(moves)) == len(moves) == 12
    assert {(name, -way) for name, way in moves} == set(moves), "and each has its opposite"


@pytest.mark.parametrize("key", [*KEYS, LABEL_KEY], ids=lambda key: key.name)
def test_the_console_knows_every_key_by_its_name(key) -> None:
    assert isinstance(getattr(imgui.Key, key.name), imgui.Key)
