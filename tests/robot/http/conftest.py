"""Robot servers in front of every kind of arm."""

from collections.abc import Iterator

import pytest

from hilserl.robot.control.impedance import Compliance
from tests.support.robot_rig import BACKENDS, MARKS, Rig, serving


@pytest.fixture(scope="package", params=[pytest.param(name, marks=MARKS.get(name, ())) for name in BACKENDS])
def shared_rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    """One shared server for each kind of arm."""
    with BACKENDS[request.param]() as backend, serving(backend) as rig:
        yield rig


@pytest.fixture
def rig(shared_rig: Rig) -> Iterator[Rig]:
    """The shared server with the arm at home and the lease free."""
    shared_rig.home()
    yield shared_rig
    shared_rig.post("/update_param", Compliance().as_dict())
