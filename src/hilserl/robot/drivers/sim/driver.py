"""Driver of a simulated arm, in steps of a millisecond."""

from typing import Any

import mujoco
import numpy as np
from typing_extensions import override

from hilserl.robot.control.backend import GripperKind, Load, Mode
from hilserl.robot.control.command_limiter import CommandLimiter
from hilserl.robot.control.joint_space import JointDrive, JointLimits
from hilserl.robot.control.limits import Box, Limits
from hilserl.robot.control.poses import Pose, cross, rotation_matrix, to_xyzw
from hilserl.robot.control.torque_arm import TorqueArm
from hilserl.robot.drivers.sim.gripper import SimGripper
from hilserl.robot.drivers.sim.world import TICK_S, SimWorld
from hilserl.sim.quaternions import relative_to
from hilserl.sim.quaternions import rotation_matrix as rotation_of
from hilserl.sim.robot_models.model import TCP_SITE
from hilserl.sim.robot_models.panda import ARM_JOINTS
from hilserl.sim.scene import impedance_of, target_of

_POSTURE_TICKS = 10
_BRAKE_S = 0.1


class SimArm(TorqueArm):
    """Simulated robot with its controller. A tick is one millisecond of simulated time.

    Args:
        world: the scene; this is the next of its task's arms.
        box: region of the tool in the frame of the arm's base.
        limits: limits of the commanded poses.
        gripper: kind of the gripper.
        reset_joints_rad: posture of a joint reset.
    """

    def __init__(
        self, world: SimWorld, box: Box, limits: Limits, gripper: GripperKind, reset_joints_rad: tuple[float, ...]
    ) -> None:
        self._world, self.sim = world, world.sim
        self._arm = world.sim.arms[len(world.arms)]
        world.arms.append(self)
        setup, model = self._arm.setup, self.sim.model
        self._model, self._data = model, self.sim.data
        self._base_m, self._base_wxyz = np.array(setup.base_m), np.array(setup.base_wxyz)
        self._to_base = rotation_of(self._base_wxyz).T
        joints = [model.joint(setup.prefix + name) for name in ARM_JOINTS]
        self._q = np.array([j.qposadr[0] for j in joints])
        self._dofs = np.array([j.dofadr[0] for j in joints])
        self._motors = np.array([model.actuator(name).id for name in impedance_of(setup.name)])
        self._target = model.body(target_of(setup.name)).mocapid[0]
        self._tcp = model.site(setup.prefix + TCP_SITE).id
        self._flange = model.body(setup.prefix + "link7").id
        self._hand = model.body(setup.prefix + "hand").id
        self._full_jacobian = np.zeros((6, model.nv))
        self._load: Load | None = None
        self.fingers = SimGripper(model, self._data, gripper, setup.prefix)
        low, high = np.array([j.range for j in joints]).T
        torque = np.array([model.jnt_actfrcrange[j.id][1] for j in joints])
        drive = JointDrive(JointLimits(low, high, torque), reset_joints_rad)
        super().__init__(CommandLimiter(box, limits, self._tool_pose(), _BRAKE_S), self.fingers, drive)
        self.mode = Mode.IMPEDANCE
        self.reset_scene(0, home=True)

    @property
    @override
    def together(self) -> "tuple[SimArm, ...]":
        return tuple(self._world.arms)

    @property
    @override
    def now_s(self) -> float:
        return self._world.ticks * TICK_S

    @override
    def tick(self) -> None:
        self._world.tick()

    def control(self) -> None:
        """Measure, and set the forces of this tick."""
        self._measure()
        if self.mode == Mode.IMPEDANCE:
            self._follow()
        else:
            self._drive_joints()
        self._data.qfrc_applied[self._dofs] = self._posture if self.mode == Mode.IMPEDANCE else self._drive.torque_Nm
        self.fingers.tick(TICK_S)

    def _follow(self) -> None:
        wrench = self._spring_wrench()
        if self._load is not None:
            wrench -= self._load_weight(self._load)
        self._data.ctrl[self._motors] = wrench
        if self._world.ticks % _POSTURE_TICKS == 0:
            self._hold_posture()

    def _load_weight(self, load: Load) -> np.ndarray:
        """Compute the load's weight about the tool's point.

        Returns:
            Force N and torque N m in the base frame, float64 [6].
        """
        centre = self._data.xpos[self._hand] + self._data.xmat[self._flange].reshape(3, 3) @ load.centre_m
        force = load.mass_kg * self._model.opt.gravity
        return self._in_base(np.concatenate([force, cross(centre - self._data.site_xpos[self._tcp], force)]))

    def _measure(self) -> None:
        """Record all measurements of one moment, before the joints move on."""
        self.pose = self._tool_pose()
        self.q, self.dq = self._data.qpos[self._q], self._data.qvel[self._dofs]
        mujoco.mj_jacSite(self._model, self._data, self._full_jacobian[:3], self._full_jacobian[3:], self._tcp)
        self.jacobian = np.vstack(
            [self._to_base @ part for part in self._full_jacobian[:, self._dofs].reshape(2, 3, -1)]
        )
        self.velocity = self.jacobian @ self.dq

    def _tool_pose(self) -> Pose:
        position_m = self._to_base @ (self._arm.tcp_position_m - self._base_m)
        return np.concatenate([position_m, to_xyzw(relative_to(self._base_wxyz, self._arm.tcp_quaternion_wxyz))])

    def _in_base(self, wrench: np.ndarray) -> np.ndarray:
        """Turn a wrench from the world's axes to the base's."""
        return np.concatenate([self._to_base @ wrench[:3], self._to_base @ wrench[3:]])

    @property
    @override
    def wrench(self) -> np.ndarray:
        force, torque_at_wrist = self._arm.wrist_wrench
        lever = self._data.xpos[self._hand] - self._data.site_xpos[self._tcp]
        wrench = self._in_base(np.concatenate([force, torque_at_wrist + cross(lever, force)]))
        if self._load is not None:
            wrench -= self._load_weight(self._load)
        rotation = rotation_matrix(self.pose[3:])
        return np.concatenate([wrench[:3] @ rotation, wrench[3:] @ rotation])

    @override
    def measurements(self) -> dict[str, np.ndarray]:
        return super().measurements() | {"qpos": self._data.qpos}

    @override
    def set_load(self, load: Load) -> None:
        self._load = load if load.mass_kg > 0 else None

    def reset_scene(self, seed: int, *, home: bool) -> None:
        """Place the task's objects as its environment's `reset(seed=seed)` does.

        Args:
            seed: seed of the environment's reset.
            home: also put the robot home.
        """
        self._world.reset_scene(seed, home=home)

    def align_motors(self) -> None:
        """Turn the axes of the tool's motors to those of the base.

        They are the target's, and it never turns.
        """
        self._data.mocap_quat[self._target] = self._base_wxyz

    def resume(self) -> None:
        """Go on from the present pose, after the scene was changed."""
        self._measure()
        if self.mode in (Mode.IMPEDANCE, Mode.RESETTING):
            self._enter_impedance()
        else:
            self._hold_joints()

    def truth(self) -> dict[str, Any]:
        """Return the task's verdicts and its script's way."""
        return self._world.truth()

    @override
    def close(self) -> None:
        """Do nothing: a simulated arm needs no release."""

    @override
    def _apply_damping(self, damping: np.ndarray) -> None:
        self._model.actuator_biasprm[self._motors, 2] = -damping

    @override
    def _hold_posture(self) -> None:
        self._arm.hold_posture()
        self._posture = self._data.qfrc_applied[self._dofs].copy()

    @override
    def _start_joint_reset(self) -> None:
        self._release_tool()
        super()._start_joint_reset()

    @override
    def _hold_joints(self) -> None:
        self._release_tool()
        super()._hold_joints()

    def _release_tool(self) -> None:
        """Switch off the spring and the damper of the tool."""
        self._data.ctrl[self._motors] = 0.0
        self._model.actuator_biasprm[self._motors, 2] = 0.0
