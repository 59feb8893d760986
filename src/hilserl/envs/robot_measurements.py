"""Measurements of an arm behind a robot server, in the simulation's conventions."""

from collections import deque

import numpy as np

from hilserl.robot.control.poses import Pose, cross, rotation_matrix, to_wxyz, to_xyzw
from hilserl.robot.control.timing import WINDOW, percentiles_ms
from hilserl.sim.control import ArmSetup
from hilserl.sim.quaternions import multiplied, rotate_vector, with_sign_of
from hilserl.sim.robot_models.panda import TCP_FROM_WRIST_M


class StepTiming:
    """Times of the last steps in seconds."""

    def __init__(self) -> None:
        self.late_s: deque[float] = deque(maxlen=WINDOW)
        self.observe_s: deque[float] = deque(maxlen=WINDOW)
        self.command_s: deque[float] = deque(maxlen=WINDOW)

    def percentiles(self) -> dict[str, float]:
        """Return percentiles of lateness, observing and commanding, in milliseconds."""
        return {
            **percentiles_ms("jitter", np.array(self.late_s)),
            **percentiles_ms("observe", np.array(self.observe_s)),
            **percentiles_ms("command", np.array(self.command_s)),
        }


def in_world(state: dict[str, np.ndarray], arm: ArmSetup) -> dict[str, np.ndarray]:
    """Turn an arm's state from its base's frame to the world's.

    Args:
        state: Answer of /getstate. Force and torque stay in the tool's frame.
        arm: The arm, with the place of its base.
    """
    base_wxyz = np.array(arm.base_wxyz)
    linear, angular = state["vel"][:3], state["vel"][3:]
    return {
        **state,
        "pose": to_world(state["pose"], arm),
        "vel": np.concatenate([rotate_vector(base_wxyz, linear), rotate_vector(base_wxyz, angular)]),
    }


def to_world(pose: Pose, arm: ArmSetup) -> Pose:
    """Convert a pose in the base's frame to the world's."""
    position = np.array(arm.base_m) + rotate_vector(np.array(arm.base_wxyz), pose[:3])
    turned = multiplied(np.array(arm.base_wxyz), to_wxyz(pose[3:]))
    return np.concatenate([position, to_xyzw(turned)])


def to_base(pose: Pose, arm: ArmSetup) -> Pose:
    """Convert a pose in the world's frame to the base's."""
    inverse = np.array(arm.base_wxyz) * (1.0, -1.0, -1.0, -1.0)
    position = rotate_vector(inverse, pose[:3] - np.array(arm.base_m))
    return np.concatenate([position, to_xyzw(multiplied(inverse, to_wxyz(pose[3:])))])


def measured(state: dict[str, np.ndarray], gripper_command: float, arm: ArmSetup) -> dict[str, np.ndarray]:
    """Collect an arm's measurements, named as in `reference_frame.World`.

    Args:
        state: Answer of /getstate, in the world's frame.
        gripper_command: Last command of the gripper.
        arm: The arm.
    """
    values = {
        "tcp_position_m": state["pose"][:3],
        "tcp_quaternion_wxyz": with_sign_of(to_wxyz(state["pose"][3:]), arm.tool_wxyz),
        "tcp_linear_velocity_m_per_s": state["vel"][:3],
        "tcp_angular_velocity_rad_per_s": state["vel"][3:],
        "gripper_width_m": arm.robot.gripper.opening_m * state["gripper_pos"],
        "gripper_command": np.array(gripper_command),
    }
    if arm.robot.senses_wrench:
        force, torque = wrist_wrench(state["pose"], state["force"], state["torque"])
        values |= {"wrist_force_n": force, "wrist_torque_nm": torque}
    return values


def wrist_wrench(pose: Pose, force_N: np.ndarray, torque_Nm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # noqa: N803
    """Convert the server's wrench to the world frame and to the wrist.

    Args:
        pose: The tool's pose (world frame).
        force_N: Force in the tool's frame, float64 [3].
        torque_Nm: Torque about the tool's point in the tool's frame, float64 [3].

    Returns:
        Force (N) and torque about the wrist (N m), along the world's axes, float64 [3] each.
    """
    rotation = rotation_matrix(pose[3:])
    force = rotation @ force_N
    return force, rotation @ torque_Nm + cross(rotation @ np.array([0.0, 0.0, TCP_FROM_WRIST_M]), force)
