"""ROS programs that the server starts and ends."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hilserl_ros1.options import RosOptions

from hilserl.errors import HilserlError
from tests.support.loopback import free_port, until
from tests.support.robot_rig import HOME, ask
from tests.support.ros_rig import RosSystem, ros_backend

pytestmark = pytest.mark.ros


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_programs_end_with_the_server(quiet_system: RosSystem, end: signal.Signals) -> None:
    port, franka = free_port(), quiet_system.franka
    command = [sys.executable, "-m", "hilserl", "robot-server", "--backend", "ros", "--port", str(port)]
    command += ["--gripper", "none", "--robot-ip", "10.0.0.9", "--no-token"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=quiet_system.environment) as process:
        try:
            assert process.stdout is not None
            assert f"127.0.0.1:{port}" in process.stdout.readline()
            assert ask(port, "POST", "/pose", {"arr": HOME}).body == b"Moved"
            assert franka.ask("tell")["launched"][-1] == ["impedance", "10.0.0.9", "false"]
        finally:
            process.send_signal(end)
    assert process.returncode == (0 if end == signal.SIGINT else -end)
    until(lambda: franka.ask("tell")["controller"] == "", "the end of the controller")


def test_backend_names_what_is_missing(quiet_system: RosSystem, tmp_path: Path) -> None:
    closed = f"http://127.0.0.1:{free_port()}"
    no_packages = RosSystem(quiet_system.franka, quiet_system.environment | {"ROS_PACKAGE_PATH": str(tmp_path)})
    for system, options, why in (
        (quiet_system, RosOptions(master_uri=closed), f"No ROS master answers at {closed}.*roscore"),
        (quiet_system, RosOptions(environment="/no/env.sh"), r"setup\.bash"),
        (no_packages, RosOptions(), "impedance.*ended with status 1"),
    ):
        with pytest.raises(HilserlError, match=why), ros_backend(system, options=options):
            pass
