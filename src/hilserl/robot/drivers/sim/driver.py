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
from hilserl.sim.robot_models.model import TCP_SITE
from hilserl.sim.robot_models.panda import ARM_JOINTS
from hilserl.sim.scene import ROBOT_PREFIX, TARGET_BODY, impedance_of
from hilserl.sim.simulation import Simulation
from hilserl.sim.task import Task, scene_of

TICK_S = 0.001
_POSTURE_TICKS = 10
_BRAKE_S = 0.1
_AXES = impedance_of("")


def make_scene(task: Task) -> Simulation:
    """Build the task's scene for the real controller's law.

    A step is one millisecond. The six impedance actuators become motors with a damper. Only the control law acts as a
    spring; the damper stays with MuJoCo, which integrates it implicitly.
    """
    spec = scene_of(task)
    spec.option.timestep = TICK_S
    for name in _AXES:
        motor = spec.actuator(name)
        motor.biasprm[1] = 0.0
        motor.forcelimited = False
    return Simulation(spec, TICK_S, task.arms)


class SimArm(TorqueArm):
    """Simulated robot with its controller. A tick is one millisecond of simulated time."""

    def __init__(
        self, task: Task, box: Box, limits: Limits, gripper: GripperKind, reset_joints_rad: tuple[float, ...]
    ) -> None:
        self._task = task
        self.sim = make_scene(task)
        model = self._model = self.sim.model
        self._data = self.sim.data
        joints = [model.joint(ROBOT_PREFIX + name) for name in ARM_JOINTS]
        self._q = np.array([j.qposadr[0] for j in joints])
        self._dofs = np.array([j.dofadr[0] for j in joints])
        self._motors = np.array([model.actuator(name).id for name in _AXES])
        self._tcp = model.site(ROBOT_PREFIX + TCP_SITE).id
        self._flange = model.body(ROBOT_PREFIX + "link7").id
        self._hand = model.body(ROBOT_PREFIX + "hand").id
        self._full_jacobian = np.zeros((6, model.nv))
        self._load: Load | None = None
        self._fingers = SimGripper(model, self._data, gripper)
        self.ticks = 0
        low, high = np.array([j.range for j in joints]).T
        torque = np.array([model.jnt_actfrcrange[j.id][1] for j in joints])
        drive = JointDrive(JointLimits(low, high, torque), reset_joints_rad)
        self.sim.restart()
        super().__init__(CommandLimiter(box, limits, self._tool_pose(), _BRAKE_S), self._fingers, drive)
        self.mode = Mode.IMPEDANCE
        self.reset_scene(0, home=True)

    @property
    @override
    def now_s(self) -> float:
        return self.ticks * TICK_S

    @override
    def tick(self) -> None:
        mujoco.mj_step1(self._model, self._data)
        self._measure()
        if self.mode == Mode.IMPEDANCE:
            self._follow()
        else:
            self._drive_joints()
        self._data.qfrc_applied[self._dofs] = self._posture if self.mode == Mode.IMPEDANCE else self._drive.torque_Nm
        self._fingers.tick(TICK_S)
        mujoco.mj_step2(self._model, self._data)
        self.ticks += 1
        self.sim.check()

    def _follow(self) -> None:
        wrench = self._spring_wrench()
        if self._load is not None:
            wrench -= self._load_weight(self._load)
        self._data.ctrl[self._motors] = wrench
        if self.ticks % _POSTURE_TICKS == 0:
            self._hold_posture()

    def _load_weight(self, load: Load) -> np.ndarray:
        """Compute the load's weight about the tool's point.

        Returns:
            Force N and torque N m in the base frame, float64 [6].
        """
        centre = self._data.xpos[self._hand] + self._data.xmat[self._flange].reshape(3, 3) @ load.centre_m
        force = load.mass_kg * self._model.opt.gravity
        return np.concatenate([force, cross(centre - self._data.site_xpos[self._tcp], force)])

    def _measure(self) -> None:
        """Record all measurements of one moment, before the joints move on."""
        self.pose = self._tool_pose()
        self.q, self.dq = self._data.qpos[self._q], self._data.qvel[self._dofs]
        mujoco.mj_jacSite(self._model, self._data, self._full_jacobian[:3], self._full_jacobian[3:], self._tcp)
        self.jacobian = self._full_jacobian[:, self._dofs]
        self.velocity = self.jacobian @ self.dq

    def _tool_pose(self) -> Pose:
        return np.concatenate([self.sim.arm.tcp_position_m, to_xyzw(self.sim.arm.tcp_quaternion_wxyz)])

    @property
    @override
    def wrench(self) -> np.ndarray:
        force, torque_at_wrist = self.sim.arm.wrist_wrench
        lever = self._data.xpos[self._hand] - self._data.site_xpos[self._tcp]
        wrench = np.concatenate([force, torque_at_wrist + cross(lever, force)])
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
        if home:
            self.sim.restart()
            self._fingers.command_open()
        self._task.reset(self.sim, np.random.default_rng(seed))
        self._fingers.adopt()
        # The motors' axes are the target's: as it never turns, they are the base frame's.
        self._data.mocap_quat[self._model.body(TARGET_BODY).mocapid[0]] = (1.0, 0.0, 0.0, 0.0)
        self.sim.settle()
        self._measure()
        if self.mode in (Mode.IMPEDANCE, Mode.RESETTING):
            self._enter_impedance()
        else:
            self._hold_joints()

    def truth(self) -> dict[str, Any]:
        """Return the task's verdicts and its script's way."""
        task, sim = self._task, self.sim
        return {
            "success": task.success(sim),
            "progress": task.progress(sim),
            "harm": task.harm(sim),
            "expert_way": np.asarray(task.expert(sim), np.float64).tolist(),
            "qpos": self._data.qpos.tolist(),
            "objects": {name: value.tolist() for name, value in task.observe(sim).items()},
        }

    @override
    def close(self) -> None:
        """Do nothing: a simulated arm needs no release."""

    @override
    def _apply_damping(self, damping: np.ndarray) -> None:
        self._model.actuator_biasprm[self._motors, 2] = -damping

    @override
    def _hold_posture(self) -> None:
        self.sim.arm.hold_posture()
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
