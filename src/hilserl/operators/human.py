"""A human operator at one or more input devices."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from typing_extensions import override

from hilserl.data.spec import ActionLayout
from hilserl.envs.env import Teleoperation
from hilserl.operators.device_merge import ArmSelector, DeviceWatch, Readings
from hilserl.operators.devices.device import EngagingDevice, InputDevice
from hilserl.operators.devices.key_map import Command
from hilserl.operators.operator import Operator
from hilserl.operators.takeover import Control, GripperRequest, Intent, Verdict
from hilserl.operators.tool_motion import ToolMotion

_VERDICTS = {
    Command.SUCCESS: Verdict.SUCCESS,
    Command.FAILURE: Verdict.FAILURE,
    Command.RESET: Verdict.RESET,
    Command.DISCARD: Verdict.DISCARD,
}
_BETWEEN_EPISODES = (Command.END, Command.PAUSE, Command.SWITCH_ARM, Command.TAKEOVER)
"""Commands that refer to no episode."""
_CONFIRM_S = 2.0
"""Time to deny a success, in seconds."""
_MAX_STEP_S = 1.0
"""Longest human time that one control step counts, in seconds."""


@dataclass(frozen=True)
class Role:
    """The task of a human operator."""

    drives: bool = False
    """True if the operator drives from the start of every episode.

    The episode's time begins with the first motion. Otherwise the operator watches a policy.
    """
    real_time: bool = False
    """True if time is real while the policy drives as well."""
    labels: bool = False
    """True if the operator labels every step as success or not.

    Nothing else decides on success then.
    """


class HumanOperator(Operator):
    """A human operator at one or more input devices.

    One of several arms is driven at a time, and a command chooses the next one. A device may be assigned to one arm and
    drives it as well. An arm without a motion holds still.

    One command takes over and hands back. If a device in use disappears, control goes back at once. An episode begins
    with the policy, or with the operator if the role is to drive, or if a takeover came after the last control step.

    Args:
        devices: the input devices, the console among them, in order of priority.
        layout: layout of the actions.
        role: task of the operator.
        teleoperation: kinematics of the environment; without it a motion is the action, and goals and hands have no
            effect.
        idle: called repeatedly while time stands still; it must wait for a moment.
        clock: monotonic time in seconds.
    """

    def __init__(
        self,
        devices: Sequence[InputDevice],
        layout: ActionLayout,
        role: Role,
        teleoperation: Teleoperation | None,
        idle: Callable[[], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._devices, self._layout, self.role = devices, layout, role
        self._engaging = [device for device in devices if isinstance(device, EngagingDevice)]
        self._tool_motion, self._idle, self._clock = ToolMotion(teleoperation), idle, clock
        self._arms, self._device_watch = ArmSelector(layout), DeviceWatch()
        self._human_time = _HumanTime(clock)
        self._done = self._drove = False
        self.paused = False
        """True while the operator pauses the rollout."""
        self.message = ""
        """The last change of control, as a sentence."""
        self._engaged = self._waiting = role.drives
        self._confirm_by_s: float | None = None

    @property
    @override
    def done(self) -> bool:
        return self._done

    @property
    def control(self) -> Control:
        """The source of actions now."""
        return Control.HUMAN if self._engaged else Control.POLICY

    @property
    def chosen_arm(self) -> str:
        """Name of the chosen arm; empty for a single arm."""
        return self._arms.chosen

    @property
    def in_real_time(self) -> bool:
        """True if a control step must last its nominal time."""
        return self._engaged or self.role.drives or self.role.real_time

    @property
    def waiting(self) -> bool:
        """True before the first motion of an episode that the operator drives."""
        return self._waiting

    def end(self) -> None:
        """Ask for no further control step."""
        self._done = True

    @override
    def begin_episode(self, episode: int) -> None:
        # Other commands from before the episode refer to the previous one.
        self._apply([command for command in self._read_commands() if command in _BETWEEN_EPISODES])
        takes_over = self._engaged and not self._drove
        self._engaged, self._waiting, self._drove = self.role.drives or takes_over, self.role.drives, False
        self._device_watch.clear()
        self._tool_motion.release()
        self._human_time.driving = False

    @override
    def confirms(self) -> bool | None:
        commands = self._read_commands()
        self._apply([command for command in commands if command in _BETWEEN_EPISODES])
        if self._confirm_by_s is None:
            self._confirm_by_s = self._clock() + _CONFIRM_S
            self.message = "Is this a success? Say failure within two seconds to deny it."
        if Command.FAILURE in commands:
            answer = False
        elif Command.SUCCESS in commands or self.done or self._clock() >= self._confirm_by_s:
            answer = True
        else:
            self._idle()
            return None
        self._confirm_by_s, self.message = None, "" if answer else "Denied: the episode goes on."
        return answer

    def is_ready(self) -> bool:
        """Return True if the next episode or the end is wanted.

        It waits for a moment, in which time stands still.
        """
        commands = self._read_commands()
        self._apply([each for each in commands if each in _BETWEEN_EPISODES and each is not Command.PAUSE])
        self._idle()
        return self.done or Command.RESET in commands

    @override
    def intent(self) -> Intent:
        for engaging in self._engaging:
            engaging.engage(self._engaged)
        readings = [(device, device.read()) for device in self._devices]
        commands = [command for _, reading in readings for command in reading.commands]
        grippers = self._apply_readings(readings)
        self._hand_back_if_lost(readings)
        driven = self._engaged and not self.paused
        readings = self._tool_motion.follow(readings, self.chosen_arm, driven=driven)
        motion, goal_m = self._arms.merge(readings)
        seconds, verdict = self._human_time.take(), next((_VERDICTS[c] for c in commands if c in _VERDICTS), None)
        moving = motion.any() or goal_m is not None or Command.GRIPPER in commands or any(grippers)
        if self._engaged and self._waiting and moving:
            self._waiting, self.message = False, ""
        if verdict in (Verdict.RESET, Verdict.DISCARD):
            return Intent(self._engaged, verdict=verdict)
        if self._holds_time(present=any(reading.present for _, reading in readings)):
            self._idle()
            return Intent(self._engaged, hold=True)
        self._drove = self._engaged
        success = any(reading.success for _, reading in readings) if self.role.labels else None
        if not self._engaged:
            return Intent(False, verdict=verdict, success=success)
        self._human_time.driving = True
        action = self._tool_motion.action(motion, goal_m, self.chosen_arm)
        return Intent(True, action, grippers, seconds=seconds, verdict=verdict, success=success)

    def _read_commands(self) -> list[Command]:
        return [command for device in self._devices for command in device.read().commands]

    def _holds_time(self, *, present: bool) -> bool:
        """Return True if no control step is wanted.

        A pause ends if no operator is present to end it.
        """
        if self.paused and not present and not self.role.drives:
            self.paused, self.message = False, "No operator is present to end the pause: the policy drives."
        is_driven = not self.role.drives or (present and self._engaged)
        return self.paused or not is_driven or (self._engaged and self._waiting)

    def _apply_readings(self, readings: Readings) -> tuple[GripperRequest, ...]:
        """Apply the commands of all devices in order.

        Returns:
            A request for each gripper. A gripper command counts for the arm that was chosen when it came.
        """
        requests = [GripperRequest.HOLD] * len(self._layout.grippers)
        for device, reading in readings:
            for command in reading.commands:
                self._apply([command])
                gripper = self._arms.gripper_of(device)  # a command may have chosen another arm
                if command is Command.GRIPPER and gripper is not None:
                    again = requests[gripper] is GripperRequest.TOGGLE
                    requests[gripper] = GripperRequest.HOLD if again else GripperRequest.TOGGLE
            if reading.gripper is not None and (gripper := self._arms.gripper_of(device)) is not None:
                requests[gripper] = reading.gripper
        return tuple(requests)

    def _apply(self, commands: Sequence[Command]) -> None:
        for command in commands:
            if command is Command.END:
                self._done = True
            elif command is Command.PAUSE:
                self.paused = not self.paused
            elif command is Command.TAKEOVER:
                self._engaged = not self._engaged
                self._waiting = False
                self.message = "You drive." if self._engaged else "The policy drives."
            elif command is Command.SWITCH_ARM and self._arms.switch():
                self.message = f"The {self.chosen_arm} arm is chosen."

    def _hand_back_if_lost(self, readings: Readings) -> None:
        """Stop the operator's control if a device in use is lost."""
        if not self._engaged:
            self._device_watch.clear()
            return
        lost = self._device_watch.find_lost(readings)
        if lost is None:
            return
        if self.role.drives:
            self._waiting = True
            self.message = f"The {lost} is gone: time stands still until you move."
        else:
            self._engaged = False
            self.message = f"The {lost} is gone: the policy drives."


class _HumanTime:
    """Human time between control steps."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock, self._last_s = clock, clock()
        self.driving = False
        """True if the operator drove the last control step."""

    def take(self) -> float | None:
        """Return the human time since the last control step.

        It is None if the operator did not drive that step.
        """
        now_s, last_s, driving = self._clock(), self._last_s, self.driving
        self._last_s, self.driving = now_s, False
        return min(now_s - last_s, _MAX_STEP_S) if driving else None
