"""Looking at recorded episodes: played again in simulation, beside the pictures that were recorded."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
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
from hilserl.operators.devices.key_map import Command, Key
from hilserl.sim.environment import ManipulationEnv
from hilserl.sim.reference_frame import frame_of

_STATE = mujoco.mjtState.mjSTATE_INTEGRATION
_FAITHFUL_M = 1e-4
_KEYS = (
    Key("P", "P", "pause / go on", command=Command.PAUSE, button="Pause"),
    Key("N", "N", "next episode", command=Command.RESET, button="Next episode"),
    Key("Escape", "Esc Esc", "end", command=Command.END, button="End", twice=True),
)
_LAST_PICTURE_S = 0.8


_ENDLESS_STEPS = 10**9


@dataclass(frozen=True)
class Enacted:
    """An episode played again."""

    states: list[np.ndarray]
    """MuJoCo's integration state at each of the `TICKS_PER_STEP` moments of each step, the reset first."""
    deviation_m: float
    """The farthest that the tool was from where it was recorded."""


def enact(env: ManipulationEnv, steps: Sequence[Step]) -> Enacted:
    """Resets as the episode was reset and repeats its actions."""
    model, data = env.simulation.model, env.simulation.data
    size, states = mujoco.mj_stateSize(model, _STATE), []

    def keep() -> None:
        state = np.empty(size)
        mujoco.mj_getState(model, data, state, _STATE)
        states.append(state)

    where = slice(3)  # The tool's position comes first, in whatever frame.
    observation, _ = env.reset(seed=steps[0].seed)
    keep()
    deviation = np.abs(observation["state"][where] - steps[0].observation["state"][where]).max()
    with env.scene.watched(keep, TICKS_PER_STEP):
        for step in steps[1:]:
            observation = env.step(step.action)[0]
            deviation = max(deviation, np.abs(observation["state"][where] - step.observation["state"][where]).max())
    return Enacted(states, float(deviation))


class _Wishes(plugin.SimPlugin):
    """Where the person wants to look."""

    def __init__(self) -> None:
        self.seek: Seek | None = None

    @messages.handler
    def on_seek(self, seek: Seek) -> None:
        self.seek = seek


class Projector:
    """Shows a folder's episodes one after the other, in real time, until the person ends it.

    Raises HilserlError where there is none, or of a task that is not known.
    """

    def __init__(self, folder: Path, console: ConsoleConfig) -> None:
        self._paths = sorted(folder.glob("*.parquet"))
        if not self._paths:
            raise HilserlError(f"There are no recorded episodes (*.parquet) in {folder}.")
        _, spec = read_episode(self._paths[0])
        if is_gymnasium_id(spec.task):
            raise HilserlError(
                f"The episodes in {folder} are of {spec.task}, whose scene nobody here can put back as it was; "
                "`hilserl eval RUN_DIR --video FILM` films a policy."
            )
        # Of what the world was drawn with, only the seed is recorded; which of the two it was shows in the motion.
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
        self._wishes = _Wishes()
        simulation = self._envs[0].simulation
        self._model, self._data = simulation.model, mujoco.MjData(simulation.model)
        tool_m = np.zeros(3)  # no operator drives, so the console draws no marker
        scene = ConsoleScene(self._model, self._data, spec.action, lambda arm: tool_m, spec.control_dt_s)  # noqa: ARG005
        self._console = Console(scene, _KEYS, console, plugins=[Timeline(), self._wishes])
        self._console.real_time = True
        self.announcement = self._console.announcement()
        self._paused = self.done = False
        self._open(0)

    def _open(self, index: int) -> None:
        self._index = index % len(self._paths)
        self._steps, _spec = read_episode(self._paths[self._index])
        tries = [enact(env, self._steps) for env in self._envs]
        self._enacted = min(tries, key=lambda enacted: enacted.deviation_m)
        self._frame = 0
        self._ended_s: float | None = None

    def tick(self) -> None:
        """One picture."""
        for command in self._console.read().commands:
            if command is Command.PAUSE:
                self._paused = not self._paused
            elif command is Command.RESET:
                self._open(self._index + 1)
            elif command is Command.END:
                self.done = True
        self.done = self.done or not self._console.is_open
        if seek := self._wishes.seek:
            self._wishes.seek = None
            if seek.episode != self._index:
                self._open(seek.episode)
            self._frame = min(max(seek.step, 0), len(self._steps) - 1) * TICKS_PER_STEP
        self._show()
        self._console.tick()
        if not self._paused:
            self._advance()

    def _advance(self) -> None:
        if self._frame + 1 < len(self._enacted.states):
            self._frame, self._ended_s = self._frame + 1, None
        elif self._ended_s is None:
            self._ended_s = time.monotonic()
        elif time.monotonic() - self._ended_s > _LAST_PICTURE_S and len(self._paths) > 1:
            self._open(self._index + 1)

    def _show(self) -> None:
        mujoco.mj_setState(self._model, self._data, self._enacted.states[self._frame], _STATE)
        mujoco.mj_forward(self._model, self._data)
        index = min(self._frame // TICKS_PER_STEP, len(self._steps) - 1)
        step, last = self._steps[index], self._steps[-1]
        human = tuple(s.intervened for s in self._steps[1:])
        self._console.on_step(step)
        self._console.send(RecordingPosition(self._index, len(self._paths), index, human))
        faithful = self._enacted.deviation_m < _FAITHFUL_M
        note = "" if faithful else f"Played again, the hand strays by up to {1e3 * self._enacted.deviation_m:.0f} mm."
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
        self._console.close()
        for env in self._envs:
            env.close()
