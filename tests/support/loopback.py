"""A toy learner on a port of this machine, behind a network that can be broken."""

import contextlib
import functools
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hilserl.address import Address
from hilserl.agents.agent import Actor, AgentConfig
from hilserl.agents.sac import create_sac_agent
from hilserl.data.spec import ActionLayout, ExperienceSpec, StateLayout, entry
from hilserl.data.step import Step
from hilserl.data.step_codec import StepCodec
from hilserl.distributed.credentials import Credentials
from hilserl.distributed.durable_log import DurableLog
from hilserl.distributed.exchange import ALIVE_S, BACKLOG_STEPS, Exchange, LearnerHooks
from hilserl.distributed.learner_client import CALL_S, Timing
from hilserl.distributed.learner_server import LearnerServer
from hilserl.distributed.protocol import Hello
from hilserl.distributed.remote_learner import ActorSide, RemoteLearner
from hilserl.distributed.weights import Arrays, weights_of
from hilserl.training.learner import LearnerFacts
from tests.support.steps import make_episode

DEADLINE_S = 60.0
"""Of everything that is waited for; a machine may be slow."""


def until(condition: Callable[[], object], what: str, within_s: float = DEADLINE_S) -> None:
    """Waits for something that must come."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        time.sleep(0.005)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@functools.cache
def toy_actor() -> Actor:
    """A policy for `conftest`'s spec without the camera."""
    state = StateLayout((entry("position_m", 2), entry("gripper_command", 1)))
    spec = ExperienceSpec("toy", state, ActionLayout(("dx", "gripper"), grippers=(1,)))
    return create_sac_agent(spec, AgentConfig(hidden=(8, 8)), 0).actor


@functools.cache
def toy_weights() -> Arrays:
    return weights_of(toy_actor())


def toy_episode(number: int, length: int = 3, *, ends: bool = True) -> list[Step]:
    """Make a reset and steps as an actor does them; the episode may be cut."""
    steps = make_episode(number, length + (not ends), camera=False)[: length + 1]
    return [replace(s, action=np.array([np.sin(100 * s.episode + s.index), 0], np.float32)) for s in steps]


def key(step: Step) -> tuple[Any, ...]:
    """Return a value that is equal for equal toy steps only."""
    state = tuple(step.observation["state"].tolist())
    flags = (step.terminated, step.truncated, step.success, step.intervened)
    return step.episode, step.index, state, tuple(step.action.tolist()), float(step.reward), flags


def keys(episodes: Sequence[Sequence[Step]]) -> list[list[tuple[Any, ...]]]:
    return [[key(step) for step in steps] for steps in episodes]


def hello_of(spec: ExperienceSpec, stream: str = "0" * 32, **changes: Any) -> Hello:
    return replace(Hello(stream, "toy", spec.to_json(), "none"), **changes)


IMPATIENT = Timing(
    call_s=CALL_S,
    heartbeat_s=0.1,
    idle_s=0.02,
    weights_wait_s=0.1,
    first_backoff_s=0.02,
    longest_backoff_s=0.2,
)
"""Intervals that keep tests short."""


class ToyLearner:
    """A log, an exchange and a server that come and go.

    Args:
        directory: Directory of the log, which outlives the server.
        spec: Layout of the steps.
        credentials: Credentials that callers must show.
        features: Shapes of the features that actors may send.
        backlog_steps: Steps that may wait for `drain`.
        alive_s: Silence, in seconds, after which an actor counts as gone.
    """

    def __init__(
        self,
        directory: Path,
        spec: ExperienceSpec,
        credentials: Credentials | None = None,
        *,
        features: dict[str, tuple[int, ...]] | None = None,
        backlog_steps: int = BACKLOG_STEPS,
        alive_s: float = ALIVE_S,
    ) -> None:
        self.directory, self.spec, self.credentials = directory, spec, credentials or Credentials()
        self.codecs = [StepCodec(spec, features)] * bool(features) + [StepCodec(spec)]
        self.backlog_steps, self.alive_s = backlog_steps, alive_s
        self.host, self.port = "127.0.0.1", 0
        self._published: tuple[int, Arrays] = (0, toy_weights())
        self.facts = LearnerFacts()
        self.busy: Exception | None = None
        """Error that is raised instead of taking a step."""
        self.arrived: list[Step] = []
        self.log: DurableLog
        self.exchange: Exchange
        self._server: LearnerServer | None = None
        self.start()

    @property
    def address(self) -> Address:
        """Address of the server."""
        return Address(self.host, self.port)

    @property
    def published(self) -> tuple[int, Arrays]:
        """Version and arrays of the newest weights."""
        return self._published

    @published.setter
    def published(self, weights: tuple[int, Arrays]) -> None:
        self._published = weights
        self.exchange.publish()

    def start(self) -> None:
        """Begin to serve, with everything that was stored before."""
        self.log = DurableLog(self.directory / "incoming.sqlite", self.codecs, synced=True)
        hooks = LearnerHooks(
            facts=lambda: self.facts,
            weights=lambda: self._published,
            version=lambda: self._published[0],
            outcomes=lambda _: ((True, False),),
            prepare=self.prepare,
        )
        self.exchange = Exchange(
            self.log,
            hello_of(self.spec),
            '{"task": "toy"}',
            hooks,
            alive_s=self.alive_s,
            backlog_steps=self.backlog_steps,
        )
        try:
            self._server = LearnerServer(self.exchange, self.address, self.credentials)
        except BaseException:
            self.log.close()
            raise
        self.port = self._server.port

    def prepare(self, step: Step) -> Step:
        """Prepare a step as a real learner does; a busy one raises."""
        if self.busy is not None:
            raise self.busy
        return step

    def stop(self) -> None:
        """End as a killed learner does, as its actors see it."""
        if self._server is not None:
            self.drain()
            self._server.shutdown()
            self._server = None
            self.log.close()

    def drain(self) -> list[Step]:
        """Take what has arrived; return all steps so far."""
        self.arrived += [step for item in self.exchange.arrived() for step in item.steps]
        return self.arrived

    @property
    def kept(self) -> list[list[tuple[Any, ...]]]:
        """Keys of the steps of all episodes on its disk."""
        return keys(self.log.pending())

    def __enter__(self) -> "ToyLearner":
        """Return the learner, which serves already."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Stop."""
        self.stop()


@contextlib.contextmanager
def linked(
    directory: Path,
    spec: ExperienceSpec,
    address: Address,
    credentials: Credentials | None = None,
    *,
    max_bytes: int = 50_000_000,
    numbers: Callable[[], dict[str, float]] = dict,
    timing: Timing = IMPATIENT,
    features: dict[str, tuple[int, ...]] | None = None,
) -> Iterator[RemoteLearner]:
    """Make an actor's endpoint, not yet connected."""
    directory.mkdir(exist_ok=True)
    log = DurableLog(directory / "spool.sqlite", [StepCodec(spec, features)], max_bytes=max_bytes)

    def hello() -> Hello:
        return hello_of(spec, log.id, run=log.run)

    link = RemoteLearner(address, credentials or Credentials(), log, ActorSide(hello, toy_actor(), numbers), timing)
    try:
        yield link
    finally:
        link.stop()


class _Pair:
    """Two connections, each other's continuation."""

    def __init__(self, proxy: "Proxy", client: socket.socket, server: socket.socket) -> None:
        self._proxy, self._ends = proxy, (client, server)
        self.lossy = False
        """Bytes of it are gone, so that it must not go on."""
        self._closing, self._pumping = threading.Lock(), 2
        self.threads = [
            threading.Thread(target=self._pump, args=ends, name="proxy", daemon=True)
            for ends in ((client, server), (server, client))
        ]
        for thread in self.threads:
            thread.start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(16_384):
                if self._proxy.is_cut:
                    self.lossy = True
                    self._proxy.swallowed += len(data)
                    continue
                sink.sendall(data)
                self._proxy.forwarded += len(data)
                if self._proxy.bytes_per_s:
                    time.sleep(len(data) / self._proxy.bytes_per_s)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
        with self._closing:
            self._pumping -= 1
            if not self._pumping:
                for end in self._ends:
                    end.close()

    @property
    def is_open(self) -> bool:
        return self._pumping > 0

    def drop(self) -> None:
        """Breaks both connections; the pumps see it and close them."""
        with self._closing:
            for end in self._ends:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)


class Proxy:
    """A network between clients and a port of this machine.

    Args:
        target_port: port that connections go on to; it may be closed yet.
        bytes_per_s: the most that one connection carries in each direction; None for as much as it can.
    """

    def __init__(self, target_port: int, bytes_per_s: float | None = None) -> None:
        self.target_port, self.bytes_per_s = target_port, bytes_per_s
        self.is_cut = False
        self.forwarded = self.swallowed = self.connections = 0
        """Counts of forwarded bytes, swallowed bytes and connections."""
        self._pairs: list[_Pair] = []
        self._changing, self._closed = threading.Lock(), False
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listening.getsockname()[1]
        self._accepting = threading.Thread(target=self._accept, name="proxy", daemon=True)
        self._accepting.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.target_port), timeout=5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            with self._changing:
                if self._closed:
                    client.close()
                    server.close()
                    return
                self.connections += 1
                self._pairs = [pair for pair in self._pairs if pair.is_open]
                self._pairs.append(_Pair(self, client, server))

    def cut(self) -> None:
        """Swallow all bytes from now on, in both directions."""
        self.is_cut = True

    def mend(self) -> None:
        """Forward bytes again; break the connections that lost some."""
        self.is_cut = False
        self._drop(lambda pair: pair.lossy)

    def drop(self) -> None:
        """Breaks all connections there are; new ones may be made."""
        self._drop(lambda _: True)

    def _drop(self, which: Callable[[_Pair], bool]) -> None:
        with self._changing:
            for pair in filter(which, self._pairs):
                pair.drop()

    def close(self) -> None:
        """Breaks everything and waits for its threads."""
        with self._changing:
            self._closed = True
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._accepting.join(DEADLINE_S)
        self._listening.close()
        self.drop()
        for pair in self._pairs:
            for thread in pair.threads:
                thread.join(DEADLINE_S)

    def __enter__(self) -> "Proxy":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
