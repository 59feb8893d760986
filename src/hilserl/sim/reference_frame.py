"""In which frame a policy sees a tool and moves it: the world's, or the tool's own.

In the tool's frame an action says how the hand moves as the hand sees it, and the pose is told from where the episode
began, so that what was learned in one place holds in another (HIL-SERL, arXiv 2410.21845, relative observations and
actions).
"""

from dataclasses import replace
from typing import Protocol

import numpy as np

from hilserl.data.spec import ExperienceSpec, StateEntry, entry
from hilserl.envs.options import FrameName
from hilserl.errors import unknown
from hilserl.sim.control import TOOL_DOWN_WXYZ, ArmSetup
from hilserl.sim.quaternions import relative_to, rotation_matrix

_GRIPPER = (entry("gripper_width_m", 1, 0.04, 0.04), entry("gripper_command", 1))


class Frame(Protocol):
    """One way to tell of an arm. Values come named as `World` names them."""

    def entries(self, arm: ArmSetup) -> tuple[StateEntry, ...]:
        """What the arm knows of itself, without its name."""
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

    def entries(self, arm: ArmSetup) -> tuple[StateEntry, ...]:
        low, high = np.array(arm.workspace_low_m), np.array(arm.workspace_high_m)
        return (
            entry("tcp_position_m", 3, (low + high) / 2, (high - low) / 2),
            entry("tcp_quaternion_wxyz", 4, arm.tool_wxyz, 0.1),
            entry("tcp_linear_velocity_m_per_s", 3, scale=arm.nominal_speed_m_per_s),
            entry("tcp_angular_velocity_rad_per_s", 3, scale=arm.nominal_turn_rad_per_s),
            *(_GRIPPER if arm.has_gripper else ()),
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
        self._axes = rotation_matrix(np.array(TOOL_DOWN_WXYZ))

    def entries(self, arm: ArmSetup) -> tuple[StateEntry, ...]:
        half = (np.array(arm.workspace_high_m) - np.array(arm.workspace_low_m)) / 2
        scales = {e.name: e.scale for e in World().entries(arm)}
        return (
            entry("tcp_from_start_m", 3, scale=np.abs(rotation_matrix(np.array(arm.tool_wxyz)).T) @ half),
            entry("tcp_turn_from_start_wxyz", 4, (1.0, 0.0, 0.0, 0.0), 0.1),
            *(entry(told, 3, scale=scales[name]) for name, told in _TURNED.items()),
            *(_GRIPPER if arm.has_gripper else ()),
        )

    def begin(self) -> None:
        self._start = None

    def observe(self, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        values = dict(values)
        position, quaternion = values.pop("tcp_position_m"), values.pop("tcp_quaternion_wxyz")
        self._start = self._start or (position, quaternion)
        self._axes = rotation_matrix(quaternion)
        began = self._start[1]
        turned = {told: self._axes.T @ values.pop(name) for name, told in _TURNED.items()}
        return {
            "tcp_from_start_m": rotation_matrix(began).T @ (position - self._start[0]),
            "tcp_turn_from_start_wxyz": relative_to(began, quaternion),
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
    return "tool" if any(name.endswith("tcp_from_start_m") for name in spec.state.names) else "world"


class ArmView:
    """One arm as it is seen and moved in a frame: its part of every observation and every action."""

    def __init__(self, setup: ArmSetup, frame: FrameName) -> None:
        self.setup, self._frame = setup, make_frame(frame)
        self.size = len(setup.names)
        own = self._frame.entries(setup)
        self._names = tuple(e.name for e in own)
        self.entries = tuple(replace(e, name=setup.called(e.name)) for e in own)
        """What the arm knows of itself, under its name."""

    def begin(self) -> None:
        """The next observation is an episode's first."""
        self._frame.begin()

    def observe(self, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The entries, of what was measured in the world's frame."""
        seen = self._frame.observe(values)
        return {self.setup.called(name): seen[name] for name in self._names}

    def move(self, action: np.ndarray) -> tuple[np.ndarray, float]:
        """Its part of an action as a move along and about the world's axes, float64 [6], and for the gripper."""
        move = self.setup.move_of(action[: len(self.setup.axes)])
        turned = np.concatenate([self._frame.to_world(move[:3]), self._frame.to_world(move[3:])])
        return turned, float(action[-1]) if self.setup.has_gripper else 0.0

    def motion(self, move: np.ndarray) -> np.ndarray:
        """The reverse: what of an action makes a move along and about the world's axes, as far as its moves go.

        No faster than one full step.
        """
        turned = np.concatenate([self._frame.from_world(move[:3]), self._frame.from_world(move[3:])])
        part = turned[self.setup.axes]
        return part / max(1.0, np.abs(part).max())
