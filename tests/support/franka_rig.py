"""Simulated pylibfranka, with the backend on it."""

import contextlib
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hilserl.robot.control.limits import Box, Limits
from hilserl.robot.drivers.franka.backend import FrankaBackend, FrankaSettings
from hilserl.sim.robot_models.panda import HOME_JOINTS_RAD


@contextlib.contextmanager
def franka_library(*, paced: bool = True) -> Iterator[Any]:
    """Provide the simulated `pylibfranka` for this process and its children.

    Args:
        paced: in this process a millisecond of the robot lasts a millisecond.
    """
    sys.path.insert(0, str(Path(__file__).parent / "franka_fake"))
    real = sys.modules.pop("pylibfranka", None)
    try:
        module: Any = importlib.import_module("pylibfranka")
        module.PACED = paced
        yield module
    finally:
        del sys.path[0], sys.modules["pylibfranka"]
        if real is not None:
            sys.modules["pylibfranka"] = real


@contextlib.contextmanager
def franka_backend(**more: Any) -> Iterator[FrankaBackend]:
    """Start the backend of a simulated Franka; `more` replaces settings."""
    settings = {
        "gripper": "franka",
        "reset_joints_rad": HOME_JOINTS_RAD,
        "robot_ip": "172.16.0.2",
        "collision_torque_Nm": (20.0,) * 7,
        "collision_force": (20.0,) * 6,
        **more,
    }
    with (
        franka_library(),
        contextlib.closing(FrankaBackend(FrankaSettings(Box(), Limits(), **settings))) as backend,
    ):
        yield backend
