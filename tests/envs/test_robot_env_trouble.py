"""The environment of an arm where what answers is no robot server, and where the way home ends early."""

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from unittest.mock import MagicMock

import pytest

from hilserl.envs.robot_env import RobotEnv
from hilserl.errors import HilserlError
from hilserl.interrupt import Interrupt
from hilserl.operators.config import ConsoleConfig
from hilserl.operators.console.session import ConsoleSession
from hilserl.operators.human import Role
from hilserl.robot.client.config import RobotConfig
from hilserl.robot.client.homing import Homing
from hilserl.robot.control.backend import ArmStateError
from hilserl.tasks.pick_cube import PickCube
from tests.support.robot_rig import Rig, serving, sim_backend


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with sim_backend() as backend, serving(backend) as made:
        yield made


def stiffness(rig: Rig) -> float:
    return rig.get("/limits").json["compliance"]["translational_stiffness"]


def test_precision_does_not_stay_for_the_episode(rig: Rig) -> None:
    """Nor where the episode's own settings are others."""
    usual = stiffness(rig)
    config = RobotConfig(
        f"http://127.0.0.1:{rig.port}",
        compliance={"rotational_stiffness": 100.0},
        precision={"translational_stiffness": 2500.0},
    )
    with contextlib.closing(RobotEnv(PickCube(), config)) as env:
        env.reset(seed=0)
        assert stiffness(rig) == usual
        assert rig.get("/limits").json["compliance"]["rotational_stiffness"] == 100


def test_precision_does_not_stay_after_an_interrupted_way_home(rig: Rig) -> None:
    usual = stiffness(rig)
    config = RobotConfig(f"http://127.0.0.1:{rig.port}", precision={"translational_stiffness": 2600.0})
    with contextlib.closing(RobotEnv(PickCube(), config)) as env:
        env._homing = Homing(env._client, config.reset_speed_m_per_s, near_m=0.0, patience_s=0.1)
        with pytest.raises(ArmStateError, match="did not reach"):
            env.reset(seed=0)
        assert stiffness(rig) == usual


@pytest.mark.parametrize("page", [b"<html>Welcome!</html>", b"[]", b'{"status": "ok"}', b"\xff"])
def test_foreign_server_is_named(page: bytes) -> None:
    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Log nothing."""

    with HTTPServer(("127.0.0.1", 0), Other) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        env = RobotEnv(PickCube(), RobotConfig(f"http://127.0.0.1:{server.server_port}"))
        with contextlib.closing(env), pytest.raises(HilserlError, match=r"127\.0\.0\.1.* is not a robot server"):
            env.reset(seed=0)
        server.shutdown()


def test_ctrl_c_ends_waiting_for_the_scene(monkeypatch: pytest.MonkeyPatch) -> None:
    console = MagicMock()
    console.return_value.announcement.return_value = "The console."
    monkeypatch.setattr(ConsoleSession, "_open_console", console)
    interrupt = Interrupt()
    env = RobotEnv(PickCube(), RobotConfig("http://127.0.0.1:9"))
    session = ConsoleSession(env, Role(), console=ConsoleConfig())
    with contextlib.closing(env), session.active(interrupt):
        asking = threading.Thread(target=env.scene_setup.wait, daemon=True)
        asking.start()
        asking.join(0.3)
        assert asking.is_alive()
        interrupt.requested = True
        asking.join(20)
        assert not asking.is_alive()
