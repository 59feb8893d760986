"""The actor as a node: it acts at its own pace, keeps what it did until a learner has it, and learns nothing itself."""

import contextlib
import os
import secrets
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from hilserl.address import Address
from hilserl.distributed.credentials import Credentials
from hilserl.distributed.flight_client import Backoff, LearnerClient
from hilserl.distributed.protocol import Hello, UnreachableError, Welcome, encoder_of
from hilserl.distributed.remote_learner import RemoteLearner
from hilserl.distributed.spool import Spool
from hilserl.interrupt import Interrupt
from hilserl.robot.control.timing import RateLimiter
from hilserl.rollout.timers import LapTimers
from hilserl.runs.counters import RunCounters
from hilserl.runs.run_dir import locked
from hilserl.training.actor import ActorLoop, ExplorationKeys, open_actor
from hilserl.training.algorithms import ALGORITHMS
from hilserl.training.config import TrainConfig
from hilserl.training.config_file import from_json
from hilserl.training.dashboard import Dashboard
from hilserl.training.lifecycle import stop_reason
from hilserl.training.local_learner import StepSender

MAX_SPOOL_BYTES = 10_000_000_000
_ORPHANED = "the process that started it has ended"
SILENCE = "nothing heard of the learner for"
_IDLE_S = 0.05
_SLOWEST_HZ = 2.0


def _say(text: str) -> None:
    print(text, flush=True)


@dataclass(frozen=True)
class Place:
    """Where an actor works.

    Args:
        learner: its address.
        credentials: what it wants to see, and who it is.
        folder: of the actor; steps wait there until the learner has them.
        give_up_s: end after having heard nothing of the learner for so long; None waits for ever.
        parent: number of the process that this one was started by, and ends with.
        max_spool_bytes: of steps that wait.
        say: told what a person should know.
    """

    learner: Address
    credentials: Credentials
    folder: Path
    give_up_s: float | None = None
    parent: int | None = None
    max_spool_bytes: int = MAX_SPOOL_BYTES
    say: Callable[[str], object] = _say

    @property
    def orphaned(self) -> bool:
        """Whether the parent has ended."""
        return self.parent is not None and os.getppid() != self.parent


def fetch_run_config(place: Place) -> TrainConfig:
    """The settings of the learner's run, as far as an actor goes by them; waits until the learner is there.

    Raises RefusedError where it does not let us in, UnreachableError where it did not come in time.
    """
    line, interrupt, waiting = LearnerClient(place.learner, place.credentials), Interrupt(), _Waiting(place)
    with contextlib.closing(line), interrupt.armed():
        backoff = Backoff()
        while True:
            config = None
            try:
                config = from_json(line.describe().config)
            except UnreachableError as error:
                if not interrupt.requested and not waiting(str(error)):
                    raise
            if interrupt.requested:
                raise KeyboardInterrupt
            if config is not None:
                # Nothing here is a path on this machine.
                return replace(config, demos=())
            backoff.pause()


class _Waiting:
    """Tells a person once why nothing happens, and ends it when the actor is to give up."""

    def __init__(self, place: Place) -> None:
        self._place, self._began, self._told = place, time.monotonic(), False

    def __call__(self, reason: str) -> bool:
        if not self._told:
            self._place.say(f"Waiting. {reason}")
            self._told = True
        limit = self._place.give_up_s
        return not self._place.orphaned and (limit is None or time.monotonic() - self._began < limit)


def act(config: TrainConfig, place: Place) -> str:
    """Acts until there is a reason to stop, and returns it; everything done is with the learner then, or on disk here.

    Raises RefusedError where the learner does not want this actor.
    """
    place.folder.mkdir(parents=True, exist_ok=True)
    with locked(place.folder), ActorNode(config, place) as node:
        return node.run()


class ActorNode:
    """An actor, its link to a learner, and everything that is open while it acts."""

    def __init__(self, config: TrainConfig, place: Place) -> None:
        self._config, self._place = config, place
        self._interrupt, self._tally, self._timers = Interrupt(), RunCounters(), LapTimers()
        self._pace = RateLimiter(config.actor_hz)
        self._told_of_room, self._process = False, secrets.token_hex(16)
        with contextlib.ExitStack() as unless_opened:
            self._setup = open_actor(config, lambda: self._dashboard.report(), timers=self._timers)
            unless_opened.callback(self._setup.close)
            spec = self._setup.env.experience
            self._spool = Spool(place.folder, spec, place.max_spool_bytes)
            agent = ALGORITHMS[config.algorithm].create(config.policy_spec(spec), config.agent, config.seed)
            self._frames = agent.frame_encoder
            self._link = RemoteLearner(
                place.learner, place.credentials, self._spool, spec, self._hello, agent.actor, self._numbers
            )
            unless_opened.callback(self._link.stop)
            self._dashboard = Dashboard(config, self._tally, lambda: self._link.facts, lambda: self._link.state)
            self._open = unless_opened.pop_all()

    def _hello(self) -> Hello:
        experience = self._setup.env.experience.to_json()
        spool, encoder = self._spool, encoder_of(self._config)
        return Hello(spool.stream, socket.gethostname(), experience, encoder, spool.run, self._process)

    def _numbers(self) -> dict[str, float]:
        """What the learner is told with every sign of life."""
        link = self._link
        return {
            "steps": self._tally.env_steps,
            "waiting": link.waiting,
            "sent": link.counters.sent,
            "failures": link.counters.failures,
            "dropped": link.counters.dropped,
            "weights_received": link.counters.weights,
            "late_steps": self._pace.late,
            **self._timers.medians_ms(),
        }

    def __enter__(self) -> "ActorNode":
        if self._setup.session:
            self._place.say(self._setup.session.announcement)
            self._open.enter_context(self._setup.session.active(self._interrupt))
        return self

    def __exit__(self, *exception: object) -> None:
        self._open.close()

    def run(self) -> str:
        """The main loop."""
        with self._interrupt.armed():
            welcome = self._link.connect(self._wait())
            actor = self._begin(welcome)
            while (reason := self._reason_to_stop()) is None:
                if actor.rollout.between_episodes and not self._link.has_room:
                    self._wait_for_room()
                    continue
                self._told_of_room = False
                if news := actor.step():
                    self._place.say(news)
                self._keep_pace()
            actor.rollout.end_episode()
            if reason != _ORPHANED:
                self._link.close()
        if waiting := self._link.waiting:
            self._place.say(f"{waiting} steps are still to be sent; they wait in {self._place.folder}.")
        return reason

    def _keep_pace(self) -> None:
        """A robot's pace where a person drives; otherwise no faster than the learner can use."""
        if self._setup.env.in_real_time:
            return
        if self._setup.session and self._setup.session.in_real_time:
            return
        config, update_steps_per_s = self._config, self._link.facts.update_steps_per_s
        if update_steps_per_s and config.update_steps_per_env_step:
            usable_hz = update_steps_per_s / config.update_steps_per_env_step / max(1, self._link.actors)
            self._pace.rate_hz = min(config.actor_hz, max(usable_hz, _SLOWEST_HZ))
        self._pace.wait()

    def _wait(self) -> Callable[[str], bool]:
        waiting = _Waiting(self._place)

        def wait(reason: str) -> bool:
            if self._interrupt.requested:
                raise KeyboardInterrupt
            self._breathe(reason)
            return waiting(reason)

        return wait

    def _wait_for_room(self) -> None:
        reason = f"There is no room for more steps in {self._place.folder}; waiting for the learner."
        if not self._told_of_room:
            self._place.say(reason)
            self._told_of_room = True
        self._breathe(reason)

    def _breathe(self, reason: str) -> None:
        """A moment without a control step; the console stays alive and says why."""
        if self._setup.session:
            self._setup.session.say(reason)
            self._setup.session.keep_alive()
        time.sleep(_IDLE_S)

    def _begin(self, welcome: Welcome) -> ActorLoop:
        self._place.say(f"Actor {welcome.number} of the run at {self._place.learner}.")
        self._setup.recall(welcome.outcomes)
        return ActorLoop(
            self._setup,
            self._link,
            [self._tally, StepSender(self._link), self._dashboard],
            self._frames.encode,
            ExplorationKeys(self._config.seed, lambda: self._spool.last, welcome.number),
            max(welcome.next_episode, self._spool.next_episode),
        )

    def _reason_to_stop(self) -> str | None:
        return stop_reason(self._interrupt, stopped=lambda: self._setup.operator.done, others=self._trouble)

    def _trouble(self) -> str | None:
        """The end of the run, of the process that started this one, or of what the learner says."""
        if self._link.stop_reason:
            return f"the run has ended: {self._link.stop_reason}"
        if self._place.orphaned:
            return _ORPHANED
        limit, silence = self._place.give_up_s, time.monotonic() - self._link.heard
        if limit is not None and silence >= limit:
            return f"{SILENCE} {silence:.0f} s"
        return None
