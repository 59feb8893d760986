"""The arrows of the house, read from the imports themselves."""

import ast
from pathlib import Path

import pytest

import hilserl

ROOT = Path(hilserl.__file__).parent
PARTS = {
    "errors": set(),
    "arrays": set(),
    "statistics": set(),
    "address": set(),
    "pace": set(),
    "experience": {"errors"},
    "drivable": {"experience"},
    "sim": {"experience", "drivable"},
    "tasks": {"experience", "sim"},
    "operators": {"experience"},
    "agents": {"experience", "vision"},
    "vision": {"experience"},
    "rewards": {"experience", "vision", "arrays", "statistics"},
    "replay": {"experience"},
    "robot": {"address", "pace", "experience", "sim"},
    "interop": {"experience", "drivable"},
}
BELOW_TRAINING = set(PARTS)
PARTS |= {"training": BELOW_TRAINING, "cli": BELOW_TRAINING | {"training"}, "__main__": {"cli"}}
FORBIDDEN_LIBRARIES = {
    "sim": {"jax", "equinox", "optax"},
    "tasks": {"jax", "equinox", "optax"},
    "operators": {"jax", "equinox", "optax", "mujoco"},
    "agents": {"mujoco"},
    "rewards": {"mujoco"},
    "vision": {"mujoco"},
    "robot": {"jax", "equinox", "optax"},
    "experience": {"jax", "mujoco"},
}
FILES = sorted(ROOT.rglob("*.py"))


def part_of(path: Path) -> str:
    first = path.relative_to(ROOT).parts[0]
    return first.removesuffix(".py")


def imports_of(path: Path) -> set[str]:
    """The dotted names that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= (
                {f"{node.module}.{alias.name}" for alias in node.names} if node.module == "hilserl" else {node.module}
            )
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_arrows_point_one_way(path: Path) -> None:
    part = part_of(path)
    if part == "__init__":
        return
    allowed = PARTS[part] | {part, "errors", "__version__"}
    used = {name.split(".")[1] for name in imports_of(path) if name.startswith("hilserl.")}
    assert used <= allowed, f"{part} must not import {used - allowed}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_parts_stay_free_of_each_others_libraries(path: Path) -> None:
    used = {name.split(".")[0] for name in imports_of(path)}
    # The console is MuJoCo's viewer; the rules of taking over beside it know nothing of MuJoCo.
    allowed = {"mujoco"} if "console" in path.parts else set()
    assert not used & (FORBIDDEN_LIBRARIES.get(part_of(path), set()) - allowed)


def test_files_stay_readable() -> None:
    long = {str(p.relative_to(ROOT)): n for p in FILES if (n := len(p.read_text().splitlines())) > 350}
    assert not long
