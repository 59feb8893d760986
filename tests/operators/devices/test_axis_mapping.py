"""Maps of gamepad and SpaceMouse: dead zone, scale, axes and buttons."""

import math
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from hilserl.errors import HilserlError
from hilserl.operators.action_axes import AXES, arm_axes, driven_axes
from hilserl.operators.devices import gamepad, spacemouse
from hilserl.operators.devices.axis_mapping import ControlMapping, deflection
from hilserl.operators.devices.device import Reading
from hilserl.operators.devices.gamepad import GamepadConfig
from hilserl.operators.devices.key_map import KEYS, Command, key_motion, keys_for
from hilserl.operators.devices.spacemouse import SpaceMouseConfig
from hilserl.operators.phone import phone_input
from tests.support.devices import (
    CENTRED,
    gamepad_reading,
    make_gamepad,
    make_spacemouse,
    phone_reading,
    spacemouse_reading,
)
from tests.support.layouts import LAYOUTS, SEVEN, TWO

Say = Callable[..., Reading]
ROWS: list[tuple[Say, ControlMapping]] = [
    *((gamepad_reading, control) for control in gamepad.CONTROLS),
    *((spacemouse_reading, control) for control in spacemouse.CONTROLS),
    *((phone_reading, control) for control in phone_input.CONTROLS),
]
MOVING = [(say, control) for say, control in ROWS if control.moves is not None]


def name_of(value: object) -> str | None:
    return value.label if isinstance(value, ControlMapping) else None


@pytest.mark.parametrize("dead_zone", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("scale", [0.3, 1.0])
def test_dead_zone_ends_without_a_jump_and_more_push_is_more_motion(dead_zone: float, scale: float) -> None:
    pushes = np.linspace(0, 1, 2001)
    speeds = np.array([deflection((push, 0.0), dead_zone, scale)[0] for push in pushes])
    assert (speeds[pushes <= dead_zone] == 0).all()
    steps = np.diff(speeds)
    assert (steps >= 0).all()
    assert steps.max() <= scale / (1 - dead_zone) / 2000 + 1e-9
    assert (steps[pushes[:-1] > dead_zone] > 0).all()
    assert speeds[-1] == pytest.approx(scale)


def test_deflection_is_the_same_in_every_direction() -> None:
    for angle in np.linspace(0, 2 * math.pi, 73):
        way = np.array([math.cos(angle), math.sin(angle)])
        for length, expected in ((0.1, 0.0), (0.55, 0.5 * 0.8), (1.0, 0.8), (math.sqrt(2), 0.8)):
            asked = deflection(tuple(length * way), 0.1, 0.8)
            assert np.allclose(asked, expected * way, atol=1e-9)
            assert np.allclose(deflection(tuple(-length * way), 0.1, 0.8), -np.array(asked)), "opposite push"


def test_diagonal_is_no_longer_than_a_straight_push() -> None:
    pad, device = make_gamepad()
    pad.axes = dict.fromkeys(CENTRED, -1.0)
    pad.held = {"DPAD_UP", "DPAD_RIGHT"}
    motion = device.read().motion
    assert np.allclose(np.abs(motion[:2]), math.sqrt(0.5))
    assert np.linalg.norm([motion[2], motion[5]]) == pytest.approx(1)
    assert np.linalg.norm(motion[3:5]) == pytest.approx(1)
    fake, mouse, _ = make_spacemouse()
    fake.send(False, False, **dict.fromkeys(AXES, 1.2))
    mouse.poll()
    motion = mouse.read().motion
    assert np.linalg.norm(motion[:3]) == pytest.approx(1)
    assert np.linalg.norm(motion[3:]) == pytest.approx(1)


@pytest.mark.parametrize(("say", "control"), MOVING, ids=name_of)
def test_controls_move_like_their_keys(say: Say, control: ControlMapping) -> None:
    key = next(key for key in KEYS if key.moves == control.moves)
    by_key = np.array(key_motion([key.name, "F"], SEVEN))
    full, half = (np.array(say(control, SEVEN, amount).motion) for amount in (1.0, 0.5))
    assert np.allclose(full, by_key)
    if not control.label.startswith("d-pad"):
        assert np.allclose(half, by_key * 0.4 / 0.9)
    assert control.meaning == key.meaning


@pytest.mark.parametrize(("say", "control"), MOVING, ids=name_of)
def test_motions_that_a_task_lacks_are_dropped(say: Say, control: ControlMapping) -> None:
    assert control.moves is not None
    for layout in LAYOUTS.values():
        motion = say(control, layout).motion
        assert len(motion) == len(AXES)
        assert any(motion) == (control.moves[0] in driven_axes(layout))
        for arm in arm_axes(layout):
            assert np.count_nonzero(arm.action(motion)) == (control.moves[0] in arm.axes)


@pytest.mark.parametrize("device", [gamepad, spacemouse, phone_input], ids=lambda device: device.__name__)
def test_documentation_has_every_row_of_the_map(device: ModuleType) -> None:
    text = (Path(__file__).parents[3] / "docs" / "devices.md").read_text()
    for control in device.CONTROLS:
        assert f"| {control.label} | {control.meaning} |" in text


@pytest.mark.parametrize(("say", "control"), [row for row in ROWS if row[1].moves is None], ids=name_of)
def test_buttons_give_the_commands_of_the_map(say: Say, control: ControlMapping) -> None:
    reading = say(control, TWO)
    assert reading.commands == ((control.command,) if control.command else ())
    assert reading.success == (control.command is None), "the button that is held"
    assert not reading.moves
    assert control.meaning in {key.meaning for key in keys_for(TWO, labels=True)}


def test_scales_and_dead_zone_follow_the_config() -> None:
    pad, device = make_gamepad(config=GamepadConfig(dead_zone=0.5, scale=0.4))
    pad.axes["LEFTY"] = -0.5
    assert not device.read().moves
    pad.axes["LEFTY"] = -0.75
    assert device.read().motion[0] == pytest.approx(0.2)
    fake, mouse, _ = make_spacemouse(config=SpaceMouseConfig(dead_zone=0.0, scale=0.5, rotation_scale=0.25))
    fake.send(x=1.0, yaw=1.0)
    mouse.poll()
    assert mouse.read().motion == pytest.approx((0.5, 0, 0, 0, 0, 0.25))


def test_held_button_counts_once_and_a_tap_between_readings_too() -> None:
    pad, device = make_gamepad()
    fake, mouse, _ = make_spacemouse()
    pad.press("LEFTSHOULDER")
    fake.send(right=True)
    mouse.poll()
    assert device.read().commands == mouse.read().commands == (Command.TAKEOVER,)
    for _ in range(5):
        fake.send(right=True, x=0.5)
        mouse.poll()
        assert device.read().commands == mouse.read().commands == ()
    for button in ("RIGHTSHOULDER", "LEFTSHOULDER", "RIGHTSHOULDER"):
        pad.press(button)
        pad.held.clear()
        fake.send()
        fake.send(left=button == "RIGHTSHOULDER", right=button == "LEFTSHOULDER")
        mouse.poll()
    fake.send()
    mouse.poll()
    assert device.read().commands == mouse.read().commands == (Command.GRIPPER, Command.TAKEOVER, Command.GRIPPER)


@pytest.mark.parametrize(
    ("config", "settings"),
    [
        (GamepadConfig, {"dead_zone": -0.1}),
        (GamepadConfig, {"dead_zone": 1.0}),
        (GamepadConfig, {"scale": 0.0}),
        (GamepadConfig, {"scale": 1.1}),
        (GamepadConfig, {"index": -1}),
        (SpaceMouseConfig, {"dead_zone": float("nan")}),
        (SpaceMouseConfig, {"scale": -1.0}),
        (SpaceMouseConfig, {"rotation_scale": 2.0}),
    ],
)
def test_configs_name_impossible_settings(config: Callable[..., Any], settings: dict[str, Any]) -> None:
    with pytest.raises(HilserlError, match=next(iter(settings))):
        config(**settings)
