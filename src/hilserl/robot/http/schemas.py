"""Schemas of the requests' bodies.

All numbers are finite: JSON has no NaN, and a number that overflows is refused as well.
"""

import math
from typing import Annotated, TypeVar

import msgspec
import numpy as np

from hilserl.errors import HilserlError
from hilserl.robot.control.backend import Load
from hilserl.robot.control.poses import Pose

_T = TypeVar("_T")
_MAX_LOAD_KG = 3.0
"""Largest load of the Panda (datasheet: payload)."""
_SHORTEST, _LONGEST = 0.1, 2.0
"""Lengths of a quaternion that is taken.

Clients interpolate its four numbers, and so send short ones. Near zero a quaternion has no direction to rely on.
"""
_Numbers3 = Annotated[list[float], msgspec.Meta(min_length=3, max_length=3)]
_Numbers7 = Annotated[list[float], msgspec.Meta(min_length=7, max_length=7)]
_Numbers9 = Annotated[list[float], msgspec.Meta(min_length=9, max_length=9)]


class PoseBody(msgspec.Struct, forbid_unknown_fields=True):
    """Body of /pose."""

    arr: _Numbers7
    """Position in m and quaternion xyzw."""

    def pose(self) -> Pose:
        """Return the pose with a quaternion of length 1.

        Raises:
            HilserlError: the quaternion's length is below 0.1 or above 2.
        """
        pose = np.array(self.arr)
        length = math.hypot(*self.arr[3:])
        if not _SHORTEST < length < _LONGEST:
            raise HilserlError(
                f"Invalid arr[3:7] {self.arr[3:]} of length {length:.3g}: expected a unit quaternion xyzw."
            )
        pose[3:] /= length
        return pose


class GripperBody(msgspec.Struct, forbid_unknown_fields=True):
    """Body of /move_gripper."""

    gripper_pos: float
    """Position from 0 to 255."""


class LoadBody(msgspec.Struct, forbid_unknown_fields=True):
    """Body of /set_load."""

    mass: Annotated[float, msgspec.Meta(ge=0.0, le=_MAX_LOAD_KG)]
    """Mass, kg."""
    F_x_center_load: _Numbers3
    """Centre of mass from the flange, m."""
    load_inertia: _Numbers9
    """Inertia, kg m2, column by column."""

    def load(self) -> Load:
        """Return the load. Raises HilserlError for a centre over 1 m from the flange."""
        x, y, z = self.F_x_center_load
        if max(abs(x), abs(y), abs(z)) > 1.0:
            raise HilserlError(f"Invalid F_x_center_load {self.F_x_center_load} m: expected within 1 m of the flange.")
        return Load(self.mass, (x, y, z), tuple(self.load_inertia))


class SceneBody(msgspec.Struct, forbid_unknown_fields=True):
    """Body of /sim/reset."""

    seed: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    """Seed of the environment's reset."""
    home: bool = True
    """True if the robot is put home, too."""


class ReasonBody(msgspec.Struct, forbid_unknown_fields=True):
    """Body of /stop and /sim/reflex."""

    reason: Annotated[str, msgspec.Meta(max_length=200)]
    """Reason of the stop, for people."""


def decode(body: bytes, schema: type[_T]) -> _T:
    """Decode a request's body. Raises HilserlError if it does not fit the schema."""
    try:
        return msgspec.json.decode(body, type=schema)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise HilserlError(f"Invalid body {_excerpt(body)}: {error}. Numbers must be finite.") from error


def stop_reason(body: bytes) -> str:
    """Read the reason of a stop; any body stops."""
    if not body:
        return "no reason given"
    try:
        return decode(body, ReasonBody).reason
    except HilserlError:
        return "no reason that can be read"


def error_body(reason: str) -> bytes:
    """Encode a refusal as the body of an answer."""
    return msgspec.json.encode({"error": reason})


def _excerpt(body: bytes) -> str:
    text = body[:80].decode(errors="replace")
    return repr(text if len(body) <= 80 else text + "...")
