"""hilserl bench: the figures in the README, measured again on this machine."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from hilserl.errors import HilserlError, unknown
from hilserl.experience import atomically

_RIVAL_SCRIPT = Path(__file__).with_name("bench_gym_hil.py")
_PIXEL_STEPS = 100
_STATE_STEPS = 1000


@dataclass(frozen=True)
class Arguments:
    """Measure. Figures of one call were taken in one run, side by side."""

    names: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """sim, agent, encoder; all of them where none is named."""
    gym_hil_python: Path = Path(".venv-gym-hil/bin/python")
    """The Python of an environment that has gym-hil (`make gym-hil` makes one); skipped where it is absent."""
    json: Path | None = None
    """Write the figures into this file as one flat object."""


_BLOCKS = 5


def _rate(step: Callable[[], object], count: int) -> float:
    """Calls per second: the median of five blocks, after a tenth as many calls to warm up."""
    for _ in range(max(1, count // 10)):
        step()
    rates = []
    for _ in range(_BLOCKS):
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


def _bench_sim(arguments: Arguments) -> dict[str, float]:
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


def _bench_agent(arguments: Arguments) -> dict[str, float]:
    del arguments
    return _agent_figures("state", 100) | _agent_figures("pixels", 10)


def _agent_figures(obs: str, count: int) -> dict[str, float]:
    """Full updates (critics, gripper, policy, temperature) at batch 256, rounds, batches sampled and actions chosen."""
    import jax

    from hilserl.agents.sac import act, create_agent, update
    from hilserl.replay import Replay
    from hilserl.tasks import make_env
    from hilserl.training.config import preset
    from hilserl.vision.frames import FrameEncoder

    env = make_env("pick_cube", obs=obs)
    config, frames = preset("pick_cube").agent, FrameEncoder(env.experience)
    prior, online = (_random_episode(env, frames.observe, episode) for episode in range(2))
    replay = Replay(env.experience, 2_000, prior, frames.shapes)
    for step in online:
        replay.add(step)
    rng, key, figures = np.random.default_rng(0), jax.random.key(0), {}
    agent = create_agent(env.experience, config, seed=0)
    for name, utd_ratio in (("updates", 1), ("rounds", config.utd_ratio)):
        batches = replay.sample(rng, utd_ratio, config.batch_size)

        def learn(batches=batches) -> None:
            nonlocal agent
            agent, metrics = update(agent, batches, key)
            jax.block_until_ready(metrics)

        figures[f"agent.{obs}_{name}_per_s"] = _rate(learn, count)
    figures[f"agent.{obs}_batches_sampled_per_s"] = _rate(lambda: replay.sample(rng, 1, config.batch_size), count)
    seen = online[0].observation
    figures[f"agent.{obs}_actions_per_s"] = _rate(lambda: act(agent.actor, seen, key, explore=True), count)
    env.close()
    return figures


def _bench_encoder(arguments: Arguments) -> dict[str, float]:
    del arguments
    from hilserl.tasks import make_env
    from hilserl.vision.frames import FrameEncoder

    env = make_env("pick_cube", obs="pixels")
    frames = FrameEncoder(env.experience)
    observation, _ = env.reset(seed=0)
    rate = _rate(lambda: frames.observe(observation), 100)
    env.close()
    return {"encoder.ms_per_image": 1e3 / rate / len(frames.cameras)}


def _random_episode(env: Any, observe: Callable[[dict[str, Any]], dict[str, Any]], episode: int) -> list[Any]:
    from hilserl.experience import Step

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


_BENCHES: dict[str, Callable[[Arguments], dict[str, float]]] = {
    "sim": _bench_sim,
    "agent": _bench_agent,
    "encoder": _bench_encoder,
}


def run(words: Sequence[str]) -> int:
    arguments = tyro.cli(Arguments, args=words, prog="hilserl bench")
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
