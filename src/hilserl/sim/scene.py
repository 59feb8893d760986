"""The world around a task: physics options, floor, light, cameras, the robot and its Cartesian impedance.

The impedance is six affine actuators between the tool's site and a mocap target's site, so it runs compiled, at every
physics step, as joint torques J^T(K e - D v) within the arm's torque limits
(https://mujoco.readthedocs.io/en/stable/XMLreference.html, actuator/general, attribute refsite).
"""

from dataclasses import dataclass

import mujoco
import numpy as np

from hilserl.sim.panda import TCP_SITE, panda_spec

PHYSICS_DT_S = 0.002
ROBOT_PREFIX = "panda/"
TARGET_BODY = "target"
FLOOR_GEOM = "floor"
TOOL_DOWN_WXYZ = (0.0, 1.0, 0.0, 0.0)

_FLOOR_RGBA = (0.62, 0.65, 0.68, 1.0)
_HORIZON_RGB, _ZENITH_RGB = (0.93, 0.94, 0.96), (0.62, 0.70, 0.80)


@dataclass(frozen=True)
class Impedance:
    """Gains of the tool's Cartesian impedance; the translational ones are the Franka arm's own maximum."""

    translational_stiffness_n_per_m: float = 3000.0
    translational_damping_ns_per_m: float = 140.0
    rotational_stiffness_nm_per_rad: float = 150.0
    rotational_damping_nms_per_rad: float = 7.0
    max_force_n: float = 150.0
    max_torque_nm: float = 30.0


@dataclass(frozen=True)
class CameraView:
    """A camera by where it stands and where it looks (metres); in the frame of the body it is mounted on."""

    name: str
    position_m: tuple[float, float, float]
    look_at_m: tuple[float, float, float]
    fovy_deg: float
    up: tuple[float, float, float] = (0.0, 0.0, 1.0)
    body: str = "world"


FRONT = CameraView("front", (1.1, 0.0, 0.55), (0.38, 0.0, 0.10), 45.0)
WRIST = CameraView("wrist", (0.09, 0.0, 0.03), (0.0, 0.0, 0.12), 70.0, (1.0, 0.0, 0.0), f"{ROBOT_PREFIX}hand")
SIDE = CameraView("side", (0.40, -0.80, 0.12), (0.40, 0.0, 0.12), 42.0)
"""At the height that decides: what is at a level camera's height is in the middle row, however far away it is."""
OVERVIEW = CameraView("overview", (1.30, -0.95, 0.72), (0.27, 0.0, 0.30), 36.0)
"""For people: videos and pictures. A policy never sees it."""


def world(impedance: Impedance | None = None) -> mujoco.MjSpec:
    """Floor, light, cameras and a Panda under Cartesian impedance; a task adds its objects."""
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    spec.option.timestep = PHYSICS_DT_S
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.option.impratio = 10
    _add_surroundings(spec)
    spec.attach(panda_spec(), prefix=ROBOT_PREFIX, frame=spec.worldbody.add_frame())
    _add_impedance(spec, impedance or Impedance())
    for view in (FRONT, WRIST, SIDE, OVERVIEW):
        _add_camera(spec, view)
    return spec


def _add_surroundings(spec: mujoco.MjSpec) -> None:
    spec.visual.quality.shadowsize = 2048
    spec.visual.quality.numquads = 1
    spec.visual.global_.offwidth = 1920
    spec.visual.global_.offheight = 1080
    spec.visual.headlight.ambient = [0.35, 0.35, 0.35]
    spec.visual.headlight.diffuse = [0.35, 0.35, 0.35]
    spec.visual.headlight.specular = [0.1, 0.1, 0.1]
    # Only pictures for people show the sky; the policy's cameras leave it out.
    spec.add_texture(
        name="sky",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=_ZENITH_RGB,
        rgb2=_HORIZON_RGB,
        width=64,
        height=384,
    )
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


def _add_impedance(spec: mujoco.MjSpec, gains: Impedance) -> None:
    target = spec.worldbody.add_body(name=TARGET_BODY, mocap=True, quat=TOOL_DOWN_WXYZ)
    # In a group that is not drawn: a policy must not see its own command.
    target.add_site(name=TARGET_BODY, group=5)
    for axis in range(6):
        translational = axis < 3
        stiffness = gains.translational_stiffness_n_per_m if translational else gains.rotational_stiffness_nm_per_rad
        damping = gains.translational_damping_ns_per_m if translational else gains.rotational_damping_nms_per_rad
        limit = gains.max_force_n if translational else gains.max_torque_nm
        actuator = spec.add_actuator(
            name=f"impedance_{'xyz'[axis % 3]}_{'m' if translational else 'rad'}",
            trntype=mujoco.mjtTrn.mjTRN_SITE,
            target=f"{ROBOT_PREFIX}{TCP_SITE}",
            refsite=TARGET_BODY,
            gear=np.eye(6)[axis],
            forcelimited=True,
            forcerange=[-limit, limit],
        )
        actuator.gaintype = mujoco.mjtGain.mjGAIN_FIXED
        actuator.biastype = mujoco.mjtBias.mjBIAS_AFFINE
        actuator.gainprm[0] = stiffness
        actuator.biasprm[:3] = [0.0, -stiffness, -damping]


def _add_camera(spec: mujoco.MjSpec, view: CameraView) -> None:
    backward = np.subtract(view.position_m, view.look_at_m)
    backward /= np.linalg.norm(backward)
    right = np.cross(view.up, backward)
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(backward, right), backward], axis=1)
    quaternion = np.zeros(4)
    mujoco.mju_mat2Quat(quaternion, rotation.reshape(9))
    body = spec.worldbody if view.body == "world" else spec.body(view.body)
    body.add_camera(name=view.name, pos=view.position_m, quat=quaternion, fovy=view.fovy_deg)
