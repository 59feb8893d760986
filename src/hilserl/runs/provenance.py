"""Origin of measured figures: machine, commit, versions, date."""

import json
import platform
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from hilserl.files import atomically
from hilserl.machine import cores

_PACKAGES = ("hilserl", "mujoco", "jax", "equinox", "optax", "pyarrow", "numpy")
_CHECKOUT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Provenance:
    """Origin of figures."""

    date: str
    """Day of the measurement, UTC, as in 2026-01-31."""
    machine: str
    """Number of usable cores, and the processor's name."""
    gpu: str | None
    """Name of the graphics processor; None without one."""
    commit: str | None
    """Commit of the checkout, or None outside of one.

    It ends in `-dirty` if files differ from it.
    """
    versions: dict[str, str]
    """Versions of Python and of the deciding packages."""


def provenance(checkout: Path = _CHECKOUT) -> Provenance:
    """Return the origin of figures that this process measures.

    Args:
        checkout: Directory whose commit is named, if it is a repository.
    """
    versions = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return Provenance(datetime.now(UTC).strftime("%Y-%m-%d"), _machine(), _gpu(), _commit(checkout), versions)


def write_record(path: Path, command: str, content: Mapping[str, Any]) -> None:
    """Write figures to a JSON file, with their command and origin."""
    record = {"command": command, "provenance": asdict(provenance()), **content}
    atomically(path, lambda part: part.write_text(json.dumps(record, indent=2) + "\n"))


def _machine() -> str:
    count = cores()
    return f"{count} core{'s' * (count != 1)} of {_processor()}"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _gpu() -> str | None:
    return _output("nvidia-smi", "--query-gpu=name", "--format=csv,noheader").partition("\n")[0] or None


def _commit(checkout: Path) -> str | None:
    if not (checkout / ".git").exists():
        return None
    return _output("git", "-C", str(checkout), "describe", "--always", "--abbrev=12", "--dirty", "--exclude=*") or None


def _output(program: str, *words: str) -> str:
    """Return the output of a program; empty if it fails."""
    path = shutil.which(program)
    if path is None:
        return ""
    try:
        done = subprocess.run([path, *words], capture_output=True, text=True, timeout=10, check=False)  # noqa: S603 (ours)
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
