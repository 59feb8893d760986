"""Simulated pylibfranka 0.21 with a simulated Panda.

It has the part of the library that the driver uses: torques in, a state every millisecond. It is imported as
`pylibfranka` if this directory is on the path. It refuses what libfranka refuses, with the same errors. Without
control, and after a reflex, the arm stands still.
"""

# Names and signatures are pylibfranka's.
# ruff: noqa: N802, N818, ARG002

import time as clock

import mujoco
import numpy as np

from hilserl.robot.control.poses import rotation_matrix, to_xyzw
from hilserl.robot.drivers.sim.world import make_scene
from hilserl.sim.robot_models.model import TCP_SITE
from hilserl.sim.robot_models.panda import ARM_JOINTS
from hilserl.sim.scene import ROBOT_PREFIX
from hilserl.tasks.pick_cube import PickCube

PACED = True
"""True if a simulated millisecond lasts a millisecond."""
TICK_S = 0.001
_MAX_TORQUE_STEP_NM = 1.0
_STANDING_RAD_PER_S = 0.05
_HAND_HZ = 50.0


class FrankaException(Exception):
    pass


class CommandException(RuntimeError):
    pass


class ControlException(RuntimeError):
    pass


class InvalidOperationException(RuntimeError):
    pass


class NetworkException(RuntimeError):
    pass


class RealtimeConfig:
    kEnforce, kIgnore = "kEnforce", "kIgnore"  # noqa: N815


class Duration:
    def __init__(self, ticks: int) -> None:
        self._ticks = ticks

    def to_sec(self) -> float:
        return self._ticks * TICK_S


class Torques:
    def __init__(self, arg0) -> None:
        self.tau_J = [float(number) for number in arg0]
        if len(self.tau_J) != 7:
            raise TypeError("incompatible constructor arguments")
        self.motion_finished = False


class RobotState:
    """State of the robot in lists of floats, as in pylibfranka."""

    def __init__(self, robot: "Robot") -> None:
        arm, data = robot.sim.arm, robot.sim.data
        rotation = rotation_matrix(to_xyzw(arm.tcp_quaternion_wxyz))
        transform = np.eye(4)
        transform[:3, :3], transform[:3, 3] = rotation, arm.tcp_position_m
        force, torque = arm.wrist_wrench
        self.O_T_EE = transform.T.ravel().tolist()
        self.q = data.qpos[robot.joints].tolist()
        self.dq = data.qvel[robot.dofs].tolist()
        self.tau_J_d = list(robot.commanded)
        self.K_F_ext_hat_K = (-np.concatenate([force @ rotation, torque @ rotation])).tolist()
        self.control_command_success_rate = float(robot.controlled)
        self.time = Duration(robot.ticks)


class Model:
    def __init__(self, robot: "Robot") -> None:
        self._robot = robot
        self._jacobian = np.zeros((6, robot.sim.model.nv))

    def zero_jacobian(self, arg0: RobotState) -> list[float]:
        robot = self._robot
        mujoco.mj_jacSite(robot.sim.model, robot.sim.data, self._jacobian[:3], self._jacobian[3:], robot.tcp)
        return self._jacobian[:, robot.dofs].T.ravel().tolist()

    def coriolis(self, arg0: RobotState) -> list[float]:
        data = self._robot.sim.data
        return (data.qfrc_bias - data.qfrc_gravcomp)[self._robot.dofs].tolist()


class ActiveControlBase:
    def __init__(self, robot: "Robot") -> None:
        self._robot, self._last = robot, robot.ticks
        self._finished = False

    def readOnce(self) -> tuple[RobotState, Duration]:
        state = self._robot.advance()
        if self._robot.errors:
            self._robot.controlled = False
            raise ControlException(
                f'libfranka: Move command aborted: motion aborted by reflex! ["{self._robot.errors}"]\n'
                "control_command_success_rate: 0.99"
            )
        passed, self._last = self._robot.ticks - self._last, self._robot.ticks
        return state, Duration(passed)

    def writeOnce(self, arg0: Torques) -> None:
        robot = self._robot
        if self._finished:
            raise ControlException("writeOnce must not be called after the motion has finished.")
        if not np.isfinite(arg0.tau_J).all():
            raise ValueError("Commanding value is infinite or NaN.")
        if np.abs(np.array(arg0.tau_J) - robot.commanded).max() > _MAX_TORQUE_STEP_NM + 1e-6:
            robot.errors = "controller_torque_discontinuity"
        robot.commanded = arg0.tau_J
        if arg0.motion_finished:
            self._finished, robot.controlled = True, False
            if np.abs(robot.sim.data.qvel[robot.dofs]).max() > _STANDING_RAD_PER_S:
                robot.errors = "joint_velocity_violation"
                raise ControlException("Motion finished commanded, but the robot is still moving! [robot moved]")


class Robot:
    """Simulated robot.

    Some attributes are for tests: `errors` sets off a reflex, `stop_button` is the pressed user stop, `gone` breaks the
    connection.
    """

    def __init__(self, robot_ip_address: str, realtime_config: str = RealtimeConfig.kEnforce) -> None:
        if robot_ip_address == "192.0.2.1":
            raise NetworkException("libfranka: Connection to FCI refused.")
        del realtime_config
        self.sim = make_scene(PickCube())
        self.sim.restart()
        model = self.sim.model
        joints = [model.joint(ROBOT_PREFIX + name) for name in ARM_JOINTS]
        self.joints = np.array([j.qposadr[0] for j in joints])
        self.dofs = np.array([j.dofadr[0] for j in joints])
        self.tcp = model.site(ROBOT_PREFIX + TCP_SITE).id
        self.commanded = [0.0] * 7
        self.ticks = 1000
        self.controlled = self.stop_button = self.gone = False
        self.errors = ""
        self.load: tuple[float, ...] = ()
        self.collision: tuple[list[float], ...] = ()
        self._due = clock.monotonic()

    def advance(self) -> RobotState:
        """Simulate the next millisecond."""
        if self.gone:
            raise NetworkException("libfranka: UDP receive: Timeout")
        self.ticks += 1
        data = self.sim.data
        data.ctrl[:6] = 0.0
        if self.controlled and not self.errors:
            data.qfrc_applied[self.dofs] = self.commanded
            mujoco.mj_step2(self.sim.model, data)
        else:
            data.qvel[:] = 0.0
        mujoco.mj_step1(self.sim.model, data)
        self._due += TICK_S
        if PACED:
            now = clock.monotonic()
            if now < self._due:
                clock.sleep(self._due - now)
            elif now > self._due + 0.02:
                # A real robot stops after twenty lost commands; here that would make tests depend on the machine.
                self._due = now
        return RobotState(self)

    def _require(self, what: str) -> None:
        mode = "Reflex" if self.errors else "UserStopped" if self.stop_button else "Move" if self.controlled else ""
        if mode:
            raise CommandException(
                f'libfranka: {what} command rejected: command not possible in the current mode ("{mode}")!'
            )

    def read_once(self) -> RobotState:
        if self.controlled:
            raise InvalidOperationException(
                "libfranka robot: Cannot perform this operation while another control or read operation is running."
            )
        return self.advance()

    def load_model(self) -> Model:
        return Model(self)

    def start_torque_control(self) -> ActiveControlBase:
        self._require("Move")
        self.controlled, self.commanded = True, [0.0] * 7
        return ActiveControlBase(self)

    def set_collision_behavior(
        self, lower_torque_thresholds, upper_torque_thresholds, lower_force_thresholds, upper_force_thresholds
    ) -> None:
        self._require("Set Collision Behavior")
        self.collision = (
            lower_torque_thresholds,
            upper_torque_thresholds,
            lower_force_thresholds,
            upper_force_thresholds,
        )

    def set_load(self, arg0: float, arg1, arg2) -> None:
        self._require("Set Load")
        self.load = (arg0, *arg1, *arg2)

    def automatic_error_recovery(self) -> None:
        if self.stop_button:
            raise CommandException("libfranka: Automatic Error Recovery command rejected: user stop pressed!")
        self.errors = ""


class GripperState:
    def __init__(self, width: float, max_width: float) -> None:
        self.width, self.max_width = width, max_width


class Gripper:
    """Simulated hand without an object; its fingers move in real time."""

    def __init__(self, arg0: str) -> None:
        if arg0 == "192.0.2.1":
            raise NetworkException("libfranka gripper: connection refused")
        self._width, self._max_width = 0.08, 0.08

    def read_once(self) -> GripperState:
        clock.sleep(1 / _HAND_HZ)
        return GripperState(self._width, self._max_width)

    def move(self, arg0: float, arg1: float) -> bool:
        if not 0 <= arg0 <= self._max_width:
            raise CommandException("libfranka gripper: Command failed!")
        clock.sleep(abs(arg0 - self._width) / arg1)
        self._width = arg0
        return True

    def grasp(
        self, width: float, speed: float, force: float, epsilon_inner: float = 0.005, epsilon_outer: float = 0.005
    ) -> bool:
        del width, force, epsilon_inner, epsilon_outer
        return self.move(0.0, speed)

    def homing(self) -> bool:
        return self.move(self._max_width, 0.1)
