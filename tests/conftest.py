"""Fixtures that several test directories share."""

import os
import tempfile

from jaxtyping import install_import_hook

# XLA compiles each program once for all tests and for the processes that tests start.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", f"{tempfile.gettempdir()}/hilserl-test-compilations")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")

from tests.support import shape_checks

# Every call checks the types and array shapes in the signatures of these packages. The hook acts on later imports.
install_import_hook(
    ["hilserl.agents", "hilserl.vision", "hilserl.rewards", "hilserl.data"], f"{shape_checks.__name__}.check"
)

from collections.abc import Iterator

import pytest

from hilserl.data.spec import ActionLayout, ExperienceSpec, StateLayout, entry
from hilserl.sim.environment import ManipulationEnv
from hilserl.tasks import make_sim_env


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options by which an arm of another package passes the contract test."""
    parser.addoption("--arm", metavar="MODULE:NAME", help="tests/robot/http with this backend, a context manager")
    parser.addoption("--arm-facts", metavar="JSON", default="{}", help="fields of tests.support.robot_rig.Abilities")


@pytest.fixture(scope="session")
def shared_env() -> Iterator[ManipulationEnv]:
    """One pick-cube environment for tests that reset it themselves."""
    env = make_sim_env("pick_cube")
    yield env
    env.close()


@pytest.fixture
def spec() -> ExperienceSpec:
    """A small spec with one camera and one gripper."""
    state = StateLayout((entry("position_m", 2), entry("gripper_command", 1)))
    return ExperienceSpec("toy", state, ActionLayout(("dx", "gripper"), grippers=(1,)), (("eye", (2, 3, 3)),))


@pytest.fixture
def state_spec(spec: ExperienceSpec) -> ExperienceSpec:
    """A small spec without a camera and with one gripper."""
    return ExperienceSpec(spec.task, spec.state, spec.action)
