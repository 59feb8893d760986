"""Backends of other packages, found by their entry points."""

import importlib.metadata
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hilserl.cli.main import main

BACKEND = """
from dataclasses import dataclass
from hilserl.errors import HilserlError
from hilserl.robot.backends import BackendOptions

@dataclass(frozen=True)
class Options(BackendOptions):
    speed: int = 1

    def open(self, arm):
        raise HilserlError(f"asked for {arm.robot_ip}, {arm.gripper}, {arm.limits.max_step_m}, {self.speed}")
"""


@pytest.fixture
def others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installed package `others` with the backend `other`; yields the file of its code."""
    info = tmp_path / "others-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: others\nVersion: 1.0\n")
    name(info, "other_arm:Options")
    (tmp_path / "other_arm.py").write_text(BACKEND)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path / "other_arm.py"
    sys.modules.pop("other_arm", None)


def name(info: Path, target: str) -> None:
    """Make a class the backend `other`."""
    (info / "entry_points.txt").write_text(f"[hilserl.backends]\nother = {target}\n")


def serve(*words: str) -> int | str | None:
    """Serve the arm, and return the exit status."""
    try:
        return main(["robot-server", "--backend=other", "--port", "0", *words])
    except SystemExit as end:
        return end.code


@pytest.mark.usefixtures("others")
def test_backend_of_another_package_gets_its_flags_and_the_server_s(capsys: pytest.CaptureFixture[str]) -> None:
    serve("--other.speed", "3", "--max-step-m", "0.01", "--client", "hil-serl", "--no-token")
    assert capsys.readouterr().err == "hilserl: asked for 172.16.0.2, None, 0.01, 3\n"
    assert serve("--help-all") == 0
    assert "--other.speed INT" in capsys.readouterr().out


@pytest.mark.usefixtures("others")
@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--other.speed", "fast"), "--other.speed"),
        (("--other.colour", "3"), "--other.colour"),
        (("--robot", "so101"), "--robot belongs to --backend lerobot; --backend other drives a Franka."),
        (("--robot.type", "so101"), "robot.type belongs to --backend lerobot."),
        (("--task", "handover"), "--backend other drives one arm"),
    ],
)
def test_backend_of_another_package_refuses_what_it_does_not_have(
    words: tuple[str, ...], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert serve(*words) != 0
    assert reason in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("source", "target", "why"),
    [
        ("1 / 0", "other_arm:Options", "ZeroDivisionError"),
        (BACKEND, "other_arm:Absent", "Absent"),
        ("Options = 3", "other_arm:Options", "derived from hilserl.robot.backends.BackendOptions"),
    ],
)
def test_backend_of_a_broken_package_is_named(
    others: Path, source: str, target: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    others.write_text(source)
    name(others.parent / "others-1.0.dist-info", target)
    assert serve() == 1
    shown = capsys.readouterr().err
    for word in ("others", "'other'", target, why):
        assert word in shown
    assert "Traceback" not in shown


def test_backend_without_its_package_names_the_command_that_installs_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda **_: ())
    assert main(["robot-server", "--backend", "ros"]) == 1
    assert capsys.readouterr().err.endswith("python -m pip install ./packages/hilserl_ros1\n")
    assert main(["robot-server", "--backend", "rose"]) == 1
    assert "Did you mean 'ros'? Available: lerobot, libfranka, ros, sim." in capsys.readouterr().err
