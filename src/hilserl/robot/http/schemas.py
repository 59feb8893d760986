"""What requests may say. Numbers are finite: JSON knows no NaN, and an overflow is refused like one."""

import math
from typing import Annotated, TypeVar

import msgspec
import numpy as np

from hilserl.errors import HilserlError
from hilserl.robot.control.backend import Load
from hilserl.robot.control.poses import Pose

_T = TypeVar("_T")
_MAX_LOAD_KG = 3.0
"""Of the Panda (datasheet: payload)."""
_Numbers3 = Annotated[list[float], msgspec.Meta(min_length=3, max_length=3)]
_Numbers7 = Annotated[list[float], msgspec.Meta(min_length=7, max_length=7)]
_Numbers9 = Annotated[list[float], msgspec.Meta(min_length=9, max_length=9)]


class PoseBody(msgspec.Struct, forbid_unknown_fields=True):
    """Of /pose."""

    arr: _Numbers7

    def pose(self) -> Pose:
        """With a quaternion of length 1. Raises `HilserlError` where its length says that it is none."""
        pose = np.array(self.arr)
        length = math.hypot(*self.arr[3:])
        if not 0.5 < length < 2.0:
            raise HilserlError(f"arr[3:7] is {self.arr[3:]}, of length {length:.3g}; expected a unit quaternion xyzw.")
        pose[3:] /= length
        return pose


class GripperBody(msgspec.Struct, forbid_unknown_fields=True):
    """Of /move_gripper."""

    gripper_pos: float


class LoadBody(msgspec.Struct, forbid_unknown_fields=True):
    """Of /set_load."""

    mass: Annotated[float, msgspec.Meta(ge=0.0, le=_MAX_LOAD_KG)]
    F_x_center_load: _Numbers3
    load_inertia: _Numbers9

    def load(self) -> Load:
        x, y, z = self.F_x_center_load
        if max(abs(x), abs(y), abs(z)) > 1.0:
            raise HilserlError(f"F_x_center_load is {self.F_x_center_load} m; expected within 1 m of the flange.")
        return Load(self.mass, (x, y, z), tuple(self.load_inertia))


class SceneBody(msgspec.Struct, forbid_unknown_fields=True):
    """Of /sim/reset."""

    seed: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    home: bool = True


class ReasonBody(msgspec.Struct, forbid_unknown_fields=True):
    """Of /stop and /sim/reflex."""

    reason: Annotated[str, msgspec.Meta(max_length=200)]


def decode(body: bytes, form: type[_T]) -> _T:
    """A request's body. Raises `HilserlError` saying what is wrong with it."""
    try:
        return msgspec.json.decode(body, type=form)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise HilserlError(f"{error}. The body was {_shown(body)}; numbers must be finite.") from error


def _shown(body: bytes) -> str:
    text = body[:80].decode(errors="replace")
    return repr(text if len(body) <= 80 else text + "...")
