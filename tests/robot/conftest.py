"""A simulated arm behind a server, for the tests that need no other driver."""

from collections.abc import Iterator

import pytest

from hilserl.robot.drivers.sim.backend import SimBackend
from tests.support.robot_rig import Rig, serving, sim_backend


@pytest.fixture(scope="module")
def backend() -> Iterator[SimBackend]:
    with sim_backend() as made:
        yield made


@pytest.fixture
def sim_rig(backend: SimBackend) -> Iterator[Rig]:
    with serving(backend) as made:
        made.post("/recover")
        made.post("/startimp")
        yield made
