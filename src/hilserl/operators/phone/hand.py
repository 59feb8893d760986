"""The motion of a held phone, along and about the world's axes.

The earth's frame has z up. The phone's frame has x to the right, y to the top and z out of its screen.
"""

import math

import numpy as np
from scipy.spatial.transform import Rotation

FULL_TURN_RAD = 0.15
"""Turn of the phone in a control step for a full action."""
_JUMP_M = 0.15
"""Motion between two messages that no hand makes, in metres.

WebXR reports it when it finds its place again.
"""
_EARTH_OF_XR = Rotation.from_euler("x", 90, degrees=True)
"""WebXR's frame has y up."""


def xr_rotation(turn_xyzw: tuple[float, float, float, float]) -> Rotation:
    """Convert an orientation by WebXR to the earth's frame."""
    return _EARTH_OF_XR * Rotation.from_quat(turn_xyzw)


def xr_place_m(place_m: tuple[float, float, float]) -> np.ndarray:
    """Convert a place by WebXR to the earth's frame, float64 [3]."""
    return _EARTH_OF_XR.apply(place_m)


def sensor_rotation(angles_deg: tuple[float, float, float]) -> Rotation:
    """Convert alpha, beta and gamma of the orientation sensors (W3C)."""
    return Rotation.from_euler("ZXY", angles_deg, degrees=True)


class PhoneHand:
    """The hand that holds the phone.

    Forward is where the phone's back or upper edge points when the thumb goes down. Only what the phone does while the
    thumb is down counts.

    Args:
        scale: motion of the tool for a motion of the phone.
        heading_deg: direction in which the operator looks, anticlockwise from the robot's forward.
    """

    def __init__(self, scale: float, heading_deg: float) -> None:
        self._scale, self._heading_deg = scale, heading_deg
        self._world = Rotation.identity()
        self._rotation: Rotation | None = None
        self._place_m: np.ndarray | None = None
        self._turn_rad = np.zeros(3)
        self._hand_m = np.zeros(3)

    @property
    def hand_m(self) -> tuple[float, float, float] | None:
        """Position of the hand, from any origin; None without a thumb."""
        if self._place_m is None:
            return None
        x, y, z = self._hand_m.tolist()
        return x, y, z

    def move(self, rotation: Rotation, place_m: np.ndarray | None = None) -> None:
        """Take the phone's pose while the thumb is down.

        Args:
            rotation: orientation of the phone on the earth.
            place_m: place in the earth's frame, [3]; None where only the orientation is known.
        """
        if self._rotation is None:
            self._world = self._world_of_earth(rotation)
        else:
            self._turn_rad += self._world.apply((rotation * self._rotation.inv()).as_rotvec())
        if place_m is not None and self._place_m is not None:
            moved_m = place_m - self._place_m
            if np.linalg.norm(moved_m) < _JUMP_M:
                self._hand_m += self._scale * self._world.apply(moved_m)
        self._rotation, self._place_m = rotation, place_m

    def release(self) -> None:
        """Lift the thumb."""
        self._rotation = self._place_m = None
        self._turn_rad[:] = 0.0

    def take_turn(self) -> tuple[float, float, float]:
        """Return the turn since the last call, each number in [-1, 1].

        What is more than a full action stays for the next call.
        """
        parts = self._turn_rad / FULL_TURN_RAD
        parts /= max(1.0, float(np.abs(parts).max()))
        self._turn_rad -= parts * FULL_TURN_RAD
        roll, pitch, yaw = parts.tolist()
        return roll, pitch, yaw

    def _world_of_earth(self, rotation: Rotation) -> Rotation:
        """Return the turn about z from the earth's frame to the world's."""
        x, y, _ = rotation.apply((0.0, 1.0, -1.0))
        return Rotation.from_euler("z", self._heading_deg - math.degrees(math.atan2(y, x)), degrees=True)
