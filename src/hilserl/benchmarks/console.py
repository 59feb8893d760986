"""Cost of the console: its key latency, and its slowdown of training."""

import json
import subprocess
import sys
import time
from typing import Any

import numpy as np
from mujoco.studio import messages, plugin

from hilserl.agents.agent import act
from hilserl.benchmarks.rates import timed_calls_per_s
from hilserl.envs.options import ObsName
from hilserl.errors import HilserlError
from hilserl.interrupt import Interrupt
from hilserl.operators.config import ConsoleConfig
from hilserl.operators.console.console import TICKS_PER_STEP, Console, ConsoleScene
from hilserl.operators.console.messages import OperatorInput
from hilserl.operators.console.session import ConsoleSession
from hilserl.operators.devices.key_map import keys_for
from hilserl.operators.human import HumanOperator, Role
from hilserl.operators.operator import NoOperator
from hilserl.operators.value_watch import ValueWatch
from hilserl.rollout.recording import hold_still
from hilserl.rollout.rollout import EpisodeSeeds, Rollout
from hilserl.runs.counters import RunCounters
from hilserl.sim.task_env import CONTROL_DT_S
from hilserl.tasks import make_sim_env
from hilserl.training.config import preset, with_settings
from hilserl.training.dashboard import Dashboard
from hilserl.training.learner import Learner
from hilserl.training.local_learner import StepSender, ThreadedLearner

_PRESSES = 40
_BLOCKS = 3
_PATIENCE_S = 30.0
_COUNTS = {"state": 400, "pixels": 100}


class _Finger(plugin.ViewerPlugin):
    """Viewer plug-in that presses W and keeps the times."""

    def __init__(self) -> None:
        self.wanted = self._down = False
        self.changed_s = 0.0

    @messages.handler
    def on_frame(self, event: messages.UpdateEvent) -> None:
        """Send a key event, in the viewer's thread, as a page does."""
        del event
        viewer: Any = self.viewer
        viewer.heartbeat.heard(self)
        if self.wanted != self._down:
            self._down, self.changed_s = self.wanted, time.perf_counter()
        elif not self._down:
            return
        self.viewer.send_to_sim(OperatorInput(frozenset({"W"}) if self._down else frozenset()))


def key_to_motion_s() -> np.ndarray:
    """Measure the time from a key event to its step.

    Returns:
        Seconds, one number for each of many presses.
    """
    env = make_sim_env("pick_cube", max_episode_steps=10**9)
    simulation, layout, finger = env.simulation, env.experience.action, _Finger()
    scene = ConsoleScene(
        lambda: env.scene.model_and_data,
        layout,
        lambda arm: env.teleoperation.tcp_positions_m[arm],
        simulation.workspace_centre_m,
    )
    console = Console(scene, keys_for(layout), ConsoleConfig(view="web"), plugins=[finger])
    console.real_time = console.driven = True
    operator = HumanOperator([console], layout, Role(drives=True), env.teleoperation, console.idle)
    delays: list[float] = []
    rng, release_s = np.random.default_rng(0), 0.0
    obey = env.step

    def step(action: np.ndarray) -> Any:
        nonlocal release_s
        now = time.perf_counter()
        if finger.wanted and action[0] > 0 and finger.changed_s:
            delays.append(now - finger.changed_s)
            finger.wanted, finger.changed_s = False, 0.0
            release_s = now + rng.uniform(0.2, 0.5)
        elif not finger.wanted and now > release_s and not action.any():
            finger.wanted = True
        return obey(action)

    env.step = step
    deadline_s = time.perf_counter() + _PATIENCE_S
    while not console.read().present:
        time.sleep(0.01)
        if time.perf_counter() > deadline_s:
            raise HilserlError(f"The viewer of the console rendered nothing for {_PATIENCE_S:.0f} s.")
    finger.wanted = True
    rollout = Rollout(env, operator, [], EpisodeSeeds(0, "bench"))
    with simulation.watched(console.tick, TICKS_PER_STEP):
        while len(delays) < _PRESSES:
            rollout.step(hold_still(layout.size))
    console.close()
    env.close()
    return np.array(delays)


def training_steps_per_s(obs: ObsName, count: int) -> tuple[float, float]:
    """Measure training without an operator's intervention.

    Returns:
        Environment steps per second without the console, and with it.
    """
    env = make_sim_env("pick_cube", obs=obs)
    config = with_settings(preset("pick_cube"), {"env.obs": obs, "training_starts": 20})
    learner, counters = Learner(env.experience, config, []), RunCounters()
    link = ThreadedLearner(learner)
    dashboard = Dashboard(config, counters, lambda: learner.facts, lambda: "in this process")
    import jax

    def policy(observation: dict[str, np.ndarray]) -> tuple[np.ndarray, int]:
        actor, version = link.weights()
        return act(actor, observation, jax.random.key(counters.env_steps), explore=True), version

    alone = Rollout(
        env, NoOperator(), [counters, StepSender(link)], EpisodeSeeds(0, "alone"), learner.frame_encoder.encode
    )
    timed_calls_per_s(lambda: alone.step(policy), count)
    without = [timed_calls_per_s(lambda: alone.step(policy), count) for _ in range(_BLOCKS)]
    alone.end_episode()
    watch = ValueWatch(learner.value) if learner.value else None
    session = ConsoleSession(env, Role(), console=ConsoleConfig(view="web"), report=dashboard.report, watch=watch)
    subscribers = [counters, StepSender(link), dashboard, session]
    watched = Rollout(
        env, session.operator, subscribers, EpisodeSeeds(0, "watched", 10**6), learner.frame_encoder.encode
    )
    with session.active(Interrupt()):
        timed_calls_per_s(lambda: watched.step(policy), count)
        with_it = [timed_calls_per_s(lambda: watched.step(policy), count) for _ in range(_BLOCKS)]
    watched.end_episode()
    without += [timed_calls_per_s(lambda: alone.step(policy), count) for _ in range(_BLOCKS)]
    link.close()
    env.close()
    return float(np.median(without)), float(np.median(with_it))


def measure(what: str) -> dict[str, float]:
    """Measure `key`, or training from `state` or `pixels`."""
    if what == "key":
        delays = key_to_motion_s()
        return {
            "console.key_to_motion_ms_median": 1e3 * float(np.median(delays)),
            "console.key_to_motion_ms_max": 1e3 * float(delays.max()),
            "console.key_to_motion_control_steps_max": float(delays.max()) / CONTROL_DT_S,
        }
    obs: ObsName = "state" if what == "state" else "pixels"
    without, with_it = training_steps_per_s(obs, _COUNTS[obs])
    return {
        f"console.{what}_training_steps_per_s": without,
        f"console.{what}_training_slowdown_percent": 100 * (1 - with_it / without),
    }


def figures() -> dict[str, float]:
    """Measure everything, with one process for each console.

    Raises:
        HilserlError: A measurement failed.
    """
    result: dict[str, float] = {}
    for what in ("key", *_COUNTS):
        command = [sys.executable, "-m", "hilserl.benchmarks.console", what]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (our own)
        if done.returncode:
            raise HilserlError(f"The benchmark {what!r} of the console failed: {done.stderr.strip()[-500:]}")
        result |= json.loads(done.stdout.strip().splitlines()[-1])
    return result


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1])))
