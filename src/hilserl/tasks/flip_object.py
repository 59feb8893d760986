"""Flip object: toss a patty and catch it upside down."""

from typing import NamedTuple

import mujoco
import numpy as np
from typing_extensions import override

from hilserl.data.spec import entry
from hilserl.sim.control import TOOL_DOWN_WXYZ, ArmSetup, Impedance, WrenchControl
from hilserl.sim.quaternions import UPRIGHT_WXYZ, rotate
from hilserl.sim.randomisation import Randomisation
from hilserl.sim.robot_models.model import GRIPPER_ACTUATOR
from hilserl.sim.scene import ROBOT_PREFIX, CameraView
from hilserl.sim.simulation import Simulation
from hilserl.sim.task import Task, TaskPreset

PATTY, PAN = "patty", ROBOT_PREFIX + "pan"
PATTY_RADIUS_M, PATTY_HALF_M = 0.038, 0.009
PATTY_KG = 0.05
PAN_RADIUS_M, RIM_HEIGHT_M = 0.09, 0.04
"""Radius of the pan's bottom, and height of the rim."""
CENTRE_M = (0.45, 0.0, 0.42)
"""Position to which the springs pull the tool."""
PAN_FROM_TCP_M = (0.22, 0.0, -0.03)
"""Middle of the pan's bottom, relative to a tool that points down."""

_RIM_SIDES, _RIM_SLOPE_RAD, _RIM_HALF_M, _SHEET_HALF_M = 12, 1.0, 0.026, 0.004
_BOTTOM_KG, _RIM_KG, _HANDLE_KG = 0.2, 0.15, 0.08
_HANDLE_RADIUS_M = 0.01
_CONTACT = {"solref": (0.006, 1.0), "friction": (0.1, 0.002, 0.0001), "condim": 3}
"""Contact of a seasoned pan: slippery, with hardly any bounce."""
_IRON, _WOOD = (0.20, 0.21, 0.24, 1.0), (0.50, 0.33, 0.20, 1.0)
_BROWN, _CREAM = (0.60, 0.26, 0.12, 1.0), (0.98, 0.86, 0.50, 1.0)

_BOX, _CYLINDER = mujoco.mjtGeom.mjGEOM_BOX, mujoco.mjtGeom.mjGEOM_CYLINDER
_CAPSULE, _SPHERE = mujoco.mjtGeom.mjGEOM_CAPSULE, mujoco.mjtGeom.mjGEOM_SPHERE

_TURNED = -0.9
"""Component of the brown side's normal along the pan's.

Below it the patty lies upside down.
"""
_LYING_M = 0.004
"""Largest height error of a patty that lies flat."""
_REST_M_PER_S, _REST_RAD_PER_S = 0.3, 3.0
"""Largest speed and spin of a caught patty, relative to its pan."""
_START_M = 0.04
"""Largest distance from the pan's middle at the start."""

_WIND_UP = np.array([-0.35, -0.84, 0.8])
_WIND_UP_DAMPING = np.array([-0.85, -0.8, 0.15])
"""Gains by m/s and rad/s."""
_THROW = np.array([-0.02, 0.96, -0.99])
_SNATCH = np.array([-0.96, -1, -0.56])
_WOUND_UP_RAD, _THROWING_RAD_PER_S, _RELEASE_RAD = -0.35, 0.8, -0.04
"""Thresholds of a throw.

It may begin below the first pitch, has begun from the pitch rate on, and ends at the last pitch.
"""
_FOLLOW = np.array([9.01, 0.68, 2.74, 0.5, -0.65])
"""Gains of the catch.

They are by m and m/s along x, by m and m/s along z, and a constant along z. The pan gives way under the falling patty.
"""
_LEVEL = np.array([0.71, 0.27, -0.09])
"""Gains of levelling: by rad, by rad/s, and a constant."""

ARM = ArmSetup(
    control=WrenchControl(
        moves=("tcp_fx", "tcp_fz", "tcp_ty"),
        max_wrench=(13.0, 0.0, 12.0, 0.0, 3.5, 0.0),
        centre_m=CENTRE_M,
        # Weak and hardly damped where an action commands: a throw swings the arm from one side to the other.
        impedance=Impedance(
            stiffness=(50.0, 3000.0, 100.0, 150.0, 4.0, 150.0),
            damping=(4.0, 140.0, 4.0, 7.0, 0.05, 7.0),
            max_wrench=(40.0, 150.0, 40.0, 30.0, 10.0, 30.0),
        ),
    ),
    has_gripper=False,
    workspace_low_m=(0.35, -0.05, 0.3),
    workspace_high_m=(0.57, 0.05, 0.6),
    nominal_speed_m_per_s=1.0,
    nominal_turn_rad_per_s=2.0,
)


class Look(NamedTuple):
    """Pose and motion of the patty relative to its pan.

    Vectors are along the pan's axes, or along the world's if their name has `_w`.
    """

    from_pan_m: np.ndarray
    """Position of the patty, along the pan's axes."""
    offset_w_m: np.ndarray
    """Position of the patty, along the world's axes."""
    normal: np.ndarray
    """Normal of the brown side, which is up at the start."""
    velocity_w_m_per_s: np.ndarray
    """Velocity of the patty less that of the pan's bottom below it."""
    spin_w_rad_per_s: np.ndarray
    """Angular velocity of the patty less the pan's."""
    pitch_rad: float
    """Pitch of the pan, nose up."""
    pitch_rad_per_s: float
    """Pitch rate of the pan."""
    pan_velocity_w_m_per_s: np.ndarray
    """Velocity of the pan's middle."""

    @property
    def inside(self) -> bool:
        """True if the patty is over the bottom or the rim."""
        return float(np.linalg.norm(self.from_pan_m[:2])) < PAN_RADIUS_M + 0.02

    @property
    def lost(self) -> bool:
        """True if the patty has fallen past the pan."""
        return bool(self.from_pan_m[2] < -0.05)

    @property
    def lies(self) -> bool:
        """True if the patty lies flat on the bottom, on either side."""
        flat = abs(self.from_pan_m[2] - PATTY_HALF_M) < _LYING_M and abs(self.normal[2]) > -_TURNED
        return bool(flat) and self.inside


class FlipObject(Task):
    """Task of tossing a patty until it lies upside down, at rest.

    The pan hangs on the hand; an action is a force along x and z and a torque about y.
    """

    name = "flip_object"
    summary = "toss a patty in a pan so that it lands upside down"
    published = "100 % after 25,000 steps, 1 h (HIL-SERL)"
    preset = TaskPreset(
        {
            "agent.discount": 0.95,
            "max_env_steps": 15_000,
            "demonstrations": 20,
        }
    )
    arms = (ARM,)
    views = (
        CameraView("wrist", (0.07, 0.0, -0.03), (0.24, 0.0, 0.11), 80.0, (1.0, 0.0, 0.0), ROBOT_PREFIX + "hand"),
        CameraView("side", (0.64, -0.80, 0.95), (0.64, 0.0, 0.52), 38.0),
        CameraView("overview", (1.40, -0.95, 0.85), (0.35, 0.0, 0.38), 36.0),
    )
    cameras = ("side", "wrist")
    reward_cameras = ("side", "wrist")
    state = (
        entry("patty_from_pan_m", 3, (0.0, 0.0, 0.05), 0.05),
        entry("patty_normal_in_pan", 3),
        entry("patty_velocity_m_per_s", 3),
        entry("patty_spin_rad_per_s", 3, scale=5.0),
    )
    randomisation = Randomisation(bodies=(PATTY,))

    @override
    def build(self, world: mujoco.MjSpec) -> None:
        _add_pan(world, self.arms[0].robot.tcp_from_hand_m)
        _add_patty(world)
        # Told to close, the fingers stop at the handle.
        gripper = self.arms[0].robot.gripper
        world.actuator(ROBOT_PREFIX + GRIPPER_ACTUATOR).ctrlrange = (_HANDLE_RADIUS_M, gripper.opened)

    @override
    def reset(self, sim: Simulation, rng: np.random.Generator) -> None:
        pitch = rng.uniform(-0.05, 0.05)
        tool = rotate(np.array(TOOL_DOWN_WXYZ), np.array([0.0, pitch, 0.0]))
        sim.arm.place(np.array(CENTRE_M) + rng.uniform(-0.02, 0.02, 3) * (1.0, 0.0, 1.0), tool)
        sim.arm.grip(2 * _HANDLE_RADIUS_M)
        sim.settle()
        away, bearing, yaw = _START_M * np.sqrt(rng.uniform()), *rng.uniform(-np.pi, np.pi, 2)
        pan = sim.data.body(PAN)
        place = np.array([away * np.cos(bearing), away * np.sin(bearing), sim.half_size_m(PATTY)[2]])
        flat = rotate(rotate(np.array(UPRIGHT_WXYZ), np.array([0.0, 0.0, yaw])), np.array([0.0, pitch, 0.0]))
        sim.place_turned(PATTY, pan.xpos + pan.xmat.reshape(3, 3) @ place, flat)

    @override
    def observe(self, sim: Simulation) -> dict[str, np.ndarray]:
        look, (velocity, spin) = _look(sim), sim.velocity(PATTY)
        return {
            "patty_from_pan_m": look.from_pan_m,
            "patty_normal_in_pan": look.normal,
            "patty_velocity_m_per_s": velocity,
            "patty_spin_rad_per_s": spin,
        }

    @override
    def success(self, sim: Simulation) -> bool:
        look = _look(sim)
        slow = np.linalg.norm(look.velocity_w_m_per_s) < _REST_M_PER_S
        still = np.linalg.norm(look.spin_w_rad_per_s) < _REST_RAD_PER_S
        return bool(look.lies and look.normal[2] < 0 and slow and still)

    @override
    def expert(self, sim: Simulation) -> np.ndarray:
        look = _look(sim)
        if look.lost:
            return np.zeros(3)
        if not look.lies:
            return _catch(look)
        if look.normal[2] < 0:
            return np.clip([0.0, 0.0, _level(look)], -1.0, 1.0)
        if look.pitch_rad_per_s > _THROWING_RAD_PER_S:
            return (_THROW if look.pitch_rad < _RELEASE_RAD else _SNATCH).copy()
        at_front = look.from_pan_m[0] > 0.04
        slow = look.pitch_rad_per_s > -0.35 and np.abs(look.pan_velocity_w_m_per_s).max() < 0.35
        return _THROW.copy() if look.pitch_rad < _WOUND_UP_RAD and at_front and slow else _wind_up(look)

    @override
    def progress(self, sim: Simulation) -> float:
        look = _look(sim)
        if look.lost:
            return 0.0
        if not look.lies:
            # In the air the gain is too small for an operator to hand back before the catch.
            return 0.12 + 0.1 * (1.0 - float(look.normal[2]))
        return 0.1 if look.normal[2] > 0 else 1.0

    def harm(self, sim: Simulation) -> bool:
        """True if the patty falls past the pan and is not lost."""
        look = _look(sim)
        return not look.lost and not look.inside


def _catch(look: Look) -> np.ndarray:
    """Follow the patty, give way below it, and level the pan."""
    x_by_m, x_by_m_per_s, z_by_m, z_by_m_per_s, z = _FOLLOW
    offset, velocity = look.offset_w_m, look.velocity_w_m_per_s
    fx = x_by_m * offset[0] + x_by_m_per_s * velocity[0]
    fz = z_by_m * offset[2] + z_by_m_per_s * velocity[2] + z
    return np.clip([fx, fz, _level(look)], -1.0, 1.0)


def _level(look: Look) -> float:
    """Compute the torque that levels the pan."""
    by_rad, by_rad_per_s, always = _LEVEL
    return by_rad * look.pitch_rad + by_rad_per_s * look.pitch_rad_per_s + always


def _wind_up(look: Look) -> np.ndarray:
    """Move down, back and nose down.

    The patty slides to the front of the pan, so that all throws begin alike.
    """
    vx, _, vz = look.pan_velocity_w_m_per_s
    return np.clip(_WIND_UP + _WIND_UP_DAMPING * (vx, vz, look.pitch_rad_per_s), -1.0, 1.0)


def _look(sim: Simulation) -> Look:
    pan, patty = sim.data.body(PAN), sim.data.body(PATTY)
    axes, offset = pan.xmat.reshape(3, 3), patty.xpos - pan.xpos
    pan_velocity, pan_turning = sim.velocity(PAN)
    velocity, spin = sim.velocity(PATTY)
    return Look(
        from_pan_m=axes.T @ offset,
        offset_w_m=offset,
        normal=axes.T @ patty.xmat.reshape(3, 3)[:, 2],
        velocity_w_m_per_s=velocity - pan_velocity - np.cross(pan_turning, offset),
        spin_w_rad_per_s=spin - pan_turning,
        pitch_rad=float(np.arctan2(axes[2, 0], axes[0, 0])),
        pitch_rad_per_s=-float(pan_turning[1]),
        pan_velocity_w_m_per_s=pan_velocity,
    )


def _add_pan(world: mujoco.MjSpec, tcp_from_hand_m: float) -> None:
    """Add a pan that is welded to the hand.

    It is weightless to the arm, as the real controller knows its load.
    """
    x, y, z = PAN_FROM_TCP_M
    hand = world.body(ROBOT_PREFIX + "hand")
    pan = hand.add_body(name=PAN, pos=(x, -y, tcp_from_hand_m - z), quat=TOOL_DOWN_WXYZ, gravcomp=1.0)
    bottom = (PAN_RADIUS_M + 0.006, 2 * _SHEET_HALF_M, 0.0)
    pan.add_geom(type=_CYLINDER, size=bottom, pos=(0, 0, -bottom[1]), mass=_BOTTOM_KG, rgba=_IRON, **_CONTACT)
    cos, sin = np.cos(_RIM_SLOPE_RAD), np.sin(_RIM_SLOPE_RAD)
    away = PAN_RADIUS_M + _RIM_HALF_M * cos + _SHEET_HALF_M * sin
    height = _RIM_HALF_M * sin - _SHEET_HALF_M * cos
    plate = (_RIM_HALF_M, (PAN_RADIUS_M + 2 * _RIM_HALF_M * cos) * np.tan(np.pi / _RIM_SIDES), _SHEET_HALF_M)
    for bearing in 2 * np.pi * (np.arange(_RIM_SIDES) + 0.5) / _RIM_SIDES:
        sloped = rotate(np.array(UPRIGHT_WXYZ), np.array([0.0, -_RIM_SLOPE_RAD, 0.0]))
        pan.add_geom(
            type=_BOX,
            size=plate,
            pos=(away * np.cos(bearing), away * np.sin(bearing), height),
            quat=rotate(sloped, np.array([0.0, 0.0, bearing])),
            mass=_RIM_KG / _RIM_SIDES,
            rgba=_IRON,
            **_CONTACT,
        )
    handle = pan.add_geom(type=_CAPSULE, size=(_HANDLE_RADIUS_M, 0, 0), mass=_HANDLE_KG, rgba=_WOOD)
    handle.fromto = (-x - 0.03, -y, -z, -PAN_RADIUS_M - 0.03, 0.0, RIM_HEIGHT_M - 0.01)
    handle.contype = handle.conaffinity = 0


def _add_patty(world: mujoco.MjSpec) -> None:
    """Add a disc with a round edge.

    A ring of balls makes its contacts, which are far steadier than a cylinder's.
    """
    patty = world.worldbody.add_body(name=PATTY)
    patty.add_freejoint()
    away, balls = PATTY_RADIUS_M - PATTY_HALF_M, 10
    for bearing in 2 * np.pi * np.arange(balls) / balls:
        ball = patty.add_geom(type=_SPHERE, size=(PATTY_HALF_M, 0, 0), mass=0.0, group=3, **_CONTACT)
        ball.pos = (away * np.cos(bearing), away * np.sin(bearing), 0.0)
    for middle, colour in ((PATTY_HALF_M / 2, _BROWN), (-PATTY_HALF_M / 2, _CREAM)):
        half = patty.add_geom(type=_CYLINDER, size=(PATTY_RADIUS_M, PATTY_HALF_M / 2, 0), pos=(0, 0, middle))
        half.mass, half.rgba, half.contype, half.conaffinity = PATTY_KG / 2, colour, 0, 0
