"""Clients of HIL-SERL's robot server that behave as its own: they look at no status of any answer."""

import time

import numpy as np
from scipy.spatial.transform import Rotation

from tests.support.robot_rig import Answer, ask

HZ = 10
"""Poses a second of the reference's environments."""
PRECISION = {
    "translational_stiffness": 2000,
    "translational_damping": 89,
    "rotational_stiffness": 250,
    "rotational_damping": 9,
    **{f"translational_clip_{sign}{axis}": 0.1 for sign in ("", "neg_") for axis in "xyz"},
    **{f"rotational_clip_{sign}{axis}": 0.5 for sign in ("", "neg_") for axis in "xyz"},
}
"""Impedance parameters of the RAM task's resets."""


def pose_of(position_m: list[float], yaw_rad: float) -> np.ndarray:
    """Return the pose of a tool that points down, float64 [7], with the reference's sign."""
    return np.append(position_m, Rotation.from_matrix(_down(yaw_rad)).as_quat())


def _down(yaw_rad: float) -> np.ndarray:
    return (Rotation.from_euler("z", yaw_rad) * Rotation.from_euler("x", np.pi)).as_matrix()


def straight_line(start: np.ndarray, goal: np.ndarray, timeout_s: float = 1.0) -> np.ndarray:
    """Interpolate all seven numbers of a pose, as the reference's `interpolate_move` does."""
    return np.linspace(start, goal, int(HZ * timeout_s))


class ReferenceClient:
    """An environment's way to the server, which goes on whatever the server answers."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.answers: list[Answer] = []
        """Answers to all poses."""

    def post(self, route: str, body: object = None) -> Answer:
        """Send a POST request."""
        return ask(self._port, "POST", f"/{route}", body)

    def pose(self) -> np.ndarray:
        """Return the measured pose."""
        return np.array(self.post("getstate").json["pose"])

    def send(self, pose: np.ndarray) -> None:
        """Clear errors and send one pose, as before every step."""
        self.post("clearerr")
        self.answers.append(self.post("pose", {"arr": pose.tolist()}))

    def interpolate_move(self, goal: np.ndarray, timeout_s: float = 1.0) -> None:
        """Send the poses of a straight line, ten a second."""
        for pose in straight_line(self.pose(), goal, timeout_s):
            self.send(pose)
            time.sleep(1 / HZ)

    def go_to_reset(self, goal: np.ndarray) -> None:
        """Go to a reset pose along a straight line, with the precise impedance."""
        self.send(self.pose())
        time.sleep(0.3)
        self.post("update_param", PRECISION)
        time.sleep(0.5)
        self.interpolate_move(goal)

    def go_to_reset_at_once(self, goal: np.ndarray, sleep_s: float = 1.0) -> None:
        """Go to a reset pose by sending it once and sleeping, as the USB task does."""
        self.post("update_param", PRECISION)
        self.send(goal)
        time.sleep(sleep_s)
