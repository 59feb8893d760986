"""A person as an operator: whatever devices they use, the same rules of taking over, handing back and waiting."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hilserl.experience import ActionLayout
from hilserl.operators.keys import Command
from hilserl.operators.source import Reading, Source
from hilserl.operators.takeover import Control, GripperRequest, Intent, Verdict

_VERDICTS = {
    Command.SUCCESS: Verdict.SUCCESS,
    Command.FAILURE: Verdict.FAILURE,
    Command.RESET: Verdict.RESET,
    Command.DISCARD: Verdict.DISCARD,
}
_CONFIRM_S = 2.0
"""How long a person has to deny a success."""
_LONGEST_STEP_S = 1.0
"""Of a longer gap between two control steps, no more than this counts as the person's time."""


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


class Person:
    """Somebody at one or more devices.

    `;` (or the device's button) takes over and hands back. A device that disappears while it drives hands back at
    once. A new episode begins with the policy, or, where the role is to drive, with the person.

    Args:
        sources: the devices, the console among them.
        layout: of the actions.
        role: what the person is there for.
        towards: the motion that moves the hand to a point in the world frame, one number for each continuous action.
        idle: called in every moment in which time stands still; it must take a moment itself.
        clock: seconds, monotonic.
        orient: what of an action makes a motion that a device asks for along the world's axes.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        layout: ActionLayout,
        role: Role,
        towards: Callable[[tuple[float, float, float]], tuple[float, ...]],
        idle: Callable[[], object],
        clock: Callable[[], float] = time.monotonic,
        orient: Callable[[tuple[float, ...]], tuple[float, ...]] = lambda motion: motion,
    ) -> None:
        self._sources, self._layout, self.role = sources, layout, role
        self._towards, self._idle, self._clock, self._orient = towards, idle, clock, orient
        self.done = False
        self.paused = False
        self.message = ""
        """The last thing that happened to control, as a sentence."""
        self._engaged = role.drives
        self._waiting = role.drives
        self._steering: str | None = None
        self._confirm_by: float | None = None
        self._last = clock()
        self._timed = False
        """Whether the control step before this one was the person's, so that the time since is theirs."""

    @property
    def control(self) -> Control:
        """Who drives, now."""
        return Control.HUMAN if self._engaged else Control.POLICY

    @property
    def in_real_time(self) -> bool:
        """Whether a control step is to last as long as it says."""
        return self._engaged or self.role.drives or self.role.real_time

    @property
    def waiting(self) -> bool:
        """The episode has not begun: its time starts with the first motion."""
        return self._waiting

    def begin_episode(self, episode: int) -> None:
        del episode
        # What was asked for before the episode began was meant for the one before it.
        late = [command for source in self._sources for command in source.read().commands]
        self._obey([command for command in late if command in (Command.END, Command.PAUSE)])
        self._engaged = self._waiting = self.role.drives
        self._steering = None
        self._timed = False

    def end_episode(self, success: bool, intervened: bool) -> None:
        del success, intervened

    def confirms(self) -> bool | None:
        """Yes once they call it a success, or said nothing for a while; no once they call it a failure."""
        commands = [command for source in self._sources for command in source.read().commands]
        self._obey([command for command in commands if command in (Command.END, Command.PAUSE)])
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
        self._obey([command for command in commands if command is Command.END])
        self._idle()
        return self.done or Command.RESET in commands

    def intent(self) -> Intent:
        readings = {source.name: source.read() for source in self._sources}
        commands = [command for reading in readings.values() for command in reading.commands]
        self._obey(commands)
        self._watch_devices(readings)
        now, before, timed = self._clock(), self._last, self._timed
        self._last, self._timed = now, False
        verdict = next((_VERDICTS[c] for c in commands if c in _VERDICTS), None)
        moving = any(reading.moves for reading in readings.values()) or Command.GRIPPER in commands
        if self._engaged and self._waiting and moving:
            self._waiting, self.message = False, ""
        if verdict in (Verdict.RESET, Verdict.DISCARD):
            return Intent(self._engaged, verdict=verdict)
        present = any(reading.present for reading in readings.values())
        if self.paused and not present and not self.role.drives:
            self.paused, self.message = False, "Nobody is there to go on: the policy drives."
        without = self.role.drives and not (present and self._engaged)
        if self.paused or without or (self._engaged and self._waiting):
            self._idle()
            return Intent(self._engaged, hold=True)
        success = any(reading.success for reading in readings.values()) if self.role.labels else None
        if not self._engaged:
            return Intent(False, verdict=verdict, success=success)
        self._timed = True
        request = GripperRequest.TOGGLE if commands.count(Command.GRIPPER) % 2 else GripperRequest.HOLD
        return Intent(
            True,
            self._motion(readings),
            (request,) * len(self._layout.grippers),
            seconds=min(now - before, _LONGEST_STEP_S) if timed else None,
            verdict=verdict,
            success=success,
        )

    def _obey(self, commands: Sequence[Command]) -> None:
        for command in commands:
            if command is Command.END:
                self.done = True
            elif command is Command.PAUSE:
                self.paused = not self.paused
            elif command is Command.TAKEOVER:
                self._engaged = not self._engaged
                self._waiting = False
                self.message = "You drive." if self._engaged else "The policy drives."

    def _watch_devices(self, readings: dict[str, Reading]) -> None:
        """Remembers which device steers, and hands back when it is gone."""
        if not self._engaged:
            self._steering = None
            return
        present = [name for name, reading in readings.items() if reading.present]
        used = [name for name in present if readings[name].moves or readings[name].commands]
        if used:
            self._steering = used[0]
        gone = self._steering is not None and self._steering not in present
        if not gone and present:
            return
        name, self._steering = self._steering or "console", None
        if self.role.drives:
            self._waiting = True
            self.message = f"The {name} is gone: time stands still until you move."
        else:
            self._engaged = False
            self.message = f"The {name} is gone: the policy drives."

    def _motion(self, readings: dict[str, Reading]) -> tuple[float, ...]:
        """The first device that says something; a dragged target counts where no key is held."""
        zero = (0.0,) * len(self._layout.continuous)
        present = [reading for reading in readings.values() if reading.present]
        motions = [reading.motion for reading in present if any(reading.motion)]
        goals = [reading.goal_m for reading in present if reading.goal_m is not None]
        if motions:
            return self._orient(motions[0])
        return self._towards(goals[0]) if goals else zero
