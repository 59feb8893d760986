"""However often, late or out of order steps are sent: the learner's disk has each one once, in order."""

import contextlib
import gc
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Step
from hilserl.distributed.protocol import EPISODES_PER_ACTOR, ProtocolError, UnreachableError, batch_of
from hilserl.distributed.store import MAX_EPISODE_STEPS, Cursor, Store
from hilserl.errors import HilserlError
from tests.support.loopback import key, keys
from tests.support.loopback import toy_episode as episode
from tests.support.steps import make_step

A, B, C = ("a" * 32, "b" * 32, "c" * 32)


@pytest.fixture
def opened(tmp_path: Path, state_spec: ExperienceSpec) -> Iterator[Callable[[], Store]]:
    """Opens the store of one folder; those that are abandoned are closed in the end."""
    stores: list[Store] = []

    def open_store() -> Store:
        stores.append(Store(tmp_path / "incoming.sqlite", state_spec))
        return stores[-1]

    yield open_store
    for store in stores:
        store.close()


@pytest.fixture
def store(opened: Callable[[], Store]) -> Store:
    return opened()


def append(store: Store, stream: str, first: int, steps: Sequence[Step], session: int | None = None) -> list[Step]:
    session = store.cursors[stream].session if session is None else session
    return store.append(stream, session, first, steps, batch_of(steps, store._spec))


def state(store: Store) -> Any:
    return store.cursors, keys(store.pending())


@contextlib.contextmanager
def unchanged(store: Store) -> Iterator[None]:
    """What is refused leaves no trace."""
    before = dict(store.cursors), keys(store.pending())
    yield
    assert state(store) == before


def test_streams_are_numbered_as_they_come_and_sessions_as_they_begin(opened: Callable[[], Store]) -> None:
    store = opened()
    assert [store.open_session(s).number for s in (A, B, A, C)] == [0, 1, 0, 2]
    assert [store.open_session(s).session for s in (A, B, A)] == [3, 2, 4]
    again = opened()
    assert again.run == store.run
    assert again.cursors == store.cursors
    assert again.open_session(C).session == 2


def test_another_store_is_another_run(store: Store, tmp_path: Path, state_spec: ExperienceSpec) -> None:
    with contextlib.closing(Store(tmp_path / "other.sqlite", state_spec)) as other:
        assert other.run != store.run


def test_what_is_new_is_returned_and_what_is_not_is_not(store: Store) -> None:
    store.open_session(A)
    steps = episode(0, 5)
    assert append(store, A, 1, steps[:2]) == steps[:2]
    assert append(store, A, 1, steps[:2]) == []
    assert append(store, A, 1, steps[:4]) == steps[2:4], "overlapping"
    assert append(store, A, 2, steps[1:2]) == [], "late"
    assert append(store, A, 3, steps[2:]) == steps[4:]
    assert store.cursors[A] == Cursor(0, 1, 6, 0, 5, open=False)
    assert keys(store.pending()) == [[key(s) for s in steps]]


def lives(rng: np.random.Generator, number: int) -> list[Step]:
    """All that an actor does: episodes that end, that are cut short, and that are no more than a reset."""
    steps: list[Step] = []
    for index in range(rng.integers(2, 6)):
        steps += episode(number * EPISODES_PER_ACTOR + 2 * index, rng.integers(0, 7), ends=rng.random() < 0.5)
    return steps


@pytest.mark.parametrize("seed", range(8))
def test_each_step_is_kept_once_whatever_is_sent_again(opened: Callable[[], Store], seed: int) -> None:
    """Messages of several streams repeated, overlapping, late and before their turn; the store killed in between."""
    rng, store, sent = np.random.default_rng(seed), opened(), {}
    for stream in (A, B, C):
        sent[stream] = lives(rng, store.open_session(stream).number)
    arrived: dict[str, list[Step]] = {stream: [] for stream in sent}
    while any(store.cursors[stream].stored < len(steps) for stream, steps in sent.items()):
        stream = str(rng.choice(list(sent)))
        steps, stored = sent[stream], store.cursors[stream].stored
        begin = min(max(0, stored + int(rng.integers(-6, 4))), len(steps) - 1)
        part = steps[begin : begin + int(rng.integers(1, 9))]
        if begin > stored:
            with unchanged(store), pytest.raises(ProtocolError, match=f"Entry {begin + 1} came where {stored + 1}"):
                append(store, stream, begin + 1, part)
        else:
            arrived[stream] += append(store, stream, begin + 1, part)
            assert store.cursors[stream].stored == max(stored, begin + len(part))
        if rng.random() < 0.1:
            store = opened()
        if rng.random() < 0.1:
            store.open_session(stream)
    assert [[key(s) for s in steps] for steps in arrived.values()] == [[key(s) for s in v] for v in sent.values()]
    stored = [step for episode_steps in store.pending() for step in episode_steps]
    assert [key(s) for s in stored] == [key(s) for steps in sent.values() for s in steps]
    assert keys(opened().pending()) == keys(store.pending())


def test_streams_that_are_sent_at_once_do_not_mix(opened: Callable[[], Store]) -> None:
    store, failures, sent = opened(), [], {}
    for stream in (A, B, C):
        number = store.open_session(stream).number
        sent[stream] = [s for e in range(8) for s in episode(number * EPISODES_PER_ACTOR + e, 4)]

    def send(stream: str) -> None:
        try:
            for begin in range(0, len(sent[stream]), 3):
                append(store, stream, begin + 1, sent[stream][begin : begin + 5])
        except BaseException as error:  # noqa: BLE001 - told below
            failures.append(error)

    threads = [threading.Thread(target=send, args=(stream,)) for stream in sent for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(isinstance(error, ProtocolError) for error in failures)
    for stream, steps in sent.items():
        append(store, stream, 1, steps)
    stored = [key(step) for steps in store.pending() for step in steps]
    assert stored == [key(s) for steps in sent.values() for s in steps]


def test_a_gap_is_refused(store: Store) -> None:
    store.open_session(A)
    steps = episode(0, 5)
    for first in (2, 3, 2**62):
        with unchanged(store), pytest.raises(ProtocolError, match=f"Entry {first} came where 1 was expected"):
            append(store, A, first, steps[1:2])
    append(store, A, 1, steps[:2])
    with unchanged(store), pytest.raises(ProtocolError, match="Entry 4 came where 3 was expected"):
        append(store, A, 4, steps[3:])


@pytest.mark.parametrize(
    ("stored", "sent"),
    [
        ([], [make_step(0, 1, camera=False)]),
        ([], [make_step(0, 0, camera=False), make_step(0, 2, camera=False)]),
        ([], [make_step(0, 0, camera=False), make_step(0, 0, camera=False)]),
        ([], [make_step(0, 0, camera=False), make_step(1, 1, camera=False)]),
        ([], [make_step(0, 0, camera=False), make_step(0, 1, camera=False, truncated=True), make_step(0, 2)]),
        (episode(4), [make_step(4, 4, camera=False)]),
        (episode(4), [make_step(4, 0, camera=False)]),
        (episode(4), [make_step(3, 0, camera=False)]),
        (episode(4, ends=False), [make_step(4, 3, camera=False)]),
        (episode(4, ends=False), [make_step(4, 5, camera=False)]),
        (episode(4, ends=False), [make_step(5, 4, camera=False)]),
        (episode(4, ends=False), [make_step(4, 4, camera=False), make_step(4, 6, camera=False)]),
        ([], [make_step(-1, 0, 5.0, camera=False)]),
        ([], [make_step(0, -1, 5.0, camera=False)]),
        ([], [make_step(EPISODES_PER_ACTOR, 0, 5.0, camera=False)]),
        ([], [make_step(2**62, 0, 5.0, camera=False)]),
    ],
)
def test_steps_that_do_not_follow_are_refused_and_all_of_their_message(
    store: Store, stored: list[Step], sent: list[Step]
) -> None:
    store.open_session(A)
    append(store, A, 1, stored) if stored else None
    batch = batch_of([make_step(s.episode, s.index, 5.0, camera=False) for s in sent], store._spec)
    with unchanged(store), pytest.raises(ProtocolError, match=f"episode {sent[-1].episode} came after"):
        store.append(A, 1, len(stored) + 1, sent, batch)


def test_an_actors_episodes_lie_in_its_own_range(store: Store) -> None:
    for stream in (A, B):
        store.open_session(stream)
    assert store.cursors[B].next_episode == EPISODES_PER_ACTOR
    for number in (0, EPISODES_PER_ACTOR - 1, 2 * EPISODES_PER_ACTOR):
        with unchanged(store), pytest.raises(ProtocolError):
            append(store, B, 1, episode(number))
    append(store, B, 1, episode(EPISODES_PER_ACTOR))
    append(store, B, 5, episode(2 * EPISODES_PER_ACTOR - 1))
    assert store.cursors[B].next_episode == 2 * EPISODES_PER_ACTOR
    with unchanged(store), pytest.raises(ProtocolError):
        append(store, B, 9, episode(2 * EPISODES_PER_ACTOR))


def test_an_episode_does_not_go_on_for_ever() -> None:
    cursor = Cursor(0, 1, 10, 3, MAX_EPISODE_STEPS - 1, open=True)
    cursor = cursor.after([make_step(3, MAX_EPISODE_STEPS, 1.0, camera=False)])
    with pytest.raises(ProtocolError):
        cursor.after([make_step(3, MAX_EPISODE_STEPS + 1, 1.0, camera=False)])


def test_an_earlier_session_is_over(opened: Callable[[], Store]) -> None:
    store = opened()
    store.open_session(A)
    append(store, A, 1, episode(0), session=1)
    store.open_session(A)
    for again in (store, opened()):
        for session in (1, 0, 3, 2**62):
            with unchanged(again), pytest.raises(ProtocolError, match="copy of the same folder"):
                append(again, A, 5, episode(1), session=session)
            with unchanged(again), pytest.raises(ProtocolError, match="copy of the same folder"):
                append(again, A, 1, episode(0), session=session)
            with unchanged(again), pytest.raises(ProtocolError, match="copy of the same folder"):
                again.discard(A, session, 5, 0)
    append(store, A, 5, episode(1), session=2)


def test_a_stream_says_hello_first(store: Store) -> None:
    with pytest.raises(ProtocolError, match="hello"):
        store.append(A, 0, 1, episode(0), batch_of(episode(0), store._spec))
    with pytest.raises(ProtocolError, match="hello"):
        store.discard(A, 0, 1, 0)
    assert state(store) == ({}, [])


def test_a_discarded_episode_is_gone_once_and_the_others_stay(opened: Callable[[], Store]) -> None:
    store = opened()
    for stream in (A, B):
        store.open_session(stream)
    append(store, A, 1, [*episode(0), *episode(1, ends=False)])
    append(store, B, 1, episode(EPISODES_PER_ACTOR, ends=False))
    for number, number_of_episode in ((9, 0), (9, 2), (9, EPISODES_PER_ACTOR)):
        with unchanged(store), pytest.raises(ProtocolError, match=f"Episode {number_of_episode}"):
            store.discard(A, 1, number, number_of_episode)
    with unchanged(store), pytest.raises(ProtocolError, match="Entry 11 came where 9"):
        store.discard(A, 1, 11, 1)
    assert store.discard(A, 1, 9, 1)
    for again in (store, opened()):
        assert not again.discard(A, 1, 9, 1), "repeated"
        assert keys(again.pending()) == keys([episode(0), episode(EPISODES_PER_ACTOR, ends=False)])
        assert again.cursors[A] == Cursor(0, 1, 9, 1, 3, open=False)
        for steps in ([make_step(1, 4, camera=False)], episode(1)):
            with unchanged(again), pytest.raises(ProtocolError):
                append(again, A, 10, steps)
        with unchanged(again), pytest.raises(ProtocolError):
            again.discard(A, 1, 10, 1)
    assert append(store, A, 5, episode(1, ends=False)) == [], "its steps sent again bring nothing back"
    assert len(append(store, A, 10, episode(2))) == 4
    assert [steps[0].episode for steps in store.pending()] == [0, 2, EPISODES_PER_ACTOR]


def test_an_episode_that_has_ended_cannot_be_discarded(store: Store) -> None:
    store.open_session(A)
    append(store, A, 1, episode(0))
    with unchanged(store), pytest.raises(ProtocolError):
        store.discard(A, 1, 5, 0)


@pytest.mark.parametrize("seed", range(4))
def test_abandoned_at_any_moment_it_has_what_was_acknowledged(opened: Callable[[], Store], seed: int) -> None:
    """Steps, discards, releases; after each of them another store finds what this one has."""
    rng, store, first, number, kept = np.random.default_rng(seed), opened(), 1, 0, {}
    store.open_session(A)
    for _ in range(25):
        steps = episode(number, int(rng.integers(0, 5)), ends=rng.random() < 0.5)
        append(store, A, first, steps)
        first += len(steps)
        kept[number] = [key(s) for s in steps]
        if store.is_open(number) and rng.random() < 0.5:
            assert store.discard(A, 1, first, number)
            first += 1
            del kept[number]
        elif kept and rng.random() < 0.4:
            released = int(rng.choice(list(kept)))
            store.release(released)
            del kept[released]
        number += int(rng.integers(1, 3))
        found = opened()
        assert state(found) == (store.cursors, list(kept.values()))
        if rng.random() < 0.5:
            store = found


def test_what_is_released_is_gone_and_does_not_come_again(opened: Callable[[], Store]) -> None:
    store = opened()
    store.open_session(A)
    append(store, A, 1, [*episode(0), *episode(1), *episode(2, ends=False)])
    store.release(1)
    store.release(1)
    store.release(77)
    assert append(store, A, 1, [*episode(0), *episode(1)]) == []
    assert [steps[0].episode for steps in opened().pending()] == [0, 2]


def test_it_knows_which_episodes_may_go_on(opened: Callable[[], Store]) -> None:
    store = opened()
    for stream in (A, B):
        store.open_session(stream)
    append(store, A, 1, [*episode(0, ends=False), *episode(1, ends=False)])
    append(store, B, 1, episode(EPISODES_PER_ACTOR))
    for again in (store, opened()):
        assert [again.is_open(e) for e in (0, 1, 2, EPISODES_PER_ACTOR, -1)] == [False, True, False, False, False]
    store.open_session(A)
    assert store.is_open(1), "its actor may have lost no more than the connection"


def test_a_full_disk_acknowledges_nothing_and_goes_on_when_there_is_room(opened: Callable[[], Store]) -> None:
    store, first = opened(), 1
    store.open_session(A)
    database = store._db
    (pages,) = database.execute("PRAGMA page_count").fetchone()
    database.execute(f"PRAGMA max_page_count={pages + 4}")
    sent: list[list[Step]] = []
    while True:
        steps = episode(len(sent), 20, ends=False)
        before = dict(store.cursors), keys(store.pending())
        try:
            append(store, A, first, steps)
        except UnreachableError:
            break
        first += len(steps)
        sent.append(steps)
    assert state(store) == before
    assert state(opened()) == before, "nor has the disk"
    for _ in range(3):
        with unchanged(store), pytest.raises(UnreachableError, match=str(store.path)):
            append(store, A, first, steps)
    store.release(0)
    assert store.discard(A, 1, first, sent[-1][0].episode), "what makes room still works"
    database.execute("PRAGMA max_page_count=1000000")
    assert append(store, A, first + 1, steps) == steps
    assert keys(opened().pending()) == keys([*sent[1:-1], steps])


def test_a_full_disk_begins_no_session(store: Store) -> None:
    (pages,) = store._db.execute("PRAGMA page_count").fetchone()
    store._db.execute(f"PRAGMA max_page_count={pages}")
    streams = [f"{n:032x}" for n in range(500)]
    with contextlib.suppress(UnreachableError):
        for stream in streams:
            store.open_session(stream)
    count = len(store.cursors)
    assert count < len(streams)
    with pytest.raises(UnreachableError, match=str(store.path)):
        store.open_session(streams[count])
    assert len(store.cursors) == count
    store._db.execute("PRAGMA max_page_count=1000000")
    assert store.open_session(streams[count]).number == count


def test_a_file_that_is_no_store_is_named(opened: Callable[[], Store], tmp_path: Path) -> None:
    path = tmp_path / "incoming.sqlite"
    for junk in (b"junk" * 5000, b"SQLite format 3\0" + b"\xff" * 9000):
        path.write_bytes(junk)
        with pytest.raises(HilserlError, match=str(path)):
            opened()
        gc.collect()


@pytest.mark.parametrize("damage", ["substr(payload, 1, 300)", "zeroblob(length(payload))", "x'00'", "x''"])
def test_a_damaged_episode_is_told_with_the_file(opened: Callable[[], Store], damage: str) -> None:
    store = opened()
    store.open_session(A)
    append(store, A, 1, [*episode(0), *episode(1)])
    with store._db as database:
        database.execute(f"UPDATE steps SET payload = {damage} WHERE episode = 1")
    with pytest.raises(HilserlError, match=str(store.path)):
        opened().pending()


def test_turned_bits_in_a_stored_step_are_told(opened: Callable[[], Store]) -> None:
    store, rng, outcomes = opened(), np.random.default_rng(2), set()
    store.open_session(A)
    append(store, A, 1, episode(0))
    ((payload,),) = store._db.execute("SELECT payload FROM steps").fetchall()
    for position in rng.choice(len(payload), 80, replace=False):
        turned = payload[:position] + bytes([payload[position] ^ 0x10]) + payload[position + 1 :]
        with store._db as database:
            database.execute("UPDATE steps SET payload = ?", (turned,))
        try:
            outcomes.add("as it was" if keys(store.pending()) == keys([episode(0)]) else "OTHER STEPS")
        except HilserlError:
            outcomes.add("refused")
        except Exception as error:  # noqa: BLE001 - which is what must not happen
            outcomes.add(f"{type(error).__name__}: {error}")
    assert outcomes <= {"as it was", "refused"}
