"""Keys and devices at simulated arms, in either reference frame."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from hilserl.data.spec import ActionLayout
from hilserl.envs.options import EnvOptions
from hilserl.errors import HilserlError
from hilserl.operators.devices import gamepad, spacemouse
from hilserl.operators.devices.axis_mapping import ControlMapping
from hilserl.operators.devices.device import Reading
from hilserl.operators.devices.key_map import KEYS, Command, Key, key_motion
from hilserl.operators.human import HumanOperator, Role
from hilserl.operators.phone import phone_input
from hilserl.sim.control import turn_between
from hilserl.sim.environment import ManipulationEnv
from tests.support.devices import ConstantDevice, gamepad_reading, phone_reading, spacemouse_reading
from tests.support.pick_variants import PressingPickCube, TurningPickCube, TwoArmPickCube

STEPS = 3
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
"""Visible motion for each meaning.

It is that of the tool's position, its forward edge, or its top.
"""


@pytest.fixture(scope="module", params=["world", "tool"])
def turning(request: pytest.FixtureRequest) -> Iterator[ManipulationEnv]:
    env = ManipulationEnv(TurningPickCube(), EnvOptions(frame=request.param))
    yield env
    env.close()


@pytest.fixture(scope="module", params=["world", "tool"])
def pressing(request: pytest.FixtureRequest) -> Iterator[ManipulationEnv]:
    env = ManipulationEnv(PressingPickCube(), EnvOptions(frame=request.param))
    yield env
    env.close()


@pytest.fixture(scope="module", params=["world", "tool"])
def both(request: pytest.FixtureRequest) -> Iterator[ManipulationEnv]:
    env = ManipulationEnv(TwoArmPickCube(), EnvOptions(frame=request.param))
    yield env
    env.close()


def make_operator(env: ManipulationEnv, reading: Reading) -> tuple[HumanOperator, ConstantDevice]:
    device = ConstantDevice(reading)
    layout = env.experience.action
    operator = HumanOperator([device], layout, Role(drives=True), env.teleoperation, lambda: None, lambda: 0.0)
    return operator, device


def drive(env: ManipulationEnv, operator: HumanOperator, steps: int = STEPS) -> np.ndarray:
    """Drive the environment by the operator and return the last action."""
    layout = env.experience.action
    action = np.zeros(layout.size)
    for _ in range(steps):
        action[list(layout.continuous)] = operator.intent().motion
        env.step(action)
    return action


def poses(env: ManipulationEnv) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(arm.tcp_position_m, arm.tcp_quaternion_wxyz) for arm in env.simulation.arms]


def assert_moved_as(meaning: str, before: tuple[np.ndarray, np.ndarray], after: tuple[np.ndarray, np.ndarray]) -> None:
    """Assert that a tool moved as the meaning says, and hardly otherwise."""
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


def readings() -> dict[str, tuple[str, Callable[[ActionLayout], Reading]]]:
    """Return meaning and reading of every key and every device control."""
    says: dict[str, tuple[str, Callable[[ActionLayout], Reading]]] = {}
    for key in KEYS:
        if key.moves is not None:
            says[f"key {key.name}"] = (
                key.meaning,
                lambda layout, key=key: Reading(True, key_motion([key.name, "F"], layout)),
            )
    rows: list[tuple[Callable[..., Reading], ControlMapping]] = [(gamepad_reading, c) for c in gamepad.CONTROLS]
    rows += [(spacemouse_reading, c) for c in spacemouse.CONTROLS]
    rows += [(phone_reading, c) for c in phone_input.CONTROLS]
    for say, control in rows:
        if control.moves is not None:
            says[control.label] = (control.meaning, lambda layout, say=say, control=control: say(control, layout))
    return says


SAYS = readings()


@pytest.mark.parametrize("what", SAYS)
def test_controls_move_and_turn_the_tool_as_their_meaning_says(turning: ManipulationEnv, what: str) -> None:
    meaning, say = SAYS[what]
    turning.reset(seed=0)
    (before,) = poses(turning)
    operator, _ = make_operator(turning, say(turning.experience.action))
    action = drive(turning, operator)
    assert np.abs(action).max() == pytest.approx(1.0, abs=0.1)
    (after,) = poses(turning)
    assert_moved_as(meaning, before, after)


@pytest.mark.parametrize("key", [key for key in KEYS if key.moves is not None], ids=lambda key: key.name)
def test_keys_push_and_twist_the_tool_as_their_meaning_says(pressing: ManipulationEnv, key: Key) -> None:
    pressing.reset(seed=0)
    still = np.zeros(pressing.experience.action.size)
    for _ in range(30):
        pressing.step(still)
    (before,) = poses(pressing)
    operator, _ = make_operator(pressing, Reading(True, key_motion([key.name, "F"], pressing.experience.action)))
    drive(pressing, operator, steps=6)
    (after,) = poses(pressing)
    assert_moved_as(key.meaning, before, after)


@pytest.mark.parametrize("what", ["key W", "key K", "key Q", "key T", "key Y"])
def test_keys_move_one_of_two_arms(both: ManipulationEnv, what: str) -> None:
    meaning, say = SAYS[what]
    both.reset(seed=0)
    operator, device = make_operator(both, say(both.experience.action))
    for chosen in (0, 1):
        before = poses(both)
        drive(both, operator)
        after = poses(both)
        assert_moved_as(meaning, before[chosen], after[chosen])
        assert np.linalg.norm(after[1 - chosen][0] - before[1 - chosen][0]) < (0.002, 0.02)[chosen]
        held = device.reading
        device.reading = Reading(True, commands=(Command.SWITCH_ARM,))
        operator.intent()
        device.reading = Reading(True)
        drive(both, operator, steps=5)
        device.reading = held


def test_goal_leads_the_arm_that_it_is_dragged_for(both: ManipulationEnv) -> None:
    both.reset(seed=0)
    assert list(both.teleoperation.tcp_positions_m) == ["left", "right"]
    assert (both.simulation.arm.tcp_position_m == both.teleoperation.tcp_positions_m["left"]).all()
    for arm, other in (("left", "right"), ("right", "left")):
        start = both.teleoperation.tcp_positions_m
        goal = start[arm] + (0.05, 0.03, 0.04)
        x, y, z = goal.tolist()
        operator, device = make_operator(both, Reading(True, goal_m=(x, y, z), goal_arm=arm))
        if arm == "right":
            said, device.reading = device.reading, Reading(True, commands=(Command.SWITCH_ARM,))
            operator.intent()
            device.reading = said
        drive(both, operator, steps=12)
        assert np.linalg.norm(both.teleoperation.tcp_positions_m[arm] - goal) < 0.01
        assert np.linalg.norm(both.teleoperation.tcp_positions_m[other] - start[other]) < 0.005
    with pytest.raises(HilserlError, match=r"'middle'.*left, right"):
        both.teleoperation.motion_towards((0.4, 0.0, 0.2), "middle")
