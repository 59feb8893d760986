"""Settings of a Franka arm, and its start."""

from typing import Any

import pytest

from hilserl.errors import HilserlError
from tests.support.franka_rig import franka_backend


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"gripper": "robotiq"}, "Available: franka, none"),
        ({"collision_force": (20.0, 20.0, 20.0, 25.0, 25.0, 0.0)}, "collision_force"),
        ({"robot_ip": "192.0.2.1"}, "No Franka hand answers at"),
        ({"robot_ip": "192.0.2.1", "gripper": "none"}, "cannot be controlled"),
    ],
)
def test_franka_backend_says_why_it_does_not_start(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(HilserlError, match=reason), franka_backend(**settings):
        pass
