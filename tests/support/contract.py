"""Contract test of the robot server's arms, for an arm of another package."""

import importlib
import json

import numpy as np
import pytest

from hilserl.robot.control.backend import Backend
from tests.support.robot_rig import Abilities, OpenBackend


def imported_backend(name: str) -> OpenBackend:
    """Import the backend of another package.

    Args:
        name: MODULE:NAME of a function that returns a context manager.

    Raises:
        UsageError: the name has no module, or the module cannot be imported.
    """
    module, colon, attribute = name.partition(":")
    if not colon:
        raise pytest.UsageError(f"Invalid --arm {name!r}: expected MODULE:NAME.")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise pytest.UsageError(f"Invalid --arm {name!r}: {error}.") from error


def abilities_of(backend: Backend, facts: str) -> Abilities:
    """Return the facts about an arm that stands at home.

    Args:
        backend: the arm.
        facts: fields of `Abilities` as JSON; the others are measured, or a Franka's.

    Raises:
        UsageError: the facts are not JSON, or have an unknown name.
    """
    now = backend.snapshot()
    measured = {"home": now.pose.tolist(), "joints": np.size(now.q), "senses_wrench": now.force_N is not None}
    try:
        return Abilities(**(measured | json.loads(facts)))
    except (ValueError, TypeError) as error:
        known = ", ".join(Abilities._fields)
        raise pytest.UsageError(f"Invalid --arm-facts {facts!r}: {error}. Available: {known}.") from error
