"""A learner beside the actor keeps its ratio and never stops a human."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, cast

import pytest

from hilserl.agents.agent import AgentConfig
from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Step
from hilserl.training.learner import Learner
from hilserl.training.local_learner import ThreadedLearner
from tests.support.configs import train_config
from tests.support.steps import make_episode, make_step


class CountingLearner:
    """A learner that only counts: two rounds a step."""

    def __init__(self) -> None:
        self.online_steps, self.update_steps, self.log = 0, 0, []
        self.gate, self.learning = threading.Event(), threading.Event()
        self.failure: BaseException | None = None
        self.gate.set()

    @property
    def owed(self) -> int:
        return 2 * self.online_steps - self.update_steps

    def receive(self, step: Step) -> None:
        self.log.append((step.episode, step.index))
        self.online_steps += not step.is_reset

    def forget(self, episode: int) -> None:
        self.log.append((episode,))

    def learn(self) -> None:
        self.learning.set()
        self.gate.wait()
        if self.failure:
            raise self.failure
        self.update_steps += 1


def run_with_timeout(work: Callable[..., object], *arguments: object) -> None:
    """Does the work in a thread, so that what would wait for ever fails instead."""
    done: Future[object] = Future()

    def run() -> None:
        try:
            done.set_result(work(*arguments))
        except BaseException as error:  # noqa: BLE001 - it is raised again by `result`
            done.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    done.result(timeout=60)


def test_policy_keeps_the_learner_at_its_ratio() -> None:
    learner = CountingLearner()
    link = ThreadedLearner(cast("Any", learner))

    def work() -> None:
        for done, step in enumerate(make_episode(0, 40)):
            link.send(step)
            assert 2 * (done - 2) <= learner.update_steps <= 2 * done
        link.close()

    run_with_timeout(work)
    assert 2 * 38 <= learner.update_steps <= 2 * learner.online_steps == 2 * 40


def test_human_never_waits_for_the_learner() -> None:
    learner = CountingLearner()
    link = ThreadedLearner(cast("Any", learner))
    learner.gate.clear()
    episodes = [make_episode(number, 9, intervened=tuple(range(1, 10)))[:-1] for number in (1, 2)]

    def work() -> None:
        link.send(episodes[0][0])
        link.send(episodes[0][1])
        learner.learning.wait()
        for step in episodes[0][2:]:
            link.send(step)
        link.forget(1)
        assert learner.update_steps == 0, "the learner still is at its first round"
        learner.gate.set()
        for step in episodes[1]:
            link.send(step)
        link.send(replace(make_step(2, 9), truncated=True))
        assert learner.update_steps >= 2 * 15, "the policy's step waits for what is owed"
        link.close()

    run_with_timeout(work)
    assert learner.log == [*((1, i) for i in range(9)), (1,), *((2, i) for i in range(10))]
    assert learner.update_steps <= 2 * learner.online_steps


def test_failed_learner_stops_the_actor() -> None:
    learner = CountingLearner()
    learner.failure = ZeroDivisionError("no more")
    link = ThreadedLearner(cast("Any", learner))
    with pytest.raises(ZeroDivisionError):
        run_with_timeout(lambda: [link.send(step) for step in make_episode(0, 5)])
    with pytest.raises(ZeroDivisionError):
        link.close()


def test_learner_waits_for_steps_after_a_discard(state_spec: ExperienceSpec) -> None:
    config = train_config("toy", obs="state", training_starts=1, agent=AgentConfig(hidden=(16, 16)))
    learner = Learner(state_spec, config, [])
    for step in make_episode(0, 3, camera=False)[:-1]:
        learner.receive(step)
    learner.forget(0)
    link = ThreadedLearner(learner)

    for number in range(1, 40):  # Resets alone: there is nothing to learn from yet.
        run_with_timeout(link.send, make_step(number, 0, camera=False))
        time.sleep(0.01)
    link.close()
    assert learner.update_steps == 0
