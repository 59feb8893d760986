"""Several arms and devices: each arm obeys the right device."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hilserl.data.spec import ActionLayout
from hilserl.operators.action_axes import arm_axes
from hilserl.operators.devices.device import InputDevice, Reading
from hilserl.operators.devices.key_map import Command, key_motion
from hilserl.operators.human import HumanOperator, Role
from hilserl.operators.takeover import GripperRequest, Intent, Takeover
from tests.support.devices import FakeTeleoperation, ScriptedDevice
from tests.support.layouts import LAYOUTS, SEVEN, TWO

FOURTEEN, UNLIKE = LAYOUTS["fourteen"], LAYOUTS["unlike"]
PUSH, OTHER = (0.5, 0.0, 0.0, 0.0, 0.0, 0.2), (0.0, -0.3, 0.0, 0.1, 0.0, 0.0)
HOLD, TOGGLE = GripperRequest.HOLD, GripperRequest.TOGGLE
STILL = (0.0,) * 6
GOAL = (0.4, 0.1, 0.2)
COMMANDS = (Command.SWITCH_ARM, Command.GRIPPER, Command.PAUSE)


class Scene:
    """An operator at a console, perhaps with a device for each arm."""

    def __init__(self, layout: ActionLayout = FOURTEEN, *, own: bool = False, drives: bool = True) -> None:
        self.layout = layout
        self.console, self.left = ScriptedDevice("console"), ScriptedDevice("left mouse", "left")
        self.right = ScriptedDevice("r", "right")
        devices: list[InputDevice] = [self.console, self.left, self.right] if own else [self.console]
        self.teleoperation = FakeTeleoperation(layout)
        self.operator = HumanOperator(
            devices, layout, Role(drives=drives), self.teleoperation, lambda: None, lambda: 0.0
        )
        self.operator.begin_episode(0)

    def step(self, *commands: Command, **console: Any) -> Intent:
        self.console.now = replace(self.console.now, commands=commands, **console)
        return self.operator.intent()


def halves(intent: Intent) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Split the motion of an intent into left and right arm."""
    middle = len(intent.motion) // 2
    return intent.motion[:middle], intent.motion[middle:]


@pytest.mark.parametrize("times", range(5))
def test_switch_during_a_motion_moves_only_the_chosen_arm(times: int) -> None:
    scene = Scene()
    assert halves(scene.step(motion=PUSH)) == (PUSH, STILL)
    for number in range(times):
        expected = (PUSH, STILL) if number % 2 else (STILL, PUSH)
        assert halves(scene.step(Command.SWITCH_ARM)) == expected
        assert halves(scene.step()) == expected
    assert halves(scene.step(motion=STILL)) == (STILL, STILL)
    assert scene.operator.chosen_arm == ("left", "right")[times % 2]


def test_switches_in_pairs_have_no_effect() -> None:
    scene = Scene()
    assert halves(scene.step(Command.SWITCH_ARM, Command.SWITCH_ARM, motion=PUSH)) == (PUSH, STILL)


@pytest.mark.parametrize(
    ("commands", "expected"),
    [
        ("G", (TOGGLE, HOLD)),
        ("GG", (HOLD, HOLD)),
        ("SG", (HOLD, TOGGLE)),
        ("GS", (TOGGLE, HOLD)),
        ("GSG", (TOGGLE, TOGGLE)),
        ("GSGSG", (HOLD, TOGGLE)),
        ("SS", (HOLD, HOLD)),
    ],
)
def test_gripper_key_counts_for_the_arm_chosen_at_the_press(
    commands: str, expected: tuple[GripperRequest, ...]
) -> None:
    asked = {"G": Command.GRIPPER, "S": Command.SWITCH_ARM}
    scene = Scene()
    assert scene.step(*[asked[letter] for letter in commands], motion=PUSH).grippers == expected
    assert scene.step().grippers == (HOLD, HOLD), "a key that stays down is pressed once"


def test_gripper_command_of_the_other_arm_stays() -> None:
    scene = Scene()
    told = np.array([1.0, -1.0])
    for command, expected in ((Command.GRIPPER, (-1.0, 0.0)), (Command.SWITCH_ARM, (0.0, 0.0))):
        intent = scene.step(command, motion=PUSH)
        action = Takeover().advance(intent, np.ones(FOURTEEN.size), told, FOURTEEN)[1].action
        assert tuple(action[list(FOURTEEN.grippers)]) == expected


def test_goal_leads_the_chosen_arm_until_the_other_is_chosen() -> None:
    scene = Scene(TWO)
    assert halves(scene.step(goal_m=GOAL, goal_arm="left")) == (GOAL, (0.0,) * 3)
    assert halves(scene.step(Command.SWITCH_ARM)) == ((0.0,) * 3, (0.0,) * 3), "what was dragged was the left arm's"
    assert halves(scene.step(goal_arm="right")) == ((0.0,) * 3, GOAL)
    assert scene.teleoperation.goals == [(GOAL, "left"), (GOAL, "right")]
    assert halves(scene.step(goal_arm="third")) == ((0.0,) * 3, (0.0,) * 3)


def test_devices_assigned_to_arms_drive_both_at_once() -> None:
    scene = Scene(own=True)
    scene.left.now, scene.right.now = Reading(True, PUSH), Reading(True, OTHER)
    assert halves(scene.step()) == (PUSH, OTHER)
    assert halves(scene.step(Command.SWITCH_ARM)) == (PUSH, OTHER), "whichever the console has"
    scene.right.now = Reading(True, STILL, (Command.GRIPPER,))
    scene.left.now = Reading(True, PUSH, (Command.GRIPPER, Command.GRIPPER))
    assert scene.step().grippers == (HOLD, TOGGLE)
    assert halves(scene.step(goal_m=GOAL, goal_arm="right")) == (PUSH, (*GOAL, 0.0, 0.0, 0.0))


def test_console_has_priority_for_the_chosen_arm() -> None:
    scene = Scene(own=True)
    scene.left.now, scene.right.now = Reading(True, PUSH), Reading(True, PUSH)
    assert halves(scene.step(motion=OTHER)) == (OTHER, PUSH)


@pytest.mark.parametrize("drives", [False, True])
def test_lost_device_stops_both_arms(drives: bool) -> None:
    scene = Scene(own=True, drives=drives)
    scene.left.now, scene.right.now = Reading(True, PUSH), Reading(True, OTHER)
    assert halves(scene.step(*(() if drives else (Command.TAKEOVER,)))) == (PUSH, OTHER)
    scene.right.now = Reading(False)
    scene.left.now = Reading(True)
    gone = scene.step()
    assert gone == (Intent(True, hold=True) if drives else Intent(False))
    assert "The r is gone" in scene.operator.message
    scene.left.now = Reading(True, PUSH)
    after = scene.step(*(() if drives else (Command.TAKEOVER,)))
    assert halves(after) == (PUSH, STILL), "who goes on with the other one moves that arm alone"


def test_unused_device_may_disappear() -> None:
    scene = Scene(own=True)
    scene.left.now = Reading(True, PUSH)
    scene.step()
    scene.right.now = Reading(False)
    assert halves(scene.step()) == (PUSH, STILL)


def test_choice_of_the_arm_outlives_the_episode() -> None:
    scene = Scene()
    scene.step(Command.SWITCH_ARM)
    scene.operator.begin_episode(1)
    assert scene.operator.chosen_arm == "right"
    scene.console.now = Reading(True, commands=(Command.SWITCH_ARM, Command.GRIPPER))
    scene.operator.begin_episode(2)
    assert scene.operator.chosen_arm == "left"
    assert scene.step(motion=PUSH).grippers == (HOLD, HOLD)


@pytest.mark.parametrize("layout", [SEVEN, LAYOUTS["wrench"], LAYOUTS["planar"]], ids=["seven", "wrench", "planar"])
def test_switch_has_no_effect_with_one_arm(layout: ActionLayout) -> None:
    scene = Scene(layout)
    before = scene.step(motion=PUSH)
    message = scene.operator.message
    assert scene.step(Command.SWITCH_ARM).motion == before.motion
    assert (scene.operator.chosen_arm, scene.operator.message) == ("", message)


def test_motion_that_the_chosen_arm_lacks_does_not_begin_the_episode() -> None:
    scene = Scene(UNLIKE)
    assert scene.step(motion=key_motion(["Q"], UNLIKE)).hold, "the left arm has no turns"
    intent = scene.step(Command.SWITCH_ARM)
    assert not intent.hold
    assert intent.motion == pytest.approx((0, 0, 0, 0, 0.5))


@pytest.mark.parametrize("layout", list(LAYOUTS.values()), ids=list(LAYOUTS))
@pytest.mark.parametrize("seed", range(4))
def test_random_input_moves_only_the_chosen_arm(layout: ActionLayout, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scene, arms = Scene(layout), arm_axes(layout)
    for _ in range(150):
        count = rng.choice([0, 0, 1, 3])
        commands = [COMMANDS[index] for index in rng.integers(len(COMMANDS), size=count)]
        said = tuple(rng.uniform(-1, 1, 6)) if rng.random() < 0.7 else ()
        intent = scene.step(*commands, motion=said)
        if intent.hold:
            continue
        assert len(intent.motion) == len(layout.continuous)
        assert len(intent.grippers) == len(layout.grippers)
        assert np.abs(intent.motion).max() <= 1
        for arm in arms:
            own = np.array(intent.motion)[list(arm.axes.values())]
            assert arm.name == scene.operator.chosen_arm or not own.any()
