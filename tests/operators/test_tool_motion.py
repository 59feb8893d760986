"""A tool follows the operator's hand without a jump."""

from dataclasses import replace

import numpy as np
import pytest

from hilserl.operators.devices.key_map import Command
from hilserl.operators.human import HumanOperator, Role
from hilserl.operators.takeover import Control
from hilserl.operators.tool_motion import LEAD_M
from tests.support.devices import FakeTeleoperation, ScriptedDevice
from tests.support.layouts import LAYOUTS, SEVEN

FOURTEEN = LAYOUTS["fourteen"]


class Follower:
    """An operator with a phone, beside kinematics that keep goals."""

    def __init__(self, *, drives: bool = False, kinematics: bool = True, layout=SEVEN) -> None:
        self.phone = ScriptedDevice("phone")
        self.teleoperation = FakeTeleoperation(layout)
        given = self.teleoperation if kinematics else None
        self.operator = HumanOperator([self.phone], layout, Role(drives=drives), given, lambda: None, lambda: 0.0)
        self.operator.begin_episode(0)

    def step(self, *commands: Command, hand: tuple[float, float, float] | None = None, motion=()) -> np.ndarray:
        """Return the goal's way from the tool, in metres; zeros without a goal."""
        self.teleoperation.goals.clear()
        self.phone.now = replace(self.phone.now, commands=commands, hand_m=hand, motion=motion)
        self.intent = self.operator.intent()
        if not self.teleoperation.goals:
            return np.zeros(3)
        ((goal, arm),) = self.teleoperation.goals
        return goal - self.teleoperation.tcp_positions_m[arm]


def test_takeover_with_a_moved_hand_does_not_move_the_tool() -> None:
    scene = Follower()
    for hand in ((0.0, 0.0, 0.0), (0.5, 0.0, 0.0)):
        assert not scene.step(hand=hand).any()
    assert not scene.step(Command.TAKEOVER, hand=(0.9, 0.1, 0.0)).any()
    np.testing.assert_allclose(scene.step(hand=(0.92, 0.1, -0.01)), (0.02, 0.0, -0.01), atol=1e-12)
    assert scene.operator.control is Control.HUMAN


def test_tool_that_has_arrived_stands_still() -> None:
    scene = Follower(drives=True)
    scene.step(hand=(0.0, 0.0, 0.0))
    scene.step(hand=(0.03, 0.0, 0.0))
    scene.teleoperation.tcp_positions_m[""] = np.array([0.03, 0.0, 0.0])
    np.testing.assert_allclose(scene.step(hand=(0.03, 0.0, 0.0)), np.zeros(3), atol=1e-12)


@pytest.mark.parametrize("pause", ["thumb up", "handed back", "paused", "new episode"])
def test_hand_leads_anew_after_a_pause(pause: str) -> None:
    scene = Follower()
    scene.step(Command.TAKEOVER, hand=(0.0, 0.0, 0.0))
    scene.step(hand=(0.05, 0.0, 0.0))
    away = (0.4, 0.0, 0.0)
    if pause == "thumb up":
        scene.step()
    elif pause == "new episode":
        scene.operator.begin_episode(1)
        scene.step(Command.TAKEOVER, hand=away)
    else:
        command = Command.TAKEOVER if pause == "handed back" else Command.PAUSE
        scene.step(command, hand=away)
        scene.step(command, hand=away)
    assert not scene.step(hand=away).any()
    np.testing.assert_allclose(scene.step(hand=(0.41, 0.0, 0.0)), (0.01, 0.0, 0.0), atol=1e-12)


def test_hand_beyond_the_workspace_leads_back_at_once() -> None:
    scene = Follower(drives=True)
    scene.step(hand=(0.0, 0.0, 0.0))
    for far in (0.1, 0.5, 2.0):
        assert np.linalg.norm(scene.step(hand=(far, 0.0, 0.0))) <= LEAD_M + 1e-12
    assert scene.step(hand=(1.85, 0.0, 0.0))[0] < 0


def test_switch_of_arms_leads_the_other_one_from_where_it_is() -> None:
    scene = Follower(drives=True, layout=FOURTEEN)
    scene.step(hand=(0.0, 0.0, 0.0))
    scene.step(hand=(0.05, 0.0, 0.0))
    scene.teleoperation.tcp_positions_m["right"] = np.array([0.3, 0.3, 0.3])
    assert not scene.step(Command.SWITCH_ARM, hand=(0.05, 0.0, 0.0)).any()
    assert scene.operator.chosen_arm == "right"


def test_hand_turns_the_tool_while_it_leads_it() -> None:
    scene = Follower(drives=True)
    scene.step(hand=(0.0, 0.0, 0.0))
    np.testing.assert_allclose(
        scene.step(hand=(0.02, 0.0, 0.0), motion=(0.0, 0.0, 0.0, 0.0, 0.0, 0.5)), (0.02, 0.0, 0.0), atol=1e-12
    )
    assert scene.intent.motion[5] == 0.5


def test_environment_without_kinematics_ignores_the_hand() -> None:
    scene = Follower(kinematics=False)
    scene.step(Command.TAKEOVER, hand=(0.0, 0.0, 0.0))
    scene.step(hand=(0.05, 0.0, 0.0))
    assert not any(scene.intent.motion)
