"""What an actor has done waits on its disk, in order, until a learner has it, whatever happens to the actor."""

import contextlib
import gc
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Step
from hilserl.distributed.spool import Spool, SpoolEntry, SpoolFullError
from hilserl.errors import HilserlError
from tests.support.loopback import key, until
from tests.support.steps import make_episode, make_step

LARGE = 50_000_000
SMALL = 100_000
ALL = 1_000_000


@pytest.fixture
def opened(tmp_path: Path, state_spec: ExperienceSpec) -> Iterator[Callable[..., Spool]]:
    """Opens the spool of one folder; those that are left open are closed in the end."""
    spools: list[Spool] = []

    def open_spool(max_bytes: int = LARGE) -> Spool:
        spools.append(Spool(tmp_path, state_spec, max_bytes))
        return spools[-1]

    yield open_spool
    for spool in spools:
        spool.close()


def step(number: int, episode: int = 1) -> Step:
    return make_step(episode, number, camera=False)


def contents(entries: list[SpoolEntry]) -> list[tuple[int, int | None]]:
    """Each entry's number and its step's index."""
    return [(entry.number, entry.step.index if entry.step else None) for entry in entries]


def fill(spool: Spool) -> int:
    """Puts steps until there is no room; how many went in."""
    for count in range(100_000):
        try:
            spool.put_step(step(count))
        except SpoolFullError:
            return count
    raise AssertionError("never full")


def test_entries_come_out_in_the_order_and_form_in_which_they_went_in(opened: Callable[..., Spool]) -> None:
    spool, steps = opened(), make_episode(4, 20, camera=False, terminated=True, intervened=(3, 4))
    assert (len(spool), spool.last, spool.next_episode, spool.peek(5)) == (0, 0, 0, [])
    for each in steps:
        spool.put_step(each)
    spool.put_discard(4)
    spool.put_step(make_step(5, 0, camera=False))
    entries = spool.peek(ALL)
    assert [entry.number for entry in entries] == list(range(1, 24))
    assert [key(entry.step) for entry in entries if entry.step] == [
        *map(key, steps),
        key(make_step(5, 0, camera=False)),
    ]
    assert (entries[21].step, entries[21].episode) == (None, 4)
    assert contents(spool.peek(3)) == contents(entries[:3]), "looking changes nothing, and takes no more than asked"
    assert len(spool) == 23


def test_what_is_acknowledged_is_gone_and_its_number_is_never_used_again(opened: Callable[..., Spool]) -> None:
    spool = opened()
    for index in range(5):
        spool.put_step(step(index))
    spool.acknowledge(3)
    spool.acknowledge(1)
    assert contents(spool.peek(ALL)) == [(4, 3), (5, 4)]
    stream = spool.stream
    spool.close()
    spool = opened()
    assert (spool.stream, contents(spool.peek(ALL)), len(spool)) == (stream, [(4, 3), (5, 4)], 2)
    spool.acknowledge(5)
    spool.close()
    spool = opened()
    assert (len(spool), spool.last, spool.peek(ALL)) == (0, 5, [])
    spool.put_step(step(9))
    assert contents(spool.peek(ALL)) == [(6, 9)]


def test_two_folders_have_two_streams(tmp_path: Path, state_spec: ExperienceSpec) -> None:
    streams = set()
    for name in "abc":
        (tmp_path / name).mkdir()
        with contextlib.closing(Spool(tmp_path / name, state_spec, LARGE)) as spool:
            streams.add(spool.stream)
            assert len(spool.stream) == 32
    assert len(streams) == 3


def test_the_run_it_belongs_to_is_remembered(opened: Callable[..., Spool]) -> None:
    spool = opened()
    assert spool.run == ""
    spool.bind("that run")
    assert spool.run == "that run"
    assert opened().run == "that run"


def test_episodes_go_on_after_those_that_wait(opened: Callable[..., Spool]) -> None:
    spool = opened()
    spool.put_step(make_step(7, 0, camera=False))
    spool.put_step(make_step(9, 0, camera=False))
    assert opened().next_episode == 10


@pytest.mark.parametrize("acknowledged", range(5))
def test_abandoned_at_any_moment_it_is_found_as_it_was(opened: Callable[..., Spool], acknowledged: int) -> None:
    """Nothing is closed: what counts is what had been returned from."""
    spool = opened()
    for index in range(4):
        spool.put_step(step(index))
        spool.acknowledge(min(index + 1, acknowledged))
        found = opened()
        expected = [(n + 1, n) for n in range(min(index + 1, acknowledged), index + 1)]
        assert (contents(found.peek(ALL)), found.last) == (expected, index + 1)
        found.close()


WRITER = """
import sys
sys.path.insert(0, {root!r})
from pathlib import Path
from tests.support.steps import make_step
from hilserl.data.spec import ActionLayout, ExperienceSpec, StateLayout, entry
from hilserl.distributed.spool import Spool
state = StateLayout((entry("position_m", 2), entry("gripper_command", 1)))
spool = Spool(Path(sys.argv[1]), ExperienceSpec("toy", state, ActionLayout(("dx", "gripper"), grippers=(1,))), 10**9)
for index in range(10**9):
    spool.put_step(make_step(1, index, camera=False))
    if index % 7 == 3:
        spool.acknowledge(index // 2)
    print(index, flush=True)
"""


def test_a_writer_killed_among_its_puts_leaves_a_prefix_without_a_gap(
    opened: Callable[..., Spool], tmp_path: Path
) -> None:
    program = WRITER.format(root=str(Path(__file__).parents[2]))
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        told = -1
        for line in process.stdout:
            told = int(line) if line.endswith("\n") else told
            if told == 250:
                process.send_signal(signal.SIGKILL)
    spool = opened()
    assert spool.last in (told + 1, told + 2), "all that was put, and perhaps one that was not told of"
    entries = spool.peek(ALL)
    assert [entry.number for entry in entries] == list(range(spool.last - len(spool) + 1, spool.last + 1))
    assert 100 < len(entries) < 200, "those that were acknowledged are gone"
    assert [key(entry.step) for entry in entries if entry.step] == [key(step(e.number - 1)) for e in entries]


def test_a_full_spool_says_so_and_loses_nothing(opened: Callable[..., Spool]) -> None:
    spool = opened(SMALL)
    assert spool.has_room
    count = fill(spool)
    assert count > 20
    assert not spool.has_room
    for _ in range(3):
        with pytest.raises(SpoolFullError, match=str(spool.path)):
            spool.put_step(step(count))
    assert contents(spool.peek(ALL)) == [(n + 1, n) for n in range(count)]
    assert (spool.last, len(spool)) == (count, count)
    spool.close()
    spool = opened(SMALL)
    assert contents(spool.peek(ALL)) == [(n + 1, n) for n in range(count)]
    with pytest.raises(SpoolFullError):
        spool.put_step(step(count))
    assert not spool.has_room


def test_room_comes_back_with_acknowledgements(opened: Callable[..., Spool]) -> None:
    spool, last = opened(SMALL), 0
    for _ in range(5):
        count = fill(spool)
        assert count > 5
        last += count
        assert spool.last == last, "what was refused has no number"
        spool.acknowledge(last - 2)
        assert spool.has_room
        assert contents(spool.peek(ALL)) == [(last - 1, count - 2), (last, count - 1)]
        spool.acknowledge(last)
    spool.put_step(step(77))
    assert contents(spool.peek(ALL)) == [(last + 1, 77)]


def test_it_takes_no_more_of_the_disk_than_it_may(opened: Callable[..., Spool]) -> None:
    spool = opened(SMALL)
    for _ in range(4):
        fill(spool)
        spool.acknowledge(spool.last)
    spool.close()
    assert spool.path.stat().st_size <= SMALL


def test_a_step_that_cannot_be_recorded_is_refused_when_it_is_put(opened: Callable[..., Spool]) -> None:
    """Once in the spool it would be refused by the learner for ever, and everything after it would wait."""
    spool, outcomes = opened(), []
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
            spool.put_step(bad)
            outcomes.append(f"{name}: taken")
        except HilserlError:
            pass
    assert not outcomes
    spool.put_step(good)
    assert contents(spool.peek(ALL)) == [(1, 1)]


def test_a_file_that_is_no_spool_is_named(opened: Callable[..., Spool], tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite"
    for junk in (b"junk" * 5000, b"SQLite format 3\0" + b"\xff" * 9000):
        path.write_bytes(junk)
        with pytest.raises(HilserlError, match=str(path)):
            opened()
        assert path.read_bytes() == junk, "it is left as it was"
        gc.collect()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path, state_spec: ExperienceSpec) -> None:
    with pytest.raises(HilserlError, match="absent"):
        Spool(tmp_path / "absent", state_spec, LARGE)


def test_damage_anywhere_in_the_file_is_told_and_named(opened: Callable[..., Spool], tmp_path: Path) -> None:
    """Bytes of the file turned: no step is read that was not put, and errors name the file."""
    spool = opened()
    for index in range(12):
        spool.put_step(step(index))
    spool.close()
    path, rng, outcomes = tmp_path / "spool.sqlite", np.random.default_rng(0), set()
    whole, known = path.read_bytes(), {key(step(n)) for n in range(12)}
    for position in rng.choice(len(whole), 70, replace=False):
        turned = bytearray(whole)
        turned[position] ^= int(rng.choice([1, 0x10, 0x80, 0xFF]))
        path.write_bytes(turned)
        try:
            with contextlib.closing(opened()) as spool:
                found = [key(entry.step) for entry in spool.peek(ALL) if entry.step]
            outcomes.add("as it was" if known.issuperset(found) else "OTHER STEPS")
        except HilserlError as error:
            outcomes.add("refused" if str(path) in str(error) else f"not named: {error}")
        except Exception as error:  # noqa: BLE001 - which is what must not happen
            outcomes.add(f"{type(error).__name__}: {error}")
    assert outcomes <= {"as it was", "refused"}


def test_a_damaged_entry_is_named_with_its_number(opened: Callable[..., Spool]) -> None:
    spool = opened()
    for index in range(3):
        spool.put_step(step(index))
    spool.close()
    with contextlib.closing(sqlite3.connect(spool.path)) as database, database:
        database.execute("UPDATE entries SET payload = substr(payload, 1, length(payload) / 2) WHERE number = 2")
    spool = opened()
    assert len(spool.peek(1)) == 1
    with pytest.raises(HilserlError, match=f"Entry 2 of the spool {spool.path}"):
        spool.peek(2)


def test_steps_of_another_task_are_told_from_ours(tmp_path: Path, spec: ExperienceSpec) -> None:
    with contextlib.closing(Spool(tmp_path, spec, LARGE)) as spool:
        spool.put_step(make_step(1, 0))
    other = ExperienceSpec("other", spec.state, spec.action, spec.images)
    with (
        contextlib.closing(Spool(tmp_path, other, LARGE)) as spool,
        pytest.raises(HilserlError, match=r"(?s)spool.*toy.*other"),
    ):
        spool.peek(1)


def test_a_learner_that_has_more_than_this_disk_is_believed(opened: Callable[..., Spool]) -> None:
    spool = opened()
    for index in range(3):
        spool.put_step(step(index))
    spool.skip_to(2)
    assert (contents(spool.peek(ALL)), spool.last) == ([(3, 2)], 3)
    spool.skip_to(50)
    assert (spool.peek(ALL), spool.last, len(spool)) == ([], 50, 0)
    spool.put_step(step(9))
    assert contents(spool.peek(ALL)) == [(51, 9)]
    spool.skip_to(10)
    assert contents(spool.peek(ALL)) == [(51, 9)]
    found = opened()
    assert (contents(found.peek(ALL)), found.last) == ([(51, 9)], 51)
    found.close()


def concurrently(puts: int, spool: Spool, other: Callable[[], object]) -> None:
    """One thread puts; another does something again and again meanwhile. Raises what either raises."""
    failures: list[BaseException] = []
    done = threading.Event()

    def put() -> None:
        try:
            for index in range(puts):
                spool.put_step(step(index))
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


def test_one_thread_puts_while_another_takes(opened: Callable[..., Spool]) -> None:
    spool, taken = opened(), []

    def take() -> None:
        entries = spool.peek(13)
        taken.extend(contents(entries))
        if entries:
            spool.acknowledge(entries[-1].number)

    concurrently(400, spool, take)
    until(lambda: not take() and not len(spool), "the rest")
    assert taken == [(n + 1, n) for n in range(400)]


def test_a_reconnection_among_puts_does_not_take_a_number_back(opened: Callable[..., Spool]) -> None:
    """The sending thread tells the spool how far the learner is whenever it greets it again."""
    spool = opened()
    for _ in range(3):
        last = spool.last
        concurrently(150, spool, lambda: spool.skip_to(0))
        assert spool.last == last + 150
    assert [number for number, _ in contents(spool.peek(ALL))] == list(range(1, 451))


def test_a_spool_that_was_closed_says_so(opened: Callable[..., Spool]) -> None:
    spool = opened()
    spool.close()
    with pytest.raises(HilserlError, match=r"spool\.sqlite"):
        spool.put_step(step(0))
