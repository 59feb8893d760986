"""Settings of console and devices."""

import sys
from pathlib import Path

import pytest
import tyro

from hilserl.errors import HilserlError
from hilserl.operators.config import ConsoleConfig, DeviceName, open_devices
from hilserl.operators.devices.gamepad import GamepadConfig
from hilserl.operators.devices.spacemouse import SpaceMouseConfig
from hilserl.operators.phone.config import PhoneConfig
from tests.support.layouts import ACTION


def test_console_alone_opens_no_device() -> None:
    assert open_devices("console", ConsoleConfig(), ACTION) == ()


@pytest.mark.parametrize(("device", "extra"), [("gamepad", "gamepad"), ("spacemouse", "spacemouse")])
def test_device_without_its_library_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, device: DeviceName, extra: str
) -> None:
    for name in ("pygame", "pyspacemouse", "easyhid"):
        monkeypatch.setitem(sys.modules, name, None)
    for name in ("SDL_JOYSTICK_ALLOW_BACKGROUND_EVENTS", "SDL_NO_SIGNAL_HANDLERS", "PYGAME_HIDE_SUPPORT_PROMPT"):
        monkeypatch.setenv(name, "1")
    with pytest.raises(HilserlError, match=rf"hilserl\[{extra}\]"):
        open_devices(device, ConsoleConfig(), ACTION)


def test_flags_are_read_by_their_group() -> None:
    words = ["--view", "web", "--port", "8100", "--gamepad.index", "1", "--spacemouse.rotation-scale", "0.5"]
    config = tyro.cli(ConsoleConfig, args=[*words, "--phone.scale", "0.5", "--phone.certificate", "mine"])
    assert config == ConsoleConfig(
        "web",
        8100,
        gamepad=GamepadConfig(index=1),
        spacemouse=SpaceMouseConfig(rotation_scale=0.5),
        phone=PhoneConfig(scale=0.5, certificate=Path("mine")),
    )


def test_page_asks_for_its_token_by_default() -> None:
    assert ConsoleConfig().token
    assert not tyro.cli(ConsoleConfig, args=["--no-token"]).token
