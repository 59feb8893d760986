"""The simulated arm as a robot would show itself: measured pose, velocity, force and gripper; one target to follow."""

import mujoco
import numpy as np

from hilserl.sim.panda import (
    ARM_JOINTS,
    FINGER_JOINTS,
    FINGER_RANGE_M,
    GRIPPER_ACTUATOR,
    HOME_JOINTS_RAD,
    TCP_SITE,
    WRIST_FORCE_SENSOR,
    WRIST_SITE,
    WRIST_TORQUE_SENSOR,
)
from hilserl.sim.scene import ROBOT_PREFIX, TARGET_BODY, TOOL_DOWN_WXYZ

GRIPPER_OPEN = 1.0
GRIPPER_CLOSED = -1.0
_POSTURE_STIFFNESS_NM_PER_RAD = 4.0


def pointing_down(quaternion_wxyz: np.ndarray) -> np.ndarray:
    """The same turn in the half of quaternion space where straight down is (0, 1, 0, 0), so that signs do not flip."""
    return quaternion_wxyz if quaternion_wxyz @ TOOL_DOWN_WXYZ >= 0 else -quaternion_wxyz


class Arm:
    """A Panda in a compiled model. Everything is in the world frame; quaternions are wxyz."""

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        self._model, self._data = model, data
        joints = [model.joint(ROBOT_PREFIX + name) for name in ARM_JOINTS]
        fingers = [model.joint(ROBOT_PREFIX + name) for name in FINGER_JOINTS]
        self._qpos = np.array([j.qposadr[0] for j in joints])
        self._dofs = np.array([j.dofadr[0] for j in joints])
        self._finger_qpos = np.array([j.qposadr[0] for j in fingers])
        self._tcp = model.site(ROBOT_PREFIX + TCP_SITE).id
        self._wrist = model.site(ROBOT_PREFIX + WRIST_SITE).id
        self._hand = model.body(ROBOT_PREFIX + "hand").id
        self._force = model.sensor(ROBOT_PREFIX + WRIST_FORCE_SENSOR).adr[0]
        self._torque = model.sensor(ROBOT_PREFIX + WRIST_TORQUE_SENSOR).adr[0]
        self._gripper = model.actuator(ROBOT_PREFIX + GRIPPER_ACTUATOR).id
        self._target = model.body(TARGET_BODY).mocapid[0]
        self._home = np.array(HOME_JOINTS_RAD)

    def reset(self) -> None:
        """Home posture, gripper open, at rest, the target where the tool is."""
        self._data.qpos[self._qpos] = self._home
        self._data.qpos[self._finger_qpos] = FINGER_RANGE_M
        self._data.ctrl[self._gripper] = FINGER_RANGE_M
        mujoco.mj_kinematics(self._model, self._data)
        self.command(self.tcp_position_m, np.array(TOOL_DOWN_WXYZ))

    def command(self, position_m: np.ndarray, quaternion_wxyz: np.ndarray) -> None:
        """The pose the impedance pulls the tool to until the next command."""
        self._data.mocap_pos[self._target] = position_m
        self._data.mocap_quat[self._target] = quaternion_wxyz
        self.hold_posture()

    def command_gripper(self, action: float) -> None:
        """Below -0.5 closes, above +0.5 opens, anything between holds the command as it is."""
        if action < -0.5:
            self._data.ctrl[self._gripper] = 0.0
        elif action > 0.5:
            self._data.ctrl[self._gripper] = FINGER_RANGE_M

    def hold_posture(self) -> None:
        """A torque along the arm's one free motion (the elbow's swing) towards home; the tool does not feel it."""
        jacobian = np.zeros((6, self._model.nv))
        mujoco.mj_jacSite(self._model, self._data, jacobian[:3], jacobian[3:], self._tcp)
        free = np.linalg.svd(jacobian[:, self._dofs])[2][-1]
        error = self._home - self._data.qpos[self._qpos]
        self._data.qfrc_applied[self._dofs] = _POSTURE_STIFFNESS_NM_PER_RAD * free * (free @ error)

    @property
    def tcp_position_m(self) -> np.ndarray:
        return self._data.site_xpos[self._tcp].copy()

    @property
    def tcp_quaternion_wxyz(self) -> np.ndarray:
        quaternion = np.zeros(4)
        mujoco.mju_mat2Quat(quaternion, self._data.site_xmat[self._tcp])
        return pointing_down(quaternion)

    @property
    def finger_axis(self) -> np.ndarray:
        """The unit vector along which the fingers open."""
        return self._data.xmat[self._hand].reshape(3, 3)[:, 1].copy()

    @property
    def tcp_velocity(self) -> tuple[np.ndarray, np.ndarray]:
        """Linear (m/s) and angular (rad/s) velocity."""
        twist = np.zeros(6)
        mujoco.mj_objectVelocity(self._model, self._data, mujoco.mjtObj.mjOBJ_SITE, self._tcp, twist, 0)
        return twist[3:], twist[:3]

    @property
    def gripper_width_m(self) -> float:
        """The measured gap between the fingers."""
        return float(self._data.qpos[self._finger_qpos].sum())

    @property
    def gripper_command(self) -> float:
        """+1 while the gripper is told to be open, -1 while it is told to be closed."""
        return GRIPPER_OPEN if self._data.ctrl[self._gripper] > FINGER_RANGE_M / 2 else GRIPPER_CLOSED

    @property
    def wrist_wrench(self) -> tuple[np.ndarray, np.ndarray]:
        """Force (N) and torque (N m, about the wrist) of the world on the hand; its own weight is tared away.

        Like a real one it also feels the hand's own inertia while it accelerates.
        """
        rotation = self._data.site_xmat[self._wrist].reshape(3, 3)
        # MuJoCo reports what the arm exerts on the hand; the world and gravity exert the opposite.
        force = -rotation @ self._data.sensordata[self._force : self._force + 3]
        torque = -rotation @ self._data.sensordata[self._torque : self._torque + 3]
        weight = self._model.body_subtreemass[self._hand] * self._model.opt.gravity
        lever = self._data.subtree_com[self._hand] - self._data.site_xpos[self._wrist]
        moment = np.zeros(3)
        mujoco.mju_cross(moment, lever, weight)
        return force - weight, torque - moment
