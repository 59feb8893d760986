"""The command line of the robot server, and its words on the terminal."""

import signal
import subprocess
import sys
from contextlib import suppress

import numpy as np
import pytest

from hilserl.cli import robot_server
from hilserl.cli.main import main
from hilserl.cli.robot_arms import RobotServerArguments
from hilserl.cli.robot_server import parsed
from tests.support.hil_serl_client import ReferenceClient, pose_of
from tests.support.loopback import free_port, until
from tests.support.robot_rig import ask


def test_client_hil_serl_has_a_longer_watchdog_unless_one_is_given() -> None:
    assert parsed(["--backend", "sim"]).limits == RobotServerArguments("sim").limits
    assert parsed(["--backend", "sim", "--client", "hil-serl"]).limits.watchdog_s == 2.0
    given = parsed(["--backend", "sim", "--client", "hil-serl", "--watchdog-s", "0.12", "--max-step-m", "0.01"])
    assert (given.limits.watchdog_s, given.limits.max_step_m) == (0.12, 0.01)


def test_client_hil_serl_cannot_reach_a_real_arm_with_a_token(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["robot-server", "--backend", "libfranka", "--client", "hil-serl"]) == 1
    assert "--no-token" in capsys.readouterr().err
    assert parsed(["--backend", "ros", "--client", "hil-serl", "--no-token"]).backend == "ros"


@pytest.mark.parametrize(
    ("backend", "task", "reason"),
    [
        ("sim", "flip_object", "driven by forces"),
        ("ros", "flip_object", "driven by forces"),
        ("libfranka", "handover", "one arm"),
        ("ros", "handover", "one arm"),
    ],
)
def test_robot_server_refuses_what_it_cannot_serve_before_anything_starts(
    backend: str, task: str, reason: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(robot_server, "open_backends", lambda *_: pytest.fail("an arm was opened"))
    assert main(["robot-server", "--backend", backend, "--task", task, "--no-token"]) == 1
    assert reason in capsys.readouterr().err


def test_robot_server_of_the_handover_has_an_address_for_each_arm() -> None:
    """Both arms walk in one world, each by the ordinary protocol in the frame of its base."""
    port = free_port()
    command = [sys.executable, "-m", "hilserl", "robot-server", "--backend", "sim", "--task", "handover"]
    with subprocess.Popen([*command, "--port", str(port)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            told = [process.stdout.readline() for _ in range(4)]
            ports = [int(line.rpartition(":")[2].split(".")[0]) for line in told[::2]]
            assert [line.split(" is at ")[0] for line in told[::2]] == [
                f"The simulated {side} arm of handover" for side in ("left", "right")
            ]
            before = [_pose(each) for each in ports]
            for each, pose in zip(ports, before, strict=True):
                _walk(each, [pose[0] + 0.05, pose[1] + 0.03, pose[2], 1.0, 0.0, 0.0, 0.0])
            for each, pose in zip(ports, before, strict=True):
                assert np.allclose(_pose(each)[:3], pose[:3] + np.array([0.05, 0.03, 0.0]), atol=0.01)
            truths = [ask(each, "GET", "/sim/truth").json for each in ports]
            assert np.allclose(truths[0]["qpos"], truths[1]["qpos"], atol=0.02)
            assert len(truths[0]["expert_way"]) == 14
            assert ask(ports[0], "POST", "/stop", {"reason": "a hand"}).status == 200
            modes = [ask(each, "GET", "/health").json["mode"] for each in ports]
            assert modes == ["halted", "impedance"]
            assert ask(ports[1], "GET", "/cameras/left_wrist.npy").status == 200
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


def _pose(port: int) -> np.ndarray:
    return np.array(ask(port, "POST", "/getstate").json["pose"])


def _walk(port: int, goal: list[float]) -> None:
    def is_there() -> bool:
        assert ask(port, "POST", "/pose", {"arr": goal}).status == 200
        return bool(np.linalg.norm(_pose(port)[:3] - goal[:3]) < 0.003)

    until(is_there, "the walk")


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
