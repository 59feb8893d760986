"""Transport between actor and learner, beside bare Flight puts and a disk."""

import contextlib
import dataclasses
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pyarrow as pa
from pyarrow import flight

from hilserl.address import Address
from hilserl.agents.agent import Actor, AgentConfig, act
from hilserl.agents.sac import create_sac_agent
from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Step
from hilserl.data.step_codec import StepCodec
from hilserl.distributed.credentials import Credentials
from hilserl.distributed.durable_log import DurableLog
from hilserl.distributed.exchange import Exchange, LearnerHooks
from hilserl.distributed.learner_client import LearnerClient, together
from hilserl.distributed.learner_server import LearnerServer
from hilserl.distributed.protocol import Hello, LogEntry, PutHeader
from hilserl.distributed.remote_learner import ActorSide, RemoteLearner
from hilserl.distributed.weights import weights_of
from hilserl.envs.options import ObsName
from hilserl.robot.control.timing import RateLimiter
from hilserl.sim.environment import ManipulationEnv
from hilserl.tasks import make_sim_env
from hilserl.training.learner import LearnerFacts
from hilserl.vision.frame_encoder import FrameEncoder, VisionConfig

_BATCH = 20
_SINGLES, _BATCHES, _FETCHES = 1_000, 200, 20
_BLOCKS = 5
_BARE = pa.schema([("number", pa.int64()), ("payload", pa.large_binary())])
_WEIGHTS_EVERY_S = 0.1
_TICKS, _TICK_HZ = 400, 20.0
_SETTLING_TICKS = 20
_LOOPBACK = Address("127.0.0.1", 0)
_STREAM = "0" * 31
_BIG = AgentConfig(hidden=(1150, 1150, 1150), num_critics=1, num_target_critics=1)
"""State policy with more than 20 MB of weights and cheap arithmetic."""


def figures() -> dict[str, float]:
    """Measure everything over loopback, with the learner's side in another process."""
    with tempfile.TemporaryDirectory() as directory, contextlib.closing(make_sim_env("pick_cube", obs="pixels")) as env:
        encoder = FrameEncoder(env.experience, VisionConfig())
        codec = StepCodec(env.experience, encoder.stored)
        steps = _episode(env, encoder, _BATCH * 2)
        measured = {}
        with _serving(Path(directory), "pixels") as address, _serving(Path(directory), "ceiling") as bare:
            for name, size, messages in (("single", 1, _SINGLES), ("batched", _BATCH, _BATCHES)):
                rates = _steps_per_s((address, bare), codec, steps, size, messages)
                measured[f"transport.{name}_steps_per_s"] = rates[0]
                measured[f"transport.{name}_ceiling_steps_per_s"] = rates[1]
    with tempfile.TemporaryDirectory() as directory:
        return measured | _weights(Path(directory))


def _episode(env: ManipulationEnv, encoder: FrameEncoder, length: int) -> list[Step]:
    """Do a reset and random steps, in one episode without end."""
    rng = np.random.default_rng(0)
    observation, _ = env.reset(seed=0)
    steps = [Step(0, 0, encoder.encode(observation), np.zeros(4, np.float32))]
    for index in range(1, length):
        action = rng.uniform(-1, 1, 4).astype(np.float32)
        observation, *_ = env.step(action)
        steps.append(Step(0, index, encoder.encode(observation), action))
    return steps


def _steps_per_s(
    addresses: Sequence[Address], codec: StepCodec, steps: list[Step], size: int, messages: int
) -> list[float]:
    """Measure the steps a second of learner and bare server, in blocks."""
    stream, (address, bare) = f"{_STREAM}{1 if size == 1 else 2}", addresses
    with (
        contextlib.closing(LearnerClient(address, Credentials())) as line,
        flight.FlightClient(f"grpc://{bare}") as bare_line,
    ):
        welcome = line.hello(_hello(stream, codec.spec))
        header, sent, rates = PutHeader(stream, welcome.session, codec.layout), 0, ([], [])
        puts = (partial(line.put, header), partial(_bare_put, bare_line))
        for _ in range(_BLOCKS):
            prepared = list(_messages(codec, steps, size, messages, welcome.next_episode, sent))
            for put, found in zip(puts, rates, strict=True):
                stored, started = 0, time.perf_counter()
                for upto in put(prepared):
                    stored = upto
                found.append(size * messages / (time.perf_counter() - started))
                assert stored == sent + size * messages
            sent += size * messages
    return [float(np.median(found)) for found in rates]


def _bare_put(client: flight.FlightClient, messages: Sequence[Sequence[LogEntry]]) -> Iterator[int]:
    """Send messages and do nothing else.

    Those that share an acknowledgement in `LearnerClient.put` share one here.
    """
    writer, reader = client.do_put(flight.FlightDescriptor.for_command(b""), _BARE)
    waiting, last = 0, {batch[-1].number for batch in together(messages)}
    for entries in messages:
        columns = [pa.array([e.number for e in entries]), pa.array([e.payload for e in entries], pa.large_binary())]
        more = entries[-1].number not in last
        writer.write_with_metadata(pa.RecordBatch.from_arrays(columns, schema=_BARE), b"more" if more else b"last")
        waiting += not more
        while waiting > 1:
            yield int(reader.read().to_pybytes())
            waiting -= 1
    writer.done_writing()
    for _ in range(waiting):
        yield int(reader.read().to_pybytes())
    writer.close()


def _messages(
    codec: StepCodec, steps: list[Step], size: int, messages: int, first_episode: int, sent: int
) -> Iterator[list[LogEntry]]:
    """Cut episodes as long as `steps` into messages of a size."""
    for begin in range(sent, sent + size * messages, size):
        message = []
        for number in range(begin, begin + size):
            episode, index = divmod(number, len(steps))
            step = dataclasses.replace(steps[index], episode=first_episode + episode)
            message.append(LogEntry(number + 1, step.episode, codec.encode(step)))
        yield message


def _weights(directory: Path) -> dict[str, float]:
    """Measure a fetch of 20 MB, and an actor's jitter meanwhile."""
    with contextlib.closing(make_sim_env("pick_cube", obs="pixels")) as env, _serving(directory, "state") as address:
        with contextlib.closing(make_sim_env("pick_cube", obs="state")) as small:
            spec = small.experience
        with contextlib.closing(LearnerClient(address, Credentials())) as line:
            size, durations = 0, []
            for _ in range(_FETCHES):
                time.sleep(_WEIGHTS_EVERY_S)
                started = time.perf_counter()
                found = line.weights(0, -1, 5.0)
                durations.append(time.perf_counter() - started)
                assert found
                size = sum(array.nbytes for array in found.arrays.values())
        jitter, received = _jitter(directory, address, env, spec)
    return {
        "transport.weights_mb": size / 1e6,
        "transport.weights_20mb_ms": 1e3 * float(np.median(durations)) * 20e6 / size,
        "transport.actor_jitter_p99_ms": 1e3 * jitter,
        "transport.weights_received_per_s": received,
    }


def _jitter(directory: Path, address: Address, env: ManipulationEnv, spec: ExperienceSpec) -> tuple[float, float]:
    """Measure the jitter (99th percentile) and the weights received a second."""
    log = DurableLog(directory / "spool.sqlite", [StepCodec(spec)], max_bytes=1_000_000_000)
    side = ActorSide(lambda: _hello(log.id, spec), _big_actor(spec), dict)
    learner = RemoteLearner(address, Credentials(), log, side)
    learner.connect(lambda reason: False)  # noqa: ARG005
    limiter, ticks = RateLimiter(_TICK_HZ), []
    state = np.zeros(spec.state.size, np.float32)
    env.reset(seed=0)
    try:
        for index in range(_TICKS):
            ticks.append(time.perf_counter())
            actor, version = learner.weights()
            action = act(actor, {"state": state}, jax.random.key(index), explore=True)
            env.step(action)
            learner.send(Step(0, index, {"state": state}, action if index else 0 * action, policy_version=version))
            limiter.wait()
    finally:
        learner.close()
    steady = np.diff(ticks)[_SETTLING_TICKS:]
    received = learner.counters.weights / (_TICKS / _TICK_HZ)
    return float(np.percentile(np.abs(steady - 1 / _TICK_HZ), 99)), received


def _hello(stream: str, spec: ExperienceSpec) -> Hello:
    return Hello(stream, "bench", spec.to_json(), "none")


def _big_actor(spec: ExperienceSpec) -> Actor:
    return create_sac_agent(spec, _BIG, 0).actor


@contextlib.contextmanager
def _serving(directory: Path, kind: str) -> Iterator[Address]:
    """Run a server in another process; `ceiling` is the bare one."""
    command = [sys.executable, "-m", "hilserl.benchmarks.transport", str(directory), kind]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdout
        assert process.stdin
        try:
            yield Address.parse(process.stdout.readline().strip())
        finally:
            process.stdin.close()
            process.wait()


class _BareServer(flight.FlightServerBase):
    """Flight server that appends to a file, one fsync an acknowledgement."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"grpc://{_LOOPBACK}")
        self._file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    def do_put(
        self,
        context: flight.ServerCallContext,
        descriptor: flight.FlightDescriptor,
        reader: flight.MetadataRecordBatchReader,
        writer: flight.FlightMetadataWriter,
    ) -> None:
        """Write the payloads of each group of messages, and acknowledge them."""
        del context, descriptor
        unwritten: list[memoryview] = []
        for chunk in reader:
            unwritten += [memoryview(payload.as_buffer()) for payload in chunk.data.column("payload")]
            if chunk.app_metadata.to_pybytes() == b"last":
                self._write(unwritten)
                writer.write(str(chunk.data.column("number")[-1].as_py()).encode())
                unwritten = []

    def _write(self, payloads: list[memoryview]) -> None:
        os.writev(self._file, payloads)
        os.fsync(self._file)


def _serve_exchange(directory: Path, obs: ObsName, until_ended: Callable[[], object]) -> None:
    """Store what comes, and publish weights ten times a second."""
    with contextlib.closing(make_sim_env("pick_cube", obs=obs)) as env:
        spec = env.experience
    features = FrameEncoder(spec, VisionConfig()).stored
    log = DurableLog(directory / "incoming.sqlite", [StepCodec(spec, features)], synced=True)
    arrays = weights_of(_big_actor(spec)) if obs == "state" else {}
    began = time.monotonic()

    def version() -> int:
        return int((time.monotonic() - began) / _WEIGHTS_EVERY_S)

    hooks = LearnerHooks(
        facts=LearnerFacts,
        weights=lambda: (version(), arrays),
        version=version,
        outcomes=lambda number: (),  # noqa: ARG005
        prepare=lambda step: step,
    )
    exchange = Exchange(log, _hello(_STREAM + "0", spec), "", hooks)
    server = LearnerServer(exchange, _LOOPBACK, Credentials())
    print(Address(_LOOPBACK.host, server.port), flush=True)
    ended = threading.Event()

    def drain() -> None:
        while not ended.is_set():
            for _ in exchange.arrived(_WEIGHTS_EVERY_S / 2):
                pass

    def publish() -> None:
        while not ended.wait(_WEIGHTS_EVERY_S / 10):
            exchange.publish()

    threads = [threading.Thread(target=drain), threading.Thread(target=publish)]
    for thread in threads:
        thread.start()
    until_ended()
    ended.set()
    for thread in threads:
        thread.join()
    server.shutdown()
    log.close()


def _serve(directory: Path, kind: str) -> None:
    """Serve until standard input ends."""
    if kind != "ceiling":
        _serve_exchange(directory, "state" if kind == "state" else "pixels", sys.stdin.read)
        return
    server = _BareServer(directory / "ceiling.bin")
    print(Address(_LOOPBACK.host, server.port), flush=True)
    sys.stdin.read()
    server.shutdown()


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), sys.argv[2])
