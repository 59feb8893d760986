"""The HTTP server: access, broken requests, its start and its end."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from waitress.channel import HTTPChannel
from waitress.server import create_server

from hilserl.address import Address
from hilserl.cli.main import main
from hilserl.errors import HilserlError
from hilserl.robot.drivers.sim.backend import SimBackend
from hilserl.robot.http.server import MAX_CONNECTIONS_OF_AN_ADDRESS, RobotServer, check_listening, make_app
from tests.support.loopback import free_port, until
from tests.support.robot_rig import ANY_PORT, HOME, Rig, ask, running_robot_server, serving, sim_backend


def test_check_listening_demands_a_token_outside_loopback() -> None:
    check_listening(Address("127.0.0.1", 5000), None)
    check_listening(Address("0.0.0.0", 5000), "secret")
    for host in ("0.0.0.0", "192.168.1.2", "robot.example.org", "::"):
        with pytest.raises(HilserlError, match="HILSERL_TOKEN"):
            check_listening(Address(host, 5000), None)


def test_server_demands_its_token(backend: SimBackend) -> None:
    with serving(backend, "secret") as rig:
        wrong: list[dict[str, Any]] = [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "secret"}]
        for shown in wrong:
            for method, path in (("POST", "/getstate"), ("POST", "/pose"), ("GET", "/health"), ("GET", "/nothing")):
                refused = ask(rig.port, method, path, **shown)
                assert refused.status == 401
                assert "Bearer" in refused.json["error"]
        assert rig.post("/getstate", Authorization="Bearer secret").status == 200
        assert rig.post("/pose", {"arr": HOME}, Authorization="Bearer secret").status == 200


def test_server_refuses_an_open_or_taken_address(backend: SimBackend) -> None:
    with pytest.raises(HilserlError, match="HILSERL_TOKEN"):
        RobotServer(backend, ANY_PORT._replace(host="0.0.0.0"))
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(HilserlError, match="Cannot listen"):
        RobotServer(backend, ANY_PORT._replace(port=taken.getsockname()[1]))


def test_server_refuses_web_pages(sim_rig: Rig) -> None:
    """A browser sends such requests even if the page never sees the answer."""
    before = sim_rig.backend.snapshot().set_point
    answer = sim_rig.post("/pose", {"arr": [0.5, 0, 0.2, 1, 0, 0, 0]}, Origin="http://evil.example")
    assert answer.status == 403
    assert np.array_equal(sim_rig.backend.snapshot().set_point, before)


def test_server_refuses_large_requests_and_unknown_routes(sim_rig: Rig) -> None:
    assert sim_rig.post("/pose", raw=b" " * 20_000).status == 413
    assert sim_rig.post("/getstate", X_Client="x" * 20_000).status in (400, 431)
    for method, path in (("POST", "/nothing"), ("GET", "/"), ("POST", "/../../etc/passwd")):
        answer = ask(sim_rig.port, method, path)
        assert answer.status == 404
        assert "error" in answer.json
    assert sim_rig.post("/getstate").status == 200


def test_server_survives_junk(sim_rig: Rig) -> None:
    rng = np.random.default_rng(0)
    for junk in (
        b"\0" * 100,
        b"POST /pose HTTP/9.9\r\n\r\n",
        b"POST /pose HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"\r\n",
    ):
        with socket.create_connection(("127.0.0.1", sim_rig.port)) as line:
            line.sendall(junk + rng.bytes(200))
    with socket.create_connection(("127.0.0.1", sim_rig.port)) as line:
        line.sendall(b"POST /pose HTTP/1.1\r\nContent-Length: 60\r\n\r\n{")
    assert sim_rig.post("/getstate").status == 200


def test_routes_survive_random_bodies(sim_rig: Rig) -> None:
    """Any body on any route gets an answer of the right kind; the arm stays finite and in its box."""
    rng = np.random.default_rng(3)
    words = ["arr", "gripper_pos", "mass", "translational_stiffness", "seed", "home", "reason", "x"]
    values = [
        "1",
        "-1e300",
        "1e308",
        "null",
        "true",
        '"a"',
        "[]",
        "{}",
        "[1,2,3,4,5,6,7]",
        "[0,0,0,1e308,0,0,1]",
        "NaN",
    ]
    routes = [
        "pose",
        "move_gripper",
        "set_load",
        "update_param",
        "stop",
        "recover",
        "sim/reset",
        "sim/reflex",
        "release",
    ]
    low, high = np.array(sim_rig.backend.box.low_m), np.array(sim_rig.backend.box.high_m)
    for _ in range(250):
        body = "{" + ",".join(f'"{rng.choice(words)}":{rng.choice(values)}' for _ in range(rng.integers(0, 3))) + "}"
        if rng.random() < 0.2:
            body = body[: rng.integers(0, len(body))] + str(rng.bytes(3))
        answer = sim_rig.post(f"/{rng.choice(routes)}", raw=body.encode())
        assert answer.status in (200, 400, 409), (body, answer)
        now = sim_rig.backend.snapshot()
        assert np.isfinite(now.pose).all()
        assert ((now.pose[:3] > low - 0.015) & (now.pose[:3] < high + 0.015)).all()


def test_server_hangs_up_on_clients_that_dribble(sim_rig: Rig) -> None:
    with serving(sim_rig.backend, request_timeout_s=1) as impatient, contextlib.ExitStack() as lines:
        slow = [lines.enter_context(socket.create_connection(("127.0.0.1", impatient.port))) for _ in range(30)]
        head = b"POST /pose HTTP/1.1\r\nContent-Length: 5000\r\n\r\n"
        sent = 0
        closed: set[int] = set()

        def dribble() -> bool:
            nonlocal sent
            for number, line in enumerate(slow):
                try:
                    line.sendall(head[sent : sent + 1] or b" ")
                    line.settimeout(0.0)
                    if line.recv(1) == b"":
                        closed.add(number)
                except BlockingIOError:
                    pass
                except OSError:
                    closed.add(number)
            sent += 1
            assert impatient.post("/getstate").status == 200
            return len(closed) == len(slow)

        until(dribble, "the end of all slow connections")


def test_server_keeps_connections(sim_rig: Rig) -> None:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", sim_rig.port, timeout=60)) as line:
        for _ in range(20):
            line.request("POST", "/getpos")
            assert line.getresponse().read().startswith(b'{"pose"')


def test_server_outlives_its_arm() -> None:
    with sim_backend() as backend, serving(backend) as rig:
        backend._process.kill()
        until(lambda: rig.post("/getstate").status == 503, "the loss")
        for method, path, body in (
            ("POST", "/pose", {"arr": HOME}),
            ("GET", "/health", None),
            ("GET", "/metrics", None),
        ):
            answer = ask(rig.port, method, path, body)
            assert answer.status == 503
            assert "restart" in answer.json["error"]


def test_server_relies_on_names_that_waitress_has(backend: SimBackend) -> None:
    """The server replaces waitress's channel class and ends its loop through the trigger."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        # Typeshed describes an older version.
        server: Any = create_server(make_app(backend), sockets=[listening])
        assert server.channel_class is HTTPChannel
        assert callable(server.trigger.pull_trigger)
        assert callable(server.task_dispatcher.shutdown)
        assert server.active_channels == {}
        server.task_dispatcher.shutdown()
        server.close()
    assert {"handle_read", "will_close", "last_activity", "request"} <= set(dir(HTTPChannel))


def test_connection_of_an_address_makes_room_for_its_next_one(sim_rig: Rig) -> None:
    with contextlib.ExitStack() as lines:
        for _ in range(2 * MAX_CONNECTIONS_OF_AN_ADDRESS):
            lines.enter_context(socket.create_connection(("127.0.0.1", sim_rig.port))).sendall(b"P")
        assert sim_rig.post("/getstate").status == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:5000", "127.0.0.1.evil.example", ""])
def test_server_refuses_unknown_hosts(sim_rig: Rig, host: str) -> None:
    """A web page can rebind its own name to this machine and read images."""
    for method, path in (("GET", "/cameras/front.png"), ("GET", "/health"), ("POST", "/getstate")):
        assert ask(sim_rig.port, method, path, Host=host).status == 403
    for own in ("localhost", f"127.0.0.1:{sim_rig.port}", "[::1]:80", socket.gethostname()):
        assert ask(sim_rig.port, "GET", "/health", Host=own).status == 200


def test_robot_server_verb_serves_until_it_is_interrupted() -> None:
    with running_robot_server() as port:
        assert ask(port, "POST", "/pose", {"arr": HOME}).body == b"Moved"
    until(lambda: _is_free(port), "the port to be free")


@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
def test_robot_server_verb_ends_with_a_status_when_its_loop_is_lost() -> None:
    """A supervisor starts it again; a server without an arm would answer 503 for ever."""
    command = [sys.executable, "-m", "hilserl", "robot-server", "--backend", "sim", "--port", str(free_port())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
            os.kill(int(child), signal.SIGKILL)
        assert process.wait(60) == 1
        assert "start it again" in process.stderr.read()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_robot_server_verb_refuses_an_open_address_without_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HILSERL_TOKEN", raising=False)
    begun = time.monotonic()
    assert main(["robot-server", "--backend", "sim", "--host", "0.0.0.0"]) == 1
    assert time.monotonic() - begun < 60
