"""The seam between actor and learner where both are in one process."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from hilserl.agents.agent import Actor
from hilserl.data.episode_summary import EpisodeSummary
from hilserl.data.step import Step
from hilserl.training.learner import Learner

_IDLE_S = 0.002


class LearnerEndpoint(Protocol):
    """What an actor sees of its learner: steps out, weights in."""

    def send(self, step: Step) -> None:
        """Hands over one step. Raises what stopped the learner, if something did."""
        ...

    def forget(self, episode: int) -> None:
        """Takes back an episode whose steps were sent."""
        ...

    def weights(self) -> tuple[Actor, int]:
        """The newest published weights and the number of rounds they have seen."""
        ...

    def stop(self) -> None:
        """Ends the learner's work after everything sent has been received."""

    def close(self) -> None:
        """The same, and raises what stopped the learner, if something did."""


class StepSender:
    """Passes a rollout's steps on to a link: a subscriber."""

    def __init__(self, link: LearnerEndpoint) -> None:
        self._link = link

    def on_step(self, step: Step) -> None:
        self._link.send(step)

    def on_episode(self, steps: Sequence[Step], summary: EpisodeSummary) -> None:
        """Steps were sent one by one."""

    def on_discard(self, episode: int) -> None:
        self._link.forget(episode)


class LockstepLearner:
    """The learner in the actor's own thread: after each step it does the rounds that the step calls for."""

    def __init__(self, learner: Learner) -> None:
        self._learner = learner

    def send(self, step: Step) -> None:
        self._learner.receive(step)
        for _ in range(self._learner.owed):
            self._learner.learn()

    def forget(self, episode: int) -> None:
        self._learner.forget(episode)

    def weights(self) -> tuple[Actor, int]:
        agent, rounds = self._learner.snapshot
        return agent.actor, rounds

    def stop(self) -> None:
        """Nothing runs on."""

    def close(self) -> None:
        self.stop()


class ThreadedLearner:
    """The learner in a thread of its own at lockstep's ratio of rounds to steps: beside the actor, never far behind.

    While the policy acts, the actor waits for the rounds that its last step but one called for. While a person drives
    it waits for nothing, so that the arm answers in time; what is owed then is caught up as soon as there is time.
    `idle` is called again and again while it waits; it ends the wait by returning False.
    """

    def __init__(self, learner: Learner, idle: Callable[[], bool] = lambda: True, capacity: int = 10_000) -> None:
        self._learner, self._idle = learner, idle
        self._sent: queue.Queue[Step | int] = queue.Queue(capacity)
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="learner", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._drain()
                if self._learner.owed > 0:
                    self._learner.learn()
                else:
                    self._stop.wait(_IDLE_S)
            self._drain()
        except BaseException as failure:  # noqa: BLE001 - it is raised again in the actor's thread
            self._failure = failure

    def _drain(self) -> None:
        while not self._sent.empty():
            item = self._sent.get_nowait()
            if isinstance(item, Step):
                self._learner.receive(item)
            else:
                self._learner.forget(item)

    def send(self, step: Step) -> None:
        if not step.intervened:
            self._catch_up()
        self._put(step)

    def forget(self, episode: int) -> None:
        self._put(episode)

    def _put(self, item: Step | int) -> None:
        while True:
            self._raise_failure()
            try:
                self._sent.put(item, timeout=1.0)
            except queue.Full:
                continue
            return

    def weights(self) -> tuple[Actor, int]:
        agent, rounds = self._learner.snapshot
        return agent.actor, rounds

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def close(self) -> None:
        self._catch_up()
        self.stop()
        self._raise_failure()

    def _catch_up(self) -> None:
        while self._thread.is_alive() and (not self._sent.empty() or self._learner.owed > 0) and self._idle():
            time.sleep(_IDLE_S)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure
