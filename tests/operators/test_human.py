"""A person at any devices, with a clock that the test moves: who drives, when time runs, and what is asked for."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from hilserl.data.spec import ActionLayout
from hilserl.operators.devices.device import Reading
from hilserl.operators.devices.key_map import Command
from hilserl.operators.human import HumanOperator, Role
from hilserl.operators.takeover import Control, GripperRequest, Intent, Verdict
from tests.support.devices import FakeTeleoperation
from tests.support.layouts import ACTION

WATCHING, DRIVING, LABELLING = Role(), Role(drives=True), Role(drives=True, labels=True)
ROLES = [WATCHING, DRIVING, LABELLING, Role(labels=True)]
PUSH, STILL = (0.5, 0.0, 0.0, 0.0, 0.0, 0.0), (0.0,) * 6
"""Along and about the axes; the tasks here have the first three."""
STEP_S = 0.1
VERDICTS = {
    Command.SUCCESS: Verdict.SUCCESS,
    Command.FAILURE: Verdict.FAILURE,
    Command.RESET: Verdict.RESET,
    Command.DISCARD: Verdict.DISCARD,
}
HERE, AWAY = Reading(True), Reading(False)


@dataclass
class Device:
    """A device that says what the test has it say; a command is said once."""

    name: str
    now: Reading = HERE
    arm: str | None = None

    def read(self) -> Reading:
        said, self.now = self.now, replace(self.now, commands=())
        return said

    def close(self) -> None:
        """Nothing is open."""


@dataclass
class Scene:
    """A person, two devices and the time."""

    role: Role
    layout: ActionLayout = ACTION
    console: Device = field(default_factory=lambda: Device("console"))
    pad: Device = field(default_factory=lambda: Device("gamepad", AWAY))
    now_s: float = 100.0
    idled: int = 0

    def __post_init__(self) -> None:
        self.person = HumanOperator(
            [self.console, self.pad],
            self.layout,
            self.role,
            FakeTeleoperation(self.layout),
            self.idle,
            lambda: self.now_s,
        )
        self.person.begin_episode(0)

    def idle(self) -> None:
        self.idled += 1

    def step(self, *commands: Command, after_s: float = STEP_S, **console: object) -> Intent:
        """The intent some time later; what the console is said to say it goes on saying."""
        self.now_s += after_s
        self.console.now = replace(self.console.now, commands=commands, **console)
        return self.person.intent()


def moves_the_robot(intent: Intent) -> bool:
    """By the person's hand: the rollout would execute this motion."""
    return intent.engaged and not intent.hold and intent.verdict not in (Verdict.RESET, Verdict.DISCARD)


@pytest.fixture
def watching() -> Scene:
    return Scene(WATCHING)


@pytest.fixture
def driving() -> Scene:
    return Scene(DRIVING)


@pytest.fixture
def under_way(driving: Scene) -> Scene:
    """Driving, after the first motion."""
    assert driving.step(motion=PUSH).motion == PUSH[:3]
    driving.step(motion=())
    return driving


@pytest.mark.parametrize("command", list(Command))
def test_a_scene_is_ready_when_a_new_episode_or_the_end_is_asked_for(watching: Scene, command: Command) -> None:
    assert not watching.person.is_ready()
    watching.console.now = replace(HERE, commands=(command,), motion=PUSH)
    assert watching.person.is_ready() == (command in (Command.RESET, Command.END))
    assert watching.idled == 2
    assert watching.person.control is Control.POLICY


def test_who_watches_leaves_the_policy_alone_whatever_is_held(watching: Scene) -> None:
    for says in ({}, {"motion": PUSH}, {"goal_m": (0.4, 0.0, 0.1)}):
        assert watching.step(Command.GRIPPER, **says) == Intent(False)
    assert watching.person.control is Control.POLICY
    assert not watching.person.in_real_time
    assert not watching.person.waiting


def test_taking_over_and_handing_back_alternate(watching: Scene) -> None:
    for _ in range(3):
        assert watching.step(Command.TAKEOVER, motion=PUSH).motion == PUSH[:3]
        assert watching.person.control is Control.HUMAN
        assert watching.person.in_real_time
        assert watching.person.message == "You drive."
        assert moves_the_robot(watching.step(motion=())), "a hand that rests still drives"
        assert watching.step(Command.TAKEOVER) == Intent(False)
        assert watching.person.message == "The policy drives."
    assert watching.step(Command.TAKEOVER, Command.TAKEOVER) == Intent(False)


def test_who_takes_over_is_waited_for_by_nobody(watching: Scene) -> None:
    assert watching.step(Command.TAKEOVER).motion == STILL[:3]
    assert watching.idled == 0


def test_an_episode_begins_with_the_policy_even_if_the_last_ended_in_a_persons_hands(watching: Scene) -> None:
    watching.step(Command.TAKEOVER, motion=PUSH)
    watching.person.end_episode(True, True)
    watching.person.begin_episode(1)
    assert watching.step() == Intent(False)


def test_who_drives_starts_time_with_the_first_motion(driving: Scene) -> None:
    for count in range(1, 4):
        assert driving.person.waiting
        assert driving.step() == Intent(True, hold=True)
        assert driving.idled == count
    assert driving.step(motion=PUSH).motion == PUSH[:3]
    assert not driving.person.waiting
    for _ in range(3):
        assert driving.step(motion=()).motion == STILL[:3], "then it runs with nothing held"
    assert driving.idled == 3
    driving.person.begin_episode(1)
    assert driving.person.waiting
    assert driving.step().hold, "and each episode anew"


@pytest.mark.parametrize(
    ("says", "expected"),
    [
        ({"motion": PUSH}, (PUSH[:3], GripperRequest.HOLD)),
        ({"goal_m": (0.1, 0.2, 0.3)}, ((0.1, 0.2, 0.3), GripperRequest.HOLD)),
        ({"commands": (Command.GRIPPER,)}, (STILL[:3], GripperRequest.TOGGLE)),
        ({"commands": (Command.GRIPPER, Command.GRIPPER)}, (STILL[:3], GripperRequest.HOLD)),
    ],
)
def test_each_thing_a_hand_can_do_begins_the_episode(driving: Scene, says: dict, expected: tuple) -> None:
    intent = driving.step(*says.pop("commands", ()), **says)
    assert (intent.motion, intent.grippers[0]) == expected
    assert not intent.hold


@pytest.mark.parametrize("command", [Command.SUCCESS, Command.FAILURE, Command.PAUSE, Command.END])
def test_before_the_first_motion_no_command_makes_time_run(driving: Scene, command: Command) -> None:
    driving.step()
    assert driving.step(command) == Intent(True, hold=True)
    assert driving.person.done == (command is Command.END)


def test_where_there_is_no_policy_handing_back_stops_time(driving: Scene) -> None:
    driving.step(motion=PUSH)
    assert driving.step(Command.TAKEOVER) == Intent(False, hold=True)
    assert driving.step(motion=PUSH) == Intent(False, hold=True)
    assert driving.step(Command.TAKEOVER).motion == PUSH[:3]


def test_what_was_asked_for_before_an_episode_began_was_not_meant_for_it(watching: Scene) -> None:
    for command in (Command.SUCCESS, Command.FAILURE, Command.DISCARD, Command.RESET, Command.TAKEOVER):
        watching.console.now = Reading(True, commands=(command,))
        watching.person.begin_episode(1)
        assert watching.step() == Intent(False)
    watching.console.now = Reading(True, commands=(Command.END,))
    watching.person.begin_episode(2)
    assert watching.person.done


def test_a_pause_ends_when_nobody_is_left_to_end_it(watching: Scene) -> None:
    assert watching.step(Command.PAUSE).hold
    assert watching.step(present=False) == Intent(False)
    assert not watching.person.paused


@pytest.mark.parametrize("role", [WATCHING, DRIVING])
def test_gripper_presses_count_in_pairs_from_whatever_device(role: Role) -> None:
    scene = Scene(role)
    scene.step(*(() if role.drives else (Command.TAKEOVER,)), motion=PUSH)
    for console in range(4):
        for pad in range(4):
            scene.pad.now = Reading(True, commands=(Command.GRIPPER,) * pad)
            request = GripperRequest.TOGGLE if (console + pad) % 2 else GripperRequest.HOLD
            assert scene.step(*[Command.GRIPPER] * console).grippers == (request,)


def test_the_first_device_that_says_something_moves_the_hand(under_way: Scene) -> None:
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
        assert under_way.person.intent().motion == expected[:3], (console, pad)


@pytest.mark.parametrize("name", ["console", "pad"])
def test_who_watches_hands_back_when_the_device_that_steers_is_gone(watching: Scene, name: str) -> None:
    watching.pad.now = Reading(True)
    watching.step(Command.TAKEOVER)
    device = getattr(watching, name)
    device.now = Reading(True, PUSH)
    assert watching.person.intent().motion == PUSH[:3]
    device.now = AWAY
    assert watching.person.intent() == Intent(False), "though another device is there"
    assert watching.person.message == f"The {device.name} is gone: the policy drives."
    device.now = Reading(True, PUSH)
    assert watching.person.intent() == Intent(False), "a device that comes back does not take over by itself"
    assert watching.step(Command.TAKEOVER).engaged


def test_a_device_that_does_not_steer_may_go(watching: Scene) -> None:
    watching.pad.now = Reading(True)
    watching.step(Command.TAKEOVER, motion=PUSH)
    watching.pad.now = AWAY
    assert watching.step().motion == PUSH[:3]


def test_taking_over_by_a_device_that_is_not_there_drives_nothing(watching: Scene) -> None:
    assert watching.step(Command.TAKEOVER, present=False) == Intent(False)
    assert "gone" in watching.person.message


def test_who_drives_stops_time_while_nobody_is_there(under_way: Scene) -> None:
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
    assert not under_way.person.waiting


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("engaged", [False, True])
def test_a_pause_holds_time_and_the_same_goes_on_after_it(role: Role, engaged: bool) -> None:
    scene = Scene(role)
    if engaged != role.drives:
        scene.step(Command.TAKEOVER)
    before = scene.step(motion=PUSH)
    assert scene.step(Command.PAUSE) == Intent(engaged, hold=True)
    for command in (Command.SUCCESS, Command.FAILURE, Command.GRIPPER):
        assert scene.step(command) == Intent(engaged, hold=True), "and nothing but what ends the episode is heard"
    assert scene.step(Command.RESET).verdict is Verdict.RESET
    assert scene.step(Command.PAUSE) == replace(before, seconds=None)
    assert not scene.person.paused


@pytest.mark.parametrize("command", VERDICTS)
@pytest.mark.parametrize("engaged", [False, True])
@pytest.mark.parametrize("role", ROLES)
def test_every_verdict_is_passed_on_once(role: Role, engaged: bool, command: Command) -> None:
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
def test_a_new_episode_can_be_asked_for_before_the_first_motion_and_with_nobody_there(command: Command) -> None:
    scene = Scene(DRIVING)
    assert scene.step(command) == Intent(True, verdict=VERDICTS[command])
    assert scene.step(command, present=False) == Intent(True, verdict=VERDICTS[command])


@pytest.mark.parametrize("role", ROLES)
def test_ending_is_remembered(role: Role) -> None:
    scene = Scene(role)
    assert not scene.person.done
    scene.step(Command.END)
    scene.step()
    assert scene.person.done


def test_a_persons_time_is_the_time_between_control_steps_and_never_above_a_second(under_way: Scene) -> None:
    for after_s in (0.1, 0.25, 1.0, 3.0, 0.0):
        assert under_way.step(after_s=after_s).seconds == pytest.approx(min(after_s, 1.0))


def test_waiting_for_the_first_motion_costs_no_time(driving: Scene) -> None:
    for _ in range(50):
        assert driving.step(after_s=0.016).seconds is None
    assert driving.step(after_s=0.016, motion=PUSH).seconds is None, "as long as a control step"
    assert driving.step(after_s=0.12).seconds == pytest.approx(0.12)


def test_where_the_policy_acts_a_persons_time_is_not_told(watching: Scene) -> None:
    for _ in range(5):
        assert watching.step().seconds is None
    assert watching.step(Command.TAKEOVER).seconds is None, "watching before is not counted"
    assert watching.step(after_s=0.13).seconds == pytest.approx(0.13)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("held", [False, True])
def test_success_is_said_of_every_step_where_the_role_is_to_label_and_nowhere_else(role: Role, held: bool) -> None:
    scene = Scene(role)
    scene.console.now = Reading(True, PUSH, success=held)
    expected = held if role.labels else None
    assert scene.person.intent().success is expected
    after = scene.step(Command.TAKEOVER)
    assert after.hold or after.success is expected, "whoever drives"


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("seed", range(12))
def test_whatever_was_done_before_a_robot_that_nobody_could_stop_is_not_moved(role: Role, seed: int) -> None:
    """Random readings of two devices; every intent is one that a rollout can execute."""
    rng = np.random.default_rng(seed)

    def reading() -> Reading:
        commands = tuple(rng.choice(list(Command), rng.choice([0, 0, 0, 1, 2])))
        if rng.random() < 0.3:
            return Reading(False, commands=commands)
        motion = tuple(rng.uniform(-1, 1, 6)) if rng.random() < 0.4 else ()
        goal_m = tuple(rng.uniform(-1, 1, 3)) if rng.random() < 0.2 else None
        return Reading(True, motion, commands, goal_m, success=bool(rng.random() < 0.5))

    scene = Scene(role)
    for number in range(400):
        if rng.random() < 0.03:
            scene.person.begin_episode(number)
            assert scene.person.control is (Control.HUMAN if role.drives else Control.POLICY)
        scene.console.now, scene.pad.now = reading(), reading()
        present, idled = scene.console.now.present or scene.pad.now.present, scene.idled
        scene.now_s += rng.exponential(0.3)
        intent = scene.person.intent()
        assert present or not moves_the_robot(intent)
        assert intent.engaged == (scene.person.control is Control.HUMAN)
        assert scene.idled - idled == intent.hold, "time stands still exactly while somebody waits"
        assert intent.hold or not scene.person.paused or intent.verdict in (Verdict.RESET, Verdict.DISCARD)
        if intent.hold:
            assert intent == Intent(intent.engaged, hold=True)
        elif moves_the_robot(intent):
            assert len(intent.motion) == 3
            assert len(intent.grippers) == 1
            assert intent.seconds is None or 0.0 <= intent.seconds <= 1.0
        else:
            assert (intent.motion, intent.grippers, intent.seconds) == ((), (), None)
