"""The learner as a node: it learns as fast as it can from what actors send, judges beside that, and keeps the books."""

import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from hilserl.address import Address
from hilserl.data.episode_summary import EpisodeSummary, summarise
from hilserl.data.episodes import write_episode
from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Step
from hilserl.distributed.credentials import Credentials
from hilserl.distributed.exchange import Arrived, Exchange
from hilserl.distributed.flight_server import Service, check_address
from hilserl.distributed.protocol import EPISODES_PER_ACTOR, Hello, encoder_of
from hilserl.distributed.store import Store
from hilserl.distributed.weights import Arrays, weights_of
from hilserl.envs.make import make_env
from hilserl.errors import HilserlError
from hilserl.interrupt import Interrupt
from hilserl.runs.counters import RECENT_EPISODES
from hilserl.runs.progress import RunProgress
from hilserl.runs.run_dir import RunDir
from hilserl.training.algorithms import ALGORITHMS
from hilserl.training.config import TrainConfig
from hilserl.training.config_file import to_json
from hilserl.training.learner import DivergenceError, Learner
from hilserl.training.lifecycle import INTERRUPTED, open_run, resume_command, stop_reason
from hilserl.training.pretraining import load_demonstrations, pretrain
from hilserl.training.run import Run

_log = logging.getLogger("hilserl.distributed")

_IDLE_S = 0.05
_FAREWELL_S = 30.0
_SHOW_S = 0.5
_REPORT_S = 10.0


def serve(
    config: TrainConfig,
    folder: RunDir,
    address: Address,
    credentials: Credentials,
    *,
    resume: bool = False,
    own_actors: bool = False,
    listening: Callable[[Address], object] = lambda _: None,
    wanted: Callable[[], bool] = lambda: True,
    interrupt: Interrupt | None = None,
    progress: RunProgress | None = None,
) -> dict[str, Any] | None:
    """Learns until the task is solved or a limit is reached; returns what `result.json` holds.

    `listening` is told the address once actors may come; the run ends, by its operator's wish, when `wanted` says no,
    and, with everything kept, with the HilserlError that it raises.
    Interrupted by Ctrl-C, or through `interrupt`, it keeps everything and returns None; `own_actors` are then told to
    end as well, others go on and wait for it to come back. Raises as `train`.
    """
    check_address(address, credentials)
    if not ALGORITHMS[config.algorithm].acts:
        raise HilserlError(f"{config.algorithm} does not act, so it needs no actors: hilserl {config.algorithm} TASK.")
    with (
        open_run(config, folder, resume=resume),
        LearnerNode(
            config,
            folder,
            address,
            credentials,
            interrupt or Interrupt(),
            progress or RunProgress(),
            own_actors=own_actors,
        ) as node,
    ):
        listening(node.address)
        return node.run(wanted)


class LearnerNode:
    """A learner, its service, and everything of its run that is open while it goes on."""

    def __init__(
        self,
        config: TrainConfig,
        folder: RunDir,
        address: Address,
        credentials: Credentials,
        interrupt: Interrupt,
        progress: RunProgress,
        *,
        own_actors: bool = False,
    ) -> None:
        self._config, self._own_actors, self._interrupt = config, own_actors, interrupt
        self._progress = progress
        with contextlib.ExitStack() as unless_opened:
            self._spec, prior = _prior(config, folder)
            self._learner = Learner(self._spec, config, prior)
            self._store = Store(folder.path / "incoming.sqlite", self._spec)
            unless_opened.callback(self._store.close)
            self._archive = _Archive(folder, self._spec, self._store, _log.warning)
            unless_opened.callback(self._archive.close)
            unfinished = self._archive.recover()
            self._run = Run(config, folder, self._learner, self._progress)
            # Evaluations have a thread to themselves, because the learner does not wait for them.
            self._judging = ThreadPoolExecutor(1, "evaluation")
            unless_opened.callback(self._judging.shutdown)
            unless_opened.callback(lambda: self._judging.submit(self._run.close).result())
            self._judged: Future[None] | None = None
            self._episodes = _Episodes(self._run, self._archive, self._learner)
            for steps in unfinished:
                self._episodes.take(steps)
            with interrupt.armed():
                self._judging.submit(
                    pretrain, self._learner, self._run, lambda: not interrupt.requested, self._progress
                ).result()
            self._learner.compile()
            self._published: tuple[int, Arrays] = (-1, {})
            self.exchange = self._open_exchange()
            self._service = Service(self.exchange, self._spec, address, credentials)
            unless_opened.callback(self._service.shutdown)
            self.address = Address(address.host, self._service.port)
            self._open = unless_opened.pop_all()
        self._shown = self._reported = 0.0

    def _open_exchange(self) -> Exchange:
        ours = Hello("0" * 32, self._config.task, self._spec.to_json(), encoder_of(self._config))
        return Exchange(
            self._store,
            self._spec,
            ours,
            config=to_json(self._config),
            facts=lambda: self._learner.facts,
            weights=self._weights,
            version=lambda: self._learner.update_steps,
            outcomes=self._episodes.outcomes,
            prepare=self._learner.encode_step,
            warn=_log.warning,
        )

    def __enter__(self) -> "LearnerNode":
        return self

    def __exit__(self, *exception: object) -> None:
        self._open.close()

    def _weights(self) -> tuple[int, Arrays]:
        """The newest actor as it travels; fetched from its device once however many ask."""
        agent, rounds = self._learner.snapshot
        if self._published[0] != rounds:
            with self._learner.timers.lap("publish"):
                self._published = (rounds, weights_of(agent.actor))
        return self._published

    def run(self, wanted: Callable[[], bool]) -> dict[str, Any] | None:
        """The main loop."""
        run, reason = self._run, None
        try:
            with self._interrupt.armed():
                while (reason := self._reason_to_stop(wanted)) is None:
                    busy = self._learner.may_learn
                    self._take(0.0 if busy else _IDLE_S)
                    if busy:
                        self._learner.learn()
                    self._judge_if_due()
                    self._show_now_and_then()
                if reason != INTERRUPTED or self._own_actors:
                    self.exchange.stop = reason
                    self._part()
                self._take(0.0)
        except DivergenceError as error:
            self.exchange.stop = "training diverged"
            raise DivergenceError(f"{error} {run.last_good_checkpoint()}") from error
        except HilserlError:
            self._judging.submit(run.keep).result()
            raise
        self._judging.submit(run.keep).result()
        if reason == INTERRUPTED:
            # A learner with its own actors was started by another command, which says how to resume.
            command = resume_command("learner", self._config.task, run.run_dir.path)
            _log.info("Interrupted.%s", "" if self._own_actors else f" Resume with: {command}")
            return None
        return self._judging.submit(run.conclude, reason).result()

    def _reason_to_stop(self, wanted: Callable[[], bool]) -> str | None:
        return stop_reason(self._interrupt, stopped=lambda: not wanted(), others=self._run.limit_reached)

    def _take(self, wait_s: float) -> None:
        for item in self.exchange.arrived(wait_s):
            if item.discard is None:
                self._episodes.take(item.steps)
            else:
                self._episodes.discard(item)

    def _judge_if_due(self) -> None:
        if self._judged is not None and self._judged.done():
            self._judged.result()
            self._judged = None
        if self._judged is None and self._run.evaluation_is_due:
            self._judged = self._judging.submit(self._run.evaluate, *self._run.state())

    def _part(self) -> None:
        """Lets the actors send what they have; waits for those that are alive to say that they leave."""
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
            for peer in self.exchange.alive:
                self._run.metrics.write(
                    "actor", self._run.counters.env_steps, {"number": peer.number, **(peer.numbers or {})}
                )
            counts = {"refused": self.exchange.refused, "repeated_steps": self.exchange.repeated}
            laps = self._learner.timers.medians_ms()
            self._run.metrics.write("service", self._run.counters.env_steps, {**counts, **laps})


def _prior(config: TrainConfig, folder: RunDir) -> tuple[ExperienceSpec, list[Step]]:
    """What the task's experience looks like, and the demonstrations.

    The environment is closed again: OpenGL wants that the thread that evaluates has one of its own.
    """
    with contextlib.closing(make_env(config.recorded_env)) as env:
        spec = env.experience
    return spec, load_demonstrations(config, folder, spec)


class _Archive:
    """Writes finished episodes beside the learner's work; only then does the store let go of them."""

    def __init__(self, folder: RunDir, spec: ExperienceSpec, store: Store, warn: Callable[[str], object]) -> None:
        self._folder, self._spec, self._store, self._warn = folder.episodes, spec, store, warn
        self._writing = ThreadPoolExecutor(1, "archive")
        self._failed: list[Sequence[Step]] = []

    def recover(self) -> list[list[Step]]:
        """Writes what a killed learner had stored as finished; returns the episodes that may go on."""
        unfinished = []
        for steps in self._store.pending():
            if self._store.is_open(steps[0].episode):
                unfinished.append(steps)
            else:
                self._write(steps)
        return unfinished

    def add(self, steps: Sequence[Step]) -> None:
        """Writes an episode some time soon."""
        self._writing.submit(self._write_all, steps)

    def _write_all(self, steps: Sequence[Step]) -> None:
        waiting, self._failed = [*self._failed, steps], []
        for each in waiting:
            try:
                self._write(each)
            except HilserlError as error:
                # It is safe in the store, where the next try, or the next start, finds it.
                self._failed.append(each)
                self._warn(str(error))

    def _write(self, steps: Sequence[Step]) -> None:
        episode = steps[0].episode
        if len(steps) > 1:
            write_episode(self._folder / f"{episode:06d}.parquet", steps, self._spec)
        self._store.release(episode)

    def close(self) -> None:
        self._writing.shutdown()


class _Episodes:
    """The actors' episodes in progress: each step goes to the learner, each finished episode into the books."""

    def __init__(self, run: Run, archive: _Archive, learner: Learner) -> None:
        self._run, self._archive, self._learner = run, archive, learner
        self._open: dict[int, list[Step]] = {}
        self._outcomes: dict[int, deque[tuple[bool, bool]]] = {}
        for summary in run.restored:
            self._remember(summary)

    def outcomes(self, number: int) -> tuple[tuple[bool, bool], ...]:
        """How an actor's newest episodes went: success, and whether the operator acted."""
        return tuple(self._outcomes.get(number, ()))

    def _remember(self, summary: EpisodeSummary) -> None:
        outcomes = self._outcomes.setdefault(summary.episode // EPISODES_PER_ACTOR, deque(maxlen=RECENT_EPISODES))
        outcomes.append((summary.success, summary.intervened_steps > 0))

    def take(self, steps: Sequence[Step]) -> None:
        """Steps of one actor, in order."""
        for step in steps:
            number = step.episode // EPISODES_PER_ACTOR
            if step.is_reset:
                # The actor was stopped in mid-episode, or ended it there.
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
        """An actor's operator wants the episode in progress forgotten."""
        assert arrived.discard is not None
        self._open.pop(arrived.number, None)
        self._learner.forget(arrived.discard)
        self._run.on_discard(arrived.discard)
