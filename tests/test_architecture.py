"""The arrows of the house, read from the imports themselves."""

import ast
from pathlib import Path

import pytest

import hilserl

ROOT = Path(hilserl.__file__).parent
DATA = {"errors", "files", "data"}
BASE = DATA | {"vision", "envs.env", "sim", "address", "interrupt"}
ACTING = BASE | {"operators", "agents", "rewards", "tasks"}
ROBOT = BASE | {"tasks", "robot", "envs"}
RUNS = ACTING | ROBOT | {"runs", "rollout"}
PARTS = {
    "errors": set(),
    "files": {"errors"},
    "address": {"errors"},
    "interrupt": {"errors"},
    "data": DATA,
    "vision": DATA,
    "envs.env": DATA,
    "sim": DATA | {"envs.env"},
    "operators": DATA | {"interrupt", "envs.env", "sim"},
    "agents": DATA | {"vision"},
    "rewards": DATA | {"vision"},
    "tasks": DATA | {"sim", "envs.env"},
    "robot": BASE | {"tasks"},
    "envs": ROBOT,
    "rollout": RUNS,
    "runs": RUNS,
    "training": RUNS | {"training"},
    "distributed": RUNS | {"training"},
    "benchmarks": RUNS | {"training", "distributed"},
    "cli": RUNS | {"training", "distributed", "benchmarks"},
    "__main__": {"cli"},
}
"""Each part's imports from below; a dotted name is one module of a part that stands lower than the rest."""
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
FILES = sorted(ROOT.rglob("*.py"))


def part_of(path: Path) -> str:
    return _part(".".join(path.relative_to(ROOT).with_suffix("").parts))


def _part(dotted: str) -> str:
    """The longest name in PARTS that a dotted name begins with."""
    words = dotted.split(".")
    names = (".".join(words[:count]) for count in range(len(words), 0, -1))
    return next((name for name in names if name in PARTS or name in BASE), words[0])


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
    used = {_part(name.removeprefix("hilserl.")) for name in imports_of(path) if name.startswith("hilserl.")}
    assert used <= allowed, f"{part} must not import {used - allowed}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_parts_stay_free_of_each_others_libraries(path: Path) -> None:
    used = {name.split(".")[0] for name in imports_of(path)}
    # The console is MuJoCo's viewer; the rules of taking over beside it know nothing of MuJoCo.
    allowed = {"mujoco"} if "console" in path.parts else set()
    # Arrays of a pytree by name are JAX's on one side.
    allowed |= {"jax", "equinox"} if path.name == "arrays.py" else set()
    assert not used & (FORBIDDEN_LIBRARIES.get(part_of(path), set()) - allowed)


def test_files_stay_readable() -> None:
    long = {str(p.relative_to(ROOT)): n for p in FILES if (n := len(p.read_text().splitlines())) > 350}
    assert not long
