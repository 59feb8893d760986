"""Parameters and control law of HIL-SERL's Cartesian impedance controller.

Names, ranges, and the law are those of `serl_franka_controllers` (cfg/compliance_param.cfg and
cartesian_impedance_controller.cpp, https://github.com/rail-berkeley/serl_franka_controllers).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace

import numpy as np

from hilserl.errors import HilserlError, unknown
from hilserl.robot.control.poses import Pose, cross, rotation_matrix

_MAX_STIFFNESS = {"translational": 6000.0, "rotational": 300.0}
_MAX_DAMPING = {"translational": 400.0, "rotational": 30.0}
_MAX_KI, _MAX_CLIP = 100.0, 0.1
_INTEGRAL_LIMITS = np.array([0.1] * 3 + [0.3] * 3)


@dataclass(frozen=True)
class Compliance:
    """The 18 parameters of the impedance controller.

    Translational stiffness is in N/m; rotational stiffness in N m per unit of the quaternion's vector part (half the
    angle). Damping is in N s/m and N m s/rad.

    A clip bounds the error that the stiffness sees, in metres and in units of the quaternion's vector part, so the
    force is at most stiffness times clip. `clip_x` bounds it where the tool is beyond the set point along +x of the
    base, so it limits the pull towards -x; `clip_neg_x` limits the pull towards +x.

    The defaults are the impedance of the simulated tasks, so that a policy trained there finds the same arm.
    """

    translational_stiffness: float = 3000.0
    translational_damping: float = 140.0
    rotational_stiffness: float = 300.0
    rotational_damping: float = 7.0
    translational_Ki: float = 0.0  # noqa: N815 (the interface's name)
    rotational_Ki: float = 0.0  # noqa: N815 (the interface's name)
    translational_clip_x: float = 0.05
    translational_clip_y: float = 0.05
    translational_clip_z: float = 0.05
    translational_clip_neg_x: float = 0.05
    translational_clip_neg_y: float = 0.05
    translational_clip_neg_z: float = 0.05
    rotational_clip_x: float = 0.1
    rotational_clip_y: float = 0.1
    rotational_clip_z: float = 0.1
    rotational_clip_neg_x: float = 0.1
    rotational_clip_neg_y: float = 0.1
    rotational_clip_neg_z: float = 0.1

    def changed(self, values: Mapping[str, float]) -> "Compliance":
        """Return a copy with some parameters replaced.

        A value above its range becomes the end of the range, as in the controller.

        Raises:
            HilserlError: unknown name, or a value that is negative or not finite.
        """
        names = [field.name for field in fields(self)]
        for name, value in values.items():
            if name not in names:
                raise unknown("compliance parameter", name, names)
            if not (np.isfinite(value) and value >= 0):
                raise HilserlError(f"Invalid {name} {value}: expected 0 to {max_value(name):g}.")
        return replace(self, **{name: min(float(value), max_value(name)) for name, value in values.items()})

    def as_dict(self) -> dict[str, float]:
        """Return the parameters by name."""
        return asdict(self)

    def clips(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the bounds of the error that the stiffness sees.

        Returns:
            Lowest and highest error, each float64 [6]: translation, rotation.
        """
        values = asdict(self)
        high, low = (
            np.array(
                [values[f"{kind}_clip_{side}{axis}"] for kind in ("translational", "rotational") for axis in "xyz"]
            )
            for side in ("", "neg_")
        )
        return -low, high


def max_value(name: str) -> float:
    """Return the upper end of a parameter's range, which begins at 0."""
    kind = name.split("_")[0]
    if name.endswith("stiffness"):
        return _MAX_STIFFNESS[kind]
    if name.endswith("damping"):
        return _MAX_DAMPING[kind]
    return _MAX_KI if name.endswith("Ki") else _MAX_CLIP


def pose_error(pose: Pose, set_point: Pose) -> np.ndarray:
    """Compute the error of a pose relative to a set point.

    Returns:
        float64 [6] in the base frame: three metres, then the vector part of the error's quaternion.
    """
    a, b = pose[3:], set_point[3:]
    if a @ b < 0:
        a = -a
    # The vector part of conj(a) * b, in the tool's frame.
    inner = a[3] * b[:3] - b[3] * a[:3] - cross(a[:3], b[:3])
    return np.concatenate([pose[:3] - set_point[:3], -rotation_matrix(pose[3:]) @ inner])


class ImpedanceLaw:
    """Spring of the impedance controller, evaluated once a tick.

    The damper, -D J dq, is left to the driver of the joints.
    """

    def __init__(self, compliance: Compliance) -> None:
        self._integral = np.zeros(6)
        self.set(compliance)

    def set(self, compliance: Compliance) -> None:
        """Set the parameters; the integral stays."""
        self.compliance = compliance
        c = compliance
        self._stiffness = np.repeat([c.translational_stiffness, c.rotational_stiffness], 3)
        self._ki = np.repeat([c.translational_Ki, c.rotational_Ki], 3)
        self._low, self._high = c.clips()

    def reset_integral(self) -> None:
        """Empty the integral, as the controller does for every new pose."""
        self._integral[:] = 0.0

    def wrench(self, pose: Pose, set_point: Pose) -> np.ndarray:
        """Compute the spring's wrench on the tool in the base frame.

        It is -K e - Ki sum(e). The error e is clipped first; the sum runs over ticks and is clipped, too.

        Returns:
            float64 [6], N and N m.
        """
        error = np.minimum(np.maximum(pose_error(pose, set_point), self._low), self._high)
        summed = self._integral + error
        self._integral = np.minimum(np.maximum(summed, -_INTEGRAL_LIMITS), _INTEGRAL_LIMITS)
        return -self._stiffness * error - self._ki * self._integral
