"""The console without a page: who may reach it, and what happens when it is not there."""

import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from mujoco.studio import messages
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from hilserl.cli.main import main
from hilserl.errors import HilserlError
from hilserl.operators.console import viewers
from hilserl.operators.devices.key_map import keys_for
from hilserl.runs.counters import RunCounters
from tests.support.console_page import Loop, wait_until
from tests.support.layouts import ACTION, LAYOUTS
from tests.support.steps import make_episode

DOCS = Path(__file__).parents[3] / "docs"


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    """One for all: a process can open only one console."""
    loop = Loop(drives=False, obs="state")
    yield loop
    loop.close()


def test_it_listens_on_loopback_only(loop: Loop) -> None:
    port = loop.station._console.port
    with socket.create_connection(("127.0.0.1", port), 5):
        pass
    # Another loopback address: a socket that listens everywhere would answer there.
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port), 5)


@pytest.mark.parametrize("path", ["/ui", "/state", "/drop"])
def test_a_page_of_another_origin_is_refused(loop: Loop, path: str) -> None:
    address = loop.url.replace("http", "ws").rstrip("/") + path
    for stranger in ("http://evil.example", "http://localhost.evil.example:8080", "https://127.0.0.1.evil.example"):
        with pytest.raises(InvalidStatus, match="403"):
            connect(address, origin=stranger)


def test_a_page_of_this_machine_is_welcome(loop: Loop) -> None:
    address = loop.url.replace("http", "ws") + "state?sid=test"
    # Through a tunnel the port is another one.
    with connect(address, origin="http://localhost:9999") as page:
        assert page.recv(timeout=10)


def test_the_announcement_says_how_to_get_there_from_another_machine(loop: Loop) -> None:
    port = loop.station._console.port
    assert f"ssh -N -L {port}:127.0.0.1:{port}" in loop.station.announcement
    assert loop.url in loop.station.announcement


def test_a_taken_port_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(HilserlError, match=rf"{port}.*--console\.port"):
            viewers.open_web(port, [])


def test_a_window_without_a_display_is_refused(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    simulation = loop.env.simulation
    with pytest.raises(HilserlError, match=r"--console\.view web"):
        viewers.open_native(simulation.model, simulation.data, [])


def test_nobody_at_the_console_changes_nothing(loop: Loop) -> None:
    before = loop.tally.env_steps
    wait_until(lambda: loop.tally.env_steps > before + 50, "the policy goes on")
    assert not loop.present()
    assert not any(step.intervened for step in loop.steps)


def test_a_console_that_ends_leaves_the_run_alone(loop: Loop) -> None:
    """The last of these tests: the console is gone after it."""
    loop.station._console._handle.dispatch(messages.ExitEvent())
    wait_until(lambda: not loop.station._console.is_open, "the loop has noticed")
    before = loop.tally.env_steps
    wait_until(lambda: loop.tally.env_steps > before + 50, "the policy goes on")
    time.sleep(0.1)
    assert not loop.person.done


def test_a_run_whose_device_is_missing_leaves_no_directory(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    run = tmp_path / "run"
    words = ["train", "pick_cube", "--obs", "state", "--operator", "gamepad", "--demonstrations", "1"]
    assert main([*words, "--run-dir", str(run)]) == 1
    assert "gamepad" in capsys.readouterr().err
    assert not run.exists()


def test_discarded_steps_stay_counted_and_can_be_counted_again() -> None:
    tally, resumed = RunCounters(), RunCounters()
    for step in make_episode(0, 5, intervened=(2, 3), camera=False)[:-1]:
        tally.on_step(replace(step, human_seconds=0.25 * step.intervened))
    tally.on_discard(0)
    assert tally.discarded == {"steps": 4, "human_steps": 2, "human_seconds": 0.5}
    resumed.count_discarded(tally.discarded)
    assert (resumed.env_steps, resumed.human_steps, resumed.human_seconds) == (4, 2, 0.5)


def test_the_documentation_shows_the_keys_that_there_are() -> None:
    text = (DOCS / "intervening.md").read_text()
    for key in {*keys_for(ACTION, labels=True), *keys_for(LAYOUTS["fourteen"])}:
        assert f"| {key.label} | {key.meaning} |" in text, f"docs/intervening.md does not have {key.label}"
