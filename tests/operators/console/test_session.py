"""Console sessions without a page."""

import contextlib
import getpass
import http.client
import socket
import time
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import mujoco
import numpy as np
import pytest
from mujoco.studio import messages
from websockets import Headers, Origin
from websockets.exceptions import InvalidStatus
from websockets.http11 import Request
from websockets.sync.client import connect

from hilserl.cli.main import main
from hilserl.data.step import Step
from hilserl.operators.config import ConsoleConfig
from hilserl.operators.console import session as console_session
from hilserl.operators.console.console import Console, ConsoleScene
from hilserl.operators.console.messages import ConsoleStatus
from hilserl.operators.console.page_access import PageAccess
from hilserl.operators.console.session import ConsoleSession
from hilserl.operators.devices.device import ControlName, Reading
from hilserl.operators.devices.key_map import Command, keys_for
from hilserl.operators.human import Role
from hilserl.runs.counters import RunCounters
from hilserl.sim.environment import ManipulationEnv
from hilserl.tasks import make_sim_env
from tests.support.console_page import ConsoleLoop, wait_until
from tests.support.devices import ScriptedDevice
from tests.support.layouts import ACTION, LAYOUTS
from tests.support.pick_variants import TwoArmPickCube
from tests.support.steps import make_episode

DOCS = Path(__file__).parents[3] / "docs"


@pytest.fixture(scope="module")
def loop() -> Iterator[ConsoleLoop]:
    """One console for all tests, as a process can open only one."""
    loop = ConsoleLoop(drives=False, obs="state")
    yield loop
    loop.close()


def test_console_listens_on_loopback_only(loop: ConsoleLoop) -> None:
    port = loop.session._console.port
    with socket.create_connection(("127.0.0.1", port), 5):
        pass
    # Another loopback address: a socket that listens on every interface answers there.
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port), 5)


def address_of(loop: ConsoleLoop, path: str) -> str:
    """Return the address of a WebSocket, with the token."""
    return loop.url.replace("http", "ws").replace("/?", f"{path}?")


def fetch(loop: ConsoleLoop, path: str, **headers: str) -> tuple[int, str, str]:
    """Return status, text and cookie of a request for a path."""
    connection = http.client.HTTPConnection("127.0.0.1", loop.session._console.port, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace"), answer.getheader("Set-Cookie") or ""


@pytest.mark.parametrize("path", ["/", "/index.html", "/web_client.js", "/model", "/assets/ibl.ktx", "/ui", "/state"])
def test_request_without_the_token_is_refused_with_a_sentence(loop: ConsoleLoop, path: str) -> None:
    for shown, headers in (
        ("", {}),
        ("?token=", {}),
        ("?token=guess", {}),
        ("", {"Cookie": "hilserl=guess; a b=c"}),
        ("?token=" + "\u00e9", {}),
    ):
        status, text, cookie = fetch(loop, urllib.parse.quote(path + shown, safe="/?="), **headers)
        assert status == 401
        assert text.startswith("Missing or wrong token: open the address that the program printed")
        assert not cookie


def test_page_with_the_token_gives_a_cookie_that_is_enough(loop: ConsoleLoop) -> None:
    status, text, cookie = fetch(loop, loop.url.removeprefix(f"http://127.0.0.1:{loop.session._console.port}"))
    assert status == 200
    assert "page_keys" in text or "keydown" in text
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    shown = cookie.split(";")[0]
    for path in ("/", "/web_client.js", "/model?total_bytes"):
        assert fetch(loop, path, Cookie=f"other=1; {shown}")[0] == 200
    with connect(address_of(loop, "/state").split("?")[0], additional_headers={"Cookie": shown}) as page:
        assert page.recv(timeout=10)


def test_request_by_a_rebound_name_is_refused(loop: ConsoleLoop) -> None:
    path = loop.url.removeprefix(f"http://127.0.0.1:{loop.session._console.port}")
    status, text, _ = fetch(loop, path, Host="evil.example:8080")
    assert status == 403
    assert "'evil.example:8080'" in text


def test_page_without_a_token_needs_none() -> None:
    access = PageAccess(None)
    assert access.address("127.0.0.1", 8080) == "http://127.0.0.1:8080/"
    assert access._token.refusal(Request("/", Headers(Host="localhost:8080"))) is None


@pytest.mark.parametrize("path", ["/ui", "/state", "/drop"])
def test_page_of_another_origin_is_refused(loop: ConsoleLoop, path: str) -> None:
    address = address_of(loop, path)
    for stranger in ("http://evil.example", "http://localhost.evil.example:8080", "https://127.0.0.1.evil.example"):
        with pytest.raises(InvalidStatus, match="403"):
            connect(address, origin=Origin(stranger))


def test_page_of_this_machine_is_accepted(loop: ConsoleLoop) -> None:
    address = address_of(loop, "/state") + "&sid=test"
    # Through a tunnel the port is another one.
    with connect(address, origin=Origin("http://localhost:9999")) as page:
        assert page.recv(timeout=10)


def test_announcement_names_the_way_from_another_machine(loop: ConsoleLoop) -> None:
    port = loop.session._console.port
    assert f"ssh -N -L {port}:127.0.0.1:{port}" in loop.session.announcement
    assert loop.url in loop.session.announcement


def test_announcement_needs_no_user_name(loop: ConsoleLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container a user may be a number that has no name."""

    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr(getpass, "getuser", nameless)
    assert "USER@" in loop.session._console.announcement()


def test_rollout_goes_on_without_an_operator_at_the_console(loop: ConsoleLoop) -> None:
    before = loop.counters.env_steps
    wait_until(lambda: loop.counters.env_steps > before + 50, "the policy goes on")
    assert not loop.present()
    assert not any(step.intervened for step in loop.steps)


def test_rollout_goes_on_after_the_console_has_ended(loop: ConsoleLoop) -> None:
    """The last test of the console: it is gone afterwards."""
    loop.session._console._handle.dispatch(messages.ExitEvent())
    wait_until(lambda: not loop.session._console.is_open, "the loop has noticed")
    before = loop.counters.env_steps
    wait_until(lambda: loop.counters.env_steps > before + 50, "the policy goes on")
    time.sleep(0.1)
    assert not loop.operator.done


def test_run_whose_device_is_missing_leaves_no_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    words = ["train", "pick_cube", "--obs", "state", "--operator", "gamepad", "--demonstrations", "1"]
    assert main([*words, "--run-dir", str(run)]) == 1
    assert "gamepad" in capsys.readouterr().err
    assert not run.exists()


def test_discarded_steps_stay_counted_and_can_be_counted_again() -> None:
    counters, resumed = RunCounters(), RunCounters()
    for step in make_episode(0, 5, intervened=(2, 3), camera=False)[:-1]:
        counters.on_step(replace(step, human_seconds=0.25 * step.intervened))
    counters.on_discard(0)
    assert counters.discarded == {"steps": 4, "human_steps": 2, "human_seconds": 0.5}
    resumed.count_discarded(counters.discarded)
    assert (resumed.env_steps, resumed.human_steps, resumed.human_seconds) == (4, 2, 0.5)


def test_documentation_shows_every_key() -> None:
    text = (DOCS / "intervening.md").read_text()
    for key in {*keys_for(ACTION, labels=True), *keys_for(LAYOUTS["fourteen"])}:
        assert f"| {key.label} | {key.meaning} |" in text, f"docs/intervening.md does not have {key.label}"


class FakeConsole(Console):
    """A console without a viewer that keeps the last status."""

    def __init__(self, scene: ConsoleScene) -> None:
        self.reading, self.status = Reading(True), ConsoleStatus()
        self.real_time = self.driven = False
        self.chosen_arm = "left"
        self._scene, self._open = scene, True

    def read(self) -> Reading:
        reading, self.reading = self.reading, Reading(True)
        return reading

    def announcement(self) -> str:
        return ""

    def send(self, message: messages.Message) -> None:
        if isinstance(message, ConsoleStatus):
            self.status = message

    def tick(self) -> None:
        """No time passes."""

    def idle(self) -> None:
        """No time passes."""

    def on_step(self, step: Step, scene_image: Callable[[], np.ndarray | None] = lambda: None) -> None:
        """Nothing is drawn."""


@pytest.mark.parametrize("own", [False, True])
def test_panel_names_the_driven_arm(monkeypatch: pytest.MonkeyPatch, own: bool) -> None:
    if own:
        devices = (ScriptedDevice("left mouse", "left"), ScriptedDevice("right mouse", "right"))
    else:
        devices = (ScriptedDevice("gamepad"),)
    env = ManipulationEnv(TwoArmPickCube())
    model, data = env.simulation.model, mujoco.MjData(env.simulation.model)
    console = FakeConsole(
        ConsoleScene(lambda: (model, data), env.experience.action, lambda _: np.zeros(3), np.zeros(3))
    )
    monkeypatch.setattr(ConsoleSession, "_open_console", lambda *_: console)
    monkeypatch.setattr(console_session, "open_devices", lambda *_: devices)
    session = ConsoleSession(env, Role(), console=ConsoleConfig())
    titles = []
    for command in (Command.SWITCH_ARM, Command.TAKEOVER, Command.SWITCH_ARM, Command.PAUSE):
        console.reading = Reading(True, commands=(command,))
        session.operator.intent()
        session.keep_alive()
        session.say("")
        titles.append(console.status.title)
        facts = dict(console.status.facts)
        assert facts["Arm of the console"] == console.chosen_arm == session.operator.chosen_arm
        assert [facts[f"Arm of the {device.name}"] for device in devices] == [
            device.arm or console.chosen_arm for device in devices
        ]
    driving = ["YOU DRIVE", "YOU DRIVE"] if own else ["YOU DRIVE THE RIGHT ARM", "YOU DRIVE THE LEFT ARM"]
    assert titles == ["THE POLICY DRIVES", *driving, "PAUSED"]
    env.close()


class ScriptedDisplay(ScriptedDevice):
    """A device that keeps what it was told to show."""

    announcement = "Display: here"

    def show(self, control: ControlName, message: str) -> None:
        self.shown = control, message


def test_device_with_a_display_is_announced_and_shows_who_drives(monkeypatch: pytest.MonkeyPatch) -> None:
    env, display = make_sim_env("pick_cube"), ScriptedDisplay("phone")
    scene = env.simulation.model, mujoco.MjData(env.simulation.model)
    console = FakeConsole(ConsoleScene(lambda: scene, env.experience.action, lambda _: np.zeros(3), np.zeros(3)))
    monkeypatch.setattr(ConsoleSession, "_open_console", lambda *_: console)
    monkeypatch.setattr(console_session, "open_devices", lambda *_: (display, ScriptedDevice("gamepad")))
    session = ConsoleSession(env, Role(), console=ConsoleConfig(), device="phone")
    assert session.announcement == f"{console.announcement()}\nDisplay: here"
    for command, control in ((Command.TAKEOVER, "human"), (Command.PAUSE, "paused"), (Command.PAUSE, "human")):
        display.now = Reading(True, commands=(command,))
        session.operator.intent()
        session.say("")
        assert display.shown == (control, "You drive.")
    session.say("Look here.")
    assert display.shown[1] == "Look here."
    env.close()
