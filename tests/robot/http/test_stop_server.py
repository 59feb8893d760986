"""A stop gets through whatever else the server is asked for."""

import contextlib
import socket
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from hilserl.robot.control.backend import Mode
from hilserl.robot.drivers.sim.backend import SimBackend
from hilserl.robot.http.stop_server import MAX_CONNECTIONS
from tests.support.loopback import until
from tests.support.robot_rig import HOME, Rig, ask, serving


@pytest.fixture
def moving(sim_rig: Rig) -> Iterator[Rig]:
    """An arm that is on its way."""
    sim_rig.home()
    sim_rig.post("/pose", {"arr": [0.5, 0.1, 0.2, 1, 0, 0, 0]})
    yield sim_rig
    sim_rig.post("/recover")


def stop_port(rig: Rig) -> int:
    return rig.get("/health").json["stop_port"]


def check_stopped(rig: Rig, reason: str) -> None:
    assert rig.backend.snapshot().mode == Mode.HALTED
    assert reason in rig.backend.snapshot().halted_by
    assert rig.post("/pose", {"arr": HOME}).status == 409


def test_stop_port_stops_the_arm(moving: Rig) -> None:
    answer = ask(stop_port(moving), "POST", "/stop", {"reason": "a hand in the way"}, X_Client="anna")
    assert (answer.status, answer.json) == (200, {"stopped": True})
    check_stopped(moving, "stopped by anna: a hand in the way")


@pytest.mark.parametrize("body", [b"", b"junk", b"{", b'{"reason": 5}', b'{"reason": "' + b"x" * 300 + b'"}'])
def test_stop_with_any_body_stops_the_arm(moving: Rig, body: bytes) -> None:
    for port in (stop_port(moving), moving.port):
        moving.post("/recover")
        assert ask(port, "POST", "/stop", raw=body).status == 200
        check_stopped(moving, "stopped by 127.0.0.1: no reason")


def test_stop_port_gives_way_to_new_connections(moving: Rig) -> None:
    """Hundreds of connections that send one byte keep no stop out, on either port."""
    with contextlib.ExitStack() as lines:
        for port in (stop_port(moving), moving.port):
            for _ in range(MAX_CONNECTIONS + 50):
                line = lines.enter_context(socket.create_connection(("127.0.0.1", port)))
                with contextlib.suppress(OSError):
                    line.sendall(b"P")
        assert ask(stop_port(moving), "POST", "/stop", {"reason": "crowd"}).status == 200
        check_stopped(moving, "crowd")


def test_stop_passes_clients_that_ask_for_images_and_states(moving: Rig) -> None:
    ended = threading.Event()

    def ask_on(path: str, method: str) -> None:
        while not ended.is_set():
            with contextlib.suppress(OSError):
                ask(moving.port, method, path)

    asked = [("/cameras/front.npy", "GET"), ("/getstate", "POST")] * 10
    threads = [threading.Thread(target=ask_on, args=each, daemon=True) for each in asked]
    for thread in threads:
        thread.start()
    try:
        assert ask(stop_port(moving), "POST", "/stop", {"reason": "load"}).status == 200
        halted = moving.backend.snapshot()
        assert halted.mode == Mode.HALTED
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    # No pose was taken after it.
    assert np.array_equal(moving.backend.snapshot().set_point, halted.set_point)


def test_stop_port_checks_token_page_and_route(backend: SimBackend) -> None:
    with serving(backend, "secret") as rig:
        port = rig.get("/health", Authorization="Bearer secret").json["stop_port"]
        assert ask(port, "POST", "/stop").status == 401
        assert ask(port, "POST", "/stop", Authorization="Bearer wrong").status == 401
        assert ask(port, "POST", "/stop", Authorization="Bearer secret", Origin="http://evil.example").status == 403
        assert ask(port, "POST", "/stop", Authorization="Bearer secret", Host="evil.example").status == 403
        assert ask(port, "GET", "/stop", Authorization="Bearer secret").status == 404
        assert ask(port, "POST", "/pose", Authorization="Bearer secret").status == 404
        assert ask(port, "POST", "/stop", raw=b" " * 10_000, Authorization="Bearer secret").status == 413
        assert backend.snapshot().mode != Mode.HALTED


def test_stop_port_survives_junk(moving: Rig) -> None:
    rng, port = np.random.default_rng(0), stop_port(moving)
    for junk in (b"\0" * 100, b"POST /stop HTTP/9.9\r\n\r\n", b"\r\n" * 9, b"x" * 9000, rng.bytes(400)):
        with socket.create_connection(("127.0.0.1", port)) as line, contextlib.suppress(OSError):
            line.sendall(junk)
            line.settimeout(10)
            line.recv(100)
    assert ask(port, "POST", "/stop").status == 200


def test_server_ends_with_its_stop(backend: SimBackend) -> None:
    """A supervisor restarts a server that could not be stopped any more."""
    from hilserl.robot.http.server import RobotServer
    from tests.support.robot_rig import ANY_PORT

    with RobotServer(backend, ANY_PORT) as server:
        assert server.is_serving
        assert server._stop is not None
        server._stop._process.kill()
        until(lambda: not server.is_serving, "the end")
