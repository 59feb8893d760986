"""Fixtures that the tests of actors and learners on the network share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hilserl.data.spec import ExperienceSpec
from hilserl.distributed.credentials import Credentials, make_credentials
from hilserl.distributed.remote_learner import RemoteLearner
from tests.support.loopback import ToyLearner, linked


@pytest.fixture
def learner(tmp_path: Path, state_spec: ExperienceSpec) -> Iterator[ToyLearner]:
    """A learner on a port of this machine."""
    with ToyLearner(tmp_path, state_spec) as learner:
        yield learner


@pytest.fixture
def link(tmp_path: Path, learner: ToyLearner) -> Iterator[RemoteLearner]:
    """An actor's endpoint of the learner, not yet connected."""
    with linked(tmp_path / "actor", learner.spec, learner.address) as link:
        yield link


@pytest.fixture(scope="session")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Credentials]:
    """Credentials of several learners: right, another's, expired, and for another host."""
    directory = tmp_path_factory.mktemp("credentials")
    return {
        "right": make_credentials(directory / "right", ["127.0.0.1", "localhost"]),
        "other": make_credentials(directory / "other", ["127.0.0.1", "localhost"]),
        "expired": make_credentials(directory / "expired", ["127.0.0.1", "localhost"], valid_days=-1),
        "elsewhere": make_credentials(directory / "elsewhere", ["learner.example", "10.0.0.7"]),
    }
