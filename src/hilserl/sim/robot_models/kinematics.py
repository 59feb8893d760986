"""Differential inverse kinematics of an arm alone, with mink."""

import mink
import mujoco
import numpy as np

from hilserl.sim.robot_models.model import TCP_SITE, TURNS, RobotModel

_MAX_ITERATIONS = 8
_NEAR_M, _NEAR_RAD = 2e-4, 1e-3
"""Errors at which a solution is good enough."""
_TURN_COST, _TURN_COST_OF_FEW_JOINTS = 0.3, 0.02
"""Cost of a turn's error (1/rad) beside that of a position's (1/m).

An arm that cannot follow every turn keeps its position.
"""
_POSTURE_COST = 1e-3
_DAMPING = 1e-6


def arm_alone(robot: RobotModel) -> mujoco.MjSpec:
    """Build a robot whose only joints are its arm's."""
    spec = robot.spec()
    for elements in (spec.actuators, spec.tendons, spec.equalities, spec.sensors, spec.keys):
        for element in list(elements):
            spec.delete(element)
    for joint in list(spec.joints):
        if joint.name not in robot.joints:
            spec.delete(joint)
    # Kinematics need neither masses nor looks, and a file's meshes take long to compile.
    for body in spec.bodies[1:]:
        body.explicitinertial, body.mass, body.inertia = True, 1.0, (1.0, 1.0, 1.0)
        body.fullinertia = np.full(6, np.nan)
    for elements in (spec.geoms, spec.meshes):
        for element in list(elements):
            spec.delete(element)
    return spec


class ArmKinematics:
    """Inverse kinematics in the base's frame.

    Joint limits are kept. An arm with a free motion comes to its home posture as far as the tool allows.
    """

    def __init__(self, robot: RobotModel, home_joints_rad: np.ndarray) -> None:
        self.model = arm_alone(robot).compile()
        self._configuration = mink.Configuration(self.model)
        self._order = np.array([self.model.joint(name).qposadr[0] for name in robot.joints])
        turn_cost = _TURN_COST if robot.turns == TURNS else _TURN_COST_OF_FEW_JOINTS
        self._tool = mink.FrameTask(TCP_SITE, "site", position_cost=1.0, orientation_cost=turn_cost, lm_damping=1e-6)
        posture = mink.PostureTask(self.model, cost=_POSTURE_COST)
        posture.set_target(self._in_model_order(home_joints_rad))
        self._tasks = [self._tool, posture] if len(robot.joints) > 6 else [self._tool]
        self._limits = [mink.ConfigurationLimit(self.model)]

    def solve(self, joints_rad: np.ndarray, position_m: np.ndarray, quaternion_wxyz: np.ndarray) -> np.ndarray:
        """Find joints near the present ones for a pose.

        Args:
            joints_rad: The present joints, float64 [n].
            position_m: The tool's position (base frame), [3].
            quaternion_wxyz: The tool's orientation (base frame), [4].

        Returns:
            Joints within their limits, float64 [n]. Out of reach, the tool comes as near as a few iterations lead.
        """
        configuration = self._configuration
        configuration.update(self._in_model_order(joints_rad))
        self._tool.set_target(mink.SE3.from_rotation_and_translation(mink.SO3(quaternion_wxyz), position_m))
        for _ in range(_MAX_ITERATIONS):
            error = self._tool.compute_error(configuration)
            if np.linalg.norm(error[:3]) < _NEAR_M and np.linalg.norm(error[3:]) < _NEAR_RAD:
                break
            velocity = mink.solve_ik(configuration, self._tasks, 1.0, "daqp", damping=_DAMPING, limits=self._limits)
            configuration.integrate_inplace(velocity, 1.0)
        return configuration.q[self._order].copy()

    def tool_pose(self, joints_rad: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Compute the tool's position (m) and orientation (wxyz), base frame."""
        self._configuration.update(self._in_model_order(joints_rad))
        pose = self._configuration.get_transform_frame_to_world(TCP_SITE, "site")
        return pose.translation(), pose.rotation().wxyz

    def heights_m(self, joints_rad: np.ndarray) -> np.ndarray:
        """Compute the heights of all bodies that joints move, float64 [bodies]."""
        self._configuration.update(self._in_model_order(joints_rad))
        moving = self.model.body_dofnum.cumsum() > 1
        return self._configuration.data.xpos[moving & (self.model.body_weldid != 0), 2].copy()

    def ranges_rad(self) -> np.ndarray:
        """Return the joints' limits, float64 [n, 2]; infinite where there are none."""
        return np.transpose(self._range())

    def margin_rad(self, joints_rad: np.ndarray) -> float:
        """Compute the smallest distance of a joint from its limits."""
        low, high = self._range()
        return float(np.minimum(joints_rad - low, high - joints_rad).min())

    def _in_model_order(self, joints_rad: np.ndarray) -> np.ndarray:
        ordered = np.zeros(self.model.nq)
        ordered[self._order] = np.clip(joints_rad, *self._range())
        return ordered

    def _range(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the joints' limits, float64 [n] each; infinite where there are none."""
        limited = self.model.jnt_limited.astype(bool)
        low = np.where(limited, self.model.jnt_range[:, 0], -np.inf)
        high = np.where(limited, self.model.jnt_range[:, 1], np.inf)
        return low[self._order], high[self._order]
