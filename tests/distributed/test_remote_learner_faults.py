"""An actor's endpoint survives networks, disks and peers that fail."""

import contextlib
import dataclasses
import sqlite3
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hilserl.address import Address
from hilserl.data.spec import ExperienceSpec
from hilserl.distributed.durable_log import DurableLog, LogFullError
from hilserl.distributed.protocol import (
    EPISODES_PER_ACTOR,
    MAX_ROWS,
    UnreachableError,
)
from hilserl.distributed.remote_learner import RemoteLearner
from hilserl.errors import HilserlError
from hilserl.training.learner import LearnerFacts
from tests.support.calls import (
    LONG_S,
    gone,
    send,
)
from tests.support.loopback import IMPATIENT, Proxy, ToyLearner, keys, linked, until
from tests.support.loopback import toy_episode as episode
from tests.support.steps import make_step


def test_network_that_swallows_bytes_loses_nothing(tmp_path: Path, learner: ToyLearner) -> None:
    with (
        Proxy(learner.port) as proxy,
        linked(tmp_path / "actor", learner.spec, Address("127.0.0.1", proxy.port)) as link,
    ):
        link.connect(gone)
        number, longest = 0, 0.0
        for how in ("cut", "drop", "cut"):
            for _ in range(6):
                longest = max(longest, send(link, episode(number, 5)))
                number += 1
                time.sleep(0.005)
            proxy.cut() if how == "cut" else proxy.drop()
            for _ in range(6):
                longest = max(longest, send(link, episode(number, 5)))
                number += 1
            if how == "cut":
                until(lambda: proxy.swallowed > 0, "something to be swallowed")
                # What had passed before the cut may still be on its way to the disk.
                assert not link.flush(0.5)
                before = learner.log.cursors[link._log.id].stored
                assert not link.flush(0.1)
                assert learner.log.cursors[link._log.id].stored == before
                proxy.mend()
        assert link.flush(LONG_S)
        assert longest < 5
    assert learner.kept == keys([episode(n, 5) for n in range(number)])


def test_acknowledgement_that_is_lost_doubles_nothing(tmp_path: Path, learner: ToyLearner) -> None:
    """The learner stores the steps, but the actor does not hear of it, again and again."""
    with (
        Proxy(learner.port) as proxy,
        linked(tmp_path / "actor", learner.spec, Address("127.0.0.1", proxy.port)) as link,
    ):
        link.connect(gone)
        for number in range(6):
            learner.log.lock.acquire()
            try:
                send(link, episode(number))
                until(lambda before=proxy.forwarded: proxy.forwarded > before, "the put under way")
                time.sleep(0.02)
                proxy.cut()
            finally:
                learner.log.lock.release()
            time.sleep(0.03)
            proxy.mend()
            assert link.flush(LONG_S)
    assert learner.kept == keys([episode(n) for n in range(6)])


def test_network_slower_than_a_deadline_still_makes_progress(tmp_path: Path, spec: ExperienceSpec) -> None:
    """Twelve megabytes have gathered and five go over in one call's time: pieces of it must be acknowledged."""
    hurried = dataclasses.replace(IMPATIENT, call_s=2.0)
    eye = dataclasses.replace(spec, images=(("eye", (128, 128, 3)),))
    frame = np.random.default_rng(0).integers(0, 255, (128, 128, 3), np.uint8)
    steps = [
        dataclasses.replace(step, observation={**step.observation, "eye": frame}) for step in episode(0, MAX_ROWS - 1)
    ]
    with (
        ToyLearner(tmp_path, eye) as learner,
        Proxy(learner.port, bytes_per_s=2_500_000) as proxy,
        linked(tmp_path / "actor", eye, Address("127.0.0.1", proxy.port), timing=hurried) as link,
    ):
        learner.busy = UnreachableError("Not yet.")
        link.connect(gone)
        send(link, steps)
        learner.busy = None
        until(lambda: link.waiting < MAX_ROWS, "some of it to be acknowledged", 8.0)


def test_idle_actor_is_known_to_a_learner_that_starts_again(learner: ToyLearner, link: RemoteLearner) -> None:
    """Its operator thinks, its steps are all sent: nothing but its signs of life reach the new learner."""
    link.connect(gone)
    send(link, episode(0))
    assert link.flush(LONG_S)
    learner.stop()
    learner.start()
    until(lambda: link.counters.failures and link.state.endswith("connected, 0 steps to send"), "the line again")
    until(lambda: len(learner.exchange.alive) == 1, "the actor to be known", 5.0)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_metric_that_is_not_finite_ends_no_actor(tmp_path: Path, learner: ToyLearner, value: float) -> None:
    with linked(tmp_path / "actor", learner.spec, learner.address, numbers=lambda: {"late": value}) as link:
        link.connect(gone)
        learner.facts = LearnerFacts(1, losses={"critic": value})
        until(lambda: link._failure or link.facts.update_steps == 1, "a sign of life")
        send(link, episode(0))
        assert link.flush(LONG_S)


@pytest.mark.parametrize("method", ["tidy", "acknowledge"])
def test_disk_that_is_full_for_a_moment_ends_no_actor(
    learner: ToyLearner, link: RemoteLearner, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """The sending thread writes too; it must try again as it does for everything else that passes."""
    link.connect(gone)
    original, failures = getattr(DurableLog, method), iter([True] * 2)

    def failing(log: DurableLog, *arguments: Any) -> None:
        if next(failures, False):
            raise LogFullError("There is no room for another step.")
        original(log, *arguments)

    monkeypatch.setattr(DurableLog, method, failing)
    learner.stop()
    send(link, episode(0))
    until(lambda: link.counters.failures, "a try")
    learner.start()
    send(link, episode(1))
    assert link.flush(LONG_S)
    assert learner.kept == keys([episode(0), episode(1)])


def test_leaving_does_not_wait_for_a_learner_that_is_gone(learner: ToyLearner, link: RemoteLearner) -> None:
    link.connect(gone)
    learner.stop()
    send(link, episode(0))
    link.stop()
    with contextlib.closing(sqlite3.connect(link._log.path)) as database:
        assert database.execute("SELECT count(*) FROM entries").fetchone() == (4,)


def test_damaged_log_is_told_at_the_next_send(learner: ToyLearner, link: RemoteLearner) -> None:
    link.connect(gone)
    learner.busy = UnreachableError("Not now.")
    send(link, episode(0))
    with contextlib.closing(sqlite3.connect(link._log.path)) as database, database:
        database.execute("UPDATE entries SET payload = x'00' WHERE number = 2")
    # The learner stays busy: a put that is under way carries what was read before the damage.
    until(lambda: link._failure is not None, "the damage")
    with pytest.raises(HilserlError, match="Entry 2 of the log"):
        link.send(episode(1)[0])


def test_actors_at_once_arrive_apart(tmp_path: Path, learner: ToyLearner) -> None:
    with contextlib.ExitStack() as stack:
        links = [stack.enter_context(linked(tmp_path / f"actor{n}", learner.spec, learner.address)) for n in range(5)]
        begins = [link.connect(gone).next_episode for link in links]
        for offset in range(6):
            for link, begin in zip(links, begins, strict=True):
                send(link, episode(begin + offset))
            if offset == 3:
                learner.stop()
                learner.start()
        assert all(link.flush(LONG_S) for link in links)
        until(lambda: links[0].actors == 5, "all five to be known", 10.0)
    assert begins == [n * EPISODES_PER_ACTOR for n in range(5)]
    assert learner.kept == keys([episode(begin + offset) for begin in begins for offset in range(6)])


def test_step_of_a_closed_link_is_refused(link: RemoteLearner) -> None:
    link.connect(gone)
    link.close()
    with pytest.raises(HilserlError):
        link.send(make_step(0, 0, camera=False))
