"""An actor's endpoint carries every step once and never lets the actor wait."""

import contextlib
import dataclasses
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hilserl.address import Address
from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Step
from hilserl.distributed.durable_log import DurableLog, LogFullError
from hilserl.distributed.protocol import (
    ProtocolError,
    UnreachableError,
)
from hilserl.distributed.remote_learner import RemoteLearner
from hilserl.training.learner import LearnerFacts
from tests.support.calls import (
    LONG_S,
    gone,
    send,
)
from tests.support.loopback import ToyLearner, free_port, key, keys, linked, toy_weights, until
from tests.support.loopback import toy_episode as episode


def test_link_carries_steps_weights_and_signs_of_life(tmp_path: Path, learner: ToyLearner) -> None:
    learner.facts = LearnerFacts(update_steps=5, update_steps_per_s=2.5, losses={"critic": 0.5})
    with linked(tmp_path / "actor", learner.spec, learner.address, numbers=lambda: {"steps": 12.0}) as link:
        welcome = link.connect(gone)
        assert (welcome.number, welcome.session, link.weights()[1]) == (0, 1, 0)
        send(link, [*episode(0), *episode(1)])
        assert link.flush(LONG_S)
        until(lambda: link.counters.sent == 8, "all of it to be counted")
        assert (link.waiting, link.counters.dropped, link.counters.failures) == (0, 0, 0)
        until(lambda: link.state == f"{learner.address}, connected, 0 steps to send", "a sign of life")
        learner.published = (7, toy_weights())
        until(lambda: link.weights()[1] == 7, "the new weights")
        until(lambda: link.counters.weights == 2, "them to be counted")
        learner.facts = dataclasses.replace(learner.facts, update_steps=9)
        learner.exchange.stop = "solved"
        until(lambda: link.stop_reason == "solved" and link.facts.update_steps == 9, "the learner's answer")
        assert link.facts.losses == {"critic": 0.5}
        assert learner.exchange.alive[0].numbers == {"steps": 12.0}
        assert not learner.exchange.left
        link.close()
    assert learner.exchange.left
    assert not learner.exchange.alive
    assert learner.kept == keys([episode(0), episode(1)])
    assert [key(s) for s in learner.drain()] == [key(s) for s in [*episode(0), *episode(1)]]


def test_learner_that_comes_and_goes_has_every_step_once(learner: ToyLearner, link: RemoteLearner) -> None:
    link.connect(gone)
    longest, number = 0.0, 0
    for _ in range(3):
        for _ in range(5):
            longest = max(longest, send(link, episode(number, 7, ends=number % 3 > 0)))
            number += 1
        learner.stop()
        for _ in range(5):
            longest = max(longest, send(link, episode(number, 7, ends=number % 3 > 0)))
            number += 1
        assert not link.flush(0.05)
        assert link.waiting >= 35
        assert "steps to send" in link.state
        learner.start()
    assert link.flush(LONG_S)
    assert longest < 5, "the actor never waits"
    assert link.counters.failures > 0
    assert learner.kept == keys([episode(n, 7, ends=n % 3 > 0) for n in range(number)])
    assert link.counters.dropped == 0


def test_learner_that_is_not_there_yet_is_waited_for(tmp_path: Path, state_spec: ExperienceSpec) -> None:
    reasons: list[str] = []
    address = Address("127.0.0.1", free_port())

    def wait(reason: str) -> bool:
        reasons.append(reason)
        return len(reasons) < 3

    with linked(tmp_path / "actor", state_spec, address) as link:
        with pytest.raises(UnreachableError, match=str(address)):
            link.connect(wait)
        assert len(reasons) == 3
        assert all(str(address) in reason for reason in reasons)
        send(link, episode(0))
        assert link.waiting == 4
        assert not link.flush(0.0)
        with ToyLearner(tmp_path, state_spec) as learner:
            learner.stop()
            learner.port = address.port
            learner.start()
            assert link.connect(wait).number == 0
            assert link.flush(LONG_S)
            assert learner.kept == keys([episode(0)])


def test_actor_that_does_not_fit_is_told_at_once(tmp_path: Path, learner: ToyLearner) -> None:
    other = dataclasses.replace(learner.spec, task="other")
    with (
        linked(tmp_path / "actor", other, learner.address) as link,
        pytest.raises(ProtocolError, match="task: here 'toy', there 'other'"),
    ):
        link.connect(lambda _: True)


def test_busy_learner_gets_everything_when_it_can(learner: ToyLearner, link: RemoteLearner) -> None:
    link.connect(gone)
    learner.busy = UnreachableError("The learner is behind.")
    longest = send(link, [*episode(0), *episode(1, ends=False), *episode(2)])
    until(lambda: link.counters.failures >= 3, "some tries")
    assert link.waiting == 12
    learner.busy = None
    assert link.flush(LONG_S)
    assert longest < 5
    assert learner.kept == keys([episode(0), episode(1, ends=False), episode(2)])


def test_refusal_is_raised_at_the_next_send(learner: ToyLearner, link: RemoteLearner) -> None:
    link.connect(gone)
    learner.busy = ProtocolError("No more of this.")
    send(link, episode(0)[:1])
    until(lambda: link._failure is not None, "the refusal")
    with pytest.raises(ProtocolError, match=r"No more of this\."):
        link.send(episode(0)[1])
    assert link.waiting == 1, "nothing is thrown away"
    with pytest.raises(ProtocolError, match=r"No more of this\."):
        link.close()


def test_learner_that_went_back_to_an_older_checkpoint_is_followed(learner: ToyLearner, link: RemoteLearner) -> None:
    learner.published = (7, toy_weights())
    link.connect(gone)
    assert link.weights()[1] == 7
    learner.stop()
    learner.published = (3, toy_weights())
    learner.start()
    until(lambda: link.weights()[1] == 3, "the older version")


def test_weights_that_do_not_fit_are_raised_at_the_next_send(learner: ToyLearner, link: RemoteLearner) -> None:
    link.connect(gone)
    learner.published = (1, {"junk": np.zeros(1)})
    until(lambda: link._failure is not None, "the weights")
    with pytest.raises(ProtocolError, match="weights do not fit"):
        link.send(episode(0)[0])
    assert link.weights()[1] == 0


def test_discard_arrives_after_its_steps_and_once(learner: ToyLearner, link: RemoteLearner) -> None:
    link.connect(gone)
    send(link, [*episode(0), *episode(1, ends=False)])
    link.forget(1)
    send(link, [*episode(2, ends=False)])
    assert link.flush(LONG_S)
    assert learner.kept == keys([episode(0), episode(2, ends=False)])
    learner.stop()
    link.forget(2)
    send(link, episode(3, ends=False))
    link.forget(3)
    send(link, episode(4))
    learner.start()
    assert link.flush(LONG_S)
    assert learner.kept == keys([episode(0), episode(4)])


def test_single_steps_and_discards_between_restarts_arrive_once(learner: ToyLearner, link: RemoteLearner) -> None:
    """A schedule of everything at once, drawn with a seed."""
    rng, expected = np.random.default_rng(0), []
    link.connect(gone)
    for number in range(40):
        steps = episode(number, int(rng.integers(0, 5)), ends=rng.random() < 0.6)
        send(link, steps)
        if not steps[-1].ends_episode and rng.random() < 0.5:
            link.forget(number)
        else:
            expected.append(steps)
        if rng.random() < 0.1:
            learner.stop()
            learner.start()
        if rng.random() < 0.3:
            time.sleep(0.02)
    assert link.flush(LONG_S)
    assert learner.kept == keys(expected)


def test_full_disk_cuts_the_episode_and_the_next_one_is_recorded_from_its_reset(
    tmp_path: Path, learner: ToyLearner
) -> None:
    with linked(tmp_path / "actor", learner.spec, learner.address, max_bytes=100_000) as link:
        link.connect(gone)
        learner.stop()
        assert link.has_room
        long = episode(0, 300)
        send(link, long)
        recorded = link.waiting
        assert 10 < recorded < 300
        assert link.counters.dropped == 301 - recorded
        assert not link.has_room
        send(link, episode(1, 3))
        assert link.counters.dropped == 305 - recorded, "not a step of it without its reset"
        link.forget(1)
        learner.start()
        assert link.flush(LONG_S)
        assert link.has_room
        send(link, episode(2, 3))
        assert link.flush(LONG_S)
        assert learner.kept == [keys([long])[0][:recorded], *keys([episode(2, 3)])]
        assert link.counters.dropped == 305 - recorded


def test_room_that_comes_back_within_an_episode_does_not_mend_it(tmp_path: Path, learner: ToyLearner) -> None:
    with linked(tmp_path / "actor", learner.spec, learner.address, max_bytes=100_000) as link:
        link.connect(gone)
        learner.stop()
        long = episode(0, 300)
        send(link, long[:200])
        recorded = link.waiting
        assert recorded < 200
        learner.start()
        assert link.flush(LONG_S)
        send(link, [*long[200:], *episode(1)])
        assert link.flush(LONG_S)
        assert learner.kept == [keys([long])[0][:recorded], *keys([episode(1)])]


def test_episode_is_forgotten_even_where_the_disk_is_full(
    learner: ToyLearner, link: RemoteLearner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The operator's word counts; it is not lost because there is no room for it now, nor does it end the actor."""
    link.connect(gone)
    original, full = DurableLog._put, True

    def put_if_there_is_room(log: DurableLog, *arguments: Any) -> None:
        if full:
            raise LogFullError("There is no room for another step.")
        original(log, *arguments)

    send(link, episode(0, ends=False))
    monkeypatch.setattr(DurableLog, "_put", put_if_there_is_room)
    link.forget(0)
    send(link, episode(1))
    full = False
    send(link, episode(2))
    assert link.flush(LONG_S)
    assert learner.kept == keys([episode(2)])


def test_actor_that_starts_again_goes_on_with_its_numbers(tmp_path: Path, learner: ToyLearner) -> None:
    """In agentlace the learner remembered the old numbers and dropped the next 500 steps."""
    expected: list[list[Step]] = []
    number = 0
    for life in range(4):
        with linked(tmp_path / "actor", learner.spec, learner.address) as link:
            welcome = link.connect(gone)
            assert (welcome.number, welcome.session) == (0, life + 1)
            number = max(welcome.next_episode, link._log.next_episode)
            assert number == len(expected)
            for _ in range(3):
                expected.append(episode(number, 4, ends=life % 2 > 0))
                send(link, expected[-1])
                number += 1
            if life != 1:
                assert link.flush(LONG_S)
    with linked(tmp_path / "actor", learner.spec, learner.address) as link:
        link.connect(gone)
        assert link.flush(LONG_S)
    assert learner.kept == keys(expected)
    assert list(learner.log.cursors) == [link._log.id]


def test_actor_that_starts_again_without_a_learner_goes_on_with_its_episodes(
    tmp_path: Path, learner: ToyLearner
) -> None:
    with linked(tmp_path / "actor", learner.spec, learner.address) as link:
        link.connect(gone)
        learner.stop()
        send(link, [*episode(0), *episode(1, ends=False)])
    learner.start()
    with linked(tmp_path / "actor", learner.spec, learner.address) as link:
        welcome = link.connect(gone)
        send(link, episode(max(welcome.next_episode, 2)))
        assert link.flush(LONG_S)
    assert learner.kept == keys([episode(0), episode(1, ends=False), episode(2)])


def test_copied_directory_is_refused_and_no_step_is_doubled(tmp_path: Path, learner: ToyLearner) -> None:
    with linked(tmp_path / "one", learner.spec, learner.address) as one:
        one.connect(gone)
        send(one, episode(0))
        assert one.flush(LONG_S)
        learner.stop()
        send(one, episode(1))
        (tmp_path / "two").mkdir()
        for path in (tmp_path / "one").iterdir():
            shutil.copy(path, tmp_path / "two" / path.name)
        learner.start()
        with linked(tmp_path / "two", learner.spec, learner.address) as two:
            assert one.flush(LONG_S)
            welcome = two.connect(gone)
            send(two, episode(max(welcome.next_episode, 2)))
            assert two.flush(LONG_S)
            with contextlib.suppress(ProtocolError):
                send(one, episode(10))
            until(lambda: one._failure is not None, "the refusal")
            with pytest.raises(ProtocolError, match="copy of the same directory"):
                send(one, episode(11))
            send(two, episode(3))
            assert two.flush(LONG_S)
    assert learner.kept == keys([episode(n) for n in range(4)])


def test_log_of_another_run_is_refused(tmp_path: Path, learner: ToyLearner, state_spec: ExperienceSpec) -> None:
    with linked(tmp_path / "actor", state_spec, learner.address) as link:
        link.connect(gone)
    (tmp_path / "other").mkdir()
    with (
        ToyLearner(tmp_path / "other", state_spec) as other,
        linked(tmp_path / "actor", state_spec, other.address) as link,
        pytest.raises(ProtocolError, match="another run"),
    ):
        link.connect(gone)
