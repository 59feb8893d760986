"""Planted faults are found and named, and a sound recording has none."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hilserl.data.episodes import write_episode
from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Step
from hilserl.datasets.check import KINDS, Checker, Finding, check_source
from hilserl.datasets.source import open_source, view_of_steps
from tests.support.foreign import write_foreign_lerobot
from tests.support.recorded import SPEC, recorded_episode, write_recording

NUMBER = 7
Episode = tuple[list[Step], ExperienceSpec]


def sound() -> list[Step]:
    """Return the episode that faults are planted in."""
    return recorded_episode(NUMBER, 12)


def with_actions(change: Callable[[np.ndarray], np.ndarray]) -> Episode:
    return [replace(step, action=change(step.action.copy()).astype(np.float32)) for step in sound()], SPEC


def set_to(index: int, value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(action: np.ndarray) -> np.ndarray:
        action[index] = value
        return action

    return change


def frozen() -> Episode:
    steps = sound()
    still = steps[0].observation["front"]
    return [replace(step, observation={**step.observation, "front": still}) for step in steps], SPEC


def small_images() -> Episode:
    spec = replace(SPEC, images=(("front", (32, 32, 3)), SPEC.images[1]))
    return recorded_episode(NUMBER, 12, spec), spec


def failed() -> Episode:
    return recorded_episode(NUMBER, 12, success=False), SPEC


def not_finite() -> Episode:
    steps = sound()
    steps[4].observation["state"][1] = np.nan
    return steps, SPEC


PLANTED: dict[str, Callable[[], Episode]] = {
    "empty": lambda: (sound()[:1], SPEC),
    "no-success": failed,
    "beyond-limits": lambda: with_actions(set_to(1, 10.0)),
    "saturated": lambda: with_actions(set_to(0, -1.0)),
    "not-finite": not_finite,
    "frozen-camera": frozen,
    "duplicate": lambda: (recorded_episode(0, 12), SPEC),
    "gripper-unused": lambda: with_actions(set_to(2, 0.0)),
    "image-size": small_images,
    "layout": lambda: (recorded_episode(NUMBER, 12, SPEC.only(["front"])), SPEC.only(["front"])),
}


def findings(path: Path) -> list[Finding]:
    return list(check_source(open_source(path), lambda view: None))  # noqa: ARG005


def test_sound_recording_has_no_findings(tmp_path: Path) -> None:
    write_recording(tmp_path, (12, 9, 15))
    assert findings(tmp_path) == []


@pytest.mark.parametrize("kind", PLANTED)
def test_planted_fault_is_named(kind: str) -> None:
    checker = Checker(0.1)
    for number in range(3):
        assert not list(checker.episode(view_of_steps(str(number), recorded_episode(number, 12), SPEC)))
    steps, spec = PLANTED[kind]()
    found = list(checker.episode(view_of_steps("planted", steps, spec)))
    assert {finding.kind for finding in found} == {kind}
    assert {finding.episode for finding in found} == {"planted"}
    assert not list(checker.recording())


REFUSED = {
    "empty": "holds a reset alone",
    "beyond-limits": "action tcp_dy is 10; expected a number in [-1, 1]",
    "not-finite": "step 4: state entry",
}
"""Faults with which an episode file is refused, with the words that name them."""


def write_unchecked(path: Path, steps: list[Step], spec: ExperienceSpec) -> None:
    """Write numbers that no recorder writes."""
    write_episode(path, sound(), spec)
    table = pq.read_table(path)
    columns = {"observation.state": [s.observation["state"] for s in steps], "action": [s.action for s in steps]}
    for name, rows in columns.items():
        at, values = table.schema.get_field_index(name), np.stack(rows).astype(np.float32)
        column = pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])
        table = table.set_column(at, table.schema.field(at), column)
    pq.write_table(table, path)


def test_directory_with_every_fault_names_each(tmp_path: Path) -> None:
    write_recording(tmp_path, (12, 12))
    for number, (kind, plant) in enumerate(PLANTED.items(), 20):
        steps, spec = plant()
        write = write_unchecked if kind in ("not-finite", "beyond-limits") else write_episode
        write(tmp_path / f"{number:06d}-{kind}.parquet", steps, spec)
    (tmp_path / "000099.parquet").write_bytes(b"PAR1 and no more")
    found = findings(tmp_path)
    named = {(finding.kind, finding.episode.partition("-")[2]) for finding in found if finding.episode}
    assert named >= {(kind, f"{kind}.parquet") for kind in PLANTED if kind not in REFUSED}
    unreadable = [str(finding) for finding in found if finding.kind == "unreadable"]
    for kind, words in REFUSED.items():
        assert any(f"{kind}.parquet" in said and words in said for said in unreadable), kind
    assert len(unreadable) == len(REFUSED) + 1


def test_time_gap_is_named(tmp_path: Path) -> None:
    write_foreign_lerobot(tmp_path, (10, 10))
    path = next((tmp_path / "data").glob("*/*"))
    table = pq.read_table(path)
    times = table["timestamp"].to_numpy().copy()
    times[15:] += 0.5
    at = table.schema.get_field_index("timestamp")
    pq.write_table(table.set_column(at, "timestamp", pa.array(times)), path)
    (gap,) = [finding for finding in findings(tmp_path) if finding.kind == "time-gap"]
    assert gap.episode == "episode 1"
    assert "rows 4 and 5" in gap.message


def test_recording_without_a_success_is_named(tmp_path: Path) -> None:
    for number in range(3):
        steps = recorded_episode(number, 12, success=False)
        write_episode(tmp_path / f"{number:06d}.parquet", steps, SPEC)
    assert [finding.episode for finding in findings(tmp_path) if finding.kind == "no-success"][-1] == ""


def test_kinds_are_all_explained() -> None:
    assert {*PLANTED, "unreadable", "time-gap"} == KINDS.keys()
