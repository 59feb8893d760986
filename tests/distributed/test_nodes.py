"""Learner and actors as processes, killed, frozen, cut off and started again: no step is ever lost or kept twice."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hilserl.address import Address
from hilserl.distributed.credentials import Credentials
from hilserl.distributed.learner_client import CALL_S, LearnerClient
from hilserl.runs.checkpoint import choose, steps_in
from tests.support.nodes import Actor, Node, Proxy, Site, Spooled, until
from tests.support.noting_node import OTHER_TASK

pytestmark = pytest.mark.chaos
STEPS_A_SECOND = 100
"""At most, by the settings."""
LONG = int(1.3 * CALL_S * STEPS_A_SECOND)
"""Steps that take longer than any call between actor and learner may."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.close()


@pytest.fixture
def proxy(site: Site) -> Iterator[Proxy]:
    """A network before the learner."""
    proxy = Proxy(site.port)
    yield proxy
    proxy.close()


def more(actor: Actor, steps: int, *alive: Node) -> None:
    """Waits until the actor has done more."""
    target = actor.done + steps
    until(lambda: actor.done >= target, f"{steps} more steps of {actor.directory.name}", actor, *alive)


def arrived(actor: Actor, steps: int, *alive: Node) -> None:
    """Waits until the learner has acknowledged more."""
    target = actor.sent + steps
    until(lambda: actor.sent >= target, f"{steps} more steps acknowledged", actor, *alive)


def caught_up(actor: Actor, *alive: Node) -> None:
    """Waits until everything up to now has been acknowledged."""
    target = actor.done
    until(lambda: actor.sent >= target, f"the learner has the {actor.waiting} steps that wait", actor, *alive)


def leave(*nodes: Node) -> None:
    """Ends processes as Ctrl-C does."""
    for node in nodes:
        node.interrupt()
    for node in nodes:
        assert node.ended() == 130, node.said


def alive_at(port: int) -> int:
    """Ask the learner on a port for its number of live actors."""
    line = LearnerClient(Address("127.0.0.1", port), Credentials())
    try:
        return line.describe().actors
    finally:
        line.close()


def test_killed_learner_and_a_killed_actor_go_on_where_they_were(site: Site) -> None:
    learner, actor = site.learner(), site.actor()
    arrived(actor, 100, learner)
    learner.kill()
    more(actor, 50)
    assert actor.waiting >= 50, "what is done meanwhile is kept"
    learner = site.learner(resume=True)
    caught_up(actor, learner)
    actor.kill()
    actor = site.actor(resume=True)
    arrived(actor, 100, learner)
    leave(actor)
    assert actor.waiting == 0, "it leaves when all is sent"
    assert "Ended: interrupted" in actor.said
    assert learner.is_alive
    leave(learner)
    (balance,) = site.check()
    assert balance.kept >= 250
    assert steps_in(site.run / "checkpoints"), "and Ctrl-C keeps what was learned"


def test_actor_that_does_not_fit_is_refused_with_both_sides_shown(site: Site) -> None:
    learner, other_view = site.learner(), site.actor("view", "--obs", "pixels", "--env.image-size", "32")
    site.task = OTHER_TASK
    other_task = site.actor("task")
    assert other_task.ended() == 1
    assert f"trains 'pick_cube', not '{OTHER_TASK}'" in other_task.said
    assert other_view.ended() == 1
    for part in ("does not fit", "encoder: here 'none', there", "images: here [], there [['front', [32, 32, 3]]"):
        assert part in other_view.said
    assert "Traceback" not in other_view.said + other_task.said
    assert learner.is_alive
    assert "does not fit" in learner.said, "and the learner's side tells it too"


def test_ctrl_c_ends_learner_and_actor_of_one_command(site: Site) -> None:
    command, actor = site.learner(verb="train"), site.run / "actors" / "0"
    until(lambda: Spooled.read(actor).acknowledged >= 100, "steps acknowledged", command)
    command.group(signal.SIGINT)
    assert command.ended() == 130, command.said
    with pytest.raises(ProcessLookupError):
        os.killpg(command.process.pid, 0)
    (balance,) = site.check()
    assert balance.waiting == 0
    assert steps_in(site.run / "checkpoints")


@pytest.mark.long
def test_command_starts_its_killed_actor_again_and_can_be_resumed(site: Site) -> None:
    command, actor = site.learner(verb="train"), site.run / "actors" / "0"
    for _ in range(2):
        target = Spooled.read(actor).acknowledged + 100
        until(lambda least=target: Spooled.read(actor).acknowledged >= least, "steps acknowledged", command)
        (child,) = children(command)
        os.kill(child, signal.SIGKILL)
        until(lambda dead=child: children(command) not in ([], [dead]), "another actor", command)
    target = Spooled.read(actor).acknowledged + 50
    until(lambda: Spooled.read(actor).acknowledged >= target, "steps of the third actor", command)
    command.interrupt(signal.SIGTERM)
    assert command.ended() == 130, command.said
    with pytest.raises(ProcessLookupError):
        os.killpg(command.process.pid, 0)
    site.check()
    done = json.loads((choose(site.run / "checkpoints", "last") / "state.json").read_text())["env_steps"]
    command = site.learner("--max-env-steps", str(done + 100), verb="train", resume=True)
    assert command.ended() == 0, command.said
    result = json.loads((site.run / "result.json").read_text())
    assert (result["ended"], result["env_steps"] >= done + 100) == ("step limit", True)
    (balance,) = site.check()
    assert balance.waiting == 0


def children(node: Node) -> list[int]:
    pid = node.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_killed_command_can_be_resumed_at_once(site: Site) -> None:
    command, actor = site.learner(verb="train"), site.run / "actors" / "0"
    until(lambda: Spooled.read(actor).acknowledged >= 100, "steps acknowledged", command)
    command.kill_alone()
    target = Spooled.read(actor).acknowledged + 100
    command = site.learner(verb="train", resume=True)
    until(lambda: Spooled.read(actor).acknowledged >= target, "steps acknowledged", command)
    command.group(signal.SIGINT)
    assert command.ended() == 130, command.said
    site.check()


@pytest.mark.parametrize("first", [pytest.param("learner", marks=pytest.mark.long), "actor"])
def test_learner_and_actor_killed(site: Site, first: str) -> None:
    learner, actor = site.learner(), site.actor()
    arrived(actor, 100, learner)
    for node in (learner, actor) if first == "learner" else (actor, learner):
        node.kill()
    learner, actor = site.learner(resume=True), site.actor(resume=True)
    arrived(actor, 100, learner)
    actor.kill()
    learner.kill()
    learner = site.learner(resume=True)
    more(actor := site.actor(resume=True), 100, learner)
    leave(actor, learner)
    site.check()


@pytest.mark.parametrize(
    ("how", "steps"),
    [
        pytest.param("swallowed", 200, marks=pytest.mark.long),
        ("swallowed", LONG),
        ("late", 200),
        pytest.param("late", LONG, marks=pytest.mark.long),
    ],
)
def test_network_that_breaks(site: Site, proxy: Proxy, how: str, steps: int) -> None:
    learner, actor = site.learner(), site.actor(port=proxy.port)
    for _ in range(2):
        arrived(actor, 100, learner)
        proxy.cut() if how == "swallowed" else proxy.hold()
        more(actor, steps, learner)
        assert actor.waiting >= steps // 2
        proxy.heal() if how == "swallowed" else proxy.release()
        caught_up(actor, learner)
    leave(actor)
    leave(learner)
    (balance,) = site.check()
    assert balance.waiting == 0


@pytest.mark.long
def test_slow_network_gets_a_backlog_across(site: Site, proxy: Proxy) -> None:
    """All that waits would take longer than a call may; what has arrived of it must not have to come again."""
    learner, actor = site.learner(), site.actor(port=proxy.port)
    arrived(actor, 100, learner)
    proxy.cut()
    until(lambda: actor.waiting >= 400, "a backlog", actor, learner)
    actor.kill()
    proxy.heal()
    # 256 steps, which go together, are some 60 kB.
    proxy.bytes_per_s = 3_000
    actor = site.actor(0, "--actor-hz", "2", port=proxy.port, resume=True)
    caught_up(actor, learner)
    proxy.bytes_per_s = None
    leave(actor)
    leave(learner)
    site.check()


@pytest.mark.parametrize("number", [pytest.param(2, marks=pytest.mark.long), 4])
def test_actors_at_once(site: Site, number: int) -> None:
    learner, *actors = site.learner(), *(site.actor(name) for name in range(number))
    for actor in actors:
        arrived(actor, 100, learner, *actors)
    actors[0].kill()
    actors[0] = site.actor(0, resume=True)
    arrived(actors[1], 50, learner, *actors)
    learner.kill()
    learner = site.learner(resume=True)
    for actor in actors:
        arrived(actor, 50, learner, *actors)
    leave(*actors)
    leave(learner)
    balances = site.check()
    assert [balance.waiting for balance in balances] == [0] * number
    assert min(balance.kept for balance in balances) >= 100


@pytest.mark.parametrize("steps", [300, LONG, pytest.param(2 * LONG, marks=pytest.mark.long)])
def test_learner_that_stands_still(site: Site, steps: int) -> None:
    learner, actor = site.learner(), site.actor()
    arrived(actor, 100, learner)
    learner.freeze()
    more(actor, steps)
    learner.thaw()
    caught_up(actor, learner)
    leave(actor)
    leave(learner)
    (balance,) = site.check()
    assert balance.waiting == 0


def test_frozen_actor_does_not_stop_the_others(site: Site) -> None:
    learner, still, other = site.learner(), site.actor("still"), site.actor("other")
    arrived(still, 100, learner, other)
    arrived(other, 100, learner, still)
    still.freeze()
    arrived(other, 50, learner)
    until(lambda: alive_at(site.port) == 1, "the learner notes the silence", learner, other)
    still.thaw()
    arrived(still, 50, learner, other)
    still.freeze()
    learner.interrupt()
    assert learner.ended(within_s=30) == 130, "it does not wait for who is silent"
    still.thaw()
    learner = site.learner(resume=True)
    for actor in (still, other):
        caught_up(actor, learner)
    leave(still, other)
    leave(learner)
    assert all(balance.waiting == 0 for balance in site.check())


@pytest.mark.long
def test_actor_waits_for_its_learner_and_can_be_ended_meanwhile(site: Site) -> None:
    learner, actor = site.learner(), site.actor()
    arrived(actor, 100, learner)
    leave(learner)
    assert f"--resume --run-dir {site.run}" in learner.said
    before = steps_in(site.run / "checkpoints")
    assert before
    more(actor, 100)
    leave(actor)
    assert actor.waiting >= 100
    assert f"{actor.waiting} steps are still to be sent; they wait in {actor.directory}." in actor.said
    (balance,) = site.check()
    assert balance.waiting == actor.waiting
    actor = site.actor(resume=True)
    until(lambda: "Waiting. The learner" in actor.said, "it tells what it waits for", actor)
    learner = site.learner(resume=True)
    arrived(actor, balance.waiting + 50, learner)
    leave(actor)
    leave(learner)
    (balance,) = site.check()
    assert balance.waiting == 0


@pytest.mark.long
def test_ctrl_c_ends_an_actor_that_never_found_its_learner(site: Site) -> None:
    actor = site.actor()
    until(lambda: "Waiting. The learner" in actor.said, "it tells what it waits for", actor)
    actor.interrupt()
    assert actor.ended(within_s=30) == 130
    assert "Traceback" not in actor.said


@pytest.mark.long
def test_learner_of_another_run_gets_no_steps(site: Site, tmp_path: Path) -> None:
    learner, actor = site.learner(), site.actor()
    arrived(actor, 100, learner)
    learner.kill()
    other = Site(tmp_path / "other")
    other.directory.mkdir()
    other.port = site.port
    try:
        stranger = other.learner()
        assert actor.ended() == 1
        assert "has steps for another run than this learner's" in actor.said
        leave(stranger)
    finally:
        other.close()
    learner, actor = site.learner(resume=True), site.actor(resume=True)
    arrived(actor, 50, learner)
    leave(actor)
    leave(learner)
    (balance,) = site.check()
    assert balance.waiting == 0


def test_actor_without_room_waits_and_goes_on(site: Site) -> None:
    room = 2_000_000
    learner, actor = site.learner(), site.actor(spool_bytes=room)
    arrived(actor, 500, learner)
    learner.kill()
    stalled_at, since = -1, time.monotonic()

    def stands_still() -> bool:
        nonlocal stalled_at, since
        if actor.done != stalled_at:
            stalled_at, since = actor.done, time.monotonic()
        return time.monotonic() - since > 5

    until(stands_still, "the spool is full", actor)
    assert actor.waiting > 50
    journal_bytes = (actor.directory / "spool.sqlite-wal").stat().st_size
    learner = site.learner(resume=True)
    arrived(actor, actor.waiting + 100, learner)
    leave(actor)
    leave(learner)
    (balance,) = site.check()
    assert balance.waiting == 0
    # SQLite's thousand pages, and what came while the sender was busy with something else: a whole room of it twice.
    assert journal_bytes <= 4_200_000 + 2 * room, "its journal, which is beside it, does not grow for ever"


def test_learner_without_room_waits_and_goes_on(site: Site) -> None:
    learner, actor = site.learner(), site.actor()
    arrived(actor, 100, learner)
    journal = site.run / "incoming.sqlite-wal"
    _, hard = resource.prlimit(learner.process.pid, resource.RLIMIT_FSIZE)
    for _ in range(2):
        resource.prlimit(learner.process.pid, resource.RLIMIT_FSIZE, (journal.stat().st_size, hard))
        until(lambda: actor.waiting >= 200, "the learner takes nothing more", actor, learner)
        resource.prlimit(learner.process.pid, resource.RLIMIT_FSIZE, (hard, hard))
        caught_up(actor, learner)
    leave(actor)
    leave(learner)
    (balance,) = site.check()
    assert balance.waiting == 0


def test_short_soak(tmp_path: Path) -> None:
    script = Path(__file__).parents[2] / "scripts" / "soak.py"
    command = [sys.executable, str(script), "--minutes", "2", "--every", "10", "20"]
    soak = subprocess.run(
        [*command, "--calm-minutes", "0", "--actors", "2", "--obs", "state", "--dir", str(tmp_path)],
        capture_output=True,
        text=True,
    )
    assert soak.returncode == 0, soak.stdout + soak.stderr
    assert "lost 0, duplicated 0" in soak.stdout
