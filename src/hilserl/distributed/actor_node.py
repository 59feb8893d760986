"""Node of an actor: it acts with a learner's newest weights.

It acts at its own rate, keeps its steps until the learner has them, and learns nothing itself.
"""

import contextlib
import logging
import os
import secrets
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from typing_extensions import override

from hilserl.address import Address
from hilserl.data.step_codec import StepCodec
from hilserl.distributed.credentials import Credentials
from hilserl.distributed.durable_log import DurableLog
from hilserl.distributed.learner_client import Backoff, LearnerClient
from hilserl.distributed.protocol import Hello, UnreachableError, Welcome, encoder_of
from hilserl.distributed.remote_learner import ActorSide, RemoteLearner
from hilserl.files import locked
from hilserl.interrupt import Interrupt
from hilserl.robot.control.timing import RateLimiter
from hilserl.rollout.timers import LapTimers
from hilserl.runs.counters import RunCounters
from hilserl.training.actor import ActorLoop, ExplorationKeys, open_actor
from hilserl.training.algorithms import find_algorithm
from hilserl.training.config import TrainConfig
from hilserl.training.config_file import from_json
from hilserl.training.dashboard import Dashboard
from hilserl.training.lifecycle import Process, stop_reason
from hilserl.training.local_learner import StepSender

MAX_SPOOL_BYTES = 10_000_000_000
_ORPHANED = "the process that started it has ended"
SILENCE = "nothing heard of the learner for"
_IDLE_S = 0.05
_SLOWEST_HZ = 2.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ActorNodeConfig:
    """Place and limits of an actor's node."""

    learner: Address
    """Address of the learner."""
    credentials: Credentials
    """Token that the learner wants, and certificate that the actor trusts."""
    directory: Path
    """Directory of the actor; steps wait there until the learner has them."""
    give_up_s: float | None = None
    """Silence of the learner, in seconds, that ends the actor; None: never."""
    parent: int | None = None
    """Process that started this one, and that the actor ends with."""
    max_spool_bytes: int = MAX_SPOOL_BYTES
    """Disk space for the steps that wait."""

    @property
    def orphaned(self) -> bool:
        """True if the parent has ended."""
        return self.parent is not None and os.getppid() != self.parent


def fetch_run_config(node_config: ActorNodeConfig) -> TrainConfig:
    """Wait for the learner, and fetch the settings of its run.

    Raises:
        ProtocolError: The learner refuses this actor.
        UnreachableError: The learner did not come in time.
    """
    client, interrupt = LearnerClient(node_config.learner, node_config.credentials), Interrupt()
    waiting = _Waiting(node_config)
    with contextlib.closing(client), interrupt.armed():
        backoff = Backoff()
        while True:
            config = None
            try:
                config = from_json(client.describe().config)
            except UnreachableError as error:
                if not interrupt.requested and not waiting(str(error)):
                    raise
            if interrupt.requested:
                raise KeyboardInterrupt
            if config is not None:
                # Paths of the learner's machine mean nothing here.
                return replace(config, demos=())
            backoff.pause()


class _Waiting:
    """Decision to wait for the learner or to give up."""

    def __init__(self, node_config: ActorNodeConfig) -> None:
        self._node_config, self._began, self._told = node_config, time.monotonic(), False

    def __call__(self, reason: str) -> bool:
        if not self._told:
            _log.info("Waiting. %s", reason)
            self._told = True
        limit = self._node_config.give_up_s
        return not self._node_config.orphaned and (limit is None or time.monotonic() - self._began < limit)


def act(config: TrainConfig, node_config: ActorNodeConfig) -> str:
    """Act until there is a reason to stop.

    All steps are then with the learner or on disk here.

    Returns:
        Reason to stop.

    Raises:
        ProtocolError: The learner refuses this actor.
    """
    node_config.directory.mkdir(parents=True, exist_ok=True)
    with locked(node_config.directory), ActorNode(config, node_config) as node:
        return node.run()


class ActorNode(Process):
    """An actor with its endpoint of a learner."""

    def __init__(self, config: TrainConfig, node_config: ActorNodeConfig) -> None:
        super().__init__()
        self._config, self._node_config = config, node_config
        self._interrupt, self._counters, self._timers = Interrupt(), RunCounters(), LapTimers()
        self._limiter = RateLimiter(config.actor_hz)
        self._told_of_room, self._process = False, secrets.token_hex(16)
        with self._opening() as unless_opened:
            self._setup = open_actor(config, lambda: self._dashboard.report(), timers=self._timers)
            unless_opened.callback(self._setup.close)
            spec = self._setup.env.experience
            agent = find_algorithm(config.algorithm).create(config.policy_spec(spec), config.agent, config.seed)
            self._frame_encoder = agent.frame_encoder
            # The policy needs the features anyway; they go with the step so that the learner need not encode again.
            codec = StepCodec(spec, agent.frame_encoder.stored)
            path = node_config.directory / "spool.sqlite"
            self._steps = DurableLog(path, [codec], max_bytes=node_config.max_spool_bytes)
            side = ActorSide(self._hello, agent.actor, self._numbers)
            self._link = RemoteLearner(node_config.learner, node_config.credentials, self._steps, side)
            unless_opened.callback(self._link.stop)
            self._dashboard = Dashboard(config, self._counters, lambda: self._link.facts, lambda: self._link.state)

    def _hello(self) -> Hello:
        experience = self._setup.env.experience.to_json()
        steps, encoder = self._steps, encoder_of(self._config)
        return Hello(steps.id, socket.gethostname(), experience, encoder, steps.run, self._process)

    def _numbers(self) -> dict[str, float]:
        """Return the numbers for each sign of life."""
        link = self._link
        return {
            "steps": self._counters.env_steps,
            "waiting": link.waiting,
            "sent": link.counters.sent,
            "failures": link.counters.failures,
            "dropped": link.counters.dropped,
            "weights_received": link.counters.weights,
            "late_steps": self._limiter.late,
            **self._timers.medians_ms(),
        }

    @override
    def __enter__(self) -> Self:
        if self._setup.session:
            _log.info("%s", self._setup.session.announcement)
            self._open.enter_context(self._setup.session.active(self._interrupt))
        return self

    def run(self) -> str:
        """Run the main loop; return the reason to stop."""
        with self._interrupt.armed():
            welcome = self._link.connect(self._wait())
            actor = self._begin(welcome)
            while (reason := self._reason_to_stop()) is None:
                if actor.rollout.between_episodes and not self._link.has_room:
                    self._wait_for_room()
                    continue
                self._told_of_room = False
                if news := actor.step():
                    _log.info("%s", news)
                self._keep_pace()
            actor.rollout.end_episode()
            if reason != _ORPHANED:
                self._link.close()
        if waiting := self._link.waiting:
            _log.info("%d steps are still to be sent; they wait in %s.", waiting, self._node_config.directory)
        return reason

    def _keep_pace(self) -> None:
        """Keep the robot's rate, or the rate that the learner can use."""
        if self._setup.env.in_real_time:
            return
        if self._setup.session and self._setup.session.in_real_time:
            return
        config, update_steps_per_s = self._config, self._link.facts.update_steps_per_s
        if update_steps_per_s and config.update_steps_per_env_step:
            usable_hz = update_steps_per_s / config.update_steps_per_env_step / max(1, self._link.actors)
            self._limiter.rate_hz = min(config.actor_hz, max(usable_hz, _SLOWEST_HZ))
        self._limiter.wait()

    def _wait(self) -> Callable[[str], bool]:
        waiting = _Waiting(self._node_config)

        def wait(reason: str) -> bool:
            if self._interrupt.requested:
                raise KeyboardInterrupt
            self._breathe(reason)
            return waiting(reason)

        return wait

    def _wait_for_room(self) -> None:
        reason = f"There is no room for more steps in {self._node_config.directory}; waiting for the learner."
        if not self._told_of_room:
            _log.info("%s", reason)
            self._told_of_room = True
        self._breathe(reason)

    def _breathe(self, reason: str) -> None:
        """Pass a moment without a control step; tell the console why."""
        if self._setup.session:
            self._setup.session.say(reason)
            self._setup.session.keep_alive()
        time.sleep(_IDLE_S)

    def _begin(self, welcome: Welcome) -> ActorLoop:
        _log.info("Actor %d of the run at %s.", welcome.number, self._node_config.learner)
        self._setup.recall(welcome.outcomes)
        return ActorLoop(
            self._setup,
            self._link,
            [self._counters, StepSender(self._link), self._dashboard],
            self._frame_encoder.encode,
            ExplorationKeys(self._config.seed, lambda: self._steps.last, welcome.number),
            max(welcome.next_episode, self._steps.next_episode),
        )

    def _reason_to_stop(self) -> str | None:
        return stop_reason(self._interrupt, stopped=lambda: self._setup.operator.done, others=self._trouble)

    def _trouble(self) -> str | None:
        """Return a reason to stop that the learner or the parent gives."""
        if self._link.stop_reason:
            return f"the run has ended: {self._link.stop_reason}"
        if self._node_config.orphaned:
            return _ORPHANED
        limit, silence = self._node_config.give_up_s, time.monotonic() - self._link.heard
        if limit is not None and silence >= limit:
            return f"{SILENCE} {silence:.0f} s"
        return None
