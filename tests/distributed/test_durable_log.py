"""An actor's log keeps its steps in order until the learner has them, through kills, full disks and damage."""

import contextlib
import gc
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from hilserl.data.spec import ActionLayout, ExperienceSpec, StateLayout, entry
from hilserl.data.step import Step
from hilserl.data.step_codec import StepCodec
from hilserl.distributed.durable_log import LOG_FORMAT, DurableLog, LogError, LogFullError
from hilserl.distributed.protocol import LogEntry
from hilserl.errors import HilserlError
from tests.support.loopback import key, until
from tests.support.steps import make_episode, make_step

STATE = StateLayout((entry("position_m", 2), entry("gripper_command", 1)))
CODEC = StepCodec(ExperienceSpec("toy", STATE, ActionLayout(("dx", "gripper"), grippers=(1,))))
LARGE = 50_000_000
SMALL = 100_000
ALL = 1_000_000


@pytest.fixture
def opened(tmp_path: Path, state_spec: ExperienceSpec) -> Iterator[Callable[..., DurableLog]]:
    """Open the log of one directory; logs that are left open are closed in the end."""
    logs: list[DurableLog] = []

    def open_log(max_bytes: int = LARGE) -> DurableLog:
        logs.append(DurableLog(tmp_path / "spool.sqlite", [StepCodec(state_spec)], max_bytes=max_bytes))
        return logs[-1]

    yield open_log
    for log in logs:
        log.close()


def step(number: int, episode: int = 1) -> Step:
    return make_step(episode, number, camera=False)


def contents(entries: Sequence[LogEntry]) -> list[tuple[int, int | None]]:
    """Return each entry's number and its step's index."""
    return [(entry.number, decoded(entry).index if entry.payload else None) for entry in entries]


def decoded(entry: LogEntry) -> Step:
    (step,) = CODEC.decode([entry.payload])
    return step


def decoded_keys(entries: Sequence[LogEntry]) -> list[object]:
    return [key(decoded(entry)) for entry in entries if entry.payload]


def fill(log: DurableLog) -> int:
    """Puts steps until there is no room; how many went in."""
    for count in range(100_000):
        try:
            log.put_step(step(count))
        except LogFullError:
            return count
    raise AssertionError("never full")


def test_entries_come_out_in_the_order_and_form_in_which_they_went_in(opened: Callable[..., DurableLog]) -> None:
    log, steps = opened(), make_episode(4, 20, camera=False, terminated=True, intervened=(3, 4))
    assert (len(log), log.last, log.next_episode, log.peek(5)) == (0, 0, 0, [])
    for each in steps:
        log.put_step(each)
    log.put_discard(4)
    log.put_step(make_step(5, 0, camera=False))
    entries = log.peek(ALL)
    assert [entry.number for entry in entries] == list(range(1, 24))
    assert decoded_keys(entries) == [*map(key, steps), key(make_step(5, 0, camera=False))]
    assert (entries[21].payload, entries[21].episode) == (None, 4)
    assert contents(log.peek(3)) == contents(entries[:3]), "looking changes nothing, and takes no more than asked"
    assert len(log) == 23


def test_acknowledged_entry_is_gone_and_its_number_is_never_used_again(opened: Callable[..., DurableLog]) -> None:
    log = opened()
    for index in range(5):
        log.put_step(step(index))
    log.acknowledge(3)
    log.acknowledge(1)
    assert contents(log.peek(ALL)) == [(4, 3), (5, 4)]
    stream = log.id
    log.close()
    log = opened()
    assert (log.id, contents(log.peek(ALL)), len(log)) == (stream, [(4, 3), (5, 4)], 2)
    log.acknowledge(5)
    log.close()
    log = opened()
    assert (len(log), log.last, log.peek(ALL)) == (0, 5, [])
    log.put_step(step(9))
    assert contents(log.peek(ALL)) == [(6, 9)]


def test_log_id_differs_for_each_file(tmp_path: Path, state_spec: ExperienceSpec) -> None:
    streams = set()
    for name in "abc":
        (tmp_path / name).mkdir()
        with contextlib.closing(DurableLog(tmp_path / name / "spool.sqlite", [StepCodec(state_spec)])) as log:
            streams.add(log.id)
            assert len(log.id) == 32
    assert len(streams) == 3


def test_bind_remembers_the_run(opened: Callable[..., DurableLog]) -> None:
    log = opened()
    assert log.run == ""
    log.bind("that run")
    assert log.run == "that run"
    assert opened().run == "that run"


def test_episodes_go_on_after_those_that_wait(opened: Callable[..., DurableLog]) -> None:
    log = opened()
    log.put_step(make_step(7, 0, camera=False))
    log.put_step(make_step(9, 0, camera=False))
    assert opened().next_episode == 10


@pytest.mark.parametrize("acknowledged", range(5))
def test_abandoned_log_is_found_as_it_was(opened: Callable[..., DurableLog], acknowledged: int) -> None:
    """Nothing is closed: what counts is what had been returned from."""
    log = opened()
    for index in range(4):
        log.put_step(step(index))
        log.acknowledge(min(index + 1, acknowledged))
        found = opened()
        expected = [(n + 1, n) for n in range(min(index + 1, acknowledged), index + 1)]
        assert (contents(found.peek(ALL)), found.last) == (expected, index + 1)
        found.close()


WRITER = """
import sys
sys.path.insert(0, {root!r})
from pathlib import Path
from tests.distributed.test_durable_log import CODEC
from tests.support.steps import make_step
from hilserl.distributed.durable_log import DurableLog
log = DurableLog(Path(sys.argv[1]) / "spool.sqlite", [CODEC])
for index in range(10**9):
    log.put_step(make_step(1, index, camera=False))
    if index % 7 == 3:
        log.acknowledge(index // 2)
    print(index, flush=True)
"""


def test_killed_writer_leaves_a_prefix_without_a_gap(opened: Callable[..., DurableLog], tmp_path: Path) -> None:
    program = WRITER.format(root=str(Path(__file__).parents[2]))
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        told = -1
        for line in process.stdout:
            told = int(line) if line.endswith("\n") else told
            if told == 250:
                process.send_signal(signal.SIGKILL)
    log = opened()
    assert log.last in (told + 1, told + 2), "all that was put, and perhaps one that was not told of"
    entries = log.peek(ALL)
    assert [entry.number for entry in entries] == list(range(log.last - len(log) + 1, log.last + 1))
    assert 100 < len(entries) < 200, "those that were acknowledged are gone"
    assert decoded_keys(entries) == [key(step(e.number - 1)) for e in entries]


def test_full_log_says_so_and_loses_nothing(opened: Callable[..., DurableLog]) -> None:
    log = opened(SMALL)
    assert log.has_room
    count = fill(log)
    assert count > 20
    assert not log.has_room
    for _ in range(3):
        with pytest.raises(LogFullError, match=str(log.path)):
            log.put_step(step(count))
    assert contents(log.peek(ALL)) == [(n + 1, n) for n in range(count)]
    assert (log.last, len(log)) == (count, count)
    log.close()
    log = opened(SMALL)
    assert contents(log.peek(ALL)) == [(n + 1, n) for n in range(count)]
    with pytest.raises(LogFullError):
        log.put_step(step(count))
    assert not log.has_room


def test_room_comes_back_with_acknowledgements(opened: Callable[..., DurableLog]) -> None:
    log, last = opened(SMALL), 0
    for _ in range(5):
        count = fill(log)
        assert count > 5
        last += count
        assert log.last == last, "what was refused has no number"
        log.acknowledge(last - 2)
        assert log.has_room
        assert contents(log.peek(ALL)) == [(last - 1, count - 2), (last, count - 1)]
        log.acknowledge(last)
    log.put_step(step(77))
    assert contents(log.peek(ALL)) == [(last + 1, 77)]


def test_log_takes_no_more_of_the_disk_than_it_may(opened: Callable[..., DurableLog]) -> None:
    log = opened(SMALL)
    for _ in range(4):
        fill(log)
        log.acknowledge(log.last)
    log.close()
    assert log.path.stat().st_size <= SMALL


def test_put_step_refuses_what_no_learner_would_take(opened: Callable[..., DurableLog]) -> None:
    """Once in the log it would be refused by the learner for ever, and everything after it would wait."""
    log, outcomes = opened(), []
    good = step(1)
    for name, bad in {
        "state": make_step(1, 1, float("nan"), camera=False),
        "shape": Step(1, 1, {"state": np.zeros(2, np.float32)}, good.action),
        "action": Step(1, 1, good.observation, np.array([np.nan, 0], np.float32)),
        "action size": Step(1, 1, good.observation, np.zeros(3, np.float32)),
        "action beyond": Step(1, 1, good.observation, np.array([1.5, 0], np.float32)),
        "reward": make_step(1, 1, camera=False, reward=float("nan")),
        "human_seconds": make_step(1, 1, camera=False, human_seconds=float("inf")),
    }.items():
        try:
            log.put_step(bad)
            outcomes.append(f"{name}: taken")
        except HilserlError:
            pass
    assert not outcomes
    log.put_step(good)
    assert contents(log.peek(ALL)) == [(1, 1)]


def test_file_that_is_no_log_is_named(opened: Callable[..., DurableLog], tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite"
    for junk in (b"junk" * 5000, b"SQLite format 3\0" + b"\xff" * 9000):
        path.write_bytes(junk)
        with pytest.raises(HilserlError, match=str(path)):
            opened()
        assert path.read_bytes() == junk, "it is left as it was"
        gc.collect()


def test_missing_directory_is_named(tmp_path: Path, state_spec: ExperienceSpec) -> None:
    with pytest.raises(HilserlError, match="absent"):
        DurableLog(tmp_path / "absent" / "spool.sqlite", [StepCodec(state_spec)])


def test_damage_anywhere_in_the_file_is_told_and_named(opened: Callable[..., DurableLog], tmp_path: Path) -> None:
    """Bytes of the file turned: no step is read that was not put, and errors name the file."""
    log = opened()
    for index in range(12):
        log.put_step(step(index))
    log.close()
    path, rng, outcomes = tmp_path / "spool.sqlite", np.random.default_rng(0), set()
    whole, known = path.read_bytes(), {key(step(n)) for n in range(12)}
    for position in rng.choice(len(whole), 70, replace=False):
        turned = bytearray(whole)
        turned[position] ^= int(rng.choice([1, 0x10, 0x80, 0xFF]))
        path.write_bytes(turned)
        try:
            with contextlib.closing(opened()) as log:
                found = decoded_keys(log.peek(ALL))
            outcomes.add("as it was" if known.issuperset(found) else "OTHER STEPS")
        except HilserlError as error:
            outcomes.add("refused" if str(path) in str(error) else f"not named: {error}")
        except Exception as error:  # noqa: BLE001 - which is what must not happen
            outcomes.add(f"{type(error).__name__}: {error}")
    assert outcomes <= {"as it was", "refused"}


def test_damaged_entry_is_named_with_its_number(opened: Callable[..., DurableLog]) -> None:
    log = opened()
    for index in range(3):
        log.put_step(step(index))
    log.close()
    with contextlib.closing(sqlite3.connect(log.path)) as database, database:
        database.execute("UPDATE entries SET payload = substr(payload, 1, length(payload) / 2) WHERE number = 2")
    log = opened()
    assert len(log.peek(1)) == 1
    with pytest.raises(HilserlError, match=f"Entry 2 of the log {log.path}"):
        log.peek(2)


def test_steps_of_another_task_are_told_from_ours(tmp_path: Path, spec: ExperienceSpec) -> None:
    with contextlib.closing(DurableLog(tmp_path / "spool.sqlite", [StepCodec(spec)])) as log:
        log.put_step(make_step(1, 0))
    other = ExperienceSpec("other", spec.state, spec.action, spec.images)
    with (
        contextlib.closing(DurableLog(tmp_path / "spool.sqlite", [StepCodec(other)])) as log,
        pytest.raises(HilserlError, match=r"(?s)spool.*other.*toy"),
    ):
        log.peek(1)


def test_skip_to_believes_a_learner_that_has_more(opened: Callable[..., DurableLog]) -> None:
    log = opened()
    for index in range(3):
        log.put_step(step(index))
    log.skip_to(2)
    assert (contents(log.peek(ALL)), log.last) == ([(3, 2)], 3)
    log.skip_to(50)
    assert (log.peek(ALL), log.last, len(log)) == ([], 50, 0)
    log.put_step(step(9))
    assert contents(log.peek(ALL)) == [(51, 9)]
    log.skip_to(10)
    assert contents(log.peek(ALL)) == [(51, 9)]
    found = opened()
    assert (contents(found.peek(ALL)), found.last) == ([(51, 9)], 51)
    found.close()


def concurrently(puts: int, log: DurableLog, other: Callable[[], object]) -> None:
    """One thread puts; another does something again and again meanwhile. Raises what either raises."""
    failures: list[BaseException] = []
    done = threading.Event()

    def put() -> None:
        try:
            for index in range(puts):
                log.put_step(step(index))
        except BaseException as error:  # noqa: BLE001 - raised below
            failures.append(error)
        done.set()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread = threading.Thread(target=put)
    thread.start()
    try:
        while not done.is_set():
            other()
    finally:
        thread.join()
        sys.setswitchinterval(interval)
    if failures:
        raise failures[0]


def test_put_and_acknowledge_from_two_threads(opened: Callable[..., DurableLog]) -> None:
    log, taken = opened(), []

    def take() -> None:
        entries = log.peek(13)
        taken.extend(contents(entries))
        if entries:
            log.acknowledge(entries[-1].number)

    concurrently(400, log, take)
    until(lambda: not take() and not len(log), "the rest")
    assert taken == [(n + 1, n) for n in range(400)]


def test_skip_to_among_puts_does_not_take_a_number_back(opened: Callable[..., DurableLog]) -> None:
    """The sending thread tells the log how far the learner is whenever it greets it again."""
    log = opened()
    for _ in range(3):
        last = log.last
        concurrently(150, log, lambda: log.skip_to(0))
        assert log.last == last + 150
    assert [number for number, _ in contents(log.peek(ALL))] == list(range(1, 451))


def test_closed_log_says_so(opened: Callable[..., DurableLog]) -> None:
    log = opened()
    log.close()
    with pytest.raises(HilserlError, match=r"spool\.sqlite"):
        log.put_step(step(0))


def test_log_of_another_format_is_refused_with_both_versions(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE stream (id TEXT, run TEXT, acknowledged INTEGER)")
    with pytest.raises(LogError, match=rf"{path} has format 1, expected {LOG_FORMAT}"):
        DurableLog(path, [CODEC])
    gc.collect()
