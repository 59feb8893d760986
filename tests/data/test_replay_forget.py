"""Discarded episodes leave the replay."""

import itertools
from collections import Counter

import numpy as np
import pytest

from hilserl.data.replay import Replay
from tests.support.steps import make_episode, make_step


@pytest.mark.parametrize("capacity", [2, 3, 7, 12, 40])
@pytest.mark.parametrize("seed", range(4))
def test_forget_takes_one_episode_out_of_the_ring(state_spec, capacity: int, seed: int) -> None:
    """Against a list of all that was written: a transition is there while both its rows are among the last ones."""
    rng = np.random.default_rng([seed, capacity])
    replay = Replay(state_spec, capacity, prior=make_episode(9_000, 4, camera=False, terminated=True))
    written: list[tuple[int, int, bool]] = []  # who, index, intervened
    running: dict[int, tuple[int, int]] = {}  # episode number: who, next index
    forgotten: set[int] = set()
    who = itertools.count(1)

    def pairs(rows: np.ndarray) -> Counter:
        found = replay.transitions(rows)
        return Counter(zip(found.observation["state"][:, 0], found.next_observation["state"][:, 0], strict=True))

    for _ in range(250):
        number = int(rng.integers(3))
        if rng.random() < 0.1:
            replay.forget(number)
            replay.forget(9_000)
            forgotten.add(running.pop(number, (0, 0))[0])
        else:
            mine, index = running.pop(number, None) or (next(who), 0)
            ends, intervened = bool(index and rng.random() < 0.15), bool(index and rng.random() < 0.4)
            value = 100.0 * mine + index
            replay.add(make_step(number, index, value, camera=False, truncated=ends, intervened=intervened))
            written.append((mine, index, intervened))
            if not ends:
                running[number] = (mine, index + 1)
        last = written[-capacity:]
        there = {(w, i) for w, i, _ in last if w not in forgotten}
        true = [(100 * w + i - 1, 100 * w + i, flag) for w, i, flag in last if {(w, i), (w, i - 1)} <= there]
        assert pairs(replay.online_rows()) == Counter((a, b) for a, b, _ in true)
        demonstrations = Counter((900_000 + i, 900_001 + i) for i in range(4))
        assert pairs(replay.prior_rows()) == Counter((a, b) for a, b, flag in true if flag) + demonstrations
