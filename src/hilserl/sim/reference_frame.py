"""Reference frames in which a policy sees and moves a tool.

In the world frame all vectors are along the world's axes: +x forward, +y left, +z up. In the tool frame an action moves
the hand along the hand's axes, and the pose is relative to the episode's start, so that a policy learned in one place
works in another (HIL-SERL, arXiv 2410.21845, relative observations and actions).
"""

from dataclasses import replace
from typing import Protocol

import numpy as np
from typing_extensions import override

from hilserl.data.spec import ExperienceSpec, StateEntry, entry
from hilserl.envs.options import FrameName
from hilserl.errors import unknown
from hilserl.sim.control import TOOL_DOWN_WXYZ, ArmSetup
from hilserl.sim.quaternions import relative_to, rotation_matrix


def _gripper(arm: ArmSetup) -> tuple[StateEntry, ...]:
    """Return the entries of a gripper that an action commands."""
    half_m = arm.robot.gripper.opening_m / 2
    return (entry("gripper_width_m", 1, half_m, half_m), entry("gripper_command", 1)) if arm.has_gripper else ()


_WRENCH = (entry("wrist_force_n", 3, scale=10.0), entry("wrist_torque_nm", 3, scale=1.0))


class Frame(Protocol):
    """A reference frame of one arm; measurements are named as in `World`."""

    def entries(self, arm: ArmSetup) -> tuple[StateEntry, ...]:
        """Return the entries of the arm in the state, without its prefix."""
        ...

    def begin(self) -> None:
        """Begin an episode: the next observation is its first."""
        ...

    def observe(self, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Convert measurements in the world frame to entries; keep others."""
        ...

    def to_world(self, motion: np.ndarray) -> np.ndarray:
        """Convert a vector of an action, float64 [3], to the world's axes."""
        ...

    def from_world(self, motion: np.ndarray) -> np.ndarray:
        """Convert a vector along the world's axes to an action's."""
        ...


class World(Frame):
    """The world frame; every number of the state is measured."""

    @override
    def entries(self, arm: ArmSetup) -> tuple[StateEntry, ...]:
        low, high = np.array(arm.workspace_low_m), np.array(arm.workspace_high_m)
        return (
            entry("tcp_position_m", 3, (low + high) / 2, (high - low) / 2),
            entry("tcp_quaternion_wxyz", 4, arm.tool_wxyz, 0.1),
            entry("tcp_linear_velocity_m_per_s", 3, scale=arm.nominal_speed_m_per_s),
            entry("tcp_angular_velocity_rad_per_s", 3, scale=arm.nominal_turn_rad_per_s),
            *_gripper(arm),
            *(_WRENCH if arm.robot.senses_wrench else ()),
        )

    def begin(self) -> None:
        """Do nothing, as no entry is relative to the episode's start."""

    @override
    def observe(self, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return values

    @override
    def to_world(self, motion: np.ndarray) -> np.ndarray:
        return motion

    @override
    def from_world(self, motion: np.ndarray) -> np.ndarray:
        return motion


_TURNED = {
    "tcp_linear_velocity_m_per_s": "tcp_linear_velocity_in_tool_m_per_s",
    "tcp_angular_velocity_rad_per_s": "tcp_angular_velocity_in_tool_rad_per_s",
    "wrist_force_n": "wrist_force_in_tool_n",
    "wrist_torque_nm": "wrist_torque_in_tool_nm",
}


class Tool(Frame):
    """The tool frame; poses are relative to the episode's start."""

    def __init__(self) -> None:
        self._start: tuple[np.ndarray, np.ndarray] | None = None
        self._axes = rotation_matrix(np.array(TOOL_DOWN_WXYZ))

    @override
    def entries(self, arm: ArmSetup) -> tuple[StateEntry, ...]:
        half = (np.array(arm.workspace_high_m) - np.array(arm.workspace_low_m)) / 2
        scales = {e.name: e.scale for e in World().entries(arm)}
        return (
            entry("tcp_from_start_m", 3, scale=np.abs(rotation_matrix(np.array(arm.tool_wxyz)).T) @ half),
            entry("tcp_turn_from_start_wxyz", 4, (1.0, 0.0, 0.0, 0.0), 0.1),
            *(entry(told, 3, scale=scales[name]) for name, told in _TURNED.items() if name in scales),
            *_gripper(arm),
        )

    @override
    def begin(self) -> None:
        self._start = None

    @override
    def observe(self, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        values = dict(values)
        position, quaternion = values.pop("tcp_position_m"), values.pop("tcp_quaternion_wxyz")
        self._start = self._start or (position, quaternion)
        self._axes = rotation_matrix(quaternion)
        began = self._start[1]
        turned = {told: self._axes.T @ values.pop(name) for name, told in _TURNED.items() if name in values}
        return {
            "tcp_from_start_m": rotation_matrix(began).T @ (position - self._start[0]),
            "tcp_turn_from_start_wxyz": relative_to(began, quaternion),
            **turned,
            **values,
        }

    @override
    def to_world(self, motion: np.ndarray) -> np.ndarray:
        return self._axes @ motion

    @override
    def from_world(self, motion: np.ndarray) -> np.ndarray:
        return self._axes.T @ motion


_FRAMES: dict[str, type[World] | type[Tool]] = {"world": World, "tool": Tool}


def make_frame(name: str) -> Frame:
    """Make a frame by its name.

    Raises:
        HilserlError: The frame does not exist.
    """
    if name not in _FRAMES:
        raise unknown("frame", name, _FRAMES)
    return _FRAMES[name]()


def frame_of(spec: ExperienceSpec) -> FrameName:
    """Tell from a specification the frame in which experience was recorded."""
    return "tool" if any(name.endswith("tcp_from_start_m") for name in spec.state.names) else "world"


class ArmView:
    """One arm's part of observations and actions in a reference frame."""

    def __init__(self, setup: ArmSetup, frame: FrameName) -> None:
        self.setup, self._frame = setup, make_frame(frame)
        self.size = len(setup.names)
        own = self._frame.entries(setup)
        self._names = tuple(e.name for e in own)
        self.entries = tuple(replace(e, name=setup.called(e.name)) for e in own)
        """Entries of the arm in the state, with its prefix."""

    def begin(self) -> None:
        """Begin an episode: the next observation is its first."""
        self._frame.begin()

    def observe(self, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Convert measurements in the world frame to entries."""
        seen = self._frame.observe(values)
        return {self.setup.called(name): seen[name] for name in self._names}

    def move(self, action: np.ndarray) -> tuple[np.ndarray, float]:
        """Convert the arm's part of an action.

        Returns:
            The move along and about the world's axes, float64 [6], and the gripper's action.
        """
        move = self.setup.move_of(action[: len(self.setup.axes)])
        turned = np.concatenate([self._frame.to_world(move[:3]), self._frame.to_world(move[3:])])
        return turned, float(action[-1]) if self.setup.has_gripper else 0.0

    def motion(self, move: np.ndarray) -> np.ndarray:
        """Convert a move to the arm's part of an action.

        The move is along and about the world's axes, float64 [6]. Axes that the arm does not command are left out; the
        result is at most one full step.
        """
        turned = np.concatenate([self._frame.from_world(move[:3]), self._frame.from_world(move[3:])])
        part = turned[self.setup.axes]
        return part / max(1.0, np.abs(part).max())
