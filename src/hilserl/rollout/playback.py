"""Playback of recorded episodes in simulation, beside the recorded images."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import mujoco
import numpy as np
from mujoco.studio import messages, plugin

from hilserl import tasks
from hilserl.data.episodes import read_episode
from hilserl.data.step import Step
from hilserl.envs.make import is_gymnasium_id
from hilserl.errors import HilserlError
from hilserl.operators.config import ConsoleConfig
from hilserl.operators.console.console import TICKS_PER_STEP, Console, ConsoleScene
from hilserl.operators.console.messages import ConsoleStatus
from hilserl.operators.console.timeline import RecordingPosition, Seek, Timeline
from hilserl.operators.devices.key_map import Command, bound_keys
from hilserl.sim.environment import ManipulationEnv
from hilserl.sim.reference_frame import frame_of

_STATE = mujoco.mjtState.mjSTATE_INTEGRATION
_FAITHFUL_M = 1e-4
_COMMANDS = {
    Command.PAUSE: {},
    Command.RESET: {"meaning": "next episode", "button": "Next episode"},
    Command.END: {"meaning": "end"},
}
"""Commands with an effect here, and other words for them."""
_LAST_IMAGE_S = 0.8


_ENDLESS_STEPS = 10**9


@dataclass(frozen=True)
class Reenactment:
    """A recorded episode, simulated again."""

    states: list[np.ndarray]
    """MuJoCo's integration states, `TICKS_PER_STEP` a step after the reset's."""
    deviation_m: float
    """Largest distance of the tool from its recorded position."""


def reenact(env: ManipulationEnv, steps: Sequence[Step]) -> Reenactment:
    """Reset the environment with the episode's seed and repeat its actions."""
    model, data = env.simulation.model, env.simulation.data
    size, states = mujoco.mj_stateSize(model, _STATE), []

    def keep() -> None:
        state = np.empty(size)
        mujoco.mj_getState(model, data, state, _STATE)
        states.append(state)

    position = slice(3)  # The tool's position comes first, in every reference frame.
    observation, _ = env.reset(seed=steps[0].seed)
    keep()
    deviation = np.abs(observation["state"][position] - steps[0].observation["state"][position]).max()
    with env.scene.watched(keep, TICKS_PER_STEP):
        for step in steps[1:]:
            observation = env.step(step.action)[0]
            deviation = max(
                deviation, np.abs(observation["state"][position] - step.observation["state"][position]).max()
            )
    return Reenactment(states, float(deviation))


class _SeekRequests(plugin.SimPlugin):
    """The moment that the viewer asked for last."""

    def __init__(self) -> None:
        self.seek: Seek | None = None

    @messages.handler
    def on_seek(self, seek: Seek) -> None:
        """Keep a request until the next tick."""
        self.seek = seek


class PlaybackSession:
    """A console that shows recorded episodes in real time.

    Args:
        directory: the episodes' directory.
        console: settings of the console.

    Raises:
        HilserlError: there is no episode, or the task is unknown or of another package.
    """

    def __init__(self, directory: Path, console: ConsoleConfig) -> None:
        self._paths = sorted(directory.glob("*.parquet"))
        if not self._paths:
            raise HilserlError(f"There are no recorded episodes (*.parquet) in {directory}.")
        _, spec = read_episode(self._paths[0])
        if is_gymnasium_id(spec.task):
            raise HilserlError(
                f"The episodes in {directory} are of {spec.task}, whose scene cannot be restored. "
                "`hilserl eval RUN_DIR --video FILE` makes a video of a policy."
            )
        # The recording has the seed and not if the scene was randomised; the motion shows that.
        self._envs = [
            tasks.make_sim_env(
                spec.task,
                frame=frame_of(spec),
                randomise=randomise,
                max_episode_steps=_ENDLESS_STEPS,
                ends_on_success=False,
            )
            for randomise in (False, True)
        ]
        self._requests = _SeekRequests()
        self._model, _ = self._envs[0].scene.model_and_data
        self._data = mujoco.MjData(self._model)
        tool_m = np.zeros(3)  # no operator drives, so the console draws no marker
        scene = ConsoleScene(
            lambda: (self._model, self._data),
            spec.action,
            lambda arm: tool_m,  # noqa: ARG005
            self._envs[0].scene.centre_m,
            spec.control_dt_s,
        )
        keys = tuple(
            replace(key, **_COMMANDS[key.command]) for key in bound_keys(console.keys) if key.command in _COMMANDS
        )
        self._console = Console(scene, keys, console, plugins=[Timeline(), self._requests])
        self._console.real_time = True
        self.announcement = self._console.announcement()
        self._paused = self.done = False
        self._open(0)

    def _open(self, index: int) -> None:
        self._index = index % len(self._paths)
        self._steps, _spec = read_episode(self._paths[self._index])
        tries = [reenact(env, self._steps) for env in self._envs]
        self._reenactment = min(tries, key=lambda each: each.deviation_m)
        self._moment = 0
        self._ended_s: float | None = None

    def tick(self) -> None:
        """Show the next image and obey the viewer's requests."""
        for command in self._console.read().commands:
            if command is Command.PAUSE:
                self._paused = not self._paused
            elif command is Command.RESET:
                self._open(self._index + 1)
            elif command is Command.END:
                self.done = True
        self.done = self.done or not self._console.is_open
        if seek := self._requests.seek:
            self._requests.seek = None
            if seek.episode != self._index:
                self._open(seek.episode)
            self._moment = min(max(seek.step, 0), len(self._steps) - 1) * TICKS_PER_STEP
        self._show()
        self._console.tick()
        if not self._paused:
            self._advance()

    def _advance(self) -> None:
        if self._moment + 1 < len(self._reenactment.states):
            self._moment, self._ended_s = self._moment + 1, None
        elif self._ended_s is None:
            self._ended_s = time.monotonic()
        elif time.monotonic() - self._ended_s > _LAST_IMAGE_S and len(self._paths) > 1:
            self._open(self._index + 1)

    def _show(self) -> None:
        mujoco.mj_setState(self._model, self._data, self._reenactment.states[self._moment], _STATE)
        mujoco.mj_forward(self._model, self._data)
        index = min(self._moment // TICKS_PER_STEP, len(self._steps) - 1)
        step, last = self._steps[index], self._steps[-1]
        human = tuple(s.intervened for s in self._steps[1:])
        self._console.on_step(step)
        self._console.send(RecordingPosition(self._index, len(self._paths), index, human))
        faithful = self._reenactment.deviation_m < _FAITHFUL_M
        note = (
            ""
            if faithful
            else f"Simulated again, the tool deviates by up to {1e3 * self._reenactment.deviation_m:.0f} mm."
        )
        control = "human" if step.intervened else "policy"
        self._console.send(
            ConsoleStatus(
                control=control,
                title="PAUSED" if self._paused else f"THE {control.upper()} ACTED",
                headline=f"{self._paths[self._index].name}, step {index} of {len(human)}",
                message=note,
                outcome="success" if last.success else "no success",
                success=last.success,
                facts=(
                    ("human steps", f"{sum(human)} of {len(human)}"),
                    ("human seconds", f"{sum(s.human_seconds for s in self._steps):.1f}"),
                    ("return", f"{sum(s.reward for s in self._steps):.2f}"),
                ),
            )
        )

    def close(self) -> None:
        """Close the console and the environments."""
        self._console.close()
        for env in self._envs:
            env.close()
