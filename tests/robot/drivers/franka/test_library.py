"""Import of pylibfranka, and the simulated library beside the real one."""

import inspect
import re
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

from hilserl.errors import HilserlError
from hilserl.robot.drivers.franka.library import load_library
from tests.support.franka_rig import franka_library

USED = ("Robot", "ActiveControlBase", "Model", "Torques", "Gripper", "RealtimeConfig", "Duration")
STATES = {
    "RobotState": {"O_T_EE", "q", "dq", "tau_J_d", "K_F_ext_hat_K", "control_command_success_rate", "time"},
    "GripperState": {"width", "max_width"},
}
BEYOND = {"advance"}


@pytest.fixture
def library() -> Iterator[Any]:
    with franka_library(paced=False) as module:
        yield module


def test_load_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pylibfranka", None)
    with pytest.raises(HilserlError, match=r"hilserl\[franka\]"):
        load_library()


def test_simulated_library_has_the_interface_of_the_real_one(library: Any) -> None:
    """Same classes, methods and parameters, with the real names where the real library has names."""
    real = real_library()
    for name, kind in vars(library).items():
        if isinstance(kind, type) and issubclass(kind, Exception) and kind.__module__ == "pylibfranka":
            assert [base.__name__ for base in kind.__bases__] == [
                base.__name__ for base in getattr(real, name).__bases__
            ]
    for name in USED:
        ours, theirs = getattr(library, name), getattr(real, name)
        for method, function in vars(ours).items():
            if not inspect.isfunction(function) or (method.startswith("_") and method != "__init__"):
                continue
            if method in BEYOND or (method == "__init__" and name in ("ActiveControlBase", "Model", "Duration")):
                continue
            mine = [p.name for p in inspect.signature(function).parameters.values()][1:]
            assert mine in signatures(getattr(theirs, method)), f"{name}.{method}{mine}"
    assert {"kEnforce", "kIgnore"} <= set(dir(real.RealtimeConfig))
    torques = real.Torques([0.0] * 7)
    assert torques.motion_finished is False
    assert torques.tau_J == [0.0] * 7
    for name, fields in STATES.items():
        assert fields <= set(dir(getattr(real, name)))


def real_library() -> ModuleType:
    """The installed library, beside the simulated one."""
    ours, path = sys.modules.pop("pylibfranka"), sys.path.pop(0)
    try:
        return pytest.importorskip("pylibfranka", exc_type=ImportError)
    finally:
        sys.modules["pylibfranka"] = ours
        sys.path.insert(0, path)


def signatures(function: Callable[..., Any]) -> list[list[str]]:
    """The parameters' names of each overload, from the signatures that pybind11 writes into docstrings."""
    lines = re.findall(r"\w+\(self: [^\n]*\) -> ", function.__doc__ or "")
    return [re.findall(r"(?:, )(\w+): ", line) for line in lines]
