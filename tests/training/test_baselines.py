"""A comparison varies who learns, and nothing else."""

import dataclasses
from pathlib import Path

import pytest

from hilserl.cli.main import main
from hilserl.training.baselines import baseline_configs
from hilserl.training.config import preset
from tests.support.configs import changed


def test_comparison_varies_who_learns_and_nothing_else() -> None:
    usual = preset("pick_cube")
    base = changed(usual, obs="state", max_env_steps=77)
    found = dict(baseline_configs(base, usual))
    assert {label: (c.algorithm, c.operator, c.demonstrations) for label, c in found.items()} == {
        "BC, 20 demonstrations": ("bc", "scripted", 20),
        "BC, 100 demonstrations": ("bc", "scripted", 100),
        "HG-DAgger": ("hg-dagger", "scripted", 20),
        "SAC, no prior data": ("sac", "none", 20),
        "RLPD, demonstrations only": ("rlpd", "none", 20),
        "HIL-SERL": ("rlpd", "scripted", 20),
    }
    for each in found.values():
        alike = dataclasses.replace(each, algorithm="rlpd", operator="scripted", demonstrations=20)
        assert alike == base


@pytest.mark.parametrize(
    "flags", [["--algorithm", "bc"], ["--operator", "none"], ["--demonstrations", "3"], ["--seed", "1"]]
)
def test_flags_that_a_comparison_varies_are_refused(
    tmp_path: Path, flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", "pick_cube", "--out", str(tmp_path / "out"), *flags]) == 1
    assert f"varies {flags[0].strip('-')}" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
