"""Speed of the simulated environment, beside gym-hil where it is installed."""

import json
import logging
import os
import subprocess
from pathlib import Path

import numpy as np

from hilserl.benchmarks.rates import calls_per_s
from hilserl.envs.options import ObsName
from hilserl.errors import HilserlError
from hilserl.tasks import make_sim_env

_GYM_HIL_SCRIPT = Path(__file__).with_name("gym_hil_speed.py")
_PIXEL_STEPS = 100
_STATE_STEPS = 1000

_log = logging.getLogger(__name__)


def env_steps_per_s(obs: ObsName, count: int) -> float:
    """Measure environment steps per second under random actions, resets included."""
    env = make_sim_env("pick_cube", obs=obs)
    rng = np.random.default_rng(0)
    env.reset(seed=0)

    def step() -> None:
        _, _, terminated, truncated, _ = env.step(rng.uniform(-1, 1, 4))
        if terminated or truncated:
            env.reset()

    rate = calls_per_s(step, count)
    env.close()
    return rate


def figures(gym_hil_python: Path) -> dict[str, float]:
    """Measure our environment and gym-hil's by the same rule.

    Args:
        gym_hil_python: The interpreter of a virtual environment with gym-hil. Without it only ours is measured.

    Raises:
        HilserlError: gym-hil failed.
    """
    ours = {
        "sim.state_steps_per_s": env_steps_per_s("state", _STATE_STEPS),
        "sim.pixel_steps_per_s": env_steps_per_s("pixels", _PIXEL_STEPS),
    }
    if not gym_hil_python.exists():
        _log.warning("gym-hil is not measured: %s does not exist (`make gym-hil` makes it).", gym_hil_python)
        return ours
    command = [str(gym_hil_python), str(_GYM_HIL_SCRIPT)]
    environment = {**os.environ, "MUJOCO_GL": os.environ.get("MUJOCO_GL", "egl")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)  # noqa: S603
    if done.returncode:
        raise HilserlError(f"gym-hil failed: {done.stderr.strip().splitlines()[-1]}")
    return ours | json.loads(done.stdout.strip().splitlines()[-1])
