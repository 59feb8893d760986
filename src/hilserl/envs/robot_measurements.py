"""Measurements of an arm behind a robot server, in the simulation's conventions."""

from collections import deque

import numpy as np

from hilserl.robot.control.poses import Pose, cross, rotation_matrix, to_wxyz
from hilserl.robot.control.timing import WINDOW, percentiles_ms
from hilserl.sim.control import TOOL_DOWN_WXYZ
from hilserl.sim.quaternions import with_sign_of
from hilserl.sim.robot_models.panda import FINGER_RANGE_M, TCP_FROM_WRIST_M

_LARGEST_GAP_M = 2 * FINGER_RANGE_M
"""Gap of an open gripper, whose `gripper_pos` is 1."""


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


def measured(state: dict[str, np.ndarray], gripper_command: float) -> dict[str, np.ndarray]:
    """Collect an arm's measurements from /getstate, named as in `reference_frame.World`."""
    force, torque = wrist_wrench(state["pose"], state["force"], state["torque"])
    return {
        "tcp_position_m": state["pose"][:3],
        "tcp_quaternion_wxyz": with_sign_of(to_wxyz(state["pose"][3:]), TOOL_DOWN_WXYZ),
        "tcp_linear_velocity_m_per_s": state["vel"][:3],
        "tcp_angular_velocity_rad_per_s": state["vel"][3:],
        "gripper_width_m": _LARGEST_GAP_M * state["gripper_pos"],
        "gripper_command": np.array(gripper_command),
        "wrist_force_n": force,
        "wrist_torque_nm": torque,
    }


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
