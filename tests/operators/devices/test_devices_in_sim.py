"""Keys and devices at real arms: each turns, pushes and leads the tool the way its meaning says, in either frame."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from hilserl.envs.options import EnvOptions
from hilserl.errors import HilserlError
from hilserl.operators.devices import gamepad, spacemouse
from hilserl.operators.devices.axis_mapping import ControlMapping
from hilserl.operators.devices.device import Reading
from hilserl.operators.devices.key_map import KEYS, Command, key_motion
from hilserl.operators.human import HumanOperator, Role
from hilserl.sim.control import (
    POSE_MOVES,
    WRENCH_MOVES,
    ArmSetup,
    Impedance,
    PoseControl,
    WrenchControl,
    turn_between,
)
from hilserl.sim.environment import ManipulationEnv
from hilserl.sim.scene import FRONT, OVERVIEW
from hilserl.tasks.pick_cube import PickCube
from tests.operators.devices.test_discovery import pad_reading, puck_reading

STEPS = 3
SIX = PoseControl(POSE_MOVES, max_step_rad=0.1, max_turn_rad=(0.5, 0.5, 0.5))
WEAK = Impedance((100.0,) * 3 + (5.0,) * 3, (40.0,) * 3 + (2.0,) * 3)
WRENCH = WrenchControl(WRENCH_MOVES, (10.0,) * 3 + (1.0,) * 3, (0.4, 0.0, 0.2), WEAK)
WAYS = {
    "forward": ("place", 0, 1),
    "backward": ("place", 0, -1),
    "left": ("place", 1, 1),
    "right": ("place", 1, -1),
    "up": ("place", 2, 1),
    "down": ("place", 2, -1),
    "turn left": ("forward edge goes", 1, 1),
    "turn right": ("forward edge goes", 1, -1),
    "tilt forward": ("top goes", 0, 1),
    "tilt backward": ("top goes", 0, -1),
    "roll right": ("top goes", 1, -1),
    "roll left": ("top goes", 1, 1),
}
"""What the words of a meaning say a watcher sees: of the tool's place, of its edge away from the base, of its top."""


class Turning(PickCube):
    arms = (ArmSetup(control=SIX),)


class Pressing(PickCube):
    arms = (ArmSetup(control=WRENCH),)


class Both(PickCube):
    arms = (
        ArmSetup("left", SIX, workspace_low_m=(0.2, 0.05, 0.0), workspace_high_m=(0.6, 0.6, 0.5), base_m=(0, 0.35, 0)),
        ArmSetup("right", SIX, workspace_low_m=(0.2, -0.6, 0.0), base_m=(0, -0.35, 0)),
    )
    views = (FRONT, OVERVIEW)
    cameras = (FRONT.name,)


class Said:
    """A device that says one thing."""

    name, arm = "device", None

    def __init__(self, reading: Reading) -> None:
        self.reading = reading

    def read(self) -> Reading:
        return self.reading

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture(scope="module", params=["world", "tool"])
def turning(request: pytest.FixtureRequest) -> Iterator[ManipulationEnv]:
    env = ManipulationEnv(Turning(), EnvOptions(frame=request.param))
    yield env
    env.close()


@pytest.fixture(scope="module", params=["world", "tool"])
def pressing(request: pytest.FixtureRequest) -> Iterator[ManipulationEnv]:
    env = ManipulationEnv(Pressing(), EnvOptions(frame=request.param))
    yield env
    env.close()


@pytest.fixture(scope="module", params=["world", "tool"])
def both(request: pytest.FixtureRequest) -> Iterator[ManipulationEnv]:
    env = ManipulationEnv(Both(), EnvOptions(frame=request.param))
    yield env
    env.close()


def a_person(env: ManipulationEnv, reading: Reading) -> tuple[HumanOperator, Said]:
    device = Said(reading)
    layout = env.experience.action
    person = HumanOperator(
        [device],
        layout,
        Role(drives=True),
        env.teleoperation.motion_towards,
        lambda: None,
        lambda: 0.0,
        orient=env.teleoperation.world_to_action,
    )
    return person, device


def drive(env: ManipulationEnv, person: HumanOperator, steps: int = STEPS) -> np.ndarray:
    """Has the environment do what the person says; the last action."""
    layout = env.experience.action
    action = np.zeros(layout.size)
    for _ in range(steps):
        action[list(layout.continuous)] = person.intent().motion
        env.step(action)
    return action


def poses(env: ManipulationEnv) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(arm.tcp_position_m, arm.tcp_quaternion_wxyz) for arm in env.simulation.arms]


def said_by(meaning: str, before: tuple[np.ndarray, np.ndarray], after: tuple[np.ndarray, np.ndarray]) -> None:
    """Asserts that a tool went the way that the words say, and hardly any other way."""
    what, axis, sign = WAYS[meaning.split(" (")[0]]
    moved, turned = after[0] - before[0], turn_between(before[1], after[1])
    seen = {
        "place": moved,
        "forward edge goes": np.cross(turned, (1.0, 0.0, 0.0)),
        "top goes": np.cross(turned, (0.0, 0.0, 1.0)),
    }[what]
    assert np.argmax(np.abs(seen)) == axis, (meaning, seen)
    assert np.sign(seen[axis]) == sign, (meaning, seen)
    if what == "place":
        assert np.abs(moved[axis]) > 0.01
        assert np.abs(turned).max() < 0.1
    else:
        assert np.abs(seen[axis]) > 0.03
        assert np.abs(turned).max() == pytest.approx(np.abs(seen[axis]), rel=0.05), "about one axis"
        assert np.linalg.norm(moved) < 0.03


def readings() -> dict[str, tuple[str, Callable[[Any], Reading]]]:
    """What can be said, and its meaning: every key, and every way of a pad's and a puck's."""
    says: dict[str, tuple[str, Callable[[Any], Reading]]] = {}
    for key in KEYS:
        if key.moves is not None:
            says[f"key {key.name}"] = (
                key.meaning,
                lambda layout, key=key: Reading(True, key_motion([key.name, "F"], layout)),
            )
    rows: list[tuple[Callable[..., Reading], ControlMapping]] = [(pad_reading, c) for c in gamepad.CONTROLS]
    rows += [(puck_reading, c) for c in spacemouse.CONTROLS]
    for say, control in rows:
        if control.moves is not None:
            says[control.label] = (control.meaning, lambda layout, say=say, control=control: say(control, layout))
    return says


SAYS = readings()


@pytest.mark.parametrize("what", SAYS)
def test_each_way_moves_and_turns_the_tool_as_it_says(turning: ManipulationEnv, what: str) -> None:
    meaning, say = SAYS[what]
    turning.reset(seed=0)
    (before,) = poses(turning)
    person, _ = a_person(turning, say(turning.experience.action))
    action = drive(turning, person)
    assert np.abs(action).max() == pytest.approx(1.0, abs=0.1)
    (after,) = poses(turning)
    said_by(meaning, before, after)


@pytest.mark.parametrize("key", [key for key in KEYS if key.moves is not None], ids=lambda key: key.name)
def test_each_way_pushes_and_twists_the_tool_as_it_says(pressing: ManipulationEnv, key) -> None:
    pressing.reset(seed=0)
    still = np.zeros(pressing.experience.action.size)
    for _ in range(30):
        pressing.step(still)
    (before,) = poses(pressing)
    person, _ = a_person(pressing, Reading(True, key_motion([key.name, "F"], pressing.experience.action)))
    drive(pressing, person, steps=6)
    (after,) = poses(pressing)
    said_by(key.meaning, before, after)


@pytest.mark.parametrize("what", ["key W", "key K", "key Q", "key T", "key Y"])
def test_one_of_two_arms_moves_and_the_other_holds_still(both: ManipulationEnv, what: str) -> None:
    meaning, say = SAYS[what]
    both.reset(seed=0)
    person, device = a_person(both, say(both.experience.action))
    for chosen in (0, 1):
        before = poses(both)
        drive(both, person)
        after = poses(both)
        said_by(meaning, before[chosen], after[chosen])
        assert np.linalg.norm(after[1 - chosen][0] - before[1 - chosen][0]) < (0.002, 0.02)[chosen]
        held = device.reading
        device.reading = Reading(True, commands=(Command.SWITCH_ARM,))
        person.intent()
        device.reading = Reading(True)
        drive(both, person, steps=5)
        device.reading = held


def test_a_target_leads_the_arm_that_it_is_dragged_for(both: ManipulationEnv) -> None:
    both.reset(seed=0)
    assert list(both.teleoperation.tcp_positions_m) == ["left", "right"]
    assert (both.simulation.arm.tcp_position_m == both.teleoperation.tcp_positions_m["left"]).all()
    for arm, other in (("left", "right"), ("right", "left")):
        start = both.teleoperation.tcp_positions_m
        goal = start[arm] + (0.05, 0.03, 0.04)
        x, y, z = goal.tolist()
        person, device = a_person(both, Reading(True, goal_m=(x, y, z), goal_arm=arm))
        if arm == "right":
            said, device.reading = device.reading, Reading(True, commands=(Command.SWITCH_ARM,))
            person.intent()
            device.reading = said
        drive(both, person, steps=12)
        assert np.linalg.norm(both.teleoperation.tcp_positions_m[arm] - goal) < 0.01
        assert np.linalg.norm(both.teleoperation.tcp_positions_m[other] - start[other]) < 0.005
    with pytest.raises(HilserlError, match=r"'middle'.*left, right"):
        both.teleoperation.motion_towards((0.4, 0.0, 0.2), "middle")
