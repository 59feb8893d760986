"""Several input devices as one: driven arm, merged motion, lost devices."""

from collections.abc import Sequence

import numpy as np

from hilserl.data.spec import ActionLayout
from hilserl.operators.action_axes import STILL, arm_axes
from hilserl.operators.devices.device import InputDevice, Reading

Readings = Sequence[tuple[InputDevice, Reading]]
"""The readings of all devices, in order of priority."""


class ArmSelector:
    """The choice of the driven arm and the motion of all arms.

    One arm is chosen at a time. A device drives the chosen arm, or the only arm that it is assigned to. An arm without
    a motion holds still.
    """

    def __init__(self, layout: ActionLayout) -> None:
        self._layout = layout
        self._arms, self._chosen = arm_axes(layout), 0

    @property
    def chosen(self) -> str:
        """Name of the chosen arm; empty for a single arm."""
        return self._arms[self._chosen].name

    def switch(self) -> bool:
        """Choose the next arm; return False if there is only one."""
        self._chosen = (self._chosen + 1) % len(self._arms)
        return len(self._arms) > 1

    def gripper_of(self, device: InputDevice) -> int | None:
        """Return the index of the gripper that a device drives now."""
        return {arm.name: arm.gripper for arm in self._arms}[self._arm_of(device)]

    def merge(self, readings: Readings) -> tuple[np.ndarray, tuple[float, float, float] | None]:
        """Merge the readings of the present devices.

        Each arm obeys the first device that moves it. A goal counts where that device does not displace the chosen arm.

        Returns:
            The continuous actions along the world's axes, and the goal of the chosen arm's tool, if any.
        """
        motion, goal_m = np.zeros(len(self._layout.continuous)), None
        present = [(device, reading) for device, reading in readings if reading.present]
        for arm in self._arms:
            moves = [reading.motion for device, reading in present if self._arm_of(device) == arm.name]
            moved = next((move for move in moves if arm.action(move).any()), STILL)
            motion += arm.action(moved)
            if arm.name == self.chosen and not arm.action((*moved[:3], 0.0, 0.0, 0.0)).any():
                goals = (reading.goal_m for _, reading in present if reading.goal_arm == arm.name)
                goal_m = next((goal for goal in goals if goal is not None), None)
        return motion, goal_m

    def _arm_of(self, device: InputDevice) -> str:
        return self.chosen if device.arm is None else device.arm


class DeviceWatch:
    """The devices that the operator drives with."""

    def __init__(self) -> None:
        self._in_use: dict[str | None, str] = {}
        """Name of the last used device by assigned arm (None: chosen arm)."""

    def clear(self) -> None:
        """Forget the devices in use."""
        self._in_use.clear()

    def find_lost(self, readings: Readings) -> str | None:
        """Update the devices in use and return a lost one's name.

        The console counts as lost if no device is present.
        """
        present = {device.name for device, reading in readings if reading.present}
        for device, reading in reversed(readings):
            if reading.present and (reading.moves or reading.commands):
                self._in_use[device.arm] = device.name
        lost = next((name for name in self._in_use.values() if name not in present), None)
        if lost is None and present:
            return None
        self.clear()
        return lost or "console"
