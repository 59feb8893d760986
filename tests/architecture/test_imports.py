"""Imports point from upper floors to lower ones."""

import ast
import re
from collections.abc import Mapping

import pytest

from tests.support.source_code import PACKAGE, SourceFile, files_of_package, files_of_tests

ROOT = {
    *("errors", "files", "address", "certificates", "child_process", "images", "interrupt", "machine", "opengl"),
    *("plug_ins", "settings", "tokens"),
}
BASE = ROOT | {"data", "vision", "envs.env", "envs.options", "sim"}
MIDDLE = BASE | {"operators", "agents", "rewards", "tasks", "lerobot"}
ENVS = MIDDLE | {"robot", "envs"}
RUNS = ENVS | {"runs"}
ROLLOUT = RUNS | {"rollout"}
TRAINING = ROLLOUT | {"datasets", "training"}
POLICIES = TRAINING | {"policies"}
DISTRIBUTED = POLICIES | {"distributed"}
FLOORS: Mapping[str, set[str]] = {
    "errors": set(),
    "files": {"errors"},
    "address": {"errors"},
    "certificates": {"errors"},
    "child_process": {"errors"},
    "images": set(),
    "interrupt": {"errors"},
    "machine": set(),
    "opengl": set(),
    "plug_ins": {"errors"},
    "settings": {"errors"},
    "tokens": set(),
    "lerobot": {"child_process", "errors", "settings"},
    "data": ROOT,
    "vision": ROOT | {"data"},
    "envs.options": ROOT,
    "envs.env": ROOT | {"data"},
    "sim": ROOT | {"data", "envs.env", "envs.options"},
    "operators": ROOT | {"data", "envs.env", "envs.options", "sim", "lerobot"},
    "agents": ROOT | {"data", "vision"},
    "rewards": ROOT | {"data", "vision"},
    "tasks": ROOT | {"data", "sim", "envs.env", "envs.options"},
    "robot": ROOT | {"data", "sim", "envs.env", "envs.options", "tasks", "lerobot"},
    "envs": ROOT | {"data", "sim", "envs.env", "envs.options", "tasks", "robot"},
    "datasets": ENVS,
    "runs": RUNS,
    "rollout": ROLLOUT,
    "training": TRAINING,
    "policies": POLICIES,
    "distributed": DISTRIBUTED,
    "benchmarks": DISTRIBUTED | {"benchmarks"},
    "comparison": DISTRIBUTED,
    "cli": DISTRIBUTED | {"benchmarks", "comparison"},
    "__main__": {"cli"},
    "__init__": POLICIES,
}
"""Parts of the package with the parts that each may import.

A dotted name is one module that stands on a lower floor than the rest of its part.
"""
FORBIDDEN_LIBRARIES = {
    "sim": {"jax", "equinox", "optax"},
    "tasks": {"jax", "equinox", "optax"},
    "operators": {"jax", "equinox", "optax", "mujoco"},
    "agents": {"mujoco"},
    "rewards": {"mujoco"},
    "vision": {"mujoco"},
    "robot": {"jax", "equinox", "optax"},
    "data": {"jax", "mujoco"},
}
CONSOLE_LIBRARIES = {"mujoco", "websockets"}
"""Libraries of the console, which is MuJoCo's viewer."""
PRINTING = {"cli", "__main__", "benchmarks"}
"""Parts that may print; modules of `benchmarks` print as child processes of `hilserl bench`."""
ARRAY_LIBRARIES = {"jax", "equinox"}
"""`data/arrays.py` names the leaves of JAX's pytrees."""


def part(dotted: str) -> str:
    """Return the longest key of FLOORS that begins a name."""
    words = dotted.split(".")
    names = (".".join(words[:count]) for count in range(len(words), 0, -1))
    return next((name for name in names if name in FLOORS), words[0])


def module_of(file: SourceFile) -> str:
    """Return the dotted name of a file inside the package."""
    return ".".join(file.path.relative_to(PACKAGE).with_suffix("").parts)


@pytest.mark.parametrize("file", files_of_package(), ids=lambda file: file.name)
def test_imports_point_to_lower_floors(file: SourceFile) -> None:
    own = part(module_of(file))
    allowed = FLOORS[own] | {own, "errors", "__version__"}
    inside = (name.removeprefix("hilserl.") for name in file.imports() if name.startswith("hilserl."))
    used = {part(name) for name in inside}
    assert used <= allowed, f"{own} must not import {sorted(used - allowed)}."


@pytest.mark.parametrize("file", files_of_package(), ids=lambda file: file.name)
def test_parts_stay_free_of_each_others_libraries(file: SourceFile) -> None:
    used = {name.split(".")[0] for name in file.imports()}
    allowed = CONSOLE_LIBRARIES if "console" in file.path.parts else set()
    allowed = allowed | (ARRAY_LIBRARIES if file.path.name == "arrays.py" else set())
    assert not used & (FORBIDDEN_LIBRARIES.get(part(module_of(file)), set()) - allowed)


def test_package_directories_import_each_other_in_one_direction() -> None:
    circles = [
        (low, high) for low, allowed in FLOORS.items() for high in allowed if high != low and low in FLOORS[high]
    ]
    assert not circles


def test_test_helpers_come_from_tests_support() -> None:
    found = [
        f"{file.name}: {name}"
        for file in files_of_tests()
        for name in file.imports()
        if name.startswith("tests.") and not name.startswith("tests.support")
    ]
    assert not found, "\n".join(found)


def test_printing_and_progress_bars_belong_to_the_command_line() -> None:
    found = [
        file.place(node)
        for file in files_of_package()
        if part(module_of(file)) not in PRINTING
        for node in ast.walk(file.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"print", "tqdm"}
    ]
    assert not found, "\n".join(found)


def test_private_constants_are_never_patched() -> None:
    found = [
        f"{file.place(node)}: {node.args[1].value}"
        for file in files_of_tests()
        for node in ast.walk(file.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "setattr"
        if len(node.args) > 1 and isinstance(node.args[1], ast.Constant)
        if re.match(r"_[A-Z]", str(node.args[1].value))
    ]
    assert not found, "\n".join(found)
