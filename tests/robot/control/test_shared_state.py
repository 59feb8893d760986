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
