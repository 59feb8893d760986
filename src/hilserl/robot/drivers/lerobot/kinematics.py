"""Kinematics of an arm that is measured by its joints alone."""

from collections import deque

import mujoco
import numpy as np

from hilserl.robot.control.poses import Pose, to_wxyz, to_xyzw
from hilserl.sim.quaternions import from_matrix, with_sign_of
from hilserl.sim.robot_models.kinematics import ArmKinematics
from hilserl.sim.robot_models.model import TCP_SITE, RobotModel

_WINDOW_S = 0.08
"""Time over which a velocity is measured. A servo's encoder has 4096 steps, too few for the time of a tick."""


class MeasuredArm:
    """Tool pose, Jacobian and velocities of measured joints, in the base's frame."""

    def __init__(self, robot: RobotModel) -> None:
        self.inverse = ArmKinematics(robot, np.array(robot.home_joints_rad, float))
        """Inverse kinematics."""
        self._model = self.inverse.model
        self._data = mujoco.MjData(self._model)
        joints = [self._model.joint(name) for name in robot.joints]
        self._qpos = np.array([joint.qposadr[0] for joint in joints])
        self._dofs = np.array([joint.dofadr[0] for joint in joints])
        self._tcp, self._nominal = self._model.site(TCP_SITE).id, robot.tool_wxyz
        self.ranges_rad = self.inverse.ranges_rad()
        """Limits of the joints, float64 [n, 2]."""
        self._history: deque[tuple[float, np.ndarray]] = deque()
        self.q = self.dq = np.zeros(len(joints))

    def measure(self, time_s: float, q: np.ndarray) -> None:
        """Take the joints' angles of a moment, float64 [n] in rad."""
        history = self._history
        history.append((time_s, q))
        while len(history) > 2 and history[1][0] <= time_s - _WINDOW_S:
            history.popleft()
        first, passed_s = history[0][1], time_s - history[0][0]
        self.q, self.dq = q, (q - first) / passed_s if passed_s > 0 else np.zeros_like(q)
        self._data.qpos[self._qpos] = q
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_comPos(self._model, self._data)

    def forget(self) -> None:
        """Forget earlier measurements, as after a pause."""
        self._history.clear()

    def pose(self) -> Pose:
        """Return the tool's pose, with the quaternion nearer to the nominal one."""
        turn = with_sign_of(from_matrix(self._data.site_xmat[self._tcp]), self._nominal)
        return np.concatenate([self._data.site_xpos[self._tcp], to_xyzw(turn)])

    def jacobian(self) -> np.ndarray:
        """Return the tool's Jacobian, float64 [6, n]: linear, then angular."""
        full = np.zeros((6, self._model.nv))
        mujoco.mj_jacSite(self._model, self._data, full[:3], full[3:], self._tcp)
        return full[:, self._dofs]

    def joints_at(self, start_rad: np.ndarray, pose: Pose) -> np.ndarray:
        """Find joints near given ones for a pose, float64 [n]."""
        return self.inverse.solve(start_rad, pose[:3], to_wxyz(pose[3:]))
