"""The scene around a task: physics, floor, light, cameras and arms.

The Cartesian impedance of an arm that takes torques is six affine actuators between the tool's site and a mocap
target's site. So it runs compiled, at every physics step, as joint torques J^T(K e - D v) within the arm's own limits
(https://mujoco.readthedocs.io/en/stable/XMLreference.html, actuator/general, attribute refsite). An arm that takes
positions has a position servo at each joint, with a filter that smooths its commands.
"""

from dataclasses import dataclass, replace

import mujoco
import numpy as np

from hilserl.sim.control import ROBOT_PREFIX, ArmSetup
from hilserl.sim.quaternions import from_matrix
from hilserl.sim.robot_models.model import HAND_BODY, TCP_SITE, Servo
from hilserl.sim.robot_models.panda import PANDA

PHYSICS_DT_S = 0.002
TARGET_BODY = "target"
FLOOR_GEOM = "floor"

_FLOOR_RGBA = (0.62, 0.65, 0.68, 1.0)


@dataclass(frozen=True)
class CameraView:
    """A camera by its position and the point that it looks at.

    Both are in metres in the frame of the body that the camera is mounted on. On a hand they are those of a Panda; on
    another robot the camera keeps its place relative to the tool's point.
    """

    name: str
    position_m: tuple[float, float, float]
    look_at_m: tuple[float, float, float]
    fovy_deg: float
    up: tuple[float, float, float] = (0.0, 0.0, 1.0)
    body: str = "world"


FRONT = CameraView("front", (1.1, 0.0, 0.55), (0.38, 0.0, 0.10), 45.0)
WRIST = CameraView("wrist", (0.09, 0.0, 0.03), (0.0, 0.0, 0.12), 70.0, (1.0, 0.0, 0.0), ROBOT_PREFIX + HAND_BODY)
SIDE = CameraView("side", (0.40, -0.80, 0.12), (0.40, 0.0, 0.12), 42.0)
"""A level camera at the height that decides success.

An object at the camera's height is in the image's middle row at any distance.
"""
OVERVIEW = CameraView("overview", (1.30, -0.95, 0.72), (0.27, 0.0, 0.30), 36.0)
"""View for people, in videos and images; a policy never sees it."""


VIEWS = (FRONT, WRIST, SIDE, OVERVIEW)


def target_of(arm: str) -> str:
    """Return the name of an arm's mocap target and site."""
    return f"{arm}/{TARGET_BODY}" if arm else TARGET_BODY


def impedance_of(arm: str) -> tuple[str, ...]:
    """Return the names of an arm's impedance actuators.

    They act along the target's axes, then about them.
    """
    names = (f"impedance_{axis}_{unit}" for unit in ("m", "rad") for axis in "xyz")
    return tuple(f"{arm}/{name}" if arm else name for name in names)


def servos_of(arm: ArmSetup) -> tuple[str, ...]:
    """Return the names of the position servos of an arm's joints."""
    return tuple(f"{arm.prefix}servo_{joint}" for joint in arm.robot.joints)


def world(arms: tuple[ArmSetup, ...] = (ArmSetup(),), views: tuple[CameraView, ...] = VIEWS) -> mujoco.MjSpec:
    """Build the scene without a task's objects.

    Args:
        arms: The arms, under Cartesian impedance or with position servos.
        views: The cameras.
    """
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    spec.option.timestep = PHYSICS_DT_S
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.option.impratio = 10
    _add_surroundings(spec)
    for arm in arms:
        half_yaw = arm.base_yaw_rad / 2
        base = spec.worldbody.add_frame(pos=arm.base_m, quat=[np.cos(half_yaw), 0.0, 0.0, np.sin(half_yaw)])
        spec.attach(arm.robot.spec(), prefix=arm.prefix, frame=base)
        if arm.robot.servo is None:
            _add_impedance(spec, arm)
        else:
            _add_servos(spec, arm, arm.robot.servo)
    for view in views:
        _add_camera(spec, _at_tool(view, arms))
    return spec


def _add_surroundings(spec: mujoco.MjSpec) -> None:
    spec.visual.quality.shadowsize = 2048
    spec.visual.quality.numquads = 1
    spec.visual.global_.offwidth = 1920
    spec.visual.global_.offheight = 1080
    spec.visual.headlight.ambient = [0.35, 0.35, 0.35]
    spec.visual.headlight.diffuse = [0.35, 0.35, 0.35]
    spec.visual.headlight.specular = [0.1, 0.1, 0.1]
    # A floor finite in size and coarse in grid: with a fine grid its tessellation costs more than the robot.
    floor = {"size": [6, 6, 10], "rgba": _FLOOR_RGBA}
    spec.worldbody.add_geom(name=FLOOR_GEOM, type=mujoco.mjtGeom.mjGEOM_PLANE, friction=[1.0, 0.005, 0.0001], **floor)
    spec.stat.center, spec.stat.extent = [0.35, 0.0, 0.3], 1.0
    spec.worldbody.add_light(
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
        pos=[0.6, -0.6, 2.0],
        dir=[-0.25, 0.3, -1.0],
        diffuse=[0.5, 0.5, 0.5],
        castshadow=True,
    )


def _add_impedance(spec: mujoco.MjSpec, arm: ArmSetup) -> None:
    target = spec.worldbody.add_body(name=target_of(arm.name), mocap=True, quat=arm.tool_wxyz)
    # This group is not drawn, as a policy must not see its own command.
    target.add_site(name=target_of(arm.name), group=5)
    gains = arm.control.impedance
    for axis, name in enumerate(impedance_of(arm.name)):
        limit = gains.max_wrench[axis]
        actuator = spec.add_actuator(
            name=name,
            trntype=mujoco.mjtTrn.mjTRN_SITE,
            target=f"{arm.prefix}{TCP_SITE}",
            refsite=target_of(arm.name),
            gear=np.eye(6)[axis],
            forcelimited=True,
            forcerange=[-limit, limit],
        )
        actuator.gaintype = mujoco.mjtGain.mjGAIN_FIXED
        actuator.biastype = mujoco.mjtBias.mjBIAS_AFFINE
        # A gain of one: the control is a force, added to the spring's and the damper's.
        actuator.gainprm[0] = 1.0
        actuator.biasprm[:3] = [0.0, -gains.stiffness[axis], -gains.damping[axis]]


def _add_servos(spec: mujoco.MjSpec, arm: ArmSetup, servo: Servo) -> None:
    for number, name in enumerate(servos_of(arm)):
        joint = f"{arm.prefix}{arm.robot.joints[number]}"
        actuator = spec.add_actuator(name=name, trntype=mujoco.mjtTrn.mjTRN_JOINT, target=joint)
        kp, kv = servo.stiffness[number], servo.damping[number]
        actuator.set_to_position(kp=kp, kv=kv, timeconst=servo.time_constant_s)
        actuator.forcelimited, actuator.forcerange = True, [-servo.torque[number], servo.torque[number]]


def _at_tool(view: CameraView, arms: tuple[ArmSetup, ...]) -> CameraView:
    """Move a camera on a hand with the tool's point."""
    for arm in arms:
        if view.body == arm.prefix + HAND_BODY:
            offset = (0.0, 0.0, arm.robot.tcp_from_hand_m - PANDA.tcp_from_hand_m)
            position, look_at = (tuple(np.add(point, offset).tolist()) for point in (view.position_m, view.look_at_m))
            return replace(view, position_m=position, look_at_m=look_at)
    return view


def _add_camera(spec: mujoco.MjSpec, view: CameraView) -> None:
    backward = np.subtract(view.position_m, view.look_at_m)
    backward /= np.linalg.norm(backward)
    right = np.cross(view.up, backward)
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(backward, right), backward], axis=1)
    body = spec.worldbody if view.body == "world" else spec.body(view.body)
    body.add_camera(name=view.name, pos=view.position_m, quat=from_matrix(rotation), fovy=view.fovy_deg)
