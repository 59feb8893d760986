"""In which frame a policy sees the tool and moves it: the world's, or the tool's own.

In the tool's frame an action says how the hand moves as the hand sees it, and the pose is told from where the episode
began, so that what was learned in one place holds in another (HIL-SERL, arXiv 2410.21845, relative observations and
actions).
"""

from typing import Literal, Protocol

import mujoco
import numpy as np

from hilserl.errors import unknown
from hilserl.experience import Entry, ExperienceSpec, entry
from hilserl.sim.scene import TOOL_DOWN_WXYZ
from hilserl.sim.task import Task

FrameName = Literal["world", "tool"]

_GRIPPER = (entry("gripper_width_m", 1, 0.04, 0.04), entry("gripper_command", 1))


class Frame(Protocol):
    """One way to tell of the robot. Values come named as `World` names them."""

    def entries(self, task: type[Task] | Task) -> tuple[Entry, ...]:
        """What the robot knows of itself."""
        ...

    def begin(self) -> None:
        """The next observation is an episode's first."""
        ...

    def observe(self, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The entries, of what was measured in the world's frame; what is not the robot's stays as it is."""
        ...

    def to_world(self, motion: np.ndarray) -> np.ndarray:
        """A motion of an action, float64 [3], along the world's axes."""
        ...

    def from_world(self, motion: np.ndarray) -> np.ndarray:
        """The reverse."""
        ...


class World:
    """Positions, velocities, forces and actions along the world's axes; every number is measured."""

    def entries(self, task: type[Task] | Task) -> tuple[Entry, ...]:
        low, high = np.array(task.workspace_low_m), np.array(task.workspace_high_m)
        return (
            entry("tcp_position_m", 3, (low + high) / 2, (high - low) / 2),
            entry("tcp_quaternion_wxyz", 4, TOOL_DOWN_WXYZ, 0.1),
            entry("tcp_linear_velocity_m_per_s", 3, scale=0.3),
            entry("tcp_angular_velocity_rad_per_s", 3, scale=0.5),
            *_GRIPPER,
            entry("wrist_force_n", 3, scale=10.0),
            entry("wrist_torque_nm", 3, scale=1.0),
        )

    def begin(self) -> None:
        """Nothing is told from where an episode began."""

    def observe(self, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return values

    def to_world(self, motion: np.ndarray) -> np.ndarray:
        return motion

    def from_world(self, motion: np.ndarray) -> np.ndarray:
        return motion


_TURNED = {
    "tcp_linear_velocity_m_per_s": "tcp_linear_velocity_in_tool_m_per_s",
    "tcp_angular_velocity_rad_per_s": "tcp_angular_velocity_in_tool_rad_per_s",
    "wrist_force_n": "wrist_force_in_tool_n",
    "wrist_torque_nm": "wrist_torque_in_tool_nm",
}


class Tool:
    """Velocities, forces and actions along the tool's axes; its pose in the frame in which it began the episode."""

    def __init__(self) -> None:
        self._start: tuple[np.ndarray, np.ndarray] | None = None
        self._axes = _matrix(np.array(TOOL_DOWN_WXYZ))

    def entries(self, task: type[Task] | Task) -> tuple[Entry, ...]:
        half = (np.array(task.workspace_high_m) - np.array(task.workspace_low_m)) / 2
        scales = {e.name: e.scale for e in World().entries(task)}
        return (
            entry("tcp_from_start_m", 3, scale=np.abs(self._axes.T) @ half),
            entry("tcp_turn_from_start_wxyz", 4, (1.0, 0.0, 0.0, 0.0), 0.1),
            *(entry(told, 3, scale=scales[name]) for name, told in _TURNED.items()),
            *_GRIPPER,
        )

    def begin(self) -> None:
        self._start = None

    def observe(self, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        values = dict(values)
        position, quaternion = values.pop("tcp_position_m"), values.pop("tcp_quaternion_wxyz")
        self._start = self._start or (position, quaternion)
        self._axes = _matrix(quaternion)
        began, turn = self._start[1], np.zeros(4)
        mujoco.mju_mulQuat(turn, began * (1.0, -1.0, -1.0, -1.0), quaternion)
        turned = {told: self._axes.T @ values.pop(name) for name, told in _TURNED.items()}
        return {
            "tcp_from_start_m": _matrix(began).T @ (position - self._start[0]),
            "tcp_turn_from_start_wxyz": turn if turn[0] >= 0 else -turn,
            **turned,
            **values,
        }

    def to_world(self, motion: np.ndarray) -> np.ndarray:
        return self._axes @ motion

    def from_world(self, motion: np.ndarray) -> np.ndarray:
        return self._axes.T @ motion


_FRAMES: dict[str, type[World] | type[Tool]] = {"world": World, "tool": Tool}


def make_frame(name: str) -> Frame:
    """Raises HilserlError naming what exists."""
    if name not in _FRAMES:
        raise unknown("frame", name, _FRAMES)
    return _FRAMES[name]()


def frame_of(spec: ExperienceSpec) -> FrameName:
    """In which frame an experience was made."""
    return "tool" if "tcp_from_start_m" in spec.state.names else "world"


def _matrix(quaternion_wxyz: np.ndarray) -> np.ndarray:
    """float64 [3, 3]."""
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, quaternion_wxyz)
    return matrix.reshape(3, 3)
