"""What the network between actor and learner costs: steps acknowledged a second, weights, how steady the actor is."""

import contextlib
import dataclasses
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import pyarrow as pa

from hilserl.address import Address
from hilserl.agents.agent import Actor, AgentConfig, act
from hilserl.agents.sac import create_sac_agent
from hilserl.data.arrow import arrow_schema
from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Step
from hilserl.distributed.credentials import Credentials
from hilserl.distributed.exchange import Exchange
from hilserl.distributed.flight_client import LearnerClient
from hilserl.distributed.flight_server import Service
from hilserl.distributed.protocol import EntryHeader, Hello, PutHeader, batch_of
from hilserl.distributed.remote_learner import RemoteLearner
from hilserl.distributed.spool import Spool
from hilserl.distributed.store import Store
from hilserl.distributed.weights import weights_of
from hilserl.envs.options import ObsName
from hilserl.robot.control.timing import RateLimiter
from hilserl.sim.environment import ManipulationEnv
from hilserl.tasks import make_sim_env
from hilserl.training.learner import LearnerFacts

_BATCH = 20
_SINGLES, _BATCHES, _FETCHES = 1_000, 200, 20
_BLOCKS = 5
_PUT = 100
_NEW_WEIGHTS_S = 0.1
_BEATS, _BEATS_HZ = 400, 20.0
_STREAM = "0" * 31
_BIG = AgentConfig(hidden=(1150, 1150, 1150), num_critics=1, num_target_critics=1)
"""A state policy whose weights take more than 20 MB: its arithmetic is cheap, their way is long."""


def figures() -> dict[str, float]:
    """All of them, over loopback, with the learner's side in a process of its own."""
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(make_sim_env("pick_cube", obs="pixels")) as env:
        steps = _episode(env, _BATCH * 2)
        spec = env.experience
        with _learner(Path(folder), "pixels") as address:
            measured = {
                "transport.single_steps_per_s": _steps_per_s(address, spec, steps, 1, _SINGLES),
                "transport.batched_steps_per_s": _steps_per_s(address, spec, steps, _BATCH, _BATCHES),
            }
    with tempfile.TemporaryDirectory() as folder:
        return measured | _weights(Path(folder))


def _episode(env: ManipulationEnv, length: int) -> list[Step]:
    """A reset and steps of random actions, as if no episode ever ended."""
    rng = np.random.default_rng(0)
    observation, _ = env.reset(seed=0)
    steps = [Step(0, 0, observation, np.zeros(4, np.float32))]
    for index in range(1, length):
        action = rng.uniform(-1, 1, 4).astype(np.float32)
        observation, *_ = env.step(action)
        steps.append(Step(0, index, observation, action))
    return steps


def _steps_per_s(address: Address, spec: ExperienceSpec, steps: list[Step], size: int, messages: int) -> float:
    """Steps durably stored by the learner a second, `size` in a message, each message awaited; the median of blocks."""
    with contextlib.closing(LearnerClient(address, Credentials())) as line:
        stream = f"{_STREAM}{1 if size == 1 else 2}"
        welcome = line.hello(_hello(stream, spec))
        header, schema = PutHeader(stream, welcome.session), arrow_schema(spec)
        sent, rates = 0, []
        for _ in range(_BLOCKS):
            prepared = list(_messages(spec, steps, size, messages, welcome.next_episode, sent))
            started = time.perf_counter()
            for begin in range(0, messages, _PUT):
                for upto in line.put(header, prepared[begin : begin + _PUT], schema):
                    sent = upto
            rates.append(size * messages / (time.perf_counter() - started))
    return float(np.median(rates))


def _messages(
    spec: ExperienceSpec, steps: list[Step], size: int, messages: int, first_episode: int, sent: int
) -> Iterator[tuple[EntryHeader, pa.RecordBatch]]:
    """Episodes as long as `steps`, cut into messages of a size, numbered on from what has been sent."""
    for number in range(sent, sent + size * messages, size):
        episode, begin = divmod(number, len(steps))
        part = steps[begin : begin + size]
        renamed = [dataclasses.replace(step, episode=first_episode + episode) for step in part]
        yield EntryHeader(number + 1), batch_of(renamed, spec)


def _weights(folder: Path) -> dict[str, float]:
    """Fetching 20 MB, and how steady an actor's beat is while new ones arrive ten times a second."""
    with contextlib.closing(make_sim_env("pick_cube", obs="pixels")) as env, _learner(folder, "state") as address:
        with contextlib.closing(make_sim_env("pick_cube", obs="state")) as small:
            spec = small.experience
        with contextlib.closing(LearnerClient(address, Credentials())) as line:
            size, durations = 0, []
            for _ in range(_FETCHES):
                time.sleep(_NEW_WEIGHTS_S)
                started = time.perf_counter()
                found = line.weights(0, -1, 5.0)
                durations.append(time.perf_counter() - started)
                assert found
                size = sum(array.nbytes for array in found.arrays.values())
        jitter, received = _jitter(folder, address, env, spec)
    return {
        "transport.weights_mb": size / 1e6,
        "transport.weights_20mb_ms": 1e3 * float(np.median(durations)) * 20e6 / size,
        "transport.actor_jitter_p99_ms": 1e3 * jitter,
        "transport.weights_received_per_s": received,
    }


def _jitter(folder: Path, address: Address, env: ManipulationEnv, spec: ExperienceSpec) -> tuple[float, float]:
    """99th percentile of how far an actor's beat is from its period; and how many weights came a second."""
    like = _big_actor(spec)
    spool = Spool(folder, spec, 1_000_000_000)
    link = RemoteLearner(address, Credentials(), spool, spec, lambda: _hello(spool.stream, spec), like, dict)
    link.connect(lambda reason: False)  # noqa: ARG005
    pace, beats = RateLimiter(_BEATS_HZ), []
    state = np.zeros(spec.state.size, np.float32)
    env.reset(seed=0)
    try:
        for index in range(_BEATS):
            beats.append(time.perf_counter())
            actor, version = link.weights()
            action = act(actor, {"state": state}, jax.random.key(index), explore=True)
            env.step(action)
            link.send(Step(0, index, {"state": state}, action if index else 0 * action, policy_version=version))
            pace.wait()
    finally:
        link.close()
    steady = np.diff(beats)[20:]
    received = link.counters.weights / (_BEATS / _BEATS_HZ)
    return float(np.percentile(np.abs(steady - 1 / _BEATS_HZ), 99)), received


def _hello(stream: str, spec: ExperienceSpec) -> Hello:
    return Hello(stream, "bench", spec.to_json(), "none")


def _big_actor(spec: ExperienceSpec) -> Actor:
    return create_sac_agent(spec, _BIG, 0).actor


@contextlib.contextmanager
def _learner(folder: Path, obs: ObsName) -> Iterator[Address]:
    """The learner's side, without a learner, in a process of its own."""
    command = [sys.executable, "-m", "hilserl.benchmarks.transport", str(folder), obs]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdout
        assert process.stdin
        try:
            yield Address.parse(process.stdout.readline().strip())
        finally:
            process.stdin.close()
            process.wait()


def _serve(folder: Path, obs: ObsName) -> None:
    """Stores what comes and gives out weights of a new version ten times a second, until standard input ends."""
    with contextlib.closing(make_sim_env("pick_cube", obs=obs)) as env:
        spec = env.experience
    store = Store(folder / "incoming.sqlite", spec)
    arrays = weights_of(_big_actor(spec)) if obs == "state" else {}
    began = time.monotonic()

    def version() -> int:
        return int((time.monotonic() - began) / _NEW_WEIGHTS_S)

    exchange = Exchange(
        store,
        spec,
        _hello(_STREAM + "0", spec),
        config="",
        facts=LearnerFacts,
        weights=lambda: (version(), arrays),
        version=version,
        outcomes=lambda number: (),  # noqa: ARG005
        prepare=lambda step: step,
        warn=lambda text: print(text, file=sys.stderr),
    )
    service = Service(exchange, spec, Address("127.0.0.1", 0), Credentials())
    print(Address("127.0.0.1", service.port), flush=True)
    ended = threading.Event()

    def drain() -> None:
        while not ended.is_set():
            for _ in exchange.arrived(0.1):
                pass

    thread = threading.Thread(target=drain)
    thread.start()
    sys.stdin.read()
    ended.set()
    thread.join()
    service.shutdown()
    store.close()


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), "state" if sys.argv[2] == "state" else "pixels")
