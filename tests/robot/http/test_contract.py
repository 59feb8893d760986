"""Contract test for the arms of other packages."""

import subprocess
import sys

import pytest

from tests.support.contract import abilities_of, imported_backend
from tests.support.robot_rig import HOME, Abilities, Rig, sim_backend
from tests.support.source_code import REPOSITORY

SIM = "tests.support.robot_rig:sim_backend"


def test_contract_runs_for_the_backend_of_another_package() -> None:
    routes = "tests/robot/http/test_hil_serl_routes.py"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", routes, "-k", "reads_have", "--arm", SIM]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert "1 passed" in done.stdout, done.stdout


def test_imported_backend_is_a_name_in_a_module() -> None:
    assert imported_backend(SIM) is sim_backend
    for bad in ("sim_backend", "no.such.module:sim", "tests.support.robot_rig:absent"):
        with pytest.raises(pytest.UsageError, match=f"Invalid --arm '{bad}'"):
            imported_backend(bad)


def test_abilities_are_measured_or_given(sim_rig: Rig) -> None:
    sim_rig.home()
    measured = abilities_of(sim_rig.backend, '{"reach": 0.5}')
    assert measured.home == pytest.approx(HOME, abs=0.02)
    assert measured == Abilities(measured.home, reach=0.5)
    for bad in ("{", '{"fingers": 2}'):
        with pytest.raises(pytest.UsageError, match=r"Invalid --arm-facts .*Available: home, reach"):
            abilities_of(sim_rig.backend, bad)
