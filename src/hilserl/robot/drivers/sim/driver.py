"""A simulated arm with its task's scene, one millisecond at a time: what a robot's controller does, without a clock."""

import mujoco
import numpy as np

from hilserl.robot.control.backend import GripperKind, GripperVerb, Load, Mode
from hilserl.robot.control.command_limiter import CommandLimiter
from hilserl.robot.control.driver import Guarded
from hilserl.robot.control.impedance import Compliance, ImpedanceLaw, most
from hilserl.robot.control.joint_space import JointDrive, JointLimits
from hilserl.robot.control.limits import Box, Limits
from hilserl.robot.control.poses import Pose, cross, rotation_matrix, to_xyzw
from hilserl.robot.drivers.sim.gripper import SimGripper
from hilserl.sim.panda import ARM_JOINTS, TCP_SITE
from hilserl.sim.scene import ROBOT_PREFIX, TARGET_BODY, impedance_of
from hilserl.sim.simulation import Simulation
from hilserl.sim.task import Task, scene_of

TICK_S = 0.001
_POSTURE_TICKS = 10
_BRAKE_S = 0.1
_AXES = impedance_of("")


def scene(task: Task) -> Simulation:
    """The task's world in steps of a millisecond, its six impedance actuators made into motors with a damper.

    Nothing holds the spring's length but the control, so that the law may be the real controller's; the damper stays
    with MuJoCo, which integrates it implicitly.
    """
    spec = scene_of(task)
    spec.option.timestep = TICK_S
    for name in _AXES:
        motor = spec.actuator(name)
        motor.biasprm[1] = 0.0
        motor.forcelimited = False
    return Simulation(spec, TICK_S, task.arms)


class SimArm(Guarded):
    """The robot and its controller. `tick` is one millisecond; everything else is a command between two of them."""

    waited_s = None

    def __init__(
        self, task: Task, box: Box, limits: Limits, gripper: GripperKind, reset_joints_rad: tuple[float, ...]
    ) -> None:
        self._task = task
        self.sim = scene(task)
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
        low, high = np.array([j.range for j in joints]).T
        torque = np.array([model.jnt_actfrcrange[j.id][1] for j in joints])
        self._drive = JointDrive(JointLimits(low, high, torque), reset_joints_rad)
        self.gripper = SimGripper(model, self._data, gripper)
        self.law = ImpedanceLaw(Compliance())
        self.mode = Mode.IMPEDANCE
        self.ticks = 0
        self._halted_by = ""
        self.sim.restart()
        self.governor = CommandLimiter(box, limits, self._tool_pose(), _BRAKE_S)
        self.reset_scene(0, home=True)

    @property
    def now_s(self) -> float:
        return self.ticks * TICK_S

    def tick(self) -> None:
        """Measure, control, and let a millisecond pass. Raises HilserlError when the physics diverged."""
        mujoco.mj_step1(self._model, self._data)
        self._measure()
        if self.mode == Mode.IMPEDANCE:
            self._follow()
        elif self._drive.tick(self.q, self.dq, self.now_s):
            self._end_reset()
        self._data.qfrc_applied[self._dofs] = self._posture if self.mode == Mode.IMPEDANCE else self._drive.torque_Nm
        self.gripper.tick(TICK_S)
        mujoco.mj_step2(self._model, self._data)
        self.ticks += 1
        self.sim.check()

    def _follow(self) -> None:
        set_point = self.governor.update(self.pose, self.velocity[:3], self.now_s)
        if self.governor.is_braking != self._is_braking:
            self._is_braking = self.governor.is_braking
            self._set_damping()
        wrench = self.law.wrench(self.pose, set_point)
        if self._load is not None:
            wrench -= self._load_weight(self._load)
        self._data.ctrl[self._motors] = wrench
        if self.ticks % _POSTURE_TICKS == 0:
            self.sim.arm.hold_posture()
            self._posture = self._data.qfrc_applied[self._dofs].copy()

    def _load_weight(self, load: Load) -> np.ndarray:
        """Its force and torque about the tool's point, float64 [6] in the base frame."""
        centre = self._data.xpos[self._hand] + self._data.xmat[self._flange].reshape(3, 3) @ load.centre_m
        force = load.mass_kg * self._model.opt.gravity
        return np.concatenate([force, cross(centre - self._data.site_xpos[self._tcp], force)])

    def _measure(self) -> None:
        """Takes down everything of one moment, before the joints move on."""
        self.pose = self._tool_pose()
        self.q, self.dq = self._data.qpos[self._q], self._data.qvel[self._dofs]
        mujoco.mj_jacSite(self._model, self._data, self._full_jacobian[:3], self._full_jacobian[3:], self._tcp)
        self.jacobian = self._full_jacobian[:, self._dofs]
        self.velocity = self.jacobian @ self.dq

    def _tool_pose(self) -> Pose:
        return np.concatenate([self.sim.arm.tcp_position_m, to_xyzw(self.sim.arm.tcp_quaternion_wxyz)])

    def measurements(self) -> dict[str, np.ndarray]:
        """What a snapshot is made of, of the present moment."""
        force, torque = self._tool_wrench()
        return {
            "pose": self.pose,
            "velocity": self.velocity,
            "force": force,
            "torque": torque,
            "q": self.q,
            "dq": self.dq,
            "jacobian": self.jacobian.ravel(),
            "gripper": np.array([self.gripper.position]),
            "set_point": self.governor.set_point,
            "qpos": self._data.qpos,
        }

    def _tool_wrench(self) -> tuple[np.ndarray, np.ndarray]:
        force, torque_at_wrist = self.sim.arm.wrist_wrench
        lever = self._data.xpos[self._hand] - self._data.site_xpos[self._tcp]
        wrench = np.concatenate([force, torque_at_wrist + cross(lever, force)])
        if self._load is not None:
            wrench -= self._load_weight(self._load)
        rotation = rotation_matrix(self.pose[3:])
        return wrench[:3] @ rotation, wrench[3:] @ rotation

    def command(self, pose: Pose) -> None:
        """Raises `RefusedError` where the arm does not follow poses now."""
        self._require_impedance()
        self.law.forget()
        self.governor.command(pose, self.now_s)

    def command_gripper(self, verb: GripperVerb) -> None:
        self._require_motion()
        self.gripper.do(verb)

    def move_gripper(self, position: float) -> None:
        self._require_motion()
        self.gripper.move(position)

    def set_compliance(self, compliance: Compliance) -> None:
        self.law.set(compliance)
        if self.mode == Mode.IMPEDANCE:
            self._set_damping()

    def _set_damping(self) -> None:
        """What is set or, to stop the tool, the most there is."""
        translational = most("translational_damping") if self._is_braking else self.law.compliance.translational_damping
        damping = np.repeat([translational, self.law.compliance.rotational_damping], 3)
        self._model.actuator_biasprm[self._motors, 2] = -damping

    def set_load(self, load: Load) -> None:
        self._load = load if load.mass_kg > 0 else None

    def start_impedance(self) -> None:
        self._require_motion()
        self._begin_following()

    def stop_impedance(self) -> None:
        self._require_motion()
        self._hold_joints(Mode.IDLE)

    def joint_reset(self) -> None:
        self._require_motion()
        self._let_go()
        self._drive.go(self.q, self.now_s)
        self.mode = Mode.RESETTING

    def halt(self, reason: str) -> None:
        self._halted_by = reason
        self._hold_joints(Mode.HALTED)

    def recover(self) -> None:
        if self.mode == Mode.HALTED:
            self._begin_following()

    def reset_scene(self, seed: int, *, home: bool) -> None:
        """Places the task's objects as its environment's `reset(seed=seed)` does; `home` puts the robot home, too."""
        if home:
            self.sim.restart()
            self.gripper.command_open()
        self._task.reset(self.sim, np.random.default_rng(seed))
        self.gripper.adopt()
        # The motors' axes are the target's: as it never turns, they are the base frame's.
        self._data.mocap_quat[self._model.body(TARGET_BODY).mocapid[0]] = (1.0, 0.0, 0.0, 0.0)
        self.sim.settle()
        self._measure()
        if self.mode in (Mode.IMPEDANCE, Mode.RESETTING):
            self._begin_following()
        else:
            self._hold_joints(self.mode)

    def truth(self) -> dict[str, object]:
        """What only a simulation knows: the task's own verdicts, and what its script would do now."""
        task, sim = self._task, self.sim
        expert = np.clip(task.expert(sim), -1.0, 1.0).tolist()
        return {
            "success": task.success(sim),
            "progress": task.progress(sim),
            "harm": task.harm(sim),
            "expert_action": expert,
            "qpos": self._data.qpos.tolist(),
            "objects": {name: value.tolist() for name, value in task.observe(sim).items()},
        }

    def close(self) -> None:
        """A simulated arm is just gone."""

    def _begin_following(self) -> None:
        self.governor.hold(self.pose)
        self.law.forget()
        self.sim.arm.hold_posture()
        self._posture = self._data.qfrc_applied[self._dofs].copy()
        self._is_braking = False
        self._set_damping()
        self.mode = Mode.IMPEDANCE

    def _hold_joints(self, mode: Mode) -> None:
        self._let_go()
        self._drive.hold(self.q)
        self.mode = mode

    def _let_go(self) -> None:
        """Spring and damper of the tool do nothing."""
        self._data.ctrl[self._motors] = 0.0
        self._model.actuator_biasprm[self._motors, 2] = 0.0

    def _end_reset(self) -> None:
        if self.mode == Mode.RESETTING:
            self._begin_following()
