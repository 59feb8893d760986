"""The command `bench`: figures on the terminal and in one flat JSON object."""

import json
from pathlib import Path

import pytest

from hilserl.benchmarks import encoder, sim
from hilserl.cli.main import main


@pytest.fixture(autouse=True)
def constant_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sim, "figures", lambda gym_hil_python: {"sim.state_steps_per_s": len(str(gym_hil_python))})
    monkeypatch.setattr(encoder, "figures", lambda: {"encoder.ms_per_image": 2.5})


def test_bench_writes_one_flat_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bench.json"
    assert main(["bench", "sim", "encoder", "--gym-hil-python", "python", "--json", str(path)]) == 0
    assert json.loads(path.read_text()) == {"sim.state_steps_per_s": 6, "encoder.ms_per_image": 2.5}
    assert capsys.readouterr().out.split() == ["sim.state_steps_per_s", "6.0", "encoder.ms_per_image", "2.5"]


def test_bench_records_figures_with_their_origin(tmp_path: Path) -> None:
    path = tmp_path / "speed.json"
    assert main(["bench", "encoder", "--record", str(path)]) == 0
    record = json.loads(path.read_text())
    assert record["command"] == "hilserl bench encoder"
    assert record["figures"] == {"encoder.ms_per_image": 2.5}
    assert {"date", "machine", "gpu", "commit", "versions"} == record["provenance"].keys()


def test_unknown_benchmark_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "simm"]) == 1
    assert "Did you mean 'sim'?" in capsys.readouterr().err
