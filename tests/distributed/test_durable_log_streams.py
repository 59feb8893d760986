"""A learner's log has each step once, in order, even if steps are sent again, late or out of order."""

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
from hilserl.data.step_codec import StepCodec
from hilserl.distributed.durable_log import DurableLog, LogFullError
from hilserl.distributed.protocol import (
    EPISODES_PER_ACTOR,
    MAX_EPISODE_STEPS,
    Cursor,
    LogEntry,
    ProtocolError,
)
from hilserl.errors import HilserlError
from tests.support.loopback import key, keys
from tests.support.loopback import toy_episode as episode
from tests.support.steps import make_step

A, B, C = ("a" * 32, "b" * 32, "c" * 32)


@pytest.fixture
def opened(tmp_path: Path, state_spec: ExperienceSpec) -> Iterator[Callable[[], DurableLog]]:
    """Open the log of one directory; abandoned logs are closed in the end."""
    logs: list[DurableLog] = []

    def open_log() -> DurableLog:
        logs.append(DurableLog(tmp_path / "incoming.sqlite", [StepCodec(state_spec)], synced=True))
        return logs[-1]

    yield open_log
    for log in logs:
        log.close()


@pytest.fixture
def log(opened: Callable[[], DurableLog]) -> DurableLog:
    return opened()


def append(log: DurableLog, stream: str, first: int, steps: Sequence[Step], session: int | None = None) -> list[Step]:
    session = log.cursors[stream].session if session is None else session
    return append_raw(log, stream, session, first, steps)


def append_raw(log: DurableLog, stream: str, session: int, first: int, steps: Sequence[Step]) -> list[Step]:
    codec = log.codecs[0]
    entries = [LogEntry(first + n, step.episode, codec.encode(step)) for n, step in enumerate(steps)]
    return log.append(stream, session, entries, steps, codec)


def state(log: DurableLog) -> Any:
    return log.cursors, keys(log.pending())


@contextlib.contextmanager
def unchanged(log: DurableLog) -> Iterator[None]:
    """Check that a refused call leaves no trace."""
    before = dict(log.cursors), keys(log.pending())
    yield
    assert state(log) == before


def test_streams_are_numbered_as_they_come_and_sessions_as_they_begin(opened: Callable[[], DurableLog]) -> None:
    log = opened()
    assert [log.open_session(s).number for s in (A, B, A, C)] == [0, 1, 0, 2]
    assert [log.open_session(s).session for s in (A, B, A)] == [3, 2, 4]
    again = opened()
    assert again.id == log.id
    assert again.cursors == log.cursors
    assert again.open_session(C).session == 2


def test_log_id_differs_for_each_run(log: DurableLog, tmp_path: Path, state_spec: ExperienceSpec) -> None:
    with contextlib.closing(DurableLog(tmp_path / "other.sqlite", [StepCodec(state_spec)], synced=True)) as other:
        assert other.id != log.id


def test_append_returns_only_what_is_new(log: DurableLog) -> None:
    log.open_session(A)
    steps = episode(0, 5)
    assert append(log, A, 1, steps[:2]) == steps[:2]
    assert append(log, A, 1, steps[:2]) == []
    assert append(log, A, 1, steps[:4]) == steps[2:4], "overlapping"
    assert append(log, A, 2, steps[1:2]) == [], "late"
    assert append(log, A, 3, steps[2:]) == steps[4:]
    assert log.cursors[A] == Cursor(0, 1, 6, 0, 5, open=False)
    assert keys(log.pending()) == [[key(s) for s in steps]]


def lives(rng: np.random.Generator, number: int) -> list[Step]:
    """All that an actor does: episodes that end, that are cut short, and that are no more than a reset."""
    steps: list[Step] = []
    for index in range(rng.integers(2, 6)):
        steps += episode(number * EPISODES_PER_ACTOR + 2 * index, int(rng.integers(0, 7)), ends=rng.random() < 0.5)
    return steps


@pytest.mark.parametrize("seed", range(8))
def test_steps_are_kept_once_though_sent_again(opened: Callable[[], DurableLog], seed: int) -> None:
    """Messages of several streams repeated, overlapping, late and before their turn; the log killed in between."""
    rng, log, sent = np.random.default_rng(seed), opened(), {}
    for stream in (A, B, C):
        sent[stream] = lives(rng, log.open_session(stream).number)
    arrived: dict[str, list[Step]] = {stream: [] for stream in sent}
    while any(log.cursors[stream].stored < len(steps) for stream, steps in sent.items()):
        stream = str(rng.choice(list(sent)))
        steps, stored = sent[stream], log.cursors[stream].stored
        begin = min(max(0, stored + int(rng.integers(-6, 4))), len(steps) - 1)
        part = steps[begin : begin + int(rng.integers(1, 9))]
        if begin > stored:
            with unchanged(log), pytest.raises(ProtocolError, match=f"Entry {begin + 1} came, but {stored + 1}"):
                append(log, stream, begin + 1, part)
        else:
            arrived[stream] += append(log, stream, begin + 1, part)
            assert log.cursors[stream].stored == max(stored, begin + len(part))
        if rng.random() < 0.1:
            log = opened()
        if rng.random() < 0.1:
            log.open_session(stream)
    assert [[key(s) for s in steps] for steps in arrived.values()] == [[key(s) for s in v] for v in sent.values()]
    stored = [step for episode_steps in log.pending() for step in episode_steps]
    assert [key(s) for s in stored] == [key(s) for steps in sent.values() for s in steps]
    assert keys(opened().pending()) == keys(log.pending())


def test_streams_that_are_sent_at_once_do_not_mix(opened: Callable[[], DurableLog]) -> None:
    log, failures, sent = opened(), [], {}
    for stream in (A, B, C):
        number = log.open_session(stream).number
        sent[stream] = [s for e in range(8) for s in episode(number * EPISODES_PER_ACTOR + e, 4)]

    def send(stream: str) -> None:
        try:
            for begin in range(0, len(sent[stream]), 3):
                append(log, stream, begin + 1, sent[stream][begin : begin + 5])
        except BaseException as error:  # noqa: BLE001 - told below
            failures.append(error)

    threads = [threading.Thread(target=send, args=(stream,)) for stream in sent for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(isinstance(error, ProtocolError) for error in failures)
    for stream, steps in sent.items():
        append(log, stream, 1, steps)
    stored = [key(step) for steps in log.pending() for step in steps]
    assert stored == [key(s) for steps in sent.values() for s in steps]


def test_gap_is_refused(log: DurableLog) -> None:
    log.open_session(A)
    steps = episode(0, 5)
    for first in (2, 3, 2**62):
        with unchanged(log), pytest.raises(ProtocolError, match=f"Entry {first} came, but 1 was expected"):
            append(log, A, first, steps[1:2])
    append(log, A, 1, steps[:2])
    with unchanged(log), pytest.raises(ProtocolError, match="Entry 4 came, but 3 was expected"):
        append(log, A, 4, steps[3:])


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
    log: DurableLog, stored: list[Step], sent: list[Step]
) -> None:
    log.open_session(A)
    append(log, A, 1, stored) if stored else None
    entries = [LogEntry(len(stored) + 1 + n, step.episode, b"") for n, step in enumerate(sent)]
    with unchanged(log), pytest.raises(ProtocolError, match=f"episode {sent[-1].episode} came after"):
        log.append(A, 1, entries, sent, log.codecs[0])


def test_actors_episodes_lie_in_its_own_range(log: DurableLog) -> None:
    for stream in (A, B):
        log.open_session(stream)
    assert log.cursors[B].next_episode == EPISODES_PER_ACTOR
    for number in (0, EPISODES_PER_ACTOR - 1, 2 * EPISODES_PER_ACTOR):
        with unchanged(log), pytest.raises(ProtocolError):
            append(log, B, 1, episode(number))
    append(log, B, 1, episode(EPISODES_PER_ACTOR))
    append(log, B, 5, episode(2 * EPISODES_PER_ACTOR - 1))
    assert log.cursors[B].next_episode == 2 * EPISODES_PER_ACTOR
    with unchanged(log), pytest.raises(ProtocolError):
        append(log, B, 9, episode(2 * EPISODES_PER_ACTOR))


def test_cursor_refuses_an_endless_episode() -> None:
    cursor = Cursor(0, 1, 10, 3, MAX_EPISODE_STEPS - 1, open=True)
    cursor = cursor.after([make_step(3, MAX_EPISODE_STEPS, 1.0, camera=False)])
    with pytest.raises(ProtocolError):
        cursor.after([make_step(3, MAX_EPISODE_STEPS + 1, 1.0, camera=False)])


def test_earlier_session_is_over(opened: Callable[[], DurableLog]) -> None:
    log = opened()
    log.open_session(A)
    append(log, A, 1, episode(0), session=1)
    log.open_session(A)
    for again in (log, opened()):
        for session in (1, 0, 3, 2**62):
            with unchanged(again), pytest.raises(ProtocolError, match="copy of the same directory"):
                append(again, A, 5, episode(1), session=session)
            with unchanged(again), pytest.raises(ProtocolError, match="copy of the same directory"):
                append(again, A, 1, episode(0), session=session)
            with unchanged(again), pytest.raises(ProtocolError, match="copy of the same directory"):
                again.discard(A, session, 5, 0)
    append(log, A, 5, episode(1), session=2)


def test_stream_says_hello_first(log: DurableLog) -> None:
    with pytest.raises(ProtocolError, match="hello"):
        append_raw(log, A, 0, 1, episode(0))
    with pytest.raises(ProtocolError, match="hello"):
        log.discard(A, 0, 1, 0)
    assert state(log) == ({}, [])


def test_discarded_episode_is_gone_once_and_the_others_stay(opened: Callable[[], DurableLog]) -> None:
    log = opened()
    for stream in (A, B):
        log.open_session(stream)
    append(log, A, 1, [*episode(0), *episode(1, ends=False)])
    append(log, B, 1, episode(EPISODES_PER_ACTOR, ends=False))
    for number, number_of_episode in ((9, 0), (9, 2), (9, EPISODES_PER_ACTOR)):
        with unchanged(log), pytest.raises(ProtocolError, match=f"Episode {number_of_episode}"):
            log.discard(A, 1, number, number_of_episode)
    with unchanged(log), pytest.raises(ProtocolError, match="Entry 11 came, but 9"):
        log.discard(A, 1, 11, 1)
    assert log.discard(A, 1, 9, 1)
    for again in (log, opened()):
        assert not again.discard(A, 1, 9, 1), "repeated"
        assert keys(again.pending()) == keys([episode(0), episode(EPISODES_PER_ACTOR, ends=False)])
        assert again.cursors[A] == Cursor(0, 1, 9, 1, 3, open=False)
        for steps in ([make_step(1, 4, camera=False)], episode(1)):
            with unchanged(again), pytest.raises(ProtocolError):
                append(again, A, 10, steps)
        with unchanged(again), pytest.raises(ProtocolError):
            again.discard(A, 1, 10, 1)
    assert append(log, A, 5, episode(1, ends=False)) == [], "its steps sent again bring nothing back"
    assert len(append(log, A, 10, episode(2))) == 4
    assert [steps[0].episode for steps in log.pending()] == [0, 2, EPISODES_PER_ACTOR]


def test_episode_that_has_ended_cannot_be_discarded(log: DurableLog) -> None:
    log.open_session(A)
    append(log, A, 1, episode(0))
    with unchanged(log), pytest.raises(ProtocolError):
        log.discard(A, 1, 5, 0)


@pytest.mark.parametrize("seed", range(4))
def test_abandoned_log_has_what_was_acknowledged(opened: Callable[[], DurableLog], seed: int) -> None:
    """Steps, discards, releases; after each of them another log finds what this one has."""
    rng, log, first, number, kept = np.random.default_rng(seed), opened(), 1, 0, {}
    log.open_session(A)
    for _ in range(25):
        steps = episode(number, int(rng.integers(0, 5)), ends=rng.random() < 0.5)
        append(log, A, first, steps)
        first += len(steps)
        kept[number] = [key(s) for s in steps]
        if log.is_open(number) and rng.random() < 0.5:
            assert log.discard(A, 1, first, number)
            first += 1
            del kept[number]
        elif kept and rng.random() < 0.4:
            released = int(rng.choice(list(kept)))
            log.release(released)
            del kept[released]
        number += int(rng.integers(1, 3))
        found = opened()
        assert state(found) == (log.cursors, list(kept.values()))
        if rng.random() < 0.5:
            log = found


def test_released_episode_is_gone_and_does_not_come_again(opened: Callable[[], DurableLog]) -> None:
    log = opened()
    log.open_session(A)
    append(log, A, 1, [*episode(0), *episode(1), *episode(2, ends=False)])
    log.release(1)
    log.release(1)
    log.release(77)
    assert append(log, A, 1, [*episode(0), *episode(1)]) == []
    assert [steps[0].episode for steps in opened().pending()] == [0, 2]


def test_is_open_tells_episodes_that_may_go_on(opened: Callable[[], DurableLog]) -> None:
    log = opened()
    for stream in (A, B):
        log.open_session(stream)
    append(log, A, 1, [*episode(0, ends=False), *episode(1, ends=False)])
    append(log, B, 1, episode(EPISODES_PER_ACTOR))
    for again in (log, opened()):
        assert [again.is_open(e) for e in (0, 1, 2, EPISODES_PER_ACTOR, -1)] == [False, True, False, False, False]
    log.open_session(A)
    assert log.is_open(1), "its actor may have lost no more than the connection"


def test_full_disk_acknowledges_nothing_and_goes_on_when_there_is_room(opened: Callable[[], DurableLog]) -> None:
    log, first = opened(), 1
    log.open_session(A)
    database = log._putting
    (pages,) = database.execute("PRAGMA page_count").fetchone()
    database.execute(f"PRAGMA max_page_count={pages + 4}")
    sent: list[list[Step]] = []
    while True:
        steps = episode(len(sent), 20, ends=False)
        before = dict(log.cursors), keys(log.pending())
        try:
            append(log, A, first, steps)
        except LogFullError:
            break
        first += len(steps)
        sent.append(steps)
    assert state(log) == before
    assert state(opened()) == before, "nor has the disk"
    for _ in range(3):
        with unchanged(log), pytest.raises(LogFullError, match=str(log.path)):
            append(log, A, first, steps)
    log.release(0)
    assert log.discard(A, 1, first, sent[-1][0].episode), "what makes room still works"
    database.execute("PRAGMA max_page_count=1000000")
    assert append(log, A, first + 1, steps) == steps
    assert keys(opened().pending()) == keys([*sent[1:-1], steps])


def test_full_disk_begins_no_session(log: DurableLog) -> None:
    (pages,) = log._putting.execute("PRAGMA page_count").fetchone()
    log._putting.execute(f"PRAGMA max_page_count={pages}")
    streams = [f"{n:032x}" for n in range(500)]
    with contextlib.suppress(LogFullError):
        for stream in streams:
            log.open_session(stream)
    count = len(log.cursors)
    assert count < len(streams)
    with pytest.raises(LogFullError, match=str(log.path)):
        log.open_session(streams[count])
    assert len(log.cursors) == count
    log._putting.execute("PRAGMA max_page_count=1000000")
    assert log.open_session(streams[count]).number == count


def test_file_that_is_no_log_is_named(opened: Callable[[], DurableLog], tmp_path: Path) -> None:
    path = tmp_path / "incoming.sqlite"
    for junk in (b"junk" * 5000, b"SQLite format 3\0" + b"\xff" * 9000):
        path.write_bytes(junk)
        with pytest.raises(HilserlError, match=str(path)):
            opened()
        gc.collect()


@pytest.mark.parametrize("damage", ["substr(payload, 1, 300)", "zeroblob(length(payload))", "x'00'", "x''"])
def test_damaged_episode_is_told_with_the_file(opened: Callable[[], DurableLog], damage: str) -> None:
    log = opened()
    log.open_session(A)
    append(log, A, 1, [*episode(0), *episode(1)])
    with log._putting as database:
        database.execute(f"UPDATE entries SET payload = {damage} WHERE episode = 1")
    with pytest.raises(HilserlError, match=str(log.path)):
        opened().pending()


def test_turned_bits_in_a_stored_step_are_told(opened: Callable[[], DurableLog]) -> None:
    log, rng, outcomes = opened(), np.random.default_rng(2), set()
    log.open_session(A)
    append(log, A, 1, episode(0))
    ((payload,),) = log._putting.execute("SELECT payload FROM entries WHERE number = 1").fetchall()
    for position in rng.choice(len(payload), 80, replace=False):
        turned = payload[:position] + bytes([payload[position] ^ 0x10]) + payload[position + 1 :]
        with log._putting as database:
            database.execute("UPDATE entries SET payload = ? WHERE number = 1", (turned,))
        try:
            outcomes.add("as it was" if keys(log.pending()) == keys([episode(0)]) else "OTHER STEPS")
        except HilserlError:
            outcomes.add("refused")
        except Exception as error:  # noqa: BLE001 - which is what must not happen
            outcomes.add(f"{type(error).__name__}: {error}")
    assert outcomes <= {"as it was", "refused"}
