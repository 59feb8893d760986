"""Benchmark of the simulation."""

import logging
from pathlib import Path

import pytest

from hilserl.benchmarks import sim
from hilserl.errors import HilserlError


@pytest.fixture(autouse=True)
def constant_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sim, "env_steps_per_s", lambda obs, count: float(count))  # noqa: ARG005


def test_figures_without_gym_hil_say_so(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "hilserl"):
        figures = sim.figures(Path("no/such/python"))
    assert figures.keys() == {"sim.state_steps_per_s", "sim.pixel_steps_per_s"}
    assert "gym-hil is not measured: no/such/python does not exist" in caplog.text


def test_failure_of_gym_hil_is_named(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'no module named gym_hil' >&2\nexit 1\n")
    python.chmod(0o755)
    with pytest.raises(HilserlError, match="gym-hil failed: no module named gym_hil"):
        sim.figures(python)
