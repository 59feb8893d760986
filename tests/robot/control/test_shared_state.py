"""State of a loop in shared memory."""

import multiprocessing

import numpy as np
import pytest

from hilserl.robot.control.backend import LostError
from hilserl.robot.control.shared_state import SharedState


def test_shared_state_shows_the_last_write_or_raises() -> None:
    layout = {"a": 1, "b": 3}
    memory = SharedState.allocate(multiprocessing.get_context("spawn"), layout)
    writer, reader = SharedState(memory, layout), SharedState(memory, layout)
    with pytest.raises(LostError, match="silent"):
        reader.read()
    for value in (1.0, 2.0):
        writer.write({"a": value, "b": np.full(3, -value)})
        seen = reader.read()
        assert seen["a"] == value
        assert (seen["b"] == -value).all()
    np.frombuffer(memory)[0] += 1
    with pytest.raises(LostError, match="while it was writing"):
        reader.read()


def test_reader_that_was_held_up_does_not_take_the_writer_for_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may stop the reader for long between two looks; the write goes on meanwhile."""
    layout = {"a": 1}
    memory = SharedState.allocate(multiprocessing.get_context("spawn"), layout)
    writer, reader = SharedState(memory, layout), SharedState(memory, layout, stale_s=1e9)
    writer.write({"a": 1.0})
    numbers = np.frombuffer(memory)
    numbers[0] += 1

    def held_up(seconds: float) -> None:
        assert seconds == 0
        numbers[0] += 1

    now = iter(range(100, 10**6, 100))
    monkeypatch.setattr("hilserl.robot.control.shared_state.time.monotonic", lambda: float(next(now)))
    monkeypatch.setattr("hilserl.robot.control.shared_state.time.sleep", held_up)
    assert reader.read()["a"] == 1.0
