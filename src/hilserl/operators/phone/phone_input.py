"""Input of a phone's page, between two threads."""

import math
import threading
import time
from collections.abc import Callable

from hilserl.data.spec import ActionLayout
from hilserl.operators.action_axes import AXES, driven_axes
from hilserl.operators.devices.axis_mapping import ControlMapping, axis_motion, deflection
from hilserl.operators.devices.device import Reading
from hilserl.operators.devices.key_map import Command
from hilserl.operators.phone.config import PhoneConfig
from hilserl.operators.phone.hand import PhoneHand, sensor_rotation, xr_place_m, xr_rotation
from hilserl.operators.phone.messages import PhoneMessage, PressName

STOP_S = 0.3
"""Silence after which the hand stands still, in seconds."""
GONE_S = 1.0
"""Silence after which the phone counts as lost, in seconds."""
CONTROLS = (
    ControlMapping("left pad up", axis=("UP", 1.0), moves=("x", 1.0)),
    ControlMapping("left pad down", axis=("UP", -1.0), moves=("x", -1.0)),
    ControlMapping("left pad left", axis=("RIGHT", -1.0), moves=("y", 1.0)),
    ControlMapping("left pad right", axis=("RIGHT", 1.0), moves=("y", -1.0)),
    ControlMapping("right pad up", axis=("LIFT", 1.0), moves=("z", 1.0)),
    ControlMapping("right pad down", axis=("LIFT", -1.0), moves=("z", -1.0)),
    ControlMapping("TAKE OVER / HAND BACK", button="takeover", command=Command.TAKEOVER),
    ControlMapping("GRIPPER", button="gripper", command=Command.GRIPPER),
    ControlMapping("other arm", button="other_arm", command=Command.SWITCH_ARM),
    ControlMapping("success", button="success", command=Command.SUCCESS),
    ControlMapping("failure", button="failure", command=Command.FAILURE),
    ControlMapping("discard", button="discard", command=Command.DISCARD),
    ControlMapping("new episode", button="new_episode", command=Command.RESET),
    ControlMapping("pause", button="pause", command=Command.PAUSE),
)
"""Map of the page; documentation and tests read it from here."""

_COMMANDS = {control.button: control.command for control in CONTROLS if control.command is not None}
_DEAD_ZONE = 0.1
_MAX_PRESSES = 100
"""Most presses that wait for the control loop."""


class PhoneInput:
    """The input of a phone since the last reading.

    Args:
        layout: layout of the actions.
        config: scales and heading.
        clock: monotonic time in seconds.
    """

    def __init__(self, layout: ActionLayout, config: PhoneConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self._layout, self._config, self._clock = layout, config, clock
        self.turns = bool({"roll", "pitch", "yaw"} & set(driven_axes(layout)))
        """True if the action turns the tool."""
        self._lock = threading.Lock()
        self._hand = PhoneHand(config.scale, config.heading_deg)
        self._pads = (0.0, 0.0, 0.0)
        self._presses: list[PressName] = []
        self._heard_s: float | None = None

    def hear(self, message: PhoneMessage) -> None:
        """Take a message of the page."""
        with self._lock:
            if not message.visible:
                self._forget()
                return
            self._release_if_silent()
            self._heard_s, self._pads = self._clock(), message.pads
            self._presses += message.presses[: _MAX_PRESSES - len(self._presses)]
            if message.place_m is not None and message.turn_xyzw is not None:
                self._hand.move(xr_rotation(message.turn_xyzw), xr_place_m(message.place_m))
            elif message.angles_deg is not None:
                self._hand.move(sensor_rotation(message.angles_deg))
            else:
                self._hand.release()

    def lose(self) -> None:
        """Forget a phone whose connection is closed."""
        with self._lock:
            self._forget()

    def read(self) -> Reading:
        """Return the present state, without waiting."""
        with self._lock:
            if self._heard_s is None or self._clock() - self._heard_s >= GONE_S:
                self._forget()
                return Reading(False)
            self._release_if_silent()
            presses, self._presses = self._presses, []
            commands = tuple(command for name in presses if (command := _COMMANDS.get(name)) is not None)
            return Reading(True, self._motion(), commands, hand_m=self._hand.hand_m)

    def _motion(self) -> tuple[float, ...]:
        right, up, lift = self._pads
        right, up = deflection((right, up), _DEAD_ZONE, self._config.pad_scale)
        (lift,) = deflection((lift,), _DEAD_ZONE, self._config.pad_scale)
        x, y, z, *_ = axis_motion(CONTROLS, {"RIGHT": right, "UP": up, "LIFT": lift}, self._layout)
        cos, sin = math.cos(heading := math.radians(self._config.heading_deg)), math.sin(heading)
        turn = self._hand.take_turn() if self.turns else (0.0, 0.0, 0.0)
        motion = dict(zip(AXES, (cos * x - sin * y, sin * x + cos * y, z, *turn), strict=True))
        available = driven_axes(self._layout)
        return tuple(number if axis in available else 0.0 for axis, number in motion.items())

    def _release_if_silent(self) -> None:
        """Release everything after a silence, whose motion does not count."""
        if self._heard_s is None or self._clock() - self._heard_s >= STOP_S:
            self._release()

    def _release(self) -> None:
        self._hand.release()
        self._pads = (0.0, 0.0, 0.0)

    def _forget(self) -> None:
        self._release()
        self._presses.clear()
        self._heard_s = None
