"""Node of a learner: it learns from the steps that actors send.

It learns as fast as it can, evaluates beside that, and does the bookkeeping of the run.
"""

import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from hilserl.address import Address
from hilserl.data.episode_summary import EpisodeSummary, summarise
from hilserl.data.episodes import write_episode
from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Step
from hilserl.data.step_codec import StepCodec
from hilserl.distributed.credentials import Credentials
from hilserl.distributed.durable_log import DurableLog
from hilserl.distributed.exchange import Arrived, Exchange, LearnerHooks
from hilserl.distributed.learner_server import LearnerServer, check_address
from hilserl.distributed.protocol import EPISODES_PER_ACTOR, Hello, encoder_of
from hilserl.distributed.weights import Arrays, weights_of
from hilserl.envs.make import make_env
from hilserl.errors import HilserlError
from hilserl.interrupt import Interrupt
from hilserl.runs.counters import RECENT_EPISODES
from hilserl.runs.progress import RunProgress
from hilserl.runs.run_dir import RunDir
from hilserl.training.algorithms import find_algorithm
from hilserl.training.config import TrainConfig
from hilserl.training.config_file import to_json
from hilserl.training.divergence import DivergenceError, way_on
from hilserl.training.learner import Learner
from hilserl.training.lifecycle import INTERRUPTED, Process, open_run, resume_command, stop_reason
from hilserl.training.pretraining import load_demonstrations, pretrain, start_from_another_run
from hilserl.training.run import Run

_IDLE_S = 0.05
_FAREWELL_S = 30.0
_SHOW_S = 0.5
_REPORT_S = 10.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LearnerNodeConfig:
    """Place and mode of a learner's node."""

    address: Address
    """Address to listen on; port 0 takes a free one."""
    credentials: Credentials
    """Credentials that actors must show."""
    resume: bool = False
    """True to resume the run in the run directory."""
    own_actors: bool = False
    """True if an interrupt ends the actors as well."""


@dataclass(frozen=True)
class RunControl:
    """Ways to follow and to end a run from outside."""

    listening: Callable[[Address], object] = lambda _: None
    """Called with the address once actors may come."""
    wanted: Callable[[], bool] = lambda: True
    """Returns False to end the run; may raise HilserlError."""
    interrupt: Interrupt = field(default_factory=Interrupt)
    """Request to stop for now."""
    progress: RunProgress = field(default_factory=RunProgress)
    """Display of the run's progress."""


def serve(
    config: TrainConfig, run_dir: RunDir, node_config: LearnerNodeConfig, control: RunControl | None = None
) -> dict[str, Any] | None:
    """Learn from actors until the task is solved or a limit reached.

    An interrupt keeps everything. Actors of other commands then go on and wait until the learner comes back.

    Returns:
        Content of `result.json`; None after an interrupt.

    Raises:
        HilserlError: A user can mend the cause, as with `train`.
    """
    control = control or RunControl()
    check_address(node_config.address, node_config.credentials)
    if not find_algorithm(config.algorithm).acts:
        raise HilserlError(f"{config.algorithm} does not act, so it needs no actors: hilserl {config.algorithm} TASK.")
    with (
        open_run(config, run_dir, resume=node_config.resume),
        LearnerNode(config, run_dir, node_config, control) as node,
    ):
        control.listening(node.address)
        return node.run()


class LearnerNode(Process):
    """A learner with its server and its run."""

    def __init__(
        self, config: TrainConfig, run_dir: RunDir, node_config: LearnerNodeConfig, control: RunControl
    ) -> None:
        super().__init__()
        self._config, self._own_actors = config, node_config.own_actors
        self._interrupt, self._wanted, self._progress = control.interrupt, control.wanted, control.progress
        with self._opening() as unless_opened:
            self._spec, prior = _prior(config, run_dir)
            self._learner = Learner(self._spec, config, prior)
            start_from_another_run(self._learner, config, run_dir)
            # An actor sends the features that replay keeps, or images only.
            codecs = [StepCodec(self._spec, self._learner.frame_encoder.stored), StepCodec(self._spec)]
            self._log = DurableLog(run_dir.path / "incoming.sqlite", codecs, synced=True)
            unless_opened.callback(self._log.close)
            self._archive = _Archive(run_dir, self._spec, self._log)
            unless_opened.callback(self._archive.close)
            unfinished = self._archive.recover()
            self._run = Run(config, run_dir, self._learner, self._progress)
            # Evaluations have their own thread, because the learner does not wait for them.
            self._evaluating = ThreadPoolExecutor(1, "evaluation")
            unless_opened.callback(self._evaluating.shutdown)
            unless_opened.callback(lambda: self._evaluating.submit(self._run.close).result())
            self._evaluation: Future[None] | None = None
            self._episodes = _Episodes(self._run, self._archive, self._learner)
            for steps in unfinished:
                self._episodes.take(steps)
            with self._interrupt.armed():
                self._evaluating.submit(
                    pretrain, self._learner, self._run, lambda: not self._interrupt.requested, self._progress
                ).result()
            self._learner.compile()
            self._published: tuple[int, Arrays] = (-1, {})
            self.exchange = self._open_exchange()
            self._server = LearnerServer(self.exchange, node_config.address, node_config.credentials)
            unless_opened.callback(self._server.shutdown)
            self.address = Address(node_config.address.host, self._server.port)
        self._shown = self._reported = 0.0

    def _open_exchange(self) -> Exchange:
        ours = Hello("0" * 32, self._config.task, self._spec.to_json(), encoder_of(self._config))
        hooks = LearnerHooks(
            facts=lambda: self._learner.facts,
            weights=self._weights,
            version=lambda: self._learner.update_steps,
            outcomes=self._episodes.outcomes,
            prepare=self._learner.encode_step,
        )
        return Exchange(self._log, ours, to_json(self._config), hooks)

    def _weights(self) -> tuple[int, Arrays]:
        """Return the newest weights; they leave the device once for all callers."""
        agent, version = self._learner.snapshot
        if self._published[0] != version:
            with self._learner.timers.lap("publish"):
                self._published = (version, weights_of(agent.actor))
        return self._published

    def run(self) -> dict[str, Any] | None:
        """Run the main loop.

        Returns:
            Content of `result.json`; None after an interrupt.
        """
        run, reason = self._run, None
        try:
            with self._interrupt.armed():
                while (reason := self._reason_to_stop()) is None:
                    busy = self._learner.may_learn
                    self._take(0.0 if busy else _IDLE_S)
                    if busy:
                        self._learner.learn()
                        self.exchange.publish()
                    self._evaluate_if_due()
                    self._show_now_and_then()
                if reason != INTERRUPTED or self._own_actors:
                    self.exchange.stop = reason
                    self._wait_for_actors()
                self._take(0.0)
        except DivergenceError as error:
            self.exchange.stop = "training diverged"
            raise DivergenceError(f"{error} {way_on(run.run_dir)}") from error
        except HilserlError:
            self._evaluating.submit(run.keep).result()
            raise
        self._evaluating.submit(run.keep).result()
        if reason == INTERRUPTED:
            # A learner with its own actors was started by another command, which says how to resume.
            command = resume_command("learner", self._config.task, run.run_dir.path)
            _log.info("Interrupted.%s", "" if self._own_actors else f" Resume with: {command}")
            return None
        return self._evaluating.submit(run.conclude, reason).result()

    def _reason_to_stop(self) -> str | None:
        return stop_reason(self._interrupt, stopped=lambda: not self._wanted(), others=self._run.limit_reached)

    def _take(self, wait_s: float) -> None:
        for item in self.exchange.arrived(wait_s):
            if item.discard is None:
                self._episodes.take(item.steps)
            else:
                self._episodes.discard(item)

    def _evaluate_if_due(self) -> None:
        if self._evaluation is not None and self._evaluation.done():
            self._evaluation.result()
            self._evaluation = None
        if self._evaluation is None and self._run.evaluation_is_due:
            self._evaluation = self._evaluating.submit(self._run.evaluate, *self._run.state())

    def _wait_for_actors(self) -> None:
        """Wait until all live actors have sent their steps and left."""
        deadline = time.monotonic() + _FAREWELL_S
        while self.exchange.alive and time.monotonic() < deadline:
            self._take(_IDLE_S)

    def _show_now_and_then(self) -> None:
        now = time.monotonic()
        if now - self._shown >= _SHOW_S:
            self._shown = now
            self._progress.on_training(
                self._run.counters, self._learner.facts.update_steps_per_s, f", {len(self.exchange.alive)} actors"
            )
        if now - self._reported >= _REPORT_S:
            self._reported = now
            for actor in self.exchange.alive:
                self._run.metrics.write(
                    "actor", self._run.counters.env_steps, {"number": actor.number, **(actor.numbers or {})}
                )
            counts = {"refused": self.exchange.refused, "repeated_steps": self.exchange.repeated}
            laps = self._learner.timers.medians_ms()
            self._run.metrics.write("service", self._run.counters.env_steps, {**counts, **laps})


def _prior(config: TrainConfig, run_dir: RunDir) -> tuple[ExperienceSpec, list[Step]]:
    """Return the layout of the task's experience, and the demonstrations.

    The environment is closed again: OpenGL needs another one in the thread that evaluates.
    """
    with contextlib.closing(make_env(config.recorded_env)) as env:
        spec = env.experience
    return spec, load_demonstrations(config, run_dir, spec)


class _Archive:
    """Writer of finished episodes, in another thread.

    The log keeps each episode until it is a file.
    """

    def __init__(self, run_dir: RunDir, spec: ExperienceSpec, log: DurableLog) -> None:
        self._directory, self._spec, self._log = run_dir.episodes, spec, log
        self._writing = ThreadPoolExecutor(1, "archive")
        self._failed: list[Sequence[Step]] = []

    def recover(self) -> list[list[Step]]:
        """Write a killed learner's finished episodes; return the unfinished ones."""
        unfinished = []
        for steps in self._log.pending():
            if self._log.is_open(steps[0].episode):
                unfinished.append(steps)
            else:
                self._write(steps)
        return unfinished

    def add(self, steps: Sequence[Step]) -> None:
        """Write an episode soon."""
        self._writing.submit(self._write_all, steps)

    def _write_all(self, steps: Sequence[Step]) -> None:
        waiting, self._failed = [*self._failed, steps], []
        for each in waiting:
            try:
                self._write(each)
            except HilserlError as error:
                # It is safe in the log, which the next try, or the next start, reads.
                self._failed.append(each)
                _log.warning("%s", error)

    def _write(self, steps: Sequence[Step]) -> None:
        episode = steps[0].episode
        if len(steps) > 1:
            # A learner that was killed before it released the episode has written the same file.
            write_episode(self._directory / f"{episode:06d}.parquet", steps, self._spec, replace=True)
        self._log.release(episode)

    def close(self) -> None:
        """Wait until everything is written."""
        self._writing.shutdown()


class _Episodes:
    """Episodes in progress of all actors."""

    def __init__(self, run: Run, archive: _Archive, learner: Learner) -> None:
        self._run, self._archive, self._learner = run, archive, learner
        self._open: dict[int, list[Step]] = {}
        self._outcomes: dict[int, deque[tuple[bool, bool]]] = {}
        for summary in run.restored:
            self._remember(summary)

    def outcomes(self, number: int) -> tuple[tuple[bool, bool], ...]:
        """Return success, and whether the operator acted, of an actor's newest episodes."""
        return tuple(self._outcomes.get(number, ()))

    def _remember(self, summary: EpisodeSummary) -> None:
        outcomes = self._outcomes.setdefault(summary.episode // EPISODES_PER_ACTOR, deque(maxlen=RECENT_EPISODES))
        outcomes.append((summary.success, summary.intervened_steps > 0))

    def take(self, steps: Sequence[Step]) -> None:
        """Take steps of one actor, in order."""
        for step in steps:
            number = step.episode // EPISODES_PER_ACTOR
            if step.is_reset:
                # The actor was stopped within an episode, or cut it there.
                self._finish(number)
            self._open.setdefault(number, []).append(step)
            self._learner.receive(step)
            self._run.on_step(step)
            if step.ends_episode:
                self._finish(number)

    def _finish(self, number: int) -> None:
        steps = self._open.pop(number, None)
        if steps is None:
            return
        self._archive.add(steps)
        self._learner.end_episode(steps[0].episode)
        if len(steps) > 1:
            summary = summarise(steps)
            self._remember(summary)
            self._run.on_episode(steps, summary)

    def discard(self, arrived: Arrived) -> None:
        """Forget an actor's episode in progress, as its operator wishes."""
        assert arrived.discard is not None
        self._open.pop(arrived.number, None)
        self._learner.forget(arrived.discard)
        self._run.on_discard(arrived.discard)
