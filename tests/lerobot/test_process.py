"""LeRobot's process, with a fake package `lerobot` in a child of this interpreter."""

import contextlib
import sys
import time
from pathlib import Path

import pytest

from hilserl.errors import EnvUnavailableError, HilserlError
from hilserl.lerobot.process import BridgeProcess, Receiver, interpreter, take_flags
from tests.support.lerobot_rig import WORDS, fake_lerobot
from tests.support.loopback import until

PYTHON = Path(sys.executable)


def test_take_flags_leaves_the_other_words() -> None:
    words = ["--port", "5000", "--robot.type", "so101_follower", "--robot", "so101", "--robot.port=/dev/ttyACM0"]
    others, flags = take_flags("robot", words)
    assert others == ["--port", "5000", "--robot", "so101"]
    assert flags == ("robot.type=so101_follower", "robot.port=/dev/ttyACM0")
    for bad in (["--robot.type"], ["--robot.type", "--port"]):
        with pytest.raises(HilserlError, match="needs a value"):
            take_flags("robot", bad)


def test_interpreter_says_how_to_install_lerobot(tmp_path: Path) -> None:
    with pytest.raises(HilserlError, match="pip install 'lerobot"):
        interpreter(None)
    with pytest.raises(HilserlError, match="There is no interpreter"):
        interpreter(tmp_path / "python")
    assert interpreter(PYTHON) == PYTHON


def test_bridge_process_says_that_lerobot_is_missing() -> None:
    with pytest.raises(HilserlError, match=r"LeRobot cannot be imported by .*pip install 'lerobot\[feetech\]"):
        BridgeProcess("robot", PYTHON, WORDS, 50.0)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("robot.type=so102",), "Couldn't find a choice class for 'so102'"),
        ((*WORDS, "robot.speed=3"), "`speed` is not valid"),
        ((*WORDS, "robot.fault_file=/"), "There is no status packet"),
    ],
)
def test_bridge_process_says_why_the_robot_does_not_start(words: tuple[str, ...], reason: str) -> None:
    with fake_lerobot(), pytest.raises(HilserlError, match=reason):
        BridgeProcess("robot", PYTHON, words, 50.0)


def test_bridge_process_measures_and_survives_a_lost_bus(tmp_path: Path) -> None:
    """A lost bus is reported in every cycle, until it answers again."""
    fault = tmp_path / "fault"
    with fake_lerobot():
        process = BridgeProcess("robot", PYTHON, (*WORDS, f"robot.fault_file={fault}"), 50.0)
    with contextlib.closing(process):
        assert (process.info.name, process.info.scene) == ("simulated_so101", "pick_cube")
        assert process.info.calibration["wrist_roll"] == (0, 4095)
        receiver = Receiver(process.control)
        (first, *_) = receiver.newest(5.0)
        assert first["joints"].keys() == set(process.info.commanded)
        assert time.monotonic() - first["time_s"] < 5.0
        fault.touch()
        until(lambda: any("status packet" in each.get("failed", "") for each in receiver.newest(1.0)), "the fault")
        fault.unlink()
        until(lambda: any("joints" in each for each in receiver.newest(1.0)), "a measurement")
        assert process.ask()["truth"]["success"] is False
        with pytest.raises(EnvUnavailableError, match="no image"):
            process.image("front")
        process._process.kill()
        with pytest.raises(EOFError):
            until(lambda: receiver.newest(1.0) is None, "the end")
        with pytest.raises(EnvUnavailableError, match="was ended by SIGKILL; restart the server"):
            process.ask()
