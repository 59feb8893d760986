"""Human operators: control, standing time, commands and human time."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from hilserl.data.spec import ActionLayout
from hilserl.operators.devices.device import Reading
from hilserl.operators.devices.key_map import Command
from hilserl.operators.human import HumanOperator, Role
from hilserl.operators.takeover import Control, GripperRequest, Intent, Verdict
from tests.support.devices import FakeTeleoperation, ScriptedDevice
from tests.support.layouts import ACTION

WATCHING, DRIVING, LABELLING = Role(), Role(drives=True), Role(drives=True, labels=True)
ROLES = [WATCHING, DRIVING, LABELLING, Role(labels=True)]
PUSH, STILL = (0.5, 0.0, 0.0, 0.0, 0.0, 0.0), (0.0,) * 6
"""Motions along and about the axes.

The layout here has the first three.
"""
STEP_S = 0.1
VERDICTS = {
    Command.SUCCESS: Verdict.SUCCESS,
    Command.FAILURE: Verdict.FAILURE,
    Command.RESET: Verdict.RESET,
    Command.DISCARD: Verdict.DISCARD,
}
HERE, AWAY = Reading(True), Reading(False)


@dataclass
class Scene:
    """An operator with two devices and a clock."""

    role: Role
    layout: ActionLayout = ACTION
    console: ScriptedDevice = field(default_factory=lambda: ScriptedDevice("console"))
    pad: ScriptedDevice = field(default_factory=lambda: ScriptedDevice("gamepad", now=AWAY))
    now_s: float = 100.0
    idled: int = 0

    def __post_init__(self) -> None:
        self.operator = HumanOperator(
            [self.console, self.pad],
            self.layout,
            self.role,
            FakeTeleoperation(self.layout),
            self.idle,
            lambda: self.now_s,
        )
        self.operator.begin_episode(0)

    def idle(self) -> None:
        self.idled += 1

    def step(self, *commands: Command, after_s: float = STEP_S, **console: Any) -> Intent:
        """Return the intent some time later; the console keeps its reading."""
        self.now_s += after_s
        self.console.now = replace(self.console.now, commands=commands, **console)
        return self.operator.intent()


def moves_the_robot(intent: Intent) -> bool:
    """Return True if the rollout executes a motion of the operator."""
    return intent.engaged and not intent.hold and intent.verdict not in (Verdict.RESET, Verdict.DISCARD)


@pytest.fixture
def watching() -> Scene:
    return Scene(WATCHING)


@pytest.fixture
def driving() -> Scene:
    return Scene(DRIVING)


@pytest.fixture
def under_way(driving: Scene) -> Scene:
    """A driving scene after the first motion."""
    assert driving.step(motion=PUSH).motion == PUSH[:3]
    driving.step(motion=())
    return driving


@pytest.mark.parametrize("command", list(Command))
def test_operator_is_ready_after_a_request_for_a_new_episode_or_the_end(watching: Scene, command: Command) -> None:
    assert not watching.operator.is_ready()
    watching.console.now = replace(HERE, commands=(command,), motion=PUSH)
    assert watching.operator.is_ready() == (command in (Command.RESET, Command.END))
    assert watching.idled == 2


def test_watching_operator_leaves_the_policy_alone(watching: Scene) -> None:
    inputs: tuple[dict[str, Any], ...] = ({}, {"motion": PUSH}, {"goal_m": (0.4, 0.0, 0.1)})
    for says in inputs:
        assert watching.step(Command.GRIPPER, **says) == Intent(False)
    assert watching.operator.control is Control.POLICY
    assert not watching.operator.in_real_time
    assert not watching.operator.waiting


def test_takeover_command_alternates_control(watching: Scene) -> None:
    for _ in range(3):
        assert watching.step(Command.TAKEOVER, motion=PUSH).motion == PUSH[:3]
        assert watching.operator.control is Control.HUMAN
        assert watching.operator.in_real_time
        assert watching.operator.message == "You drive."
        assert moves_the_robot(watching.step(motion=())), "a hand that rests still drives"
        assert watching.step(Command.TAKEOVER) == Intent(False)
        assert watching.operator.message == "The policy drives."
    assert watching.step(Command.TAKEOVER, Command.TAKEOVER) == Intent(False)


def test_takeover_does_not_hold_time(watching: Scene) -> None:
    assert watching.step(Command.TAKEOVER).motion == STILL[:3]
    assert watching.idled == 0


def test_episode_begins_with_the_policy_after_an_intervention(watching: Scene) -> None:
    watching.step(Command.TAKEOVER, motion=PUSH)
    watching.operator.end_episode(True, True)
    watching.operator.begin_episode(1)
    assert watching.step() == Intent(False)


def test_driving_operator_starts_time_with_the_first_motion(driving: Scene) -> None:
    for count in range(1, 4):
        assert driving.operator.waiting
        assert driving.step() == Intent(True, hold=True)
        assert driving.idled == count
    assert driving.step(motion=PUSH).motion == PUSH[:3]
    assert not driving.operator.waiting
    for _ in range(3):
        assert driving.step(motion=()).motion == STILL[:3], "then it runs with nothing held"
    assert driving.idled == 3
    driving.operator.begin_episode(1)
    assert driving.operator.waiting
    assert driving.step().hold, "and in each episode again"


@pytest.mark.parametrize(
    ("says", "expected"),
    [
        ({"motion": PUSH}, (PUSH[:3], GripperRequest.HOLD)),
        ({"goal_m": (0.1, 0.2, 0.3)}, ((0.1, 0.2, 0.3), GripperRequest.HOLD)),
        ({"commands": (Command.GRIPPER,)}, (STILL[:3], GripperRequest.TOGGLE)),
        ({"commands": (Command.GRIPPER, Command.GRIPPER)}, (STILL[:3], GripperRequest.HOLD)),
    ],
)
def test_episode_begins_with_any_input(
    driving: Scene, says: dict[str, Any], expected: tuple[tuple[float, ...], GripperRequest]
) -> None:
    intent = driving.step(*says.pop("commands", ()), **says)
    assert (intent.motion, intent.grippers[0]) == expected
    assert not intent.hold


@pytest.mark.parametrize("command", [Command.SUCCESS, Command.FAILURE, Command.PAUSE, Command.END])
def test_time_stands_still_before_the_first_motion(driving: Scene, command: Command) -> None:
    driving.step()
    assert driving.step(command) == Intent(True, hold=True)
    assert driving.operator.done == (command is Command.END)


def test_hand_back_without_a_policy_stops_time(driving: Scene) -> None:
    driving.step(motion=PUSH)
    assert driving.step(Command.TAKEOVER) == Intent(False, hold=True)
    assert driving.step(motion=PUSH) == Intent(False, hold=True)
    assert driving.step(Command.TAKEOVER).motion == PUSH[:3]


def test_commands_from_before_an_episode_have_no_effect_on_it(watching: Scene) -> None:
    for command in (Command.SUCCESS, Command.FAILURE, Command.DISCARD, Command.RESET, Command.GRIPPER):
        watching.console.now = Reading(True, commands=(command,))
        watching.operator.begin_episode(1)
        assert watching.step() == Intent(False)
    watching.console.now = Reading(True, commands=(Command.END,))
    watching.operator.begin_episode(2)
    assert watching.operator.done


def test_takeover_between_two_episodes_holds_for_the_next(watching: Scene) -> None:
    operator = watching.operator
    for ask in (operator.confirms, operator.is_ready, lambda: operator.begin_episode(1)):
        watching.console.now = Reading(True, commands=(Command.TAKEOVER,))
        ask()
        operator.begin_episode(2)
        assert watching.step(motion=PUSH).motion == PUSH[:3]
        operator.begin_episode(3)
        assert watching.step() == Intent(False), "once"
    assert watching.step(Command.RESET, Command.TAKEOVER).verdict is Verdict.RESET
    operator.begin_episode(4)
    assert watching.step(motion=PUSH).motion == PUSH[:3], "a slow page tells of both at once"


def test_hand_back_between_two_episodes_leaves_the_next_to_the_policy(watching: Scene) -> None:
    watching.step(Command.TAKEOVER, motion=PUSH)
    watching.console.now = Reading(True, commands=(Command.TAKEOVER,))
    watching.operator.begin_episode(1)
    assert watching.step() == Intent(False)


def test_pause_ends_without_a_present_device(watching: Scene) -> None:
    assert watching.step(Command.PAUSE).hold
    assert watching.step(present=False) == Intent(False)
    assert not watching.operator.paused


@pytest.mark.parametrize("role", [WATCHING, DRIVING])
def test_gripper_presses_of_all_devices_cancel_in_pairs(role: Role) -> None:
    scene = Scene(role)
    scene.step(*(() if role.drives else (Command.TAKEOVER,)), motion=PUSH)
    for console in range(4):
        for pad in range(4):
            scene.pad.now = Reading(True, commands=(Command.GRIPPER,) * pad)
            request = GripperRequest.TOGGLE if (console + pad) % 2 else GripperRequest.HOLD
            assert scene.step(*[Command.GRIPPER] * console).grippers == (request,)


def test_first_device_with_a_motion_moves_the_tool(under_way: Scene) -> None:
    other, goal = (0.0, -0.3, 0.0, 0.0, 0.0, 0.0), (0.4, 0.1, 0.2)
    for console, pad, expected in [
        (Reading(True), Reading(True, other), other),
        (Reading(True, STILL), Reading(True, other), other),
        (Reading(True, PUSH), Reading(True, other), PUSH),
        (Reading(True, goal_m=goal), Reading(True, STILL), goal),
        (Reading(True, goal_m=goal), Reading(True, other), other),
        (Reading(True, PUSH, goal_m=goal), Reading(True), PUSH),
        (Reading(True), Reading(True, goal_m=goal), goal),
        (AWAY, Reading(True, other), other),
        (Reading(True, STILL), Reading(True, STILL), STILL),
    ]:
        under_way.console.now, under_way.pad.now = console, pad
        assert under_way.operator.intent().motion == expected[:3], (console, pad)


@pytest.mark.parametrize("name", ["console", "pad"])
def test_lost_device_in_use_hands_back(watching: Scene, name: str) -> None:
    watching.pad.now = Reading(True)
    watching.step(Command.TAKEOVER)
    device = getattr(watching, name)
    device.now = Reading(True, PUSH)
    assert watching.operator.intent().motion == PUSH[:3]
    device.now = AWAY
    assert watching.operator.intent() == Intent(False), "though another device is there"
    assert watching.operator.message == f"The {device.name} is gone: the policy drives."
    device.now = Reading(True, PUSH)
    assert watching.operator.intent() == Intent(False), "a device that comes back does not take over by itself"
    assert watching.step(Command.TAKEOVER).engaged


def test_lost_unused_device_changes_nothing(watching: Scene) -> None:
    watching.pad.now = Reading(True)
    watching.step(Command.TAKEOVER, motion=PUSH)
    watching.pad.now = AWAY
    assert watching.step().motion == PUSH[:3]


def test_takeover_without_a_present_device_has_no_effect(watching: Scene) -> None:
    assert watching.step(Command.TAKEOVER, present=False) == Intent(False)
    assert "gone" in watching.operator.message


def test_time_stands_still_while_the_driving_operator_is_absent(under_way: Scene) -> None:
    under_way.step(motion=PUSH)
    for _ in range(3):
        assert under_way.step(present=False, motion=()) == Intent(True, hold=True)
    assert under_way.idled == 3
    under_way.pad.now = Reading(True, PUSH)
    assert under_way.step().motion == PUSH[:3], "any device will do"
    under_way.pad.now = AWAY
    assert under_way.step().hold
    assert under_way.step(present=True).hold, "time goes on with their first motion"
    assert under_way.step(present=True, motion=PUSH).motion == PUSH[:3]
    assert not under_way.operator.waiting


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("engaged", [False, True])
def test_pause_holds_time_and_the_same_goes_on_after_it(role: Role, engaged: bool) -> None:
    scene = Scene(role)
    if engaged != role.drives:
        scene.step(Command.TAKEOVER)
    before = scene.step(motion=PUSH)
    assert scene.step(Command.PAUSE) == Intent(engaged, hold=True)
    for command in (Command.SUCCESS, Command.FAILURE, Command.GRIPPER):
        assert scene.step(command) == Intent(engaged, hold=True), "and nothing but what ends the episode is heard"
    assert scene.step(Command.RESET).verdict is Verdict.RESET
    assert scene.step(Command.PAUSE) == replace(before, seconds=None)
    assert not scene.operator.paused


@pytest.mark.parametrize("command", VERDICTS)
@pytest.mark.parametrize("engaged", [False, True])
@pytest.mark.parametrize("role", ROLES)
def test_verdicts_are_passed_on_once(role: Role, engaged: bool, command: Command) -> None:
    scene = Scene(role)
    if engaged != role.drives:
        scene.step(Command.TAKEOVER)
    scene.step(motion=PUSH)
    intent = scene.step(command)
    ends = command in (Command.RESET, Command.DISCARD)
    if role.drives and not engaged and not ends:
        assert intent == Intent(False, hold=True), "time stands still"
        return
    assert intent.verdict is VERDICTS[command]
    assert intent.engaged == engaged
    assert not intent.hold
    assert scene.step().verdict is None


@pytest.mark.parametrize("command", [Command.RESET, Command.DISCARD])
def test_reset_works_before_the_first_motion_and_without_a_present_device(command: Command) -> None:
    scene = Scene(DRIVING)
    assert scene.step(command) == Intent(True, verdict=VERDICTS[command])
    assert scene.step(command, present=False) == Intent(True, verdict=VERDICTS[command])


@pytest.mark.parametrize("role", ROLES)
def test_end_is_remembered(role: Role) -> None:
    scene = Scene(role)
    assert not scene.operator.done
    scene.step(Command.END)
    scene.step()
    assert scene.operator.done


def test_human_time_is_the_time_between_steps_up_to_a_second(under_way: Scene) -> None:
    for after_s in (0.1, 0.25, 1.0, 3.0, 0.0):
        assert under_way.step(after_s=after_s).seconds == pytest.approx(min(after_s, 1.0))


def test_human_time_excludes_waiting_for_the_first_motion(driving: Scene) -> None:
    for _ in range(50):
        assert driving.step(after_s=0.016).seconds is None
    assert driving.step(after_s=0.016, motion=PUSH).seconds is None, "as long as a control step"
    assert driving.step(after_s=0.12).seconds == pytest.approx(0.12)


def test_human_time_is_none_while_the_policy_acts(watching: Scene) -> None:
    for _ in range(5):
        assert watching.step().seconds is None
    assert watching.step(Command.TAKEOVER).seconds is None, "watching before is not counted"
    assert watching.step(after_s=0.13).seconds == pytest.approx(0.13)


@pytest.mark.parametrize(
    ("command", "answer"), [(Command.FAILURE, False), (Command.SUCCESS, True), (Command.END, True), (None, None)]
)
def test_operator_has_two_seconds_to_deny(watching: Scene, command: Command | None, answer: bool | None) -> None:
    operator = watching.operator
    assert operator.confirms() is None
    assert "success" in operator.message
    watching.console.now = replace(HERE, commands=(command,) if command else ())
    assert operator.confirms() is answer
    if command is None:
        watching.now_s += 2.0
        assert operator.confirms() is True
        assert watching.idled == 2
    if command is not Command.END:
        assert operator.confirms() is None, "the next claim has its own two seconds"


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("held", [False, True])
def test_success_label_comes_with_the_labelling_role_only(role: Role, held: bool) -> None:
    scene = Scene(role)
    scene.console.now = Reading(True, PUSH, success=held)
    expected = held if role.labels else None
    assert scene.operator.intent().success is expected
    after = scene.step(Command.TAKEOVER)
    assert after.hold or after.success is expected, "with either source of control"


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("seed", range(12))
def test_random_input_never_moves_a_robot_without_a_present_device(role: Role, seed: int) -> None:
    """Every intent from random readings is one that a rollout can execute."""
    rng = np.random.default_rng(seed)

    def reading() -> Reading:
        count = rng.choice([0, 0, 0, 1, 2])
        commands = tuple(list(Command)[index] for index in rng.integers(len(Command), size=count))
        if rng.random() < 0.3:
            return Reading(False, commands=commands)
        motion = tuple(rng.uniform(-1, 1, 6)) if rng.random() < 0.4 else ()
        goal_m = tuple(rng.uniform(-1, 1, 3)) if rng.random() < 0.2 else None
        return Reading(True, motion, commands, goal_m, success=bool(rng.random() < 0.5))

    scene = Scene(role)
    for number in range(400):
        if rng.random() < 0.03:
            scene.operator.begin_episode(number)
            assert scene.operator.control is Control.HUMAN or not role.drives
        scene.console.now, scene.pad.now = reading(), reading()
        present, idled = scene.console.now.present or scene.pad.now.present, scene.idled
        scene.now_s += rng.exponential(0.3)
        intent = scene.operator.intent()
        assert present or not moves_the_robot(intent)
        assert intent.engaged == (scene.operator.control is Control.HUMAN)
        assert scene.idled - idled == intent.hold, "time stands still exactly while the intent holds it"
        assert intent.hold or not scene.operator.paused or intent.verdict in (Verdict.RESET, Verdict.DISCARD)
        if intent.hold:
            assert intent == Intent(intent.engaged, hold=True)
        elif moves_the_robot(intent):
            assert len(intent.motion) == 3
            assert len(intent.grippers) == 1
            assert intent.seconds is None or 0.0 <= intent.seconds <= 1.0
        else:
            assert (intent.motion, intent.grippers, intent.seconds) == ((), (), None)
