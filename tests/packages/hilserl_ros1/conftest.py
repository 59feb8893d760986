"""A ROS master with a simulated Franka, with and without a server."""

from collections.abc import Iterator

import pytest

from tests.support.robot_rig import Rig, serving
from tests.support.ros_rig import RosSystem, SimulatedFranka, ros_backend, ros_system


@pytest.fixture(scope="package")
def system() -> Iterator[RosSystem]:
    """A ROS system with a server in it."""
    with ros_system() as made:
        yield made


@pytest.fixture(scope="package")
def quiet_system() -> Iterator[RosSystem]:
    """A ROS system for another server: ROS allows one node of a name."""
    with ros_system() as made:
        yield made


@pytest.fixture(scope="package")
def shared_rig(system: RosSystem) -> Iterator[Rig]:
    """A server that tests share."""
    with ros_backend(system) as backend, serving(backend) as rig:
        yield rig


@pytest.fixture
def rig(shared_rig: Rig, franka: SimulatedFranka) -> Rig:
    """The shared server with the arm at home."""
    franka.ask("be_stopped")
    shared_rig.home()
    return shared_rig


@pytest.fixture
def franka(system: RosSystem) -> SimulatedFranka:
    """The robot of the shared server."""
    return system.franka
