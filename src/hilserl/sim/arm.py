"""The simulated arm: its measurements and its commands."""

import mujoco
import numpy as np

from hilserl.errors import HilserlError
from hilserl.sim.control import ArmSetup, WrenchControl
from hilserl.sim.drives import ImpedanceDrive, ServoDrive
from hilserl.sim.quaternions import from_matrix, turn_between, with_sign_of
from hilserl.sim.robot_models.model import (
    GRIPPER_ACTUATOR,
    HAND_BODY,
    TCP_SITE,
    TURNS,
    WRIST_FORCE_SENSOR,
    WRIST_SITE,
    WRIST_TORQUE_SENSOR,
)

GRIPPER_OPEN = 1.0
GRIPPER_CLOSED = -1.0
_OPEN_M = 0.005
_PLACING_STEPS, _PLACED_M, _PLACED_RAD = 100, 1e-5, 1e-4
_SERVO_PLACINGS, _SERVO_PLACED_M, _SERVO_PLACED_RAD = 4, 2e-3, 0.01


class ToolSensing:
    """Measurements of an arm's tool and gripper in a compiled model.

    Positions (m), velocities and forces are in the world frame; quaternions are wxyz.
    """

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData, setup: ArmSetup) -> None:
        self._model, self._data, self.setup = model, data, setup
        prefix, self._gripper = setup.prefix, setup.robot.gripper
        fingers = [model.joint(prefix + name) for name in self._gripper.joints]
        self._finger_qpos = np.array([j.qposadr[0] for j in fingers])
        self._tcp = model.site(prefix + TCP_SITE).id
        self._wrist = model.site(prefix + WRIST_SITE).id
        self._hand = model.body(prefix + HAND_BODY).id
        self._measured_body = model.site_bodyid[self._wrist]
        self._pads = [[model.geom(prefix + name).id for name in side] for side in self._gripper.pads]
        self._finger_drive = model.actuator(prefix + GRIPPER_ACTUATOR).id
        sensors = (WRIST_FORCE_SENSOR, WRIST_TORQUE_SENSOR) if setup.robot.senses_wrench else ()
        self._sensors = [model.sensor(prefix + name).adr[0] for name in sensors]

    def holds(self, body: int) -> bool:
        """True if both fingers press on a body from their two sides.

        Args:
            body: The body's number in the model.
        """
        contact = self._data.contact
        if not len(contact.geom):
            return False
        axis = self.finger_axis
        for pad in self._pads:
            first = np.isin(contact.geom[:, 0], pad)
            mine = first | np.isin(contact.geom[:, 1], pad)
            other = np.where(first, contact.geom[:, 1], contact.geom[:, 0])
            sideways = np.abs(contact.frame[:, :3] @ axis) > 0.7
            if not (mine & (self._model.geom_bodyid[other] == body) & sideways & (contact.dist < 0)).any():
                return False
        return True

    @property
    def tcp_position_m(self) -> np.ndarray:
        """Tool position (world frame), float64 [3]."""
        return self._data.site_xpos[self._tcp].copy()

    @property
    def tcp_quaternion_wxyz(self) -> np.ndarray:
        """Tool orientation (world frame), float64 [4].

        Its sign is the one nearer to the nominal orientation.
        """
        return with_sign_of(from_matrix(self._data.site_xmat[self._tcp]), self.setup.tool_wxyz)

    @property
    def finger_axis(self) -> np.ndarray:
        """Unit vector along which the fingers open (world frame), float64 [3]."""
        return self._data.xmat[self._hand].reshape(3, 3)[:, 1].copy()

    @property
    def tcp_velocity(self) -> tuple[np.ndarray, np.ndarray]:
        """Linear and angular velocity of the tool (world frame).

        They are in m/s and rad/s, float64 [3] each.
        """
        twist = np.zeros(6)
        mujoco.mj_objectVelocity(self._model, self._data, mujoco.mjtObj.mjOBJ_SITE, self._tcp, twist, 0)
        return twist[3:], twist[:3]

    @property
    def gripper_width_m(self) -> float:
        """Measured gap between the fingers."""
        return self._gripper.gap_m(self._data.qpos[self._finger_qpos])

    @property
    def is_open(self) -> bool:
        """True if the fingers are open but for 5 mm."""
        return self.gripper_width_m > self._gripper.opening_m - _OPEN_M

    @property
    def gripper_command(self) -> float:
        """Command of the gripper: +1 open, -1 closed."""
        travelled = self._data.ctrl[self._finger_drive] - self._gripper.closed
        is_nearer_open = travelled / (self._gripper.opened - self._gripper.closed) > 0.5
        return GRIPPER_OPEN if is_nearer_open else GRIPPER_CLOSED

    @property
    def wrist_wrench(self) -> tuple[np.ndarray, np.ndarray]:
        """Force and torque of the world on the hand (world frame).

        They are in N and N m, float64 [3] each. The torque is about the wrist. The hand's weight is tared away. Like a
        real sensor, it also feels the hand's inertia while the hand accelerates. Only an arm that senses it has it.
        """
        force_at, torque_at = self._sensors
        rotation = self._data.site_xmat[self._wrist].reshape(3, 3)
        # MuJoCo reports what the arm exerts on the hand; the world and gravity exert the opposite.
        force = -rotation @ self._data.sensordata[force_at : force_at + 3]
        torque = -rotation @ self._data.sensordata[torque_at : torque_at + 3]
        weight = self._model.body_subtreemass[self._measured_body] * self._model.opt.gravity
        lever = self._data.subtree_com[self._measured_body] - self._data.site_xpos[self._wrist]
        moment = np.zeros(3)
        mujoco.mju_cross(moment, lever, weight)
        return force - weight, torque - moment


class Arm(ToolSensing):
    """A robot's arm and gripper in a compiled model, with its commands."""

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData, setup: ArmSetup) -> None:
        super().__init__(model, data, setup)
        robot = setup.robot
        joints = [model.joint(setup.prefix + name) for name in robot.joints]
        self._qpos = np.array([j.qposadr[0] for j in joints])
        self._dofs = np.array([j.dofadr[0] for j in joints])
        limited = np.array([bool(model.jnt_limited[j.id]) for j in joints])
        ranges = np.where(limited[:, None], [j.range for j in joints], [[-np.inf, np.inf]])
        self._low, self._high = ranges.T
        self._home = np.array(setup.home_joints_rad or robot.home_joints_rad)
        self._drive = (
            ServoDrive(model, data, setup, robot.servo)
            if robot.servo
            else ImpedanceDrive(model, data, setup, self._dofs)
        )

    def reset(self) -> None:
        """Put the arm home, at rest; open gripper, target at the tool."""
        self._data.qpos[self._qpos] = self._home
        self._data.qpos[self._finger_qpos] = self._gripper.opened
        self._data.ctrl[self._finger_drive] = self._gripper.opened
        mujoco.mj_kinematics(self._model, self._data)
        home_m = self.tcp_position_m if self.setup.home_m is None else np.array(self.setup.home_m)
        self.place(home_m, np.array(self.setup.tool_wxyz))

    def place(self, position_m: np.ndarray, quaternion_wxyz: np.ndarray) -> None:
        """Put the tool and its target at a pose, at rest.

        Inverse kinematics find a posture near the present one. An arm that cannot follow every turn takes the nearest
        orientation.

        Args:
            position_m: The tool's position (world frame), [3].
            quaternion_wxyz: The tool's orientation (world frame), [4].

        Raises:
            HilserlError: The arm does not reach the pose.
        """
        if isinstance(self._drive, ServoDrive):
            self._place_with_servos(self._drive, position_m, quaternion_wxyz)
        else:
            self._place_by_least_squares(position_m, quaternion_wxyz)
        self._data.qvel[self._dofs] = 0.0
        self._drive.rest(position_m, quaternion_wxyz, self._jacobian())

    def _place_with_servos(self, drive: ServoDrive, position_m: np.ndarray, quaternion_wxyz: np.ndarray) -> None:
        for _ in range(_SERVO_PLACINGS):
            self._data.qpos[self._qpos] = drive.joints_at(position_m, quaternion_wxyz)
        error = self._error(position_m, quaternion_wxyz)
        turn_rad = np.linalg.norm(error[3:]) if self.setup.robot.turns == TURNS else 0.0
        if np.linalg.norm(error[:3]) > _SERVO_PLACED_M or turn_rad > _SERVO_PLACED_RAD:
            raise self._out_of_reach(position_m, quaternion_wxyz, error)

    def _error(self, position_m: np.ndarray, quaternion_wxyz: np.ndarray) -> np.ndarray:
        """Compute what is missing to a pose: m, then rad, float64 [6]."""
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_comPos(self._model, self._data)
        turn_rad = turn_between(self.tcp_quaternion_wxyz, quaternion_wxyz)
        return np.concatenate([position_m - self.tcp_position_m, turn_rad])

    def _out_of_reach(self, position_m: np.ndarray, quaternion_wxyz: np.ndarray, error: np.ndarray) -> HilserlError:
        return HilserlError(
            f"The arm {self.setup.name or self.setup.robot.name!r} does not reach {position_m} m, {quaternion_wxyz} "
            f"(wxyz): {1000 * np.linalg.norm(error[:3]):.2f} mm and {np.linalg.norm(error[3:]):.4f} rad are left."
        )

    def _place_by_least_squares(self, position_m: np.ndarray, quaternion_wxyz: np.ndarray) -> None:
        """Find the joints by damped least squares on the scene's own Jacobian."""
        data, tried = self._data, 0
        while True:
            error = self._error(position_m, quaternion_wxyz)
            if np.linalg.norm(error[:3]) < _PLACED_M and np.linalg.norm(error[3:]) < _PLACED_RAD:
                return
            if tried == _PLACING_STEPS:
                raise self._out_of_reach(position_m, quaternion_wxyz, error)
            tried += 1
            jacobian = self._jacobian()
            step = jacobian.T @ np.linalg.solve(jacobian @ jacobian.T + 1e-6 * np.eye(6), error)
            data.qpos[self._qpos] = np.clip(data.qpos[self._qpos] + step, self._low, self._high)

    def grip(self, width_m: float) -> None:
        """Put the fingers at a gap and close them with full force.

        An object can then be put between them.
        """
        self._data.qpos[self._finger_qpos] = self._gripper.position(width_m)
        self._data.ctrl[self._finger_drive] = self._gripper.full_grip

    def act(self, move: np.ndarray) -> None:
        """Follow a move until the next one.

        Args:
            move: Parts of a full action along and about the world's axes, float [6] in [-1, 1].
        """
        control = self.setup.control
        if isinstance(control, WrenchControl):
            self.command(np.array(control.centre_m), np.array(self.setup.tool_wxyz))
            self.feed_forward(control.wrench(self.tcp_position_m, move, self.setup))
        else:
            self.command(*control.target(self.tcp_position_m, self.tcp_quaternion_wxyz, move, self.setup))

    def feed_forward(self, wrench: np.ndarray) -> None:
        """Add a wrench to the impedance's until the next one.

        Args:
            wrench: Force (N) and torque (N m) along and about the world's axes, float [6].

        Raises:
            HilserlError: The arm takes positions.
        """
        self._drive.feed_forward(wrench)

    def command(self, position_m: np.ndarray, quaternion_wxyz: np.ndarray) -> None:
        """Set the pose that the drive pulls the tool to (world frame)."""
        self._drive.follow(position_m, quaternion_wxyz, self._jacobian())

    def command_gripper(self, action: float) -> None:
        """Command the gripper: below -0.5 it closes, above +0.5 it opens."""
        if action < -0.5:
            self._data.ctrl[self._finger_drive] = self._gripper.closed
        elif action > 0.5:
            self._data.ctrl[self._finger_drive] = self._gripper.opened

    def hold_posture(self) -> None:
        """Pull the elbow of an arm under impedance towards home."""
        if isinstance(self._drive, ImpedanceDrive):
            self._drive.hold_posture(self._jacobian())

    def _jacobian(self) -> np.ndarray:
        """Compute the tool's Jacobian, float64 [6, n]: linear, then angular."""
        jacobian = np.zeros((6, self._model.nv))
        mujoco.mj_jacSite(self._model, self._data, jacobian[:3], jacobian[3:], self._tcp)
        return jacobian[:, self._dofs]
