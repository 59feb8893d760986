"""The drives of a simulated arm: Cartesian impedance, or position servos."""

from abc import ABC, abstractmethod

import mujoco
import numpy as np
from typing_extensions import override

from hilserl.errors import HilserlError
from hilserl.sim.control import ArmSetup
from hilserl.sim.quaternions import rotate_vector, rotation_matrix
from hilserl.sim.robot_models.kinematics import ArmKinematics
from hilserl.sim.robot_models.model import Servo
from hilserl.sim.scene import impedance_of, servos_of, target_of

_POSTURE_STIFFNESS_NM_PER_RAD = 4.0
_CONTROL_DT_S = 0.1
_CONJUGATE = (1.0, -1.0, -1.0, -1.0)


class ArmDrive(ABC):
    """Drive that follows poses of the tool (world frame)."""

    @abstractmethod
    def follow(self, position_m: np.ndarray, quaternion_wxyz: np.ndarray, jacobian: np.ndarray) -> None:
        """Pull the tool to a pose until the next one.

        Args:
            position_m: The tool's position, [3].
            quaternion_wxyz: The tool's orientation, [4].
            jacobian: The tool's Jacobian, [6, n].
        """

    @abstractmethod
    def rest(self, position_m: np.ndarray, quaternion_wxyz: np.ndarray, jacobian: np.ndarray) -> None:
        """Hold the present joints, at which the tool has this pose."""

    @abstractmethod
    def feed_forward(self, wrench: np.ndarray) -> None:
        """Add a wrench until the next one.

        Args:
            wrench: Force (N) and torque (N m) along and about the world's axes, float64 [6].

        Raises:
            HilserlError: The arm takes positions.
        """


class ImpedanceDrive(ArmDrive):
    """Compiled Cartesian impedance of an arm that takes torques."""

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData, setup: ArmSetup, dofs: np.ndarray) -> None:
        self._data, self._dofs = data, dofs
        self._target = model.body(target_of(setup.name)).mocapid[0]
        self._impedance = np.array([model.actuator(name).id for name in impedance_of(setup.name)])
        prefix = setup.prefix
        self._qpos = np.array([model.joint(prefix + name).qposadr[0] for name in setup.robot.joints])
        self._home = np.array(setup.home_joints_rad or setup.robot.home_joints_rad)

    @override
    def follow(self, position_m: np.ndarray, quaternion_wxyz: np.ndarray, jacobian: np.ndarray) -> None:
        self._data.mocap_pos[self._target] = position_m
        self._data.mocap_quat[self._target] = quaternion_wxyz
        self.hold_posture(jacobian)

    @override
    def rest(self, position_m: np.ndarray, quaternion_wxyz: np.ndarray, jacobian: np.ndarray) -> None:
        self.follow(position_m, quaternion_wxyz, jacobian)

    @override
    def feed_forward(self, wrench: np.ndarray) -> None:
        axes = rotation_matrix(self._data.mocap_quat[self._target])
        self._data.ctrl[self._impedance] = np.concatenate([wrench[:3] @ axes, wrench[3:] @ axes])

    def hold_posture(self, jacobian: np.ndarray) -> None:
        """Pull the elbow towards home.

        The torque acts in the null space of the tool's Jacobian, the arm's one free motion, so the tool does not feel
        it.
        """
        if len(self._dofs) <= 6:
            return
        free = np.linalg.svd(jacobian)[2][-1]
        error = self._home - self._data.qpos[self._qpos]
        self._data.qfrc_applied[self._dofs] = _POSTURE_STIFFNESS_NM_PER_RAD * free * (free @ error)


class ServoDrive(ArmDrive):
    """Position servos that follow inverse kinematics."""

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData, setup: ArmSetup, servo: Servo) -> None:
        self._data = data
        servos = [model.actuator(name).id for name in servos_of(setup)]
        self._servos, self._filters = np.array(servos), np.array([model.actuator_actadr[number] for number in servos])
        self._qpos = np.array([model.joint(setup.prefix + name).qposadr[0] for name in setup.robot.joints])
        self._kinematics = ArmKinematics(
            setup.robot, np.array(setup.home_joints_rad or setup.robot.home_joints_rad, float)
        )
        self._most_rad = np.array(servo.speed_rad_per_s) * _CONTROL_DT_S
        self._base_m = np.array(setup.base_m)
        self._to_base_wxyz = np.array(setup.base_wxyz) * _CONJUGATE
        self._name = setup.robot.name

    @override
    def follow(self, position_m: np.ndarray, quaternion_wxyz: np.ndarray, jacobian: np.ndarray) -> None:
        present = self._data.qpos[self._qpos]
        way = self.joints_at(position_m, quaternion_wxyz) - present
        # Too long a way is shortened, not bent.
        self._data.ctrl[self._servos] = present + way / max(1.0, float(np.abs(way / self._most_rad).max()))

    def joints_at(self, position_m: np.ndarray, quaternion_wxyz: np.ndarray) -> np.ndarray:
        """Find joints near the present ones for a pose (world frame).

        Returns:
            float64 [n].
        """
        orientation = np.zeros(4)
        mujoco.mju_mulQuat(orientation, self._to_base_wxyz, quaternion_wxyz)
        position = rotate_vector(self._to_base_wxyz, position_m - self._base_m)
        return self._kinematics.solve(self._data.qpos[self._qpos], position, orientation)

    @override
    def rest(self, position_m: np.ndarray, quaternion_wxyz: np.ndarray, jacobian: np.ndarray) -> None:
        joints = self._data.qpos[self._qpos]
        self._data.ctrl[self._servos] = joints
        self._data.act[self._filters] = joints

    @override
    def feed_forward(self, wrench: np.ndarray) -> None:
        raise HilserlError(f"The arm {self._name} takes positions, so it cannot exert a commanded wrench.")
