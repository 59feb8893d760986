"""Hands at keys, at sticks and in the air follow a script's way, each with its own errors."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hilserl.data.spec import ActionLayout
from hilserl.errors import HilserlError
from hilserl.operators.devices.key_map import KEYS, SPEED
from hilserl.operators.hands import Hands, HandsConfig
from hilserl.operators.remote_hands import make_hands
from hilserl.operators.takeover import GripperRequest
from tests.support.layouts import ACTION

KEYBOARD = HandsConfig("keys", delay_steps=3, decision_steps=3)
STICK = HandsConfig("stick", noise=0.0, delay_steps=2)


class Point:
    """A tool that moves as it is told, unless it is stuck, and the way from it to a goal."""

    def __init__(self, goal: tuple[float, ...], gripper: float = 0.0, *, stuck: bool = False) -> None:
        self.left, self.gripper, self.stuck = np.array(goal), gripper, stuck

    def expert_way(self) -> np.ndarray:
        return np.array([*self.left, self.gripper])

    def expert_action(self) -> np.ndarray:
        return self.to_action(self.expert_way())

    def to_action(self, way: np.ndarray) -> np.ndarray:
        return way / max(1.0, np.abs(way).max())

    def progress(self) -> float:
        return 0.0

    def succeeded(self) -> bool:
        return False

    def harm(self) -> bool:
        return False

    def drive(self, hands: Hands, steps: int) -> tuple[np.ndarray, list[GripperRequest]]:
        motions, requests = [], []
        for _ in range(steps):
            motion, grippers = hands.drive()
            if not self.stuck:
                self.left = self.left - motion
            motions.append(motion)
            requests.extend(grippers)
        return np.array(motions), requests


def hands_for(task: Point, config: HandsConfig, seed: int = 0, layout: ActionLayout = ACTION) -> Hands:
    made = make_hands(task, layout, config)
    made.begin_episode(np.random.default_rng(seed))
    return made


@pytest.mark.parametrize("config", [HandsConfig(), KEYBOARD, STICK])
def test_hands_reach_a_goal_and_stay_there(config: HandsConfig) -> None:
    task = Point((6.0, -4.0, 2.0))
    task.drive(hands_for(task, config), 60)
    assert np.abs(task.left).max() < 0.8


@pytest.mark.parametrize("config", [KEYBOARD, replace(KEYBOARD, wrong=0.3, pause=0.2, misjudged=0.3), STICK])
def test_hands_repeat_with_their_seed(config: HandsConfig) -> None:
    def motions(seed: int) -> np.ndarray:
        task = Point((6.0, -4.0, 2.0))
        return task.drive(hands_for(task, config, seed), 40)[0]

    assert np.array_equal(motions(1), motions(1))
    assert config is STICK or not np.array_equal(motions(1), motions(2))


def test_keys_give_few_values_and_many_zeros() -> None:
    task = Point((9.0, 0.0, 0.0))
    motions, _ = task.drive(hands_for(task, KEYBOARD), 60)
    slow = min(key.speed for key in KEYS if key.speed is not None)
    assert set(np.round(np.abs(motions[:, 0]), 6)) <= {0.0, slow, SPEED}
    assert (motions == 0).all(1).mean() > 0.2


def test_keys_act_on_what_was_there() -> None:
    """A goal that jumps is followed no sooner than the delay."""
    task = Point((0.0, 0.0, 0.0))
    hands = hands_for(task, KEYBOARD)
    task.drive(hands, 9)
    task.left = np.array([5.0, 0.0, 0.0])
    motions, _ = task.drive(hands, 9)
    assert not motions[: KEYBOARD.delay_steps].any()
    assert motions.any()


def test_keys_push_on_where_something_is_in_the_way() -> None:
    task = Point((0.0, 0.0, -1.0), stuck=True)
    motions, _ = task.drive(hands_for(task, KEYBOARD), 60)
    assert (motions[:, 2] <= 0).all()
    assert (motions[:, 2] < 0).mean() > 0.5


def test_keys_are_wrong_or_rest_as_often_as_said() -> None:
    """Only an error presses an axis on which there is no way."""

    def share_off_axis(wrong: float) -> float:
        task = Point((9.0, 0.0, 0.0), stuck=True)
        return float((task.drive(hands_for(task, replace(KEYBOARD, wrong=wrong)), 600)[0][:, 1] != 0).mean())

    assert share_off_axis(0.0) == 0.0
    assert 0.02 < share_off_axis(0.4) < 0.2
    task = Point((9.0, 0.0, 0.0), stuck=True)
    motions, _ = task.drive(hands_for(task, replace(KEYBOARD, pause=0.3)), 600)
    assert 0.4 < (motions == 0).all(1).mean() < 0.9, "pauses last 5 to 15 steps, decisions 3"


@pytest.mark.parametrize("latest", [0, 4])
def test_gripper_request_comes_once_and_late(latest: int) -> None:
    config, firsts = replace(KEYBOARD, gripper_delay_steps=latest), set()
    for seed in range(40):
        task = Point((0.0, 0.0, 0.0), gripper=-1.0)
        _, requests = task.drive(hands_for(task, config, seed), 20)
        first = requests.index(GripperRequest.CLOSE)
        assert GripperRequest.CLOSE not in requests[first + 1 : first + 1 + config.delay_steps], "not until it is seen"
        firsts.add(first)
    assert firsts == set(range(latest + 1))


def test_two_arms_are_driven_one_at_a_time() -> None:
    layout = ActionLayout(("left_tcp_dx", "left_tcp_dy", "right_tcp_dx", "right_tcp_dy"))
    task = Point((3.0, 0.0, 3.0))
    task.expert_way = lambda: np.array([*task.left, 0.0])
    task.left = np.array([3.0, 0.0, 3.0])
    hands, moved = hands_for(task, KEYBOARD, layout=layout), []
    for _ in range(40):
        motion, _ = hands.drive()
        task.left = task.left - motion[:3]
        moved.append((bool(motion[:2].any()), bool(motion[2:].any())))
    assert (True, True) not in moved
    assert {(True, False), (False, True)} <= set(moved)


def test_arcs_come_from_both_sides_and_end_at_the_goal() -> None:
    config, sides = HandsConfig(noise=0.0, arcs=True), set()
    for seed in range(12):
        task = Point((12.0, 0.0, 0.0))
        motions, _ = task.drive(hands_for(task, config, seed), 40)
        sides.add(np.sign(motions[0, 1]))
        assert np.abs(task.left).max() < 0.5
    assert sides == {-1.0, 1.0}


def test_free_hands_go_astray_as_often_as_said() -> None:
    task = Point((9.0, 0.0, 0.0), stuck=True)
    config = HandsConfig(noise=0.0, decision_steps=5, wrong=0.2)
    motions, _ = task.drive(hands_for(task, config), 2_000)
    assert (motions[:, 1] != 0).mean() == pytest.approx(0.2, abs=0.05)


@pytest.mark.parametrize(
    "settings", [{"max_speed": 0.0}, {"max_speed": 1.5}, {"noise": -1.0}, {"wrong": 2.0}, {"decision_steps": 0}]
)
def test_config_refuses_impossible_numbers(settings: dict[str, Any]) -> None:
    with pytest.raises(HilserlError, match=f"Invalid {next(iter(settings))} .*: expected"):
        HandsConfig(**settings)
