"""An exchange stores each step once, gives out the newest weights, and tells sessions apart."""

import dataclasses
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from hilserl.data.spec import ExperienceSpec, StateLayout, entry
from hilserl.data.step import Step
from hilserl.data.step_codec import StepCodec
from hilserl.distributed import exchange
from hilserl.distributed.protocol import (
    EPISODES_PER_ACTOR,
    ActorReport,
    LogEntry,
    ProtocolError,
    PutHeader,
    Stored,
    UnreachableError,
    decode,
    pack_put,
)
from tests.support.calls import (
    LONG_S,
    A,
    B,
    calling,
    entries_of,
    gone,
    publishing,
    put,
    raw,
    send,
)
from tests.support.loopback import ToyLearner, hello_of, key, keys, linked, toy_weights
from tests.support.loopback import toy_episode as episode
from tests.support.steps import make_episode


def test_hello_is_answered_with_the_stream_position(learner: ToyLearner) -> None:
    with calling(learner) as line:
        welcome = line.hello(hello_of(learner.spec, A))
        assert (welcome.run, welcome.number, welcome.session) == (learner.log.id, 0, 1)
        assert (welcome.stored, welcome.next_episode, welcome.outcomes) == (0, 0, ((True, False),))
        assert line.hello(hello_of(learner.spec, B)).next_episode == EPISODES_PER_ACTOR
        assert put(line, 1, 1, episode(0), learner) == [4]
        again = line.hello(hello_of(learner.spec, A, run=welcome.run))
        assert (again.number, again.session, again.stored, again.next_episode) == (0, 2, 4, 1)
        assert line.report(ActorReport(A, numbers={"steps": 4.0})).actors == 1, "a hello alone makes no actor"
        description = line.describe()
        assert (description.run, description.config, description.actors) == (welcome.run, '{"task": "toy"}', 1)
    assert learner.exchange.refused == 0


def misfits(spec: ExperienceSpec) -> dict[str, tuple[dict[str, Any], Sequence[str]]]:
    """Hellos that do not fit, and what must be said: both sides."""
    wide = StateLayout((entry("position_m", 3), entry("gripper_command", 1)))
    renamed = StateLayout((entry("velocity_m", 2), entry("gripper_command", 1)))

    def other(**changes: Any) -> dict[str, Any]:
        return {"experience": dataclasses.replace(spec, **changes).to_json()}

    return {
        "protocol": ({"protocol": 1}, ("here 4", "there 1")),
        "version": ({"version": "99.9"}, ("here '0", "there '99.9'")),
        "encoder": ({"encoder": "resnet10"}, ("here 'none'", "there 'resnet10'")),
        "task": (other(task="stack"), ("here 'toy'", "there 'stack'")),
        "state size": (other(state=wide), ("'size': 2", "'size': 3")),
        "state names": (other(state=renamed), ("position_m", "velocity_m")),
        "images": (other(images=(("eye", (2, 3, 3)),)), ("here []", "there [['eye'")),
        "control": (other(control_dt_s=0.05), ("here 0.1", "there 0.05")),
        "run": ({"run": "another run"}, ("another run than this learner's",)),
        "junk": ({"experience": "junk"}, ("cannot be read",)),
    }


def test_hello_that_does_not_fit_is_refused_with_both_sides_in_the_message(
    learner: ToyLearner, caplog: pytest.LogCaptureFixture
) -> None:
    with calling(learner) as line:
        for changes, parts in misfits(learner.spec).values():
            with pytest.raises(ProtocolError) as refused:
                line.hello(hello_of(learner.spec, A, **changes))
            for part in parts:
                assert part in str(refused.value)
        assert learner.exchange.refused == len(misfits(learner.spec))
        assert "does not fit" in caplog.text, "the learner's side tells it too"
        assert not learner.log.cursors
        assert line.hello(hello_of(learner.spec, A)).session == 1


def test_messages_are_stored_in_order_and_acknowledged_as_they_are(learner: ToyLearner) -> None:
    steps = [step for n in range(12) for step in episode(n, 6)]
    codec = learner.codecs[0]
    messages = [[entry] for entry in entries_of(codec, 1, steps)]
    with calling(learner) as line:
        line.hello(hello_of(learner.spec, A))
        told = list(line.put(PutHeader(A, 1, codec.layout), messages))
        assert told == sorted(told)
        assert told[-1] == len(steps)
        assert len(told) < len(steps), "several with one answer"
        again = list(line.put(PutHeader(A, 1, codec.layout), messages))
        assert set(again) == {len(steps)}
    assert learner.kept == keys([episode(n, 6) for n in range(12)])
    assert [key(step) for step in learner.drain()] == [key(step) for step in steps], "the learner is given them once"
    assert learner.exchange.repeated == len(steps)


def test_two_processes_with_one_stream_take_turns(learner: ToyLearner) -> None:
    """An actor's directory may have been copied: their entries would have the same numbers."""
    with calling(learner) as line:
        mine, theirs = (hello_of(learner.spec, A, process=name) for name in ("mine", "theirs"))
        assert line.hello(mine).session == 1
        with pytest.raises(UnreachableError, match=r"another process.*run-dir"):
            line.hello(theirs)
        assert line.hello(mine).session == 2, "the same process after a broken connection"
        line.report(ActorReport(A, {}, leaving=True, name="toy"))
        assert line.hello(theirs).session == 3
        with pytest.raises(UnreachableError):
            line.hello(mine)
    learner.stop()
    learner.start()
    with calling(learner) as line:
        line.report(ActorReport(A, {}, name="toy"))
        assert line.hello(mine).session == 4, "after a restart the first hello counts"
        with pytest.raises(UnreachableError):
            line.hello(theirs)


def test_killed_process_is_followed_once_it_is_silent(tmp_path: Path, state_spec: ExperienceSpec) -> None:
    with ToyLearner(tmp_path, state_spec, alive_s=0.05) as learner, calling(learner) as line:
        assert line.hello(hello_of(state_spec, A, process="killed")).session == 1
        time.sleep(0.1)
        assert line.hello(hello_of(state_spec, A, process="its successor")).session == 2


def test_put_of_an_earlier_session_is_refused(learner: ToyLearner) -> None:
    with calling(learner) as old, calling(learner) as new:
        old.hello(hello_of(learner.spec, A))
        put(old, 1, 1, episode(0), learner)
        new.hello(hello_of(learner.spec, A))
        with pytest.raises(ProtocolError, match=r"Session 1.*copy of the same directory"):
            put(old, 1, 5, episode(1), learner)
        assert put(new, 2, 5, episode(1), learner) == [8]
    assert learner.kept == keys([episode(0), episode(1)])


def test_discard_and_steps_share_a_message(learner: ToyLearner) -> None:
    codec = learner.codecs[0]
    with calling(learner) as line:
        line.hello(hello_of(learner.spec, A))
        assert put(line, 1, 1, episode(0, ends=False), learner) == [4]
        message = [LogEntry(5, 0, None), *entries_of(codec, 6, episode(1))]
        assert list(line.put(PutHeader(A, 1, codec.layout), [message])) == [9]
        assert list(line.put(PutHeader(A, 1, codec.layout), [message])) == [9], "sent again it changes nothing"
    assert learner.kept == keys([episode(1)])


def test_two_actors_of_one_name_are_two(learner: ToyLearner) -> None:
    """In agentlace the steps of the second one were dropped."""
    with calling(learner) as line:
        for stream in (A, B):
            line.hello(hello_of(learner.spec, stream, name="same"))
        put(line, 1, 1, episode(0), learner, A)
        put(line, 1, 1, episode(EPISODES_PER_ACTOR), learner, B)
    assert learner.kept == keys([episode(0), episode(EPISODES_PER_ACTOR)])


def test_learner_that_is_behind_says_so_and_takes_more_later(tmp_path: Path, state_spec: ExperienceSpec) -> None:
    with ToyLearner(tmp_path, state_spec, backlog_steps=8) as learner, calling(learner) as line:
        line.hello(hello_of(learner.spec, A))
        for number in (0, 1):
            put(line, 1, 4 * number + 1, episode(number), learner)
        with pytest.raises(UnreachableError, match="behind"):
            put(line, 1, 9, episode(2), learner)
        learner.drain()
        assert put(line, 1, 9, episode(2), learner) == [12]
    assert learner.exchange.refused == 0, "no caller did anything wrong"


def test_full_disk_gives_no_acknowledgement(learner: ToyLearner) -> None:
    with calling(learner) as line:
        line.hello(hello_of(learner.spec, A))
        put(line, 1, 1, episode(0), learner)
        (pages,) = learner.log._putting.execute("PRAGMA page_count").fetchone()
        learner.log._putting.execute(f"PRAGMA max_page_count={pages}")
        big = episode(1, 200)
        with pytest.raises(UnreachableError, match=r"no room.*incoming\.sqlite"):
            put(line, 1, 5, big, learner)
        assert [key(step) for step in learner.drain()] == [key(step) for step in episode(0)]
        learner.log._putting.execute("PRAGMA max_page_count=1000000")
        assert put(line, 1, 5, big, learner) == [205]
    assert learner.kept == keys([episode(0), big])


def test_weights_of_a_slow_fetcher_are_the_newest_and_never_older(learner: ToyLearner) -> None:
    """In agentlace it got 34 stale versions of 40, one after the other."""
    with calling(learner) as line:
        thread, got, last, life = publishing(learner, 60, 0.005), [], -1, 0
        while last < 60:
            asked_at = learner.published[0]
            found = line.weights(life, last, 5.0)
            assert found is not None
            assert found.version >= asked_at, "no older than what was the newest when it asked"
            assert found.version > last
            if found.version:
                assert {len(array) for array in found.arrays.values()} == {1000}
                assert {*np.concatenate(list(found.arrays.values()))} == {found.version}, "of one piece"
            last, life = found.version, found.life
            got.append(last)
            time.sleep(0.05)
        thread.join()
    assert got[-1] == 60
    assert len(got) < 40


def test_weights_of_many_fetchers_all_go_forward(learner: ToyLearner) -> None:
    failures: list[BaseException] = []

    def fetch() -> None:
        try:
            with calling(learner) as line:
                last, life = -1, 0
                while last < 30:
                    found = line.weights(life, last, 5.0)
                    assert found is not None
                    assert found.version > last
                    last, life = found.version, found.life
        except BaseException as error:  # noqa: BLE001 - told below
            failures.append(error)

    fetchers = [threading.Thread(target=fetch) for _ in range(12)]
    for each in fetchers:
        each.start()
    publishing(learner, 30, 0.01).join()
    for each in fetchers:
        each.join()
    assert not failures


def test_weights_are_none_if_none_are_newer_in_time(learner: ToyLearner) -> None:
    with calling(learner) as line:
        first = line.weights(0, 7, 0.0)
        assert first is not None, "what another learner had is not newer"
        life = first.life
        assert line.weights(life, 0, 0.0) is None
        assert line.weights(life, 0, 0.1) is None
        assert line.weights(life, 7, 0.0) is None
        assert line.weights(life, -1, 0.0) is not None
        three = {"three": np.full(3, 3.0)}
        publisher = threading.Timer(0.1, lambda: setattr(learner, "published", (3, three)))
        publisher.start()
        found = line.weights(life, 0, 10.0)
        publisher.join()
        assert found is not None
        assert (found.life, found.version, found.arrays["three"].tolist()) == (life, 3, [3.0, 3.0, 3.0])


@pytest.mark.parametrize("size", [0, 1, 5_000_000])
def test_weights_of_any_size_come_whole(learner: ToyLearner, size: int) -> None:
    rng = np.random.default_rng(0)
    learner.published = (1, {"a.weight": rng.standard_normal((size, 2), np.float32), "b": np.arange(7).reshape(7, 1)})
    with calling(learner) as line:
        found = line.weights(0, 0, 1.0)
        assert found is not None
        assert found.arrays.keys() == learner.published[1].keys()
        for name, array in learner.published[1].items():
            assert found.arrays[name].dtype == array.dtype
            np.testing.assert_array_equal(found.arrays[name], array)


FEATURES = {"eye.features": (4, 2, 2)}


def with_features(steps: Sequence[Step]) -> list[Step]:
    values = np.arange(16, dtype=np.float16).reshape(4, 2, 2)
    return [dataclasses.replace(s, observation={**s.observation, "eye.features": values + s.index}) for s in steps]


@pytest.mark.parametrize("sends", [FEATURES, None], ids=["features", "images only"])
def test_features_travel_with_the_step_if_the_actor_sends_them(
    tmp_path: Path, spec: ExperienceSpec, sends: dict[str, tuple[int, ...]] | None
) -> None:
    steps, prepared = with_features(make_episode(0, 3)), []
    with ToyLearner(tmp_path, spec, features=FEATURES) as learner:
        learner.prepare = lambda step: prepared.append(step) or step
        learner.stop()
        learner.start()
        with linked(tmp_path / "actor", spec, learner.address, features=sends) as link:
            link.connect(gone)
            send(link, steps)
            assert link.flush(LONG_S)
        assert learner.kept == keys([steps])
        for step, found in zip(steps, prepared, strict=True):
            np.testing.assert_array_equal(found.observation["eye"], step.observation["eye"])
            assert ("eye.features" in found.observation) == bool(sends)
            if sends:
                np.testing.assert_array_equal(found.observation["eye.features"], step.observation["eye.features"])
        recovered = [step for episode_steps in learner.log.pending() for step in episode_steps]
        assert ["eye.features" in step.observation for step in recovered] == [bool(sends)] * 4


def test_features_that_do_not_fit_the_encoder_are_refused(tmp_path: Path, spec: ExperienceSpec) -> None:
    codec = StepCodec(spec, {"eye.features": (4, 3, 3)})
    (step,) = make_episode(0, 0)
    step.observation["eye.features"] = np.zeros((4, 3, 3), np.float16)
    with ToyLearner(tmp_path, spec, features=FEATURES) as learner, calling(learner) as line:
        line.hello(hello_of(spec, A))
        both_sides = r"(?s)another layout.*eye\.features.*\[4,2,2\].*eye\.features.*\[4,3,3\]"
        with pytest.raises(ProtocolError, match=both_sides):
            list(line.put(PutHeader(A, 1, codec.layout), [entries_of(codec, 1, [step])]))
        assert learner.kept == []


def test_publish_wakes_a_call_that_waits_for_weights(learner: ToyLearner) -> None:
    with calling(learner) as line:
        first = line.weights(0, -1, 1.0)
        assert first is not None
        publisher = threading.Timer(0.2, lambda: setattr(learner, "published", (1, toy_weights())))
        publisher.start()
        began = time.monotonic()
        found = line.weights(first.life, 0, 10.0)
        publisher.join()
        assert found is not None
        assert found.version == 1
        assert time.monotonic() - began < 8, "it does not wait until its time is over"


def test_put_that_overtakes_the_one_before_waits_for_it(learner: ToyLearner) -> None:
    codec = learner.codecs[0]
    first, second = entries_of(codec, 1, episode(0)), entries_of(codec, 5, episode(1))
    with calling(learner) as line, raw(learner) as overtaking:
        line.hello(hello_of(learner.spec, A))
        answers: list[bytes] = []
        put_second = pack_put(PutHeader(A, 1, codec.layout, after=4), second)
        thread = threading.Thread(target=lambda: answers.append(overtaking.ask("put", put_second)))
        thread.start()
        time.sleep(0.1)
        assert learner.kept == []
        assert list(line.put(PutHeader(A, 1, codec.layout), [first])) == [4]
        thread.join()
    assert decode(answers[0], Stored).upto == 8
    assert [key(step) for step in learner.drain()] == [key(step) for step in [*episode(0), *episode(1)]]


def test_put_whose_forerunner_never_comes_may_be_sent_again(
    learner: ToyLearner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "PUT_BEFORE_S", 0.05)
    codec = learner.codecs[0]
    alone = pack_put(PutHeader(A, 1, codec.layout, after=4), entries_of(codec, 5, episode(1)))
    with calling(learner) as line, raw(learner) as caller:
        line.hello(hello_of(learner.spec, A))
        with pytest.raises(grpc.RpcError, match="The entries up to 4 have not come") as refused:
            caller.ask("put", alone)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        line.hello(hello_of(learner.spec, A))
        assert put(line, 2, 1, [*episode(0), *episode(1)], learner) == [8]
    assert learner.exchange.refused == 0, "no caller did anything wrong"
