"""The operator's console session at an environment."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hilserl.data.episode_summary import EpisodeSummary
from hilserl.data.step import Step
from hilserl.data.subscriber import Subscriber
from hilserl.envs.env import InteractiveEnv
from hilserl.interrupt import Interrupt
from hilserl.operators.config import ConsoleConfig, DeviceName, open_devices
from hilserl.operators.console.console import TICKS_PER_STEP, Console, ConsoleScene, empty_scene
from hilserl.operators.console.messages import ConsoleStatus, Curve
from hilserl.operators.console.status import RolloutStatus
from hilserl.operators.devices.device import ControlName, DisplayDevice, InputDevice
from hilserl.operators.devices.key_map import bound_keys, keys_for
from hilserl.operators.human import HumanOperator, Role
from hilserl.operators.takeover import Control
from hilserl.operators.value_watch import ValueWatch

_STATUS_S = 0.1
"""Time between two updates of the panel, in seconds."""
_TITLES = {"policy": "THE POLICY DRIVES", "human": "YOU DRIVE", "paused": "PAUSED"}


@dataclass(frozen=True)
class PanelReport:
    """Facts and plots that the program adds to the panel."""

    facts: tuple[tuple[str, str], ...] = ()
    """Pairs of name and value, in order."""
    plots: tuple[tuple[str, tuple[Curve, ...]], ...] = ()
    """Pairs of title and lines, in order."""


class ConsoleSession(Subscriber):
    """Console, devices and human operator of a rollout.

    It is a subscriber of the rollout, and its `operator` is the rollout's operator.

    Args:
        env: the environment that the operator sees and drives.
        role: task of the operator.
        console: settings of the console and the devices.
        device: input device beside the console.
        report: returns the program's part of the panel at every update.
        watch: watch of the critics' values, if there are critics.
    """

    def __init__(
        self,
        env: InteractiveEnv,
        role: Role,
        *,
        console: ConsoleConfig,
        device: DeviceName = "console",
        report: Callable[[], PanelReport] = PanelReport,
        watch: ValueWatch | None = None,
    ) -> None:
        self._env, self._report, self._status = env, report, RolloutStatus(env, watch)
        layout = env.experience.action
        self._devices = open_devices(device, console, layout)
        with contextlib.ExitStack() as unless_opened:
            for opened in self._devices:
                unless_opened.callback(opened.close)
            self._console = self._open_console(console, role)
            unless_opened.pop_all()
        devices: list[InputDevice] = [self._console, *self._devices]
        self.operator = HumanOperator(devices, layout, role, env.teleoperation, self._idle)
        self._interrupt = Interrupt()
        self._shown_s = -_STATUS_S
        self._prompt = ""
        self._displays = [device for device in self._devices if isinstance(device, DisplayDevice)]
        texts = [self._console.announcement(), *(device.announcement for device in self._displays)]
        self.announcement = "\n".join(texts)

    def _open_console(self, config: ConsoleConfig, role: Role) -> Console:
        spec, teleoperation = self._env.experience, self._env.teleoperation
        view, empty = self._env.scene, empty_scene()
        scene = ConsoleScene(
            lambda: view.model_and_data or empty,
            spec.action,
            lambda arm: teleoperation.tcp_positions_m[arm] if teleoperation else np.zeros(3),
            view.centre_m,
            spec.control_dt_s,
        )
        return Console(scene, keys_for(spec.action, keys=bound_keys(config.keys), labels=role.labels), config)

    @contextlib.contextmanager
    def active(self, interrupt: Interrupt) -> Iterator[None]:
        """Keep the console alive, and close console and devices at the end.

        Args:
            interrupt: ends waiting for the operator.
        """
        self._interrupt = interrupt
        with contextlib.ExitStack() as stack:
            stack.callback(self._console.close)
            for device in self._devices:
                stack.callback(device.close)
            if self._env.scene_setup:
                stack.enter_context(self._env.scene_setup.answered_by(self._wait_for_scene))
            stack.enter_context(self._env.scene.watched(self._tick, TICKS_PER_STEP))
            yield

    @property
    def in_real_time(self) -> bool:
        """True if a control step must last its nominal time."""
        return self.operator.in_real_time

    @property
    def is_open(self) -> bool:
        """True while the console exists, with or without an operator."""
        return self._console.is_open

    def say(self, text: str) -> None:
        """Show a sentence in the panel until the next step."""
        self._prompt = text
        self._show()

    def keep_alive(self) -> None:
        """Run one UI tick outside of control steps."""
        self._tick()
        self._show_if_due()

    def on_step(self, step: Step) -> None:
        """Show a step."""
        self._prompt = ""
        self._status.on_step(step)
        self._console.on_step(step, self._env.scene.console_image)
        self._show_if_due()

    def on_episode(self, steps: Sequence[Step], summary: EpisodeSummary) -> None:
        """Show the result of an episode."""
        del steps
        self._status.on_episode(summary)
        self._show()

    def on_discard(self, episode: int) -> None:
        """Show that an episode was discarded."""
        self._status.on_discard(episode)
        self._show()

    def _wait_for_scene(self) -> None:
        """Wait until the operator has set a real scene up."""
        while not (self.operator.is_ready() or self._interrupt.requested) and self._console.is_open:
            self.say("Set the scene up, then ask for a new episode (N).")

    def _idle(self) -> None:
        if not self._console.is_open and self.operator.role.drives:
            self.operator.end()
        self._update_console()
        self._show_if_due()
        self._console.idle()

    def _tick(self) -> None:
        self._update_console()
        self._console.tick()

    def _update_console(self) -> None:
        self._console.real_time = self.operator.in_real_time
        self._console.driven = self.operator.control is Control.HUMAN
        self._console.chosen_arm = self.operator.chosen_arm

    def _show_if_due(self) -> None:
        if time.monotonic() - self._shown_s >= _STATUS_S:
            self._show()

    def _show(self) -> None:
        self._shown_s = time.monotonic()
        report, status, control = self._report(), self._status, self._control()
        message = self._prompt or self._start_prompt() or self.operator.message
        for device in self._displays:
            device.show(control, message)
        self._console.send(
            ConsoleStatus(
                control=control,
                title=self._title(control),
                headline=status.headline(),
                message=message,
                outcome=status.outcome,
                success=status.success,
                advice=status.advice(),
                advises_takeover=control == "policy" and status.advises_takeover,
                facts=self._device_facts() + report.facts,
                plots=status.plots() + report.plots,
            )
        )

    def _control(self) -> ControlName:
        if self.operator.paused:
            return "paused"
        return "human" if self.operator.control is Control.HUMAN else "policy"

    def _title(self, control: ControlName) -> str:
        """Return the source of control.

        The title names the arm if only one is driven at a time.
        """
        arm = self.operator.chosen_arm
        one = arm and all(device.arm is None for device in self._devices)
        return f"YOU DRIVE THE {arm.upper()} ARM" if control == "human" and one else _TITLES[control]

    def _device_facts(self) -> tuple[tuple[str, str], ...]:
        """Return the arm of each device, if there are several arms."""
        arm = self.operator.chosen_arm
        devices = (self._console, *self._devices) if arm else ()
        return tuple((f"Arm of the {device.name}", device.arm or arm) for device in devices)

    def _start_prompt(self) -> str:
        waits = self.operator.waiting and self.operator.control is Control.HUMAN
        return "The episode begins with your first motion." if waits else ""
