"""Robot servers on real ports, with a client that checks nothing."""

import contextlib
import http.client
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest
from hilserl_ros1.backend import RosBackend

from hilserl.address import Address
from hilserl.robot.control.backend import Backend
from hilserl.robot.control.limits import Box, Limits
from hilserl.robot.drivers.lerobot.backend import LeRobotBackend
from hilserl.robot.drivers.sim.backend import SimBackend, SimSettings
from hilserl.robot.http.server import REQUEST_TIMEOUT_S, RobotServer
from hilserl.sim.robot_models.panda import HOME_JOINTS_RAD
from hilserl.tasks.pick_cube import PickCube
from tests.support.franka_rig import franka_backend
from tests.support.lerobot_rig import SO101_HOME, slow_lerobot_backend
from tests.support.loopback import free_port, until
from tests.support.ros_rig import ros_backend

ANY_PORT = Address("127.0.0.1", 0)
HOME = [0.4, 0.0, 0.3, 1.0, 0.0, 0.0, 0.0]


class Answer(NamedTuple):
    """Answer of a server."""

    status: int
    """HTTP status."""
    body: bytes
    """Raw body."""
    headers: dict[str, str]
    """Headers by name."""

    @property
    def json(self) -> Any:
        """Body, decoded from JSON."""
        return json.loads(self.body)


def ask(port: int, method: str, path: str, body: object = None, *, raw: bytes | None = None, **headers: str) -> Answer:
    """Send one request on a new connection, as `requests.post` does.

    `headers` are written with underscores: `X_Client="a"` is the header X-Client.
    """
    content = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.closing(connection):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, content, {"Content-Type": "application/json", **named})
        answer = connection.getresponse()
        return Answer(answer.status, answer.read(), dict(answer.getheaders()))


class Abilities(NamedTuple):
    """Facts about an arm by which the tests of all arms differ."""

    home: list[float]
    """Pose at home."""
    reach: float = 1.0
    """Size of its workspace, as a factor of a Panda's."""
    stops_within_s: float = 0.2
    """Time from the last pose to a standstill."""
    joints: int = 7
    """Number of joints."""
    senses_wrench: bool = True
    """True if it measures force and torque."""
    takes_torques: bool = True
    """True for an arm with an impedance; False for one whose servos take positions."""
    turns: bool = True
    """True if the tool follows every turn."""


FRANKA = Abilities(HOME)


@dataclass
class Rig:
    """Backend behind a server."""

    backend: Backend
    """The arm."""
    port: int
    """Port of the server."""
    abilities: Abilities = FRANKA
    """Facts about the arm."""

    def at(self, x: float, y: float, z: float) -> list[float]:
        """Return a pose from home, in metres of a Panda's workspace."""
        shift = self.abilities.reach * (np.array([x, y, z]) - HOME[:3])
        return [*(np.array(self.abilities.home[:3]) + shift).tolist(), *self.abilities.home[3:]]

    def post(self, path: str, body: object = None, **more: Any) -> Answer:
        """Send a POST request."""
        return ask(self.port, "POST", path, body, **more)

    def get(self, path: str, **more: Any) -> Answer:
        """Send a GET request."""
        return ask(self.port, "GET", path, **more)

    def state(self) -> dict[str, Any]:
        """Return the answer of /getstate."""
        return self.post("/getstate").json

    def time_s(self) -> float:
        """Return the time on the arm's clock."""
        return self.get("/health").json["time_s"]

    def drive(self, pose: list[float], within_s: float = 20.0, near_m: float = 0.004, **headers: str) -> np.ndarray:
        """Send a pose again and again until the tool is there.

        The time limit counts on the arm's clock.
        """
        begun_s, now = self.time_s(), None
        while self.time_s() - begun_s < within_s:
            answer = self.post("/pose", {"arr": pose}, **headers)
            assert (answer.status, answer.body) == (200, b"Moved"), answer
            state = self.post("/getstate")
            if state.status == 503:
                continue  # on a crowded machine the arm's loop may be silent for a moment
            now = np.array(state.json["pose"])
            if np.linalg.norm(now[:3] - pose[:3]) < near_m:
                return now
        raise AssertionError(f"The tool did not reach {pose} within {within_s} s; it is at {now}.")

    def home(self) -> None:
        """Bring the arm home, in impedance, with open gripper and free lease."""
        self.post("/recover")
        self.post("/startimp")
        until(self._stands_at_home, "the arm standing at home")
        self.post("/open_gripper")
        self.post("/release")

    def _stands_at_home(self) -> bool:
        """Drive home once more; an arm that passes home while it moves would stop centimetres beyond."""
        home, size = self.abilities.home, 7 if self.abilities.turns else 3
        is_home = np.allclose(self.drive(home)[:size], home[:size], atol=0.005)
        return is_home and bool(np.linalg.norm(self.backend.snapshot().velocity[:3]) < 0.02)


@contextlib.contextmanager
def sim_backend(limits: Limits | None = None, **more: Any) -> Iterator[SimBackend]:
    """Start the backend of a simulated arm; `more` replaces settings."""
    settings = {"task": PickCube(), "gripper": "franka", "reset_joints_rad": HOME_JOINTS_RAD, **more}
    with contextlib.closing(SimBackend(SimSettings(Box(), limits or Limits(), **settings))) as backend:
        yield backend


@contextlib.contextmanager
def serving(
    backend: Backend,
    token: str | None = None,
    port: int = 0,
    request_timeout_s: int = REQUEST_TIMEOUT_S,
    abilities: Abilities | None = None,
) -> Iterator[Rig]:
    """Start a server in front of a backend."""
    with RobotServer(backend, ANY_PORT._replace(port=port), token, request_timeout_s) as server:
        yield Rig(backend, server.address.port, abilities or _abilities(backend))


def _abilities(backend: Backend) -> Abilities:
    if isinstance(backend, LeRobotBackend):
        home = SO101_HOME.tolist()
        return Abilities(home, 0.3, 0.5, 5, senses_wrench=False, takes_torques=False, turns=False)
    # Under ROS the controller's filter of set points and the robot's state are slow.
    return FRANKA._replace(stops_within_s=0.6) if isinstance(backend, RosBackend) else FRANKA


@contextlib.contextmanager
def running_robot_server() -> Iterator[int]:
    """Run `hilserl robot-server` until Ctrl-C and yield its port."""
    port = free_port()
    command = [sys.executable, "-m", "hilserl", "robot-server", "--backend", "sim", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert f"127.0.0.1:{port}" in process.stdout.readline()
            yield port
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


OpenBackend = Callable[[], contextlib.AbstractContextManager[Backend]]
"""Starts an arm, which ends with the context."""
BACKENDS: dict[str, OpenBackend] = {
    "sim": sim_backend,
    "libfranka": franka_backend,
    "ros": ros_backend,
    "lerobot": slow_lerobot_backend,
}
"""Arms of the tests in tests/robot/http. A further arm must pass them; one of another package comes by `--arm`."""
MARKS = {"ros": pytest.mark.ros}
