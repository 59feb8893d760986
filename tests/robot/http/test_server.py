"""The server itself and the simulated arm behind it: who may speak, what breaks, and what only a simulation has."""

import contextlib
import http.client
import socket
import time
from collections.abc import Iterator

import numpy as np
import pytest

from hilserl.errors import HilserlError
from hilserl.robot.drivers.sim.backend import SimBackend
from hilserl.robot.http.server import RobotServer
from hilserl.sim.control import MAX_STEP_M
from tests.support.loopback import until
from tests.support.robot_rig import ANY_PORT, HOME, Rig, ask, running_robot_server, serving, sim_backend


@pytest.fixture(scope="module")
def backend() -> Iterator[SimBackend]:
    with sim_backend() as made:
        yield made


@pytest.fixture
def rig(backend: SimBackend) -> Iterator[Rig]:
    with serving(backend) as made:
        made.post("/recover")
        made.post("/startimp")
        yield made


def test_a_token_is_wanted_where_there_is_one(backend: SimBackend) -> None:
    with serving(backend, "secret") as rig:
        for shown in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "secret"}):
            for method, path in (("POST", "/getstate"), ("POST", "/pose"), ("GET", "/health"), ("GET", "/nothing")):
                refused = ask(rig.port, method, path, **shown)
                assert refused.status == 401
                assert "Bearer" in refused.json["error"]
        assert rig.post("/getstate", Authorization="Bearer secret").status == 200
        assert rig.post("/pose", {"arr": HOME}, Authorization="Bearer secret").status == 200


def test_an_address_outside_loopback_is_refused_without_a_token(backend: SimBackend) -> None:
    with pytest.raises(HilserlError, match="HILSERL_TOKEN"):
        RobotServer(backend, ANY_PORT._replace(host="0.0.0.0"))
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(HilserlError, match="Cannot listen"):
        RobotServer(backend, ANY_PORT._replace(port=taken.getsockname()[1]))


def test_a_web_page_cannot_reach_the_arm(rig: Rig) -> None:
    """A browser sends such a request without asking first, be it that the page never sees the answer."""
    before = rig.backend.snapshot().set_point
    answer = rig.post("/pose", {"arr": [0.5, 0, 0.2, 1, 0, 0, 0]}, Origin="http://evil.example")
    assert answer.status == 403
    assert np.array_equal(rig.backend.snapshot().set_point, before)


def test_large_requests_and_unknown_routes(rig: Rig) -> None:
    assert rig.post("/pose", raw=b" " * 20_000).status == 413
    assert rig.post("/getstate", X_Client="x" * 20_000).status in (400, 431)
    for method, path in (("POST", "/nothing"), ("GET", "/"), ("POST", "/../../etc/passwd")):
        answer = ask(rig.port, method, path)
        assert answer.status == 404
        assert "error" in answer.json
    assert rig.post("/getstate").status == 200


def test_what_is_no_http_harms_nobody(rig: Rig) -> None:
    rng = np.random.default_rng(0)
    for junk in (
        b"\0" * 100,
        b"POST /pose HTTP/9.9\r\n\r\n",
        b"POST /pose HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"\r\n",
    ):
        with socket.create_connection(("127.0.0.1", rig.port)) as line:
            line.sendall(junk + rng.bytes(200))
    with socket.create_connection(("127.0.0.1", rig.port)) as line:
        line.sendall(b"POST /pose HTTP/1.1\r\nContent-Length: 60\r\n\r\n{")
    assert rig.post("/getstate").status == 200


def test_random_bodies_never_break_a_route(rig: Rig) -> None:
    """Whatever is sent to whatever route: an answer of the right kind, a finite arm in its box, and no 500."""
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
    low, high = np.array(rig.backend.box.low_m), np.array(rig.backend.box.high_m)
    for _ in range(250):
        body = "{" + ",".join(f'"{rng.choice(words)}":{rng.choice(values)}' for _ in range(rng.integers(0, 3))) + "}"
        if rng.random() < 0.2:
            body = body[: rng.integers(0, len(body))] + str(rng.bytes(3))
        answer = rig.post(f"/{rng.choice(routes)}", raw=body.encode())
        assert answer.status in (200, 400, 409), (body, answer)
        now = rig.backend.snapshot()
        assert np.isfinite(now.pose).all()
        assert ((now.pose[:3] > low - 0.015) & (now.pose[:3] < high + 0.015)).all()


def test_clients_that_dribble_do_not_keep_others_waiting(rig: Rig) -> None:
    with serving(rig.backend, request_timeout_s=1) as patient, contextlib.ExitStack() as lines:
        slow = [lines.enter_context(socket.create_connection(("127.0.0.1", patient.port))) for _ in range(30)]
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
            assert patient.post("/getstate").status == 200
            return len(closed) == len(slow)

        until(dribble, "all of them hung up on")


def test_a_connection_may_be_kept(rig: Rig) -> None:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", rig.port, timeout=60)) as line:
        for _ in range(20):
            line.request("POST", "/getpos")
            assert line.getresponse().read().startswith(b'{"pose"')


def test_the_script_lifts_the_cube_over_http(rig: Rig) -> None:
    """As the environment does: from the measured pose a scaled step, ten times a second on the arm's clock."""
    assert rig.post("/sim/reset", {"seed": 3}).json == {"reset": True}
    low, high = np.array(rig.backend.box.low_m), np.array(rig.backend.box.high_m)
    next_s = rig.time_s()
    for _ in range(80):
        truth = rig.get("/sim/truth").json
        if truth["success"]:
            break
        action = np.array(truth["expert_action"])
        if abs(action[3]) > 0.5:
            rig.post("/open_gripper" if action[3] > 0 else "/close_gripper")
        goal = np.clip(rig.state()["pose"][:3] + MAX_STEP_M * action[:3], low, high)
        rig.post("/pose", {"arr": [*goal.tolist(), 1, 0, 0, 0]})
        next_s += 0.1
        until(lambda: rig.time_s() >= next_s, "the next step")  # noqa: B023 (called at once)
    assert truth["success"], truth
    assert truth["progress"] == pytest.approx(1.0, abs=0.05)
    assert rig.post("/sim/reset", {"seed": 3}).status == 200
    assert rig.get("/sim/truth").json["success"] is False
    assert rig.post("/sim/reset", {"seed": -1}).status == 400


def test_a_reflex_can_be_rehearsed(rig: Rig) -> None:
    assert rig.post("/sim/reflex", {"reason": "cartesian_reflex"}).json == {"halted": True}
    assert rig.get("/health").json["halted_by"] == "reflex: cartesian_reflex"
    assert rig.post("/pose", {"arr": HOME}).status == 409
    assert rig.post("/recover").status == 200


def test_pictures_show_the_arm_where_it_is(rig: Rig) -> None:
    def picture() -> np.ndarray:
        return rig.backend.image("front", 64, 64)[0].astype(int)

    rig.post("/sim/reset", {"seed": 1})
    first = picture()
    rig.post("/sim/reset", {"seed": 1})
    assert np.abs(picture() - first).max() <= 2
    rig.drive([0.5, 0.2, 0.2, 1, 0, 0, 0])
    assert np.abs(picture() - first).max() > 50


def test_a_server_outlives_its_arm() -> None:
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


def test_settings_that_make_no_arm_are_explained() -> None:
    with pytest.raises(HilserlError, match="reset posture"), sim_backend(reset_joints_rad=(9.0,) * 7):
        pass


def test_the_verb_serves_until_it_is_interrupted() -> None:
    with running_robot_server() as port:
        assert ask(port, "POST", "/pose", {"arr": HOME}).body == b"Moved"
    until(lambda: _refused(port), "the port to be free")


def _refused(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_the_verb_refuses_the_world_without_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    from hilserl.cli.main import main

    monkeypatch.delenv("HILSERL_TOKEN", raising=False)
    begun = time.monotonic()
    assert main(["robot-server", "--backend", "sim", "--host", "0.0.0.0"]) == 1
    assert time.monotonic() - begun < 60
