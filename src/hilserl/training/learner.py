"""The learner's loop: steps in, rounds of updates, weights out; and the seam behind which it runs."""

import dataclasses
import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import jax
import numpy as np

from hilserl.agents.sac import Actor, Agent, create_agent, update
from hilserl.errors import HilserlError
from hilserl.experience import ExperienceSpec, Step
from hilserl.replay import Replay
from hilserl.training.config import TrainConfig

_DRAWN_KEYS = 1
_IDLE_S = 0.002


class DivergenceError(HilserlError):
    """A loss is no longer a finite number."""


class Learner:
    """An agent and its replay. Everything random in a round follows from the seed and the round's number."""

    def __init__(self, spec: ExperienceSpec, config: TrainConfig, prior: Sequence[Step]) -> None:
        self.snapshot: tuple[Agent, int] = (create_agent(spec, config.agent, config.seed), 0)
        self.seconds = 0.0
        self._timed_rounds = 0
        self.metrics: dict[str, float] = {}
        self._config = config
        self.frames = self.snapshot[0].frames
        prior = [self._seen(step) for step in prior]
        self._replay = Replay(spec, config.replay_capacity, prior, self.frames.stored)
        self._key = jax.random.fold_in(jax.random.key(config.seed), _DRAWN_KEYS)
        self.online_steps = 0

    def restore(self, agent: Agent, rounds: int) -> None:
        """Goes on from a checkpoint; the steps come again through `receive`."""
        self.snapshot = (agent, rounds)

    @property
    def rounds(self) -> int:
        """Rounds of updates done so far."""
        return self.snapshot[1]

    @property
    def rounds_per_s(self) -> float:
        """How fast rounds go, waiting for steps not counted."""
        return self._timed_rounds / self.seconds if self.seconds else 0.0

    def receive(self, step: Step) -> None:
        """Stores one online step."""
        self._replay.add(self._seen(step))
        self.online_steps += not step.is_reset

    def forget(self, episode: int) -> None:
        """Nothing is learned any more from an online episode; the steps still count as done."""
        self._replay.forget(episode)

    def _seen(self, step: Step) -> Step:
        """The step with its frames' features, where replay keeps those and the actor has not computed them."""
        if not self.frames.stored:
            return step
        return dataclasses.replace(step, observation=self.frames.observe(step.observation))

    @property
    def stored(self) -> tuple[int, int]:
        """Transitions in replay: online, and of demonstrations and interventions."""
        return len(self._replay.online_rows()), len(self._replay.prior_rows())

    @property
    def ready(self) -> bool:
        return self.online_steps >= max(1, self._config.training_starts) and self._replay.holds_transitions

    @property
    def owed(self) -> int:
        """In lockstep: rounds that the steps so far call for and that have not been done."""
        if not self.ready:
            return 0
        due = (self.online_steps - max(1, self._config.training_starts) + 1) * self._config.rounds_per_step
        return max(0, int(due) - self.rounds)

    def learn(self) -> None:
        """One round of updates. Raises DivergenceError, leaving the last agent in place, when a loss is not finite."""
        started = time.perf_counter()
        agent, rounds = self.snapshot
        rng = np.random.default_rng([self._config.seed, rounds])
        settings = self._config.agent
        batches = self._replay.sample(rng, settings.utd_ratio, settings.batch_size)
        agent, metrics = update(agent, batches, jax.random.fold_in(self._key, rounds))
        self.metrics = {name: float(value) for name, value in metrics.items()}
        bad = [name for name, value in self.metrics.items() if not np.isfinite(value)]
        if bad:
            raise DivergenceError(f"Training diverged in round {rounds}: {', '.join(bad)} is not finite.")
        self.snapshot = (agent, rounds + 1)
        self.seconds += time.perf_counter() - started
        self._timed_rounds += 1


class Link(Protocol):
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


class Lockstep:
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


class FreeRunning:
    """The learner in a thread of its own, learning as fast as it can while steps arrive."""

    def __init__(self, learner: Learner, capacity: int = 10_000) -> None:
        self._learner = learner
        self._sent: queue.Queue[Step | int] = queue.Queue(capacity)
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="learner", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._drain()
                if not self._wanted():
                    self._stop.wait(_IDLE_S)
                    continue
                self._learner.learn()
            self._drain()
        except BaseException as failure:  # noqa: BLE001 - it is raised again in the actor's thread
            self._failure = failure

    def _wanted(self) -> bool:
        """Whether the learner should do another round now."""
        return self._learner.ready

    def _drain(self) -> None:
        while not self._sent.empty():
            item = self._sent.get_nowait()
            if isinstance(item, Step):
                self._learner.receive(item)
            else:
                self._learner.forget(item)

    def send(self, step: Step) -> None:
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
        self.stop()
        self._raise_failure()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure


class Alongside(FreeRunning):
    """The learner in a thread of its own at lockstep's ratio of rounds to steps: beside the actor, never far behind.

    While the policy acts, the actor waits for the rounds that its last step but one called for. While a person drives
    it waits for nothing, so that the arm answers in time; what is owed then is caught up as soon as there is time.
    `idle` is called again and again while it waits; it ends the wait by returning False.
    """

    def __init__(self, learner: Learner, idle: Callable[[], bool] = lambda: True) -> None:
        self._idle = idle
        super().__init__(learner)

    def _wanted(self) -> bool:
        return self._learner.owed > 0

    def send(self, step: Step) -> None:
        if not step.intervened:
            self._catch_up()
        super().send(step)

    def close(self) -> None:
        self._catch_up()
        super().close()

    def _catch_up(self) -> None:
        while self._thread.is_alive() and (not self._sent.empty() or self._learner.owed > 0) and self._idle():
            time.sleep(_IDLE_S)
