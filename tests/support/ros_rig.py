"""ROS master, simulated Franka and the server's backend for it."""

import contextlib
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hilserl_ros1.backend import RosBackend, RosSettings
from hilserl_ros1.messages import DEBIAN
from hilserl_ros1.options import RosOptions

from hilserl.robot.control.limits import Box, Limits
from hilserl.sim.robot_models.panda import HOME_JOINTS_RAD
from tests.support.loopback import free_port, until

HERE = Path(__file__).parent


@dataclass
class SimulatedFranka:
    """Connection to the simulated robot itself."""

    port: int
    """Port of the node's own protocol."""

    def ask(self, what: str, **given: Any) -> Any:
        """Call a method of the node and return its result."""
        with socket.create_connection(("127.0.0.1", self.port)) as line, line.makefile("rw") as words:
            words.write(json.dumps({"do": what, **given}) + "\n")
            words.flush()
            return json.loads(words.readline())


@dataclass
class RosSystem:
    """Running ROS master with a simulated robot."""

    franka: SimulatedFranka
    """The robot."""
    environment: dict[str, str] = field(repr=False)
    """Environment variables of programs in this system."""


def skip_without_ros() -> None:
    """Skip the test if ROS is not installed."""
    missing = [name for name in ("rosmaster", "roslaunch") if shutil.which(name) is None]
    if importlib.util.find_spec("rospy") is None and not (DEBIAN / "rospy").is_dir():
        missing.append("rospy")
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed; `make test-ros` installs them")


@contextlib.contextmanager
def ros_system() -> Iterator[RosSystem]:
    """Start a ROS master and a simulated Franka."""
    skip_without_ros()
    with tempfile.TemporaryDirectory() as home, contextlib.ExitStack() as stack:
        master, port = free_port(), free_port()
        environment = {
            **os.environ,
            "ROS_MASTER_URI": f"http://127.0.0.1:{master}",
            "ROS_IP": "127.0.0.1",
            "ROS_HOME": home,
            "ROS_PACKAGE_PATH": str(HERE / "ros_package"),
            "FRANKA_PORT": str(port),
        }
        stack.enter_context(_running("rosmaster", "--core", "-p", str(master), port=master, environment=environment))
        node = (sys.executable, str(HERE / "franka_node.py"), str(port))
        stack.enter_context(_running(*node, port=port, environment=environment))
        yield RosSystem(SimulatedFranka(port), environment)


@contextlib.contextmanager
def _running(*command: str, port: int, environment: dict[str, str]) -> Iterator[None]:
    """Run a program that listens on a port."""

    def listens() -> bool:
        assert process.poll() is None, command
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    with subprocess.Popen(command, env=environment) as process:
        try:
            until(listens, " ".join(command))
            yield
        finally:
            process.terminate()


@contextlib.contextmanager
def ros_backend(system: RosSystem | None = None, limits: Limits | None = None, **more: Any) -> Iterator[RosBackend]:
    """Start the backend of a simulated Franka under ROS; `more` replaces settings."""
    with contextlib.ExitStack() as stack:
        system = system or stack.enter_context(ros_system())
        settings = {
            "gripper": "franka",
            "reset_joints_rad": HOME_JOINTS_RAD,
            "robot_ip": "10.0.0.9",
            "options": RosOptions(),
            **more,
        }
        with pytest.MonkeyPatch.context() as patch:
            for name, value in system.environment.items():
                patch.setenv(name, value)
            backend = RosBackend(RosSettings(Box(), limits or Limits(), **settings))
        yield stack.enter_context(contextlib.closing(backend))
