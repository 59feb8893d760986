"""A person with two arms: one is driven at a time and the other holds still, unless each has a device of its own."""

import sys
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hilserl.errors import HilserlError
from hilserl.operators.action_axes import AXES, STILL, arm_axes
from hilserl.operators.config import ConsoleConfig
from hilserl.operators.console import session as station
from hilserl.operators.console.messages import ConsoleStatus
from hilserl.operators.console.session import ConsoleSession
from hilserl.operators.devices.device import Reading
from hilserl.operators.devices.key_map import Command, key_motion
from hilserl.operators.devices.spacemouse import SpaceMouse, SpaceMouseConfig, open_spacemice
from hilserl.operators.devices.spacemouse_hid import SpaceMousePool, SpaceMouseState, attached_spacemice
from hilserl.operators.human import HumanOperator, Role
from hilserl.operators.takeover import GripperRequest, Intent, Takeover
from hilserl.sim.environment import ManipulationEnv
from tests.operators.devices.test_devices_in_sim import Both
from tests.operators.devices.test_discovery import FakeSpaceMouse, wait_until
from tests.support.devices import FakeTeleoperation
from tests.support.layouts import LAYOUTS, SEVEN, TWO

FOURTEEN, UNLIKE = LAYOUTS["fourteen"], LAYOUTS["unlike"]
PUSH, OTHER = (0.5, 0.0, 0.0, 0.0, 0.0, 0.2), (0.0, -0.3, 0.0, 0.1, 0.0, 0.0)
HOLD, TOGGLE = GripperRequest.HOLD, GripperRequest.TOGGLE
GOAL = (0.4, 0.1, 0.2)


@dataclass
class Device:
    """Says what the test has it say; a command is said once."""

    name: str
    arm: str | None = None
    now: Reading = field(default_factory=lambda: Reading(True))

    def read(self) -> Reading:
        said, self.now = self.now, replace(self.now, commands=())
        return said

    def close(self) -> None:
        """Nothing is open."""


class Scene:
    """A person who drives from the start: a console, and maybe a device for each arm."""

    def __init__(self, layout=FOURTEEN, *, own: bool = False, drives: bool = True) -> None:
        self.layout = layout
        self.console, self.left, self.right = Device("console"), Device("left mouse", "left"), Device("r", "right")
        sources = [self.console, self.left, self.right] if own else [self.console]
        self.teleoperation = FakeTeleoperation(layout)
        self.person = HumanOperator(sources, layout, Role(drives=drives), self.teleoperation, lambda: None, lambda: 0.0)
        self.person.begin_episode(0)

    def step(self, *commands: Command, **console: Any) -> Intent:
        self.console.now = replace(self.console.now, commands=commands, **console)
        return self.person.intent()


def halves(intent: Intent) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """What of an intent's motion is the left arm's and what the right arm's."""
    middle = len(intent.motion) // 2
    return intent.motion[:middle], intent.motion[middle:]


@pytest.mark.parametrize("times", range(5))
def test_switching_in_the_middle_of_a_motion_leaves_no_arm_moving_but_the_chosen_one(times: int) -> None:
    scene = Scene()
    assert halves(scene.step(motion=PUSH)) == (PUSH, STILL)
    for number in range(times):
        expected = (PUSH, STILL) if number % 2 else (STILL, PUSH)
        assert halves(scene.step(Command.SWITCH_ARM)) == expected
        assert halves(scene.step()) == expected
    assert halves(scene.step(motion=STILL)) == (STILL, STILL)
    assert scene.person.chosen_arm == ("left", "right")[times % 2]


def test_two_switches_at_once_are_none() -> None:
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
def test_the_gripper_s_key_is_the_arm_s_that_was_chosen_when_it_was_pressed(commands: str, expected: tuple) -> None:
    asked = {"G": Command.GRIPPER, "S": Command.SWITCH_ARM}
    scene = Scene()
    assert scene.step(*[asked[letter] for letter in commands], motion=PUSH).grippers == expected
    assert scene.step().grippers == (HOLD, HOLD), "a key that stays down is pressed once"


def test_the_arm_that_is_not_driven_keeps_what_its_gripper_was_told() -> None:
    scene = Scene()
    told = np.array([1.0, -1.0])
    for command, expected in ((Command.GRIPPER, (-1.0, 0.0)), (Command.SWITCH_ARM, (0.0, 0.0))):
        intent = scene.step(command, motion=PUSH)
        action = Takeover().advance(intent, np.ones(FOURTEEN.size), told, FOURTEEN)[1].action
        assert tuple(action[list(FOURTEEN.grippers)]) == expected


def test_a_target_leads_the_chosen_arm_and_is_let_go_when_the_other_is_chosen() -> None:
    scene = Scene(TWO)
    assert halves(scene.step(goal_m=GOAL, goal_arm="left")) == (GOAL, (0.0,) * 3)
    assert halves(scene.step(Command.SWITCH_ARM)) == ((0.0,) * 3, (0.0,) * 3), "what was dragged was the left arm's"
    assert halves(scene.step(goal_arm="right")) == ((0.0,) * 3, GOAL)
    assert scene.teleoperation.goals == [(GOAL, "left"), (GOAL, "right")]
    assert halves(scene.step(goal_arm="nobody")) == ((0.0,) * 3, (0.0,) * 3)


def test_each_device_with_an_arm_of_its_own_drives_it_and_both_at_once() -> None:
    scene = Scene(own=True)
    scene.left.now, scene.right.now = Reading(True, PUSH), Reading(True, OTHER)
    assert halves(scene.step()) == (PUSH, OTHER)
    assert halves(scene.step(Command.SWITCH_ARM)) == (PUSH, OTHER), "whichever the console has"
    scene.right.now = Reading(True, STILL, (Command.GRIPPER,))
    scene.left.now = Reading(True, PUSH, (Command.GRIPPER, Command.GRIPPER))
    assert scene.step().grippers == (HOLD, TOGGLE)
    assert halves(scene.step(goal_m=GOAL, goal_arm="right")) == (PUSH, (*GOAL, 0.0, 0.0, 0.0))


def test_the_console_comes_first_for_the_arm_that_it_has() -> None:
    scene = Scene(own=True)
    scene.left.now, scene.right.now = Reading(True, PUSH), Reading(True, PUSH)
    assert halves(scene.step(motion=OTHER)) == (OTHER, PUSH)


@pytest.mark.parametrize("drives", [False, True])
def test_one_of_two_devices_that_is_gone_stops_both_arms(drives: bool) -> None:
    scene = Scene(own=True, drives=drives)
    scene.left.now, scene.right.now = Reading(True, PUSH), Reading(True, OTHER)
    assert halves(scene.step(*(() if drives else (Command.TAKEOVER,)))) == (PUSH, OTHER)
    scene.right.now = Reading(False)
    scene.left.now = Reading(True)
    gone = scene.step()
    assert gone == (Intent(True, hold=True) if drives else Intent(False))
    assert "The r is gone" in scene.person.message
    scene.left.now = Reading(True, PUSH)
    after = scene.step(*(() if drives else (Command.TAKEOVER,)))
    assert halves(after) == (PUSH, STILL), "who goes on with the other one moves that arm alone"


def test_a_device_that_nobody_touched_may_go() -> None:
    scene = Scene(own=True)
    scene.left.now = Reading(True, PUSH)
    scene.step()
    scene.right.now = Reading(False)
    assert halves(scene.step()) == (PUSH, STILL)


def test_the_choice_outlives_the_episode_and_can_be_made_between_two() -> None:
    scene = Scene()
    scene.step(Command.SWITCH_ARM)
    scene.person.begin_episode(1)
    assert scene.person.chosen_arm == "right"
    scene.console.now = Reading(True, commands=(Command.SWITCH_ARM, Command.GRIPPER))
    scene.person.begin_episode(2)
    assert scene.person.chosen_arm == "left"
    assert scene.step(motion=PUSH).grippers == (HOLD, HOLD)


@pytest.mark.parametrize("layout", [SEVEN, LAYOUTS["wrench"], LAYOUTS["planar"]], ids=["seven", "wrench", "planar"])
def test_where_there_is_one_arm_there_is_nothing_to_switch(layout) -> None:
    scene = Scene(layout)
    before = scene.step(motion=PUSH)
    message = scene.person.message
    assert scene.step(Command.SWITCH_ARM).motion == before.motion
    assert (scene.person.chosen_arm, scene.person.message) == ("", message)


def test_a_motion_that_the_chosen_arm_cannot_make_does_not_begin_the_episode() -> None:
    scene = Scene(UNLIKE)
    assert scene.step(motion=key_motion(["Q"], UNLIKE)).hold, "the left arm has no turns"
    intent = scene.step(Command.SWITCH_ARM)
    assert not intent.hold
    assert intent.motion == pytest.approx((0, 0, 0, 0, 0.5))


@pytest.mark.parametrize("layout", list(LAYOUTS.values()), ids=list(LAYOUTS))
@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_done_at_most_the_chosen_arm_and_those_with_a_device_move(layout, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scene, arms = Scene(layout), arm_axes(layout)
    for _ in range(150):
        commands = tuple(rng.choice([Command.SWITCH_ARM, Command.GRIPPER, Command.PAUSE], rng.choice([0, 0, 1, 3])))
        said = tuple(rng.uniform(-1, 1, 6)) if rng.random() < 0.7 else ()
        intent = scene.step(*commands, motion=said)
        if intent.hold:
            continue
        assert len(intent.motion) == len(layout.continuous)
        assert len(intent.grippers) == len(layout.grippers)
        assert np.abs(intent.motion).max() <= 1
        for arm in arms:
            own = np.array(intent.motion)[list(arm.axes.values())]
            assert arm.name == scene.person.chosen_arm or not own.any()


def test_both_buttons_of_a_single_mouse_go_on_to_the_other_arm_and_one_counts_when_let_go() -> None:
    puck = FakeSpaceMouse()
    mouse = SpaceMouse(puck.connect, TWO, SpaceMouseConfig(), lambda: 0.0)
    presses = {
        (("left",), ()): [Command.GRIPPER],
        (("right",), ()): [Command.TAKEOVER],
        (("left",), ("left", "right"), ("right",), ()): [Command.SWITCH_ARM],
        (("left", "right"), ()): [Command.SWITCH_ARM],
        (("right",), ("left", "right"), ("left", "right"), ()): [Command.SWITCH_ARM],
        (("left",), ("left",), ("left",)): [],
    }
    for states, expected in presses.items():
        for held in states:
            puck.send(left="left" in held, right="right" in held, x=0.5)
        mouse.poll()
        assert list(mouse.read().commands) == expected, states


def test_a_button_held_while_the_mouse_is_lost_asks_for_nothing() -> None:
    puck = FakeSpaceMouse()
    times = iter(range(100))
    mouse = SpaceMouse(puck.connect, TWO, SpaceMouseConfig(), lambda: next(times))
    puck.send(left=True, right=True)
    mouse.poll()
    puck.attached = False
    mouse.poll()
    puck.attached = True
    for _ in range(2):
        puck.send()
        mouse.poll()
    assert mouse.read() == Reading(True, STILL)


def test_buttons_of_a_mouse_with_an_arm_of_its_own_count_at_once() -> None:
    puck = FakeSpaceMouse()
    mouse = SpaceMouse(puck.connect, TWO, SpaceMouseConfig(), lambda: 0.0, arm="right")
    assert (mouse.name, mouse.arm) == ("right SpaceMouse", "right")
    puck.send(left=True)
    puck.send(left=True, right=True)
    mouse.poll()
    assert mouse.read().commands == (Command.GRIPPER, Command.TAKEOVER)


class Hub:
    """HIDAPI and pyspacemouse with made-up devices: path -> (model, interface number)."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.interfaces: dict[str, tuple[str, int]] = {}
        self.opened: list[str] = []
        models = {name: SimpleNamespace(name=name, vendor_id=1, product_id=i) for i, name in enumerate("AB")}

        def find() -> list[SimpleNamespace]:
            return [
                SimpleNamespace(
                    path=path,
                    vendor_id=1,
                    product_id={"A": 0, "B": 1}.get(model, 7),
                    interface_number=number,
                    set_nonblocking=lambda _: None,
                )
                for path, (model, number) in reversed(self.interfaces.items())
            ]

        hub = self

        class Opening:
            def __init__(self, spec: Any, interface: Any) -> None:
                self.path = interface.path
                self.info = SimpleNamespace(button_specs=[SimpleNamespace(byte=1, bit=bit) for bit in (0, 1)])
                self.spec = spec

            def open(self) -> None:
                hub.opened.append(self.path)

            def read(self) -> Any:
                if self.path not in hub.interfaces:
                    raise LookupError(self.path)
                amount = 1.0 if self.path == "/dev/hidraw2" else -1.0
                return SimpleNamespace(t=1.0, buttons=[0, 0], **(dict.fromkeys(AXES, 0.0) | {"x": amount}))

            def close(self) -> None:
                """Nothing is open."""

        library = SimpleNamespace(
            get_device_specs=lambda: models,
            apply_axis_convention=lambda spec, _: spec,
            AxisConvention=SimpleNamespace(ROS="ros"),
            SpaceMouseDevice=Opening,
        )
        hid = SimpleNamespace(Enumeration=lambda: SimpleNamespace(find=find), HIDException=LookupError)
        monkeypatch.setitem(sys.modules, "pyspacemouse", library)
        monkeypatch.setitem(sys.modules, "easyhid", hid)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    return Hub(monkeypatch)


def test_interfaces_are_told_apart_from_devices(hub: Hub) -> None:
    assert attached_spacemice() == []
    hub.interfaces = {"/dev/hidraw1": ("keyboard", 0), "/dev/hidraw2": ("A", 0), "/dev/hidraw10": ("A", 0)}
    assert attached_spacemice() == ["A", "A"], "two of one model"
    hub.interfaces = {f"/dev/hidraw{n}": ("B", n % 3) for n in range(6)}
    assert attached_spacemice() == ["B", "B"], "two receivers with three interfaces each"
    hub.interfaces = {"/dev/hidraw3": ("B", 0), "/dev/hidraw4": ("B", 1), "/dev/hidraw5": ("A", 0)}
    assert attached_spacemice() == ["B", "A"]


def test_two_mice_drive_two_arms_in_the_order_of_attachment_and_one_drives_whichever_is_chosen(hub: Hub) -> None:
    hub.interfaces = {"/dev/hidraw10": ("A", 0), "/dev/hidraw2": ("A", 0)}
    for layout, arms in ((TWO, ["left", "right"]), (SEVEN, [None])):
        mice = open_spacemice(layout, SpaceMouseConfig())
        assert [mouse.arm for mouse in mice] == arms
        for mouse, way in zip(mice, (1.0, -1.0), strict=False):
            wait_until(lambda mouse=mouse: mouse.read().moves)
            assert mouse.read().motion[0] == way
            mouse.close()
    del hub.interfaces["/dev/hidraw10"]
    (mouse,) = open_spacemice(TWO, SpaceMouseConfig())
    assert (mouse.name, mouse.arm) == ("SpaceMouse", None)
    mouse.close()
    hub.interfaces = {}
    with pytest.raises(HilserlError, match="No SpaceMouse is attached"):
        open_spacemice(TWO, SpaceMouseConfig())


def test_a_hand_that_lost_its_mouse_never_takes_the_other_hand_s(hub: Hub) -> None:
    two, ten = {"/dev/hidraw2": ("A", 0)}, {"/dev/hidraw10": ("A", 0)}
    pucks = SpaceMousePool()
    hub.interfaces = two | ten
    assert pucks.connect(0).read() == SpaceMouseState((1.0, *STILL[1:]))
    assert pucks.connect(1).read() == SpaceMouseState((-1.0, *STILL[1:]))
    hub.interfaces = ten
    with pytest.raises(ConnectionError):
        pucks.connect(0)
    hub.interfaces = two | ten
    assert pucks.connect(0).read() == SpaceMouseState((1.0, *STILL[1:]))
    hub.interfaces = {}
    with pytest.raises(ConnectionError):
        pucks.connect(1)
    hub.interfaces = ten
    with pytest.raises(ConnectionError):
        pucks.connect(1)
    hub.interfaces = {"/dev/hidraw3": ("A", 0)}
    with pytest.raises(ConnectionError):
        pucks.connect(1)
    assert pucks.connect(0), "the first that comes back is the first hand's"


class Shown:
    """A console that keeps what it was told to show."""

    name, arm = "console", None

    def __init__(self) -> None:
        self.reading, self.status = Reading(True), ConsoleStatus()
        self.real_time = self.driven = False
        self.chosen_arm = "left"

    def read(self) -> Reading:
        said, self.reading = self.reading, Reading(True)
        return said

    def announcement(self) -> str:
        return ""

    def send(self, status: ConsoleStatus) -> None:
        self.status = status

    def tick(self) -> None:
        """No time passes."""


@pytest.mark.parametrize("own", [False, True])
def test_the_panel_names_the_arm_that_is_driven(monkeypatch: pytest.MonkeyPatch, own: bool) -> None:
    devices = (Device("left mouse", "left"), Device("right mouse", "right")) if own else (Device("gamepad"),)
    console, env = Shown(), ManipulationEnv(Both())
    monkeypatch.setattr(ConsoleSession, "_open_console", lambda *_: console)
    monkeypatch.setattr(station, "open_devices", lambda *_: devices)
    place = ConsoleSession(env, Role(), console=ConsoleConfig())
    titles = []
    for command in (Command.SWITCH_ARM, Command.TAKEOVER, Command.SWITCH_ARM, Command.PAUSE):
        console.reading = Reading(True, commands=(command,))
        place.operator._idle = lambda: None
        place.operator.intent()
        place.keep_alive()
        place.say("")
        titles.append(console.status.title)
        facts = dict(console.status.facts)
        assert facts["Arm of the console"] == console.chosen_arm == place.operator.chosen_arm
        assert [facts[f"Arm of the {device.name}"] for device in devices] == [
            device.arm or console.chosen_arm for device in devices
        ]
    driving = ["YOU DRIVE", "YOU DRIVE"] if own else ["YOU DRIVE THE RIGHT ARM", "YOU DRIVE THE LEFT ARM"]
    assert titles == ["THE POLICY DRIVES", *driving, "PAUSED"]
    env.close()
