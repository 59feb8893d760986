"""The learner that an actor reaches inside its own process."""

import queue
import threading
import time
from collections.abc import Callable
from typing import Protocol

from typing_extensions import override

from hilserl.agents.agent import Actor
from hilserl.data.step import Step
from hilserl.data.subscriber import Subscriber
from hilserl.training.learner import Learner

_IDLE_S = 0.002


class LearnerEndpoint(Protocol):
    """An actor's side of its learner: steps out, weights in."""

    def send(self, step: Step) -> None:
        """Hand over one step.

        Raises the error that stopped the learner, if there is one.
        """
        ...

    def forget(self, episode: int) -> None:
        """Take back an episode whose steps were sent."""
        ...

    def weights(self) -> tuple[Actor, int]:
        """Return the newest weights and their number of update steps."""
        ...

    def stop(self) -> None:
        """End the learner's work after everything sent was received."""

    def close(self) -> None:
        """Finish the learner's work, then stop.

        Raises the error that stopped the learner, if there is one.
        """


class StepSender(Subscriber):
    """A subscriber that sends steps to a learner."""

    def __init__(self, learner: LearnerEndpoint) -> None:
        self._learner = learner

    @override
    def on_step(self, step: Step) -> None:
        self._learner.send(step)

    @override
    def on_discard(self, episode: int) -> None:
        self._learner.forget(episode)


class LockstepLearner(LearnerEndpoint):
    """A learner in the actor's thread.

    Each environment step is followed by the update steps that it calls for.
    """

    def __init__(self, learner: Learner) -> None:
        self._learner = learner

    @override
    def send(self, step: Step) -> None:
        self._learner.receive(step)
        for _ in range(self._learner.owed):
            self._learner.learn()

    @override
    def forget(self, episode: int) -> None:
        self._learner.forget(episode)

    @override
    def weights(self) -> tuple[Actor, int]:
        agent, update_steps = self._learner.snapshot
        return agent.actor, update_steps

    @override
    def stop(self) -> None:
        """Do nothing: no work goes on between two calls."""

    @override
    def close(self) -> None:
        self.stop()


class ThreadedLearner(LearnerEndpoint):
    """A learner in its own thread.

    It keeps lockstep's ratio of update steps to environment steps. While the policy acts, the actor waits for the
    update steps that its last step but one called for. While a human drives it waits for nothing, so that the arm
    answers in time; the learner catches up as soon as there is time.

    Args:
        learner: the learner.
        idle: called repeatedly while the actor waits; returns False to end the wait.
        capacity: steps that may wait for the learner.
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

    @override
    def send(self, step: Step) -> None:
        if not step.intervened:
            self._catch_up()
        self._put(step)

    @override
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

    @override
    def weights(self) -> tuple[Actor, int]:
        agent, update_steps = self._learner.snapshot
        return agent.actor, update_steps

    @override
    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    @override
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
