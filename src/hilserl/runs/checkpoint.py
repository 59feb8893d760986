"""Checkpoints of a run.

A checkpoint is an agent's arrays as safetensors and the run's counters as JSON. It is written whole or not at all.
"""

import hashlib
import json
import logging
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from hilserl.agents.agent import Agent
from hilserl.data.arrays import named_arrays, with_arrays
from hilserl.errors import HilserlError
from hilserl.files import json_digest, new_directory, remove_directory

_AGENT, _STATE = "agent.safetensors", "state.json"
_STATE_DIGEST = "state_sha256"
"""Key of the checksum of all other entries of `state.json`."""
_log = logging.getLogger(__name__)
RENAMED_STATE = {"rounds": "update_steps"}
"""Keys of `state.json` in earlier versions, with their names today."""
RENAMED_ARRAYS: dict[str, str] = {"averaged": "ema_actor"}
"""First parts of array names in earlier versions, with their names today."""


@dataclass(frozen=True)
class RunState:
    """Counters of a run at a checkpoint."""

    env_steps: int = 0
    episodes: int = 0
    update_steps: int = 0
    human_steps: int = 0
    interventions: int = 0
    wall_seconds: float = 0.0
    evaluation: dict[str, Any] | None = None
    """Evaluation of the checkpoint, as `Evaluation.as_dict`."""

    def describe(self, clock: str) -> str:
        """Return the run's position on its clock, for display."""
        if clock == "update_steps":
            return f"{self.update_steps:6d} update steps"
        return f"{self.env_steps:6d} steps, {self.human_steps:4d} of them human"


def save_checkpoint(directory: Path, agent: Agent, state: RunState, step: int) -> Path:
    """Write the checkpoint `directory/<step>`, and replace an older one.

    Args:
        directory: the run's checkpoints.
        agent: the agent.
        state: counters of the run.
        step: environment steps so far or, for a run that does not act, update steps.

    Raises:
        HilserlError: the disk refuses.
    """
    target = directory / str(step)
    weights = save({name: np.asarray(leaf) for name, leaf in named_arrays(agent).items()})
    counters = {**asdict(state), "sha256": hashlib.sha256(weights).hexdigest()}
    text = json.dumps({**counters, _STATE_DIGEST: json_digest(counters)}, indent=2) + "\n"
    with new_directory(target, replace=True) as part:
        (part / _AGENT).write_bytes(weights)
        (part / _STATE).write_text(text)
    return target


def load_checkpoint(path: Path, like: Agent) -> tuple[Agent, RunState]:
    """Read a checkpoint into an agent of the same shape.

    Raises:
        HilserlError: names the damaged file, or the array that does not fit.
    """
    arrays, state = _read(path)
    try:
        return with_arrays(like, arrays), state
    except HilserlError as error:
        raise HilserlError(f"The checkpoint {path} is of another agent: {error}.") from error


def check_checkpoint(path: Path) -> None:
    """Check a checkpoint's checksums, and that its numbers are finite.

    Raises:
        HilserlError: names the damaged file, or the array with a number that is not finite.
    """
    arrays, _ = _read(path)
    bad = [name for name, array in arrays.items() if array.dtype.kind == "f" and not np.isfinite(array).all()]
    if bad:
        raise HilserlError(f"The checkpoint {path} has numbers that are not finite: {bad[0]}. {_others(path)}")


def _read(path: Path) -> tuple[dict[str, np.ndarray], RunState]:
    state, digest = _read_state(path)
    try:
        weights = (path / _AGENT).read_bytes()
        if hashlib.sha256(weights).hexdigest() != digest:
            raise HilserlError(f"{_AGENT} is damaged: its checksum is not the one in {_STATE}")
        return _renamed(load(weights)), state
    except (OSError, SafetensorError, HilserlError) as error:
        raise HilserlError(f"Cannot read the checkpoint {path}: {error}. {_others(path)}") from error


def _read_state(path: Path) -> tuple[RunState, str]:
    try:
        values = json.loads((path / _STATE).read_text())
        found = values.pop(_STATE_DIGEST, None)  # earlier versions wrote none
        if found is not None and found != json_digest(values):
            raise HilserlError("it is damaged: its checksum is wrong")
        digest = values.pop("sha256")
        values = {RENAMED_STATE.get(str(name), str(name)): value for name, value in values.items()}
        if more := values.keys() - {each.name for each in fields(RunState)}:
            raise HilserlError(f"unknown entry {min(more)!r}")
        return msgspec.convert(values, RunState), digest
    except (OSError, ValueError, TypeError, KeyError, AttributeError, HilserlError) as error:
        raise HilserlError(f"Cannot read the checkpoint {path}: {_STATE}: {error}. {_others(path)}") from error


def read_state(path: Path) -> RunState:
    """Read the run's counters at a checkpoint.

    Raises:
        HilserlError: the file is missing or damaged.
    """
    return _read_state(path)[0]


def _renamed(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    parts = ((*name.partition("."), array) for name, array in arrays.items())
    return {f"{RENAMED_ARRAYS.get(first, first)}{dot}{rest}": array for first, dot, rest, array in parts}


def _others(path: Path) -> str:
    others = [str(step) for step in steps_in(path.parent) if str(step) != path.name]
    return f"Other checkpoints: {', '.join(others) or 'none'}."


def steps_in(directory: Path) -> list[int]:
    """Return the steps that the checkpoints are named by, ascending."""
    if not directory.is_dir():
        return []
    return sorted(int(p.name) for p in directory.iterdir() if p.name.isdecimal())


def best_in(directory: Path) -> int | None:
    """Return the step of the best evaluated checkpoint, the newest of equals.

    A damaged checkpoint is passed over with a warning.
    """
    scored = []
    for step in steps_in(directory):
        try:
            evaluation = read_state(directory / str(step)).evaluation
        except HilserlError as error:
            _log.warning("Passed over: %s", error)
            continue
        if evaluation is not None:
            scored.append((evaluation["success_rate"], evaluation.get("mean_return") or 0.0, step))
    return max(scored)[-1] if scored else None


def choose(directory: Path, which: str) -> Path:
    """Return the checkpoint named by `best`, `last` or a step.

    Raises:
        HilserlError: there is no such checkpoint; the message lists those that exist.
    """
    steps = steps_in(directory)
    if not steps:
        raise HilserlError(f"There is no checkpoint in {directory}.")
    if which == "best":
        best = best_in(directory)
        return directory / str(steps[-1] if best is None else best)
    if which == "last":
        return directory / str(steps[-1])
    if not which.isdecimal() or int(which) not in steps:
        names = ", ".join(map(str, steps))
        raise HilserlError(f"There is no checkpoint {which!r} in {directory}; available: best, last, {names}.")
    return directory / str(int(which))


def prune(directory: Path, keep: int) -> None:
    """Remove all checkpoints but the newest `keep` and the best."""
    best = best_in(directory)
    for step in steps_in(directory)[:-keep]:
        if step != best:
            remove_directory(directory / str(step))
