"""Discovery of input devices, and what `hilserl doctor` shows of them."""

import sys

import pytest

from hilserl.cli import doctor, machine_checks
from hilserl.errors import HilserlError
from hilserl.operators.devices import discovery, gamepad
from hilserl.operators.devices.gamepad import GamepadConfig, open_gamepad
from hilserl.operators.devices.spacemouse import SpaceMouseConfig, open_spacemice
from tests.support.devices import Clock, make_gamepad
from tests.support.layouts import ACTION


@pytest.fixture
def no_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pygame", "pyspacemouse", "easyhid"):
        monkeypatch.setitem(sys.modules, name, None)
    for name in (
        "SDL_VIDEODRIVER",
        "SDL_JOYSTICK_ALLOW_BACKGROUND_EVENTS",
        "SDL_NO_SIGNAL_HANDLERS",
        "PYGAME_HIDE_SUPPORT_PROMPT",
    ):
        monkeypatch.setenv(name, "1")


@pytest.mark.usefixtures("no_libraries")
def test_missing_extra_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(HilserlError, match=r"pygame-ce is not installed.*hilserl\[gamepad\]"):
        open_gamepad(ACTION, GamepadConfig())
    with pytest.raises(HilserlError, match=r"pyspacemouse is not installed.*hilserl\[spacemouse\]"):
        open_spacemice(ACTION, SpaceMouseConfig())
    assert "; ".join(discovery.attached_devices()) == machine_checks.CHECKS["devices"].run()
    assert all("not installed: pip install" in line for line in discovery.attached_devices())
    assert doctor.run(["--live", "1.0"]) == 1
    assert "There is no device to watch." in capsys.readouterr().out


def test_doctor_lists_and_watches_attached_devices(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pad, device = make_gamepad()
    pad.axes["LEFTY"] = -1.0
    pad.press("LEFTSHOULDER")
    fake = discovery.DeviceKind(lambda: ["Fake Pad"], lambda _: (device,), gamepad.CONTROLS)
    none = discovery.DeviceKind(list, discovery.DEVICE_KINDS["spacemouse"].open, ())
    monkeypatch.setattr(discovery, "DEVICE_KINDS", {"gamepad": fake, "spacemouse": none})
    assert machine_checks.CHECKS["devices"].run() == "gamepad: Fake Pad; spacemouse: none attached"
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(discovery, "DEVICE_KINDS", {"gamepad": fake})
    assert doctor.run(["--live", "0.01"]) == 0
    text = capsys.readouterr().out
    assert "left stick up" in text
    assert "gamepad: x +1.00 y +0.00 z +0.00 roll +0.00 pitch +0.00 yaw +0.00 last: takeover" in text
    assert not pad.attached, "let go at the end"


def test_watch_keeps_the_last_command_and_shows_a_lost_device() -> None:
    pad, device = make_gamepad(ACTION)
    shown: list[str] = []
    clock = Clock()

    def show(line: str) -> None:
        shown.append(line)
        if len(shown) == 1:
            pad.press("RIGHTSHOULDER")
            pad.press("A")
        pad.attached = len(shown) != 3

    discovery.watch_devices([device], 0.45, show, clock, clock.sleep)
    assert len(shown) == 5
    still = "gamepad: x +0.00 y +0.00 z +0.00 roll +0.00 pitch +0.00 yaw +0.00 last: "
    assert shown[0] == still + "-"
    assert shown[1] == shown[2] == still + "gripper SUCCESS HELD"
    assert shown[3] == "gamepad: gone"
    assert shown[4] == shown[1]
