"""A person's place at an environment: the console, the devices beside it, and what the person is told."""

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hilserl.data.episode_summary import EpisodeSummary
from hilserl.data.step import Observation, Step
from hilserl.envs.env import InteractiveEnv
from hilserl.interrupt import Interrupt
from hilserl.operators.config import ConsoleConfig, DeviceName, open_devices
from hilserl.operators.console.console import TICKS_PER_STEP, Console, empty_scene
from hilserl.operators.console.messages import ConsoleStatus, Curve
from hilserl.operators.devices.key_map import keys_for
from hilserl.operators.human import HumanOperator, Role
from hilserl.operators.takeover import Control

_STATUS_S = 0.1
_NOTICEABLE_PROGRESS = 0.02
_TREND_STEPS = 10
_NOTICEABLE_TREND = 0.03
_PLOTTED_STEPS = 100
_TITLES = {"policy": "THE POLICY DRIVES", "human": "YOU DRIVE", "paused": "PAUSED"}


@dataclass(frozen=True)
class PanelReport:
    """What the work around the episode tells the person."""

    facts: tuple[tuple[str, str], ...] = ()
    """(what, how much) in order."""
    plots: tuple[tuple[str, tuple[Curve, ...]], ...] = ()
    """(title, its lines) in order."""


class ConsoleSession:
    """Console, person and devices; a rollout's subscriber, and the source of its operator.

    Args:
        env: what the person sees and drives.
        role: what they are there for.
        console: where the console is.
        device: what they hold beside it.
        report: asked for whenever the panel is drawn anew.
        value: what the critics expect of an action in an observation, where there are critics.
    """

    def __init__(
        self,
        env: InteractiveEnv,
        role: Role,
        *,
        console: ConsoleConfig,
        device: DeviceName = "console",
        report: Callable[[], PanelReport] = PanelReport,
        value: Callable[[Observation, np.ndarray], float] | None = None,
    ) -> None:
        self._env, self._report, self._value = env, report, value
        layout = env.experience.action
        self._devices = open_devices(device, console, layout)
        with contextlib.ExitStack() as unless_opened:
            for held in self._devices:
                unless_opened.callback(held.close)
            self._console = self._open_console(console, role)
            unless_opened.pop_all()
        sources = [self._console, *self._devices]
        towards, orient = _kinematics(env)
        self.operator = HumanOperator(sources, layout, role, towards, self._idle, orient=orient)
        self._interrupt = Interrupt()
        self._reported = -_STATUS_S
        self._step: Step | None = None
        self._outcome, self._success = "", False
        self._saying = ""
        self._best, self._since_progress = 0.0, 0
        self._values: deque[float] = deque(maxlen=_PLOTTED_STEPS)
        self.announcement = self._console.announcement()

    def _open_console(self, console: ConsoleConfig, role: Role) -> Console:
        env, layout = self._env, self._env.experience.action
        teleoperation = env.teleoperation
        return Console(
            *(env.scene.model_and_data or empty_scene()),
            layout,
            lambda arm: teleoperation.tcp_positions_m[arm] if teleoperation else np.zeros(3),
            view=console.view,
            port=console.port,
            keys=keys_for(layout, labels=role.labels),
            tick_s=env.experience.control_dt_s / TICKS_PER_STEP,
        )

    @contextlib.contextmanager
    def active(self, interrupt: Interrupt) -> Iterator[None]:
        """Lets time pass as the person needs it; closes the console and lets the devices go at the end.

        `interrupt` ends what is waited for.
        """
        self._interrupt = interrupt
        with contextlib.ExitStack() as stack:
            stack.callback(self._console.close)
            for device in self._devices:
                stack.callback(device.close)
            if self._env.scene_setup:
                stack.enter_context(self._env.scene_setup.answered_by(self._ask))
            stack.enter_context(self._env.scene.watched(self._frame, TICKS_PER_STEP))
            yield

    @property
    def in_real_time(self) -> bool:
        return self.operator.in_real_time

    def say(self, text: str) -> None:
        """A sentence that stands in the panel until the next step."""
        self._saying = text
        self._show()

    @property
    def is_open(self) -> bool:
        """Whether there is a console, with or without somebody at it."""
        return self._console.is_open

    def _ask(self) -> None:
        """A real scene is to be set up: waits until the person says that it is."""
        while not (self.operator.is_ready() or self._interrupt.requested) and self._console.is_open:
            self.say("Set the scene up, then ask for a new episode (N).")

    def keep_alive(self) -> None:
        """A moment of something else than control steps; the console stays alive."""
        self._frame()
        self._show_now_and_then()

    def _frame(self) -> None:
        self._tell_pace()
        self._console.tick()

    def _tell_pace(self) -> None:
        self._console.real_time = self.operator.in_real_time
        self._console.driven = self.operator.control is Control.HUMAN
        self._console.chosen_arm = self.operator.chosen_arm

    def _idle(self) -> None:
        if not self._console.is_open and self.operator.role.drives:
            self.operator.end()
        self._tell_pace()
        self._show_now_and_then()
        self._console.idle()

    def on_step(self, step: Step) -> None:
        if self._value is not None and self._step is not None and not step.is_reset:
            self._values.append(self._value(self._step.observation, step.action))
        self._step, self._saying = step, ""
        progress = self._env.supervision.progress() if self._env.supervision else 0.0
        if step.is_reset or progress > self._best + _NOTICEABLE_PROGRESS:
            self._best, self._since_progress = progress, 0
        else:
            self._since_progress += 1
        self._console.on_step(step, self._env.scene.console_image)
        self._show_now_and_then()

    def on_episode(self, steps: Sequence[Step], summary: EpisodeSummary) -> None:
        del steps
        self._success = summary.success
        seconds = summary.steps * self._env.experience.control_dt_s
        how = "success" if summary.success else "no success"
        self._outcome = f"Episode {summary.episode}: {how} after {seconds:.1f} s"
        self._show()

    def on_discard(self, episode: int) -> None:
        self._outcome, self._success = f"Episode {episode}: discarded", False
        self._show()

    def _show_now_and_then(self) -> None:
        if time.monotonic() - self._reported >= _STATUS_S:
            self._show()

    def _show(self) -> None:
        self._reported = time.monotonic()
        report, control = self._report(), self._control()
        self._console.send(
            ConsoleStatus(
                control=control,
                title=self._title(control),
                headline=self._headline(),
                message=self._saying or self._waiting_for() or self.operator.message,
                outcome=self._outcome,
                success=self._success,
                advice=self._advice(),
                facts=self._hands() + report.facts,
                plots=self._value_plot() + report.plots,
            )
        )

    def _control(self) -> Literal["policy", "human", "paused"]:
        if self.operator.paused:
            return "paused"
        return "human" if self.operator.control is Control.HUMAN else "policy"

    def _title(self, control: Literal["policy", "human", "paused"]) -> str:
        """Who drives, and which arm where only one is driven at a time."""
        arm = self.operator.chosen_arm
        one = arm and all(device.arm is None for device in self._devices)
        return f"YOU DRIVE THE {arm.upper()} ARM" if control == "human" and one else _TITLES[control]

    def _hands(self) -> tuple[tuple[str, str], ...]:
        """Which arm each device drives, where there are several."""
        arm = self.operator.chosen_arm
        sources = (self._console, *self._devices) if arm else ()
        return tuple((f"Arm of the {source.name}", source.arm or arm) for source in sources)

    def _waiting_for(self) -> str:
        waits = self.operator.waiting and self.operator.control is Control.HUMAN
        return "The episode begins with your first motion." if waits else ""

    def _headline(self) -> str:
        if self._step is None:
            return "Nothing has happened yet."
        seconds = self._step.index * self._env.experience.control_dt_s
        return f"{self._env.experience.task}, episode {self._step.episode}, step {self._step.index} ({seconds:.1f} s)"

    def _value_plot(self) -> tuple[tuple[str, tuple[Curve, ...]], ...]:
        if not self._values:
            return ()
        y = np.array(self._values)
        return (("Value of the action taken", (Curve("Q", np.arange(len(y), dtype=float), y),)),)

    def _advice(self) -> tuple[str, ...]:
        seconds = self._since_progress * self._env.experience.control_dt_s
        lines = []
        if self._env.supervision:
            lines.append(f"No progress for {seconds:.1f} s" if seconds >= 1.0 else "Progress is being made")
        if len(self._values) >= _TREND_STEPS:
            half = _TREND_STEPS // 2
            values = list(self._values)[-_TREND_STEPS:]
            change = (sum(values[half:]) - sum(values[:half])) / half
            trend = "rising" if change > _NOTICEABLE_TREND else "falling" if change < -_NOTICEABLE_TREND else "level"
            lines.append(f"Expected value {values[-1]:.2f}, {trend}")
        return tuple(lines)


def _kinematics(
    env: InteractiveEnv,
) -> tuple[
    Callable[[tuple[float, float, float], str], tuple[float, ...]], Callable[[tuple[float, ...]], tuple[float, ...]]
]:
    """Return how to move towards a point and along the world's axes; without known arms, not at all and unchanged."""
    if env.teleoperation:
        return env.teleoperation.motion_towards, env.teleoperation.world_to_action
    still = (0.0,) * len(env.experience.action.continuous)
    return lambda goal_m, arm: still, lambda motion: motion  # noqa: ARG005
