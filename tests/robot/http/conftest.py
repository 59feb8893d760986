"""Robot servers in front of every kind of arm."""

from collections.abc import Iterator

import pytest

from hilserl.robot.control.impedance import Compliance
from tests.support.contract import abilities_of, imported_backend
from tests.support.robot_rig import BACKENDS, MARKS, Rig, serving


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the contract for each kind of arm, or for the one of `--arm`."""
    if "shared_rig" in metafunc.fixturenames:
        given = metafunc.config.getoption("--arm")
        names = [given] if given else [pytest.param(name, marks=MARKS.get(name, ())) for name in BACKENDS]
        metafunc.parametrize("shared_rig", names, indirect=True, scope="package")


@pytest.fixture(scope="package")
def shared_rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    """One shared server for each kind of arm."""
    known = BACKENDS.get(request.param)
    with (known or imported_backend(request.param))() as backend:
        abilities = None if known else abilities_of(backend, str(request.config.getoption("--arm-facts")))
        with serving(backend, abilities=abilities) as rig:
            yield rig


@pytest.fixture
def rig(shared_rig: Rig) -> Iterator[Rig]:
    """The shared server with the arm at home and the lease free."""
    shared_rig.home()
    yield shared_rig
    if shared_rig.abilities.takes_torques:
        shared_rig.post("/update_param", Compliance().as_dict())
