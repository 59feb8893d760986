"""The command line of the robot server, and its words on the terminal."""

import subprocess
import sys
from contextlib import suppress

import pytest

from hilserl.cli.main import main
from hilserl.cli.robot_arms import RobotServerArguments
from hilserl.cli.robot_server import parsed
from tests.support.hil_serl_client import ReferenceClient, pose_of
from tests.support.loopback import free_port


def test_client_hil_serl_has_a_longer_watchdog_unless_one_is_given() -> None:
    assert parsed(["--backend", "sim"]).limits == RobotServerArguments("sim").limits
    assert parsed(["--backend", "sim", "--client", "hil-serl"]).limits.watchdog_s == 2.0
    given = parsed(["--backend", "sim", "--client", "hil-serl", "--watchdog-s", "0.12", "--max-step-m", "0.01"])
    assert (given.limits.watchdog_s, given.limits.max_step_m) == (0.12, 0.01)


def test_client_hil_serl_cannot_reach_a_real_arm_with_a_token(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["robot-server", "--backend", "libfranka", "--client", "hil-serl"]) == 1
    assert "--no-token" in capsys.readouterr().err
    assert parsed(["--backend", "ros", "--client", "hil-serl", "--no-token"]).backend == "ros"


def test_robot_server_warns_of_a_pose_that_was_not_reached() -> None:
    port = free_port()
    command = [sys.executable, "-m", "hilserl", "robot-server", "--backend", "sim", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            for _ in range(2):
                process.stdout.readline()
            ReferenceClient(port).go_to_reset_at_once(pose_of([0.55, 0.2, 0.15], 0.0), sleep_s=0.0)
            assert "Warning: The watchdog held the tool" in process.stdout.readline()
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
