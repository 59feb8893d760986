"""A person as an operator: whatever devices they use, the same rules of taking over, handing back and waiting."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from typing_extensions import override

from hilserl.data.spec import ActionLayout
from hilserl.operators.action_axes import arm_axes
from hilserl.operators.devices.device import InputDevice, Reading
from hilserl.operators.devices.key_map import Command
from hilserl.operators.operator import Operator
from hilserl.operators.takeover import Control, GripperRequest, Intent, Verdict

_VERDICTS = {
    Command.SUCCESS: Verdict.SUCCESS,
    Command.FAILURE: Verdict.FAILURE,
    Command.RESET: Verdict.RESET,
    Command.DISCARD: Verdict.DISCARD,
}
_AT_ANY_TIME = (Command.END, Command.PAUSE, Command.SWITCH_ARM)
"""What is meant for no episode in particular."""
_CONFIRM_S = 2.0
"""How long a person has to deny a success."""
_LONGEST_STEP_S = 1.0
"""Of a longer gap between two control steps, no more than this counts as the person's time."""


_Readings = Sequence[tuple[InputDevice, Reading]]
"""What every device says, in order."""


@dataclass(frozen=True)
class Role:
    """What the person is there for."""

    drives: bool = False
    """They drive from the start of every episode, and its time begins with their first motion; else they watch a
    policy."""
    real_time: bool = False
    """Time is real while the policy drives as well."""
    labels: bool = False
    """They say of every moment whether it is a success; nothing else decides that."""


class HumanOperator(Operator):
    """Somebody at one or more devices.

    Of several arms one is driven at a time, and a command goes on to the next one; a device may have an arm of its own
    beside that. An arm that nobody moves holds still.

    `;` (or the device's button) takes over and hands back. A device that disappears while it drives hands back at
    once. A new episode begins with the policy, or, where the role is to drive, with the person.

    Args:
        sources: the devices, the console among them.
        layout: of the actions.
        role: what the person is there for.
        towards: what of an action moves the tool of the arm of a name to a point in the world frame.
        idle: called in every moment in which time stands still; it must take a moment itself.
        clock: seconds, monotonic.
        orient: what of an action makes a motion along the world's axes; both are one number for each continuous action.
    """

    def __init__(
        self,
        sources: Sequence[InputDevice],
        layout: ActionLayout,
        role: Role,
        towards: Callable[[tuple[float, float, float], str], tuple[float, ...]],
        idle: Callable[[], object],
        clock: Callable[[], float] = time.monotonic,
        orient: Callable[[tuple[float, ...]], tuple[float, ...]] = lambda motion: motion,
    ) -> None:
        self._sources, self._layout, self.role = sources, layout, role
        self._towards, self._idle, self._clock, self._orient = towards, idle, clock, orient
        self._arms, self._chosen = arm_axes(layout), 0
        self._done = False
        self.paused = False
        self.message = ""
        """The last thing that happened to control, as a sentence."""
        self._engaged = role.drives
        self._waiting = role.drives
        self._steering: dict[str | None, str] = {}
        """Which device was used last for each arm that has one of its own, and for the chosen arm (None)."""
        self._confirm_by: float | None = None
        self._last = clock()
        self._timed = False
        """Whether the control step before this one was the person's, so that the time since is theirs."""

    @property
    @override
    def done(self) -> bool:
        return self._done

    def end(self) -> None:
        """Ask for no further control step."""
        self._done = True

    @property
    def control(self) -> Control:
        """Who drives, now."""
        return Control.HUMAN if self._engaged else Control.POLICY

    @property
    def chosen_arm(self) -> str:
        """The name of the arm that devices drive which have none of their own; empty where it is the only one."""
        return self._arms[self._chosen].name

    @property
    def in_real_time(self) -> bool:
        """Whether a control step is to last as long as it says."""
        return self._engaged or self.role.drives or self.role.real_time

    @property
    def waiting(self) -> bool:
        """The episode has not begun: its time starts with the first motion."""
        return self._waiting

    @override
    def begin_episode(self, episode: int) -> None:
        # What was asked for before the episode began was meant for the one before it.
        late = [command for source in self._sources for command in source.read().commands]
        self._obey([command for command in late if command in _AT_ANY_TIME])
        self._engaged = self._waiting = self.role.drives
        self._steering.clear()
        self._timed = False

    @override
    def confirms(self) -> bool | None:
        """Yes once they call it a success, or said nothing for a while; no once they call it a failure."""
        commands = [command for source in self._sources for command in source.read().commands]
        self._obey([command for command in commands if command in _AT_ANY_TIME])
        if self._confirm_by is None:
            self._confirm_by = self._clock() + _CONFIRM_S
            self.message = "A success? Say failure within two seconds if it is none."
        if Command.FAILURE in commands:
            answer = False
        elif Command.SUCCESS in commands or self.done or self._clock() >= self._confirm_by:
            answer = True
        else:
            self._idle()
            return None
        self._confirm_by, self.message = None, "" if answer else "Denied: the episode goes on."
        return answer

    def is_ready(self) -> bool:
        """Whether they have asked for the next episode, or want no more; takes a moment in which time stands still."""
        commands = [command for source in self._sources for command in source.read().commands]
        self._obey([command for command in commands if command in (Command.END, Command.SWITCH_ARM)])
        self._idle()
        return self.done or Command.RESET in commands

    @override
    def intent(self) -> Intent:
        readings = [(source, source.read()) for source in self._sources]
        commands = [command for _, reading in readings for command in reading.commands]
        toggled = self._obey_each(readings)
        self._watch_devices(readings)
        motion, goal_m = self._wanted(readings)
        now, before, timed = self._clock(), self._last, self._timed
        self._last, self._timed = now, False
        verdict = next((_VERDICTS[c] for c in commands if c in _VERDICTS), None)
        moving = motion.any() or goal_m is not None or Command.GRIPPER in commands
        if self._engaged and self._waiting and moving:
            self._waiting, self.message = False, ""
        if verdict in (Verdict.RESET, Verdict.DISCARD):
            return Intent(self._engaged, verdict=verdict)
        present = any(reading.present for _, reading in readings)
        if self.paused and not present and not self.role.drives:
            self.paused, self.message = False, "Nobody is there to go on: the policy drives."
        without = self.role.drives and not (present and self._engaged)
        if self.paused or without or (self._engaged and self._waiting):
            self._idle()
            return Intent(self._engaged, hold=True)
        success = any(reading.success for _, reading in readings) if self.role.labels else None
        if not self._engaged:
            return Intent(False, verdict=verdict, success=success)
        self._timed = True
        action = np.array(self._orient(tuple(motion.tolist())))
        if goal_m is not None:
            action += self._towards(goal_m, self.chosen_arm)
        return Intent(
            True,
            tuple(action.tolist()),
            toggled,
            seconds=min(now - before, _LONGEST_STEP_S) if timed else None,
            verdict=verdict,
            success=success,
        )

    def _obey_each(self, readings: _Readings) -> tuple[GripperRequest, ...]:
        """Does what was asked for, in order; what is asked of each gripper: of that arm's which was driven then."""
        requests = [GripperRequest.HOLD] * len(self._layout.grippers)
        for source, reading in readings:
            for command in reading.commands:
                self._obey([command])
                gripper = {arm.name: arm.gripper for arm in self._arms}[self._arm_of(source)]
                if command is Command.GRIPPER and gripper is not None:
                    again = requests[gripper] is GripperRequest.TOGGLE
                    requests[gripper] = GripperRequest.HOLD if again else GripperRequest.TOGGLE
        return tuple(requests)

    def _arm_of(self, source: InputDevice) -> str:
        return self.chosen_arm if source.arm is None else source.arm

    def _obey(self, commands: Sequence[Command]) -> None:
        for command in commands:
            if command is Command.END:
                self._done = True
            elif command is Command.PAUSE:
                self.paused = not self.paused
            elif command is Command.TAKEOVER:
                self._engaged = not self._engaged
                self._waiting = False
                self.message = "You drive." if self._engaged else "The policy drives."
            elif command is Command.SWITCH_ARM and len(self._arms) > 1:
                self._chosen = (self._chosen + 1) % len(self._arms)
                self.message = f"The {self.chosen_arm} arm is chosen."

    def _watch_devices(self, readings: _Readings) -> None:
        """Remembers which devices steer, and hands back when one of them is gone."""
        if not self._engaged:
            self._steering.clear()
            return
        present = {source.name for source, reading in readings if reading.present}
        for source, reading in reversed(readings):
            if reading.present and (reading.moves or reading.commands):
                self._steering[source.arm] = source.name
        gone = next((name for name in self._steering.values() if name not in present), None)
        if gone is None and present:
            return
        name = gone or "console"
        self._steering.clear()
        if self.role.drives:
            self._waiting = True
            self.message = f"The {name} is gone: time stands still until you move."
        else:
            self._engaged = False
            self.message = f"The {name} is gone: the policy drives."

    def _wanted(self, readings: _Readings) -> tuple[np.ndarray, tuple[float, float, float] | None]:
        """The motion along the world's axes, and where the chosen arm's tool should go.

        Each arm obeys the first device that says something; a dragged target counts where none moves its arm.
        """
        motion, goal_m = np.zeros(len(self._layout.continuous)), None
        present = [(source, reading) for source, reading in readings if reading.present]
        for arm in self._arms:
            said = [arm.action(reading.motion) for source, reading in present if self._arm_of(source) == arm.name]
            moved = next((action for action in said if action.any()), None)
            if moved is not None:
                motion += moved
            elif arm.name == self.chosen_arm:
                goals = (reading.goal_m for _, reading in present if reading.goal_arm == arm.name)
                goal_m = next((goal for goal in goals if goal is not None), None)
        return motion, goal_m
