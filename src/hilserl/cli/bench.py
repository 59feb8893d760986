"""hilserl bench: the figures in the README, measured again on this machine."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import tyro

from hilserl import benchmarks
from hilserl.errors import HilserlError, unknown
from hilserl.files import atomically

if TYPE_CHECKING:
    from hilserl.agents.agent import AgentConfig

_RIVAL_SCRIPT = Path(benchmarks.__file__).with_name("gym_hil_speed.py")
_PIXEL_STEPS = 100
_STATE_STEPS = 1000
_BATCH_SIZE = 256


@dataclass(frozen=True)
class BenchArguments:
    """Measure. Figures of one call were taken in one run, side by side."""

    names: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """sim, agent, encoder, vision, console, transport, robot; all of them where none is named."""
    gym_hil_python: Path = Path(".venv-gym-hil/bin/python")
    """The Python of an environment that has gym-hil (`make gym-hil` makes one); skipped where it is absent."""
    json: Path | None = None
    """Write the figures into this file as one flat object."""


_BLOCKS = 5


def _rate(step: Callable[[], object], count: int, blocks: int = _BLOCKS) -> float:
    """Calls per second: the median of some blocks, after a tenth as many calls to warm up."""
    for _ in range(max(1, count // 10)):
        step()
    rates = []
    for _ in range(blocks):
        started = time.perf_counter()
        for _ in range(count):
            step()
        rates.append(count / (time.perf_counter() - started))
    return float(np.median(rates))


def env_steps_per_s(obs: str, count: int) -> float:
    """Environment steps per second under random actions, resets included."""
    from hilserl.tasks import make_env

    env = make_env("pick_cube", obs=obs)
    rng = np.random.default_rng(0)
    env.reset(seed=0)

    def step() -> None:
        _, _, terminated, truncated, _ = env.step(rng.uniform(-1, 1, 4))
        if terminated or truncated:
            env.reset()

    rate = _rate(step, count)
    env.close()
    return rate


def _bench_sim(arguments: BenchArguments) -> dict[str, float]:
    figures = {
        "sim.state_steps_per_s": env_steps_per_s("state", _STATE_STEPS),
        "sim.pixel_steps_per_s": env_steps_per_s("pixels", _PIXEL_STEPS),
    }
    if not arguments.gym_hil_python.exists():
        print(f"gym-hil is not measured: there is no {arguments.gym_hil_python} (`make gym-hil` makes one).")
        return figures
    command = [str(arguments.gym_hil_python), str(_RIVAL_SCRIPT)]
    environment = {**os.environ, "MUJOCO_GL": os.environ.get("MUJOCO_GL", "egl")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)  # noqa: S603
    if done.returncode:
        raise HilserlError(f"gym-hil did not run: {done.stderr.strip().splitlines()[-1]}")
    return figures | json.loads(done.stdout.strip().splitlines()[-1])


def _bench_agent(arguments: BenchArguments) -> dict[str, float]:
    del arguments
    from hilserl.training.config import preset

    agent = replace(preset("pick_cube").agent, batch_size=_BATCH_SIZE)
    return _agent_figures("state", "state", agent, 100) | _agent_figures("pixel", "pixels", agent, 10)


def _agent_figures(name: str, obs: str, config: "AgentConfig", count: int) -> dict[str, float]:
    """Full updates (critics, gripper, policy, temperature), rounds, batches sampled and actions chosen."""
    import jax

    from hilserl.agents.agent import act

    bench = _LearnerBench(obs, config)
    updates, rounds = bench.rounds_per_s(1, count), bench.rounds_per_s(config.utd_ratio, count)
    batches = _rate(lambda: bench.sample(1), count)
    observation = bench.observation
    actor, key = bench.agent.actor, jax.random.key(0)
    return {
        f"agent.{name}_updates_per_s": updates,
        f"agent.{name}_rounds_per_s": rounds,
        f"agent.{name}_batches_sampled_per_s": batches,
        f"agent.{name}_sampling_percent": 100 / (1 + batches / updates),
        f"agent.{name}_actions_per_s": _rate(lambda: act(actor, observation, key, explore=True), count),
    }


class _LearnerBench:
    """An agent and a replay that holds two episodes of random actions."""

    def __init__(self, obs: str, config: "AgentConfig") -> None:
        from hilserl.agents.sac import create_agent
        from hilserl.data.replay import Replay
        from hilserl.tasks import make_env

        env = make_env("pick_cube", obs=obs)
        self.agent = create_agent(env.experience, config, seed=0)
        observe = self.agent.frames.observe
        prior, online = (_random_episode(env, observe, episode) for episode in range(2))
        env.close()
        self._replay = Replay(env.experience, 2_000, prior, self.agent.frames.stored)
        for step in online:
            self._replay.add(step)
        self.observation = online[0].observation
        self._rng, self._size = np.random.default_rng(0), config.batch_size

    def sample(self, batches: int) -> Any:
        return self._replay.sample(self._rng, batches, self._size)

    def rounds_per_s(self, utd_ratio: int, count: int, blocks: int = _BLOCKS) -> float:
        """Rounds of `utd_ratio` batches that lie ready in the machine's memory."""
        import jax

        from hilserl.agents.agent import update

        batches, key = self.sample(utd_ratio), jax.random.key(0)

        def learn() -> None:
            self.agent, metrics = update(self.agent, batches, key)
            jax.block_until_ready(metrics)

        return _rate(learn, count, blocks)


def _bench_vision(arguments: BenchArguments) -> dict[str, float]:
    """Full updates from features and, the ordinary way, from frames; and as HIL-SERL does them."""
    del arguments
    import jax

    from hilserl.agents.agent import AgentConfig
    from hilserl.training.config import preset
    from hilserl.vision.encoders import FROZEN
    from hilserl.vision.frame_encoder import VisionConfig
    from hilserl.vision.resnet10 import untrained

    # What the weights are makes no difference to the time.
    resnet10 = untrained()
    FROZEN["resnet10"] = FROZEN["resnet10"]._replace(load=lambda: resnet10)
    ours = replace(preset("pick_cube").agent, batch_size=_BATCH_SIZE)
    reference = AgentConfig(
        hidden=(256, 256),
        num_critics=2,
        batch_size=_BATCH_SIZE,
        vision=VisionConfig(
            "resnet10", "every_update", shift_px=4, noise=0.0, embeddings=8, width=256, proprio_width=64
        ),
    )
    frames = replace(ours, vision=replace(ours.vision, encode="every_update"))
    fast = jax.default_backend() != "cpu"
    figures = {"vision.features_updates_per_s": _LearnerBench("pixels", ours).rounds_per_s(1, 10)}
    for name, config in (("frames", frames), ("reference", reference)):
        for suffix, precision in (("", "float32"), ("_bfloat16", "bfloat16")):
            if suffix and not fast:
                continue  # a CPU has no arithmetic for it
            bench = _LearnerBench("pixels", replace(config, vision=replace(config.vision, precision=precision)))
            rate = bench.rounds_per_s(1, 10 if fast else 1, _BLOCKS if fast else 1)
            figures[f"vision.{name}{suffix}_updates_per_s"] = rate
    baseline = "vision.reference_updates_per_s"
    ratios = {
        key.replace("updates_per_s", "over_reference"): rate / figures[baseline]
        for key, rate in figures.items()
        if key != baseline
    }
    return figures | ratios


def _bench_encoder(arguments: BenchArguments) -> dict[str, float]:
    del arguments
    from hilserl.tasks import make_env
    from hilserl.vision.frame_encoder import FrameEncoder, VisionConfig

    env = make_env("pick_cube", obs="pixels")
    frames = FrameEncoder(env.experience, VisionConfig())
    observation, _ = env.reset(seed=0)
    rate = _rate(lambda: frames.observe(observation), 100)
    env.close()
    return {"encoder.ms_per_image": 1e3 / rate / len(frames.cameras)}


def _random_episode(env: Any, observe: Callable[[dict[str, Any]], dict[str, Any]], episode: int) -> list[Any]:
    from hilserl.data.step import Step

    rng = np.random.default_rng(episode)
    observation, _ = env.reset(seed=episode)
    steps = [Step(episode, 0, observe(observation), np.zeros(4, np.float32))]
    for index in range(1, 101):
        action = rng.uniform(-1, 1, 4).astype(np.float32)
        observation, reward, terminated, truncated, _ = env.step(action)
        steps.append(Step(episode, index, observe(observation), action, reward, terminated, truncated, terminated))
        if terminated or truncated:
            break
    return steps


def _bench_console(arguments: BenchArguments) -> dict[str, float]:
    del arguments
    from hilserl.benchmarks.console import figures

    return figures()


def _bench_transport(arguments: BenchArguments) -> dict[str, float]:
    del arguments
    from hilserl.benchmarks.transport import figures

    return figures()


def _bench_robot(arguments: BenchArguments) -> dict[str, float]:
    del arguments
    from hilserl.benchmarks.robot import figures

    return figures()


_BENCHES: dict[str, Callable[[BenchArguments], dict[str, float]]] = {
    "sim": _bench_sim,
    "agent": _bench_agent,
    "encoder": _bench_encoder,
    "vision": _bench_vision,
    "console": _bench_console,
    "transport": _bench_transport,
    "robot": _bench_robot,
}


def run(words: Sequence[str]) -> int:
    arguments = tyro.cli(BenchArguments, args=words, prog="hilserl bench")
    for name in arguments.names:
        if name not in _BENCHES:
            raise unknown("bench", name, _BENCHES)
    figures: dict[str, float] = {}
    for name in arguments.names or tuple(_BENCHES):
        measured = _BENCHES[name](arguments)
        for key, value in measured.items():
            print(f"{key:<34} {value:>10.1f}", flush=True)
        figures |= measured
    if arguments.json:
        atomically(arguments.json, lambda part: part.write_text(json.dumps(figures, indent=2) + "\n"))
    return 0
