"""A robot model from a file and its description."""

from dataclasses import replace
from pathlib import Path

import mujoco
import numpy as np

from hilserl.errors import HilserlError
from hilserl.sim.quaternions import turn_between
from hilserl.sim.robot_files.body import PREFIX, TCP_FROM_HAND_M, FileBody, colliding_geoms, finger_bodies
from hilserl.sim.robot_files.description import RobotDescription, read_description
from hilserl.sim.robot_files.source import check_name, compile_spec, read_spec, refused
from hilserl.sim.robot_models.kinematics import ArmKinematics
from hilserl.sim.robot_models.model import TURNS, Gripper, RobotModel, Servo

_SAMPLES = 12
_FAR_M = 1.0
_HOME_TURN_RAD, _REACHED_M, _REACH_STEPS = 0.6, 0.01, 11
_GRIP = {mujoco.mjtJoint.mjJNT_SLIDE: (8000.0, 60.0), mujoco.mjtJoint.mjJNT_HINGE: (60.0, 4.0)}
"""Stiffness and force of a finger's drive, in SI units."""
_SERVO_ERROR_RAD = 0.03
"""Error at which a servo of unknown stiffness gives its full torque."""


def load_robot(path: Path) -> RobotModel:
    """Load a robot from its file and the TOML file beside it.

    Raises:
        HilserlError: A file is missing or broken, or they do not fit together; the message says what to do.
    """
    check_name(path)
    robot = make_robot(path, read_description(path))
    require_reach(path, robot)
    return robot


def make_robot(path: Path, description: RobotDescription) -> RobotModel:
    """Make a robot of a file and a description.

    Raises:
        HilserlError: They do not fit together.
    """
    spec = read_spec(path)
    finger_bodies(path, spec, description.tool.body, description.fingers.joints)
    spec.compiler.fusestatic = False
    model = compile_spec(path, spec)
    joints = arm_joints(model, description.tool.body)
    if not joints:
        raise HilserlError(f"{path}: no joint moves tool.body {description.tool.body!r}: the arm has no joints.")
    if len(description.home.joints_rad) != len(joints):
        raise HilserlError(
            f"{path}: home.joints_rad has {len(description.home.joints_rad)} numbers, expected one for each joint of "
            f"the arm: {', '.join(joints)}."
        )
    robot = RobotModel(
        name=path.stem,
        title=description.title or path.stem,
        body=FileBody(path, description, joints),
        joints=tuple(PREFIX + name for name in joints),
        gripper=_gripper(path, description, model),
        home_joints_rad=description.home.joints_rad,
        workspace_low_m=description.workspace.low_m,
        workspace_high_m=description.workspace.high_m,
        tcp_from_hand_m=TCP_FROM_HAND_M,
        control=description.arm.control,
        senses_wrench=description.arm.senses_wrench,
        turns=TURNS if len(joints) >= 6 else TURNS[1:],
        servo=_servo(path, description, model, joints) if description.arm.control == "position" else None,
        step_factor=description.arm.step_factor,
        tool_pitch_rad=float(np.deg2rad(description.arm.tool_pitch_deg)),
    )
    return replace(robot, gripper=_with_gaps(path, robot))


def require_reach(path: Path, robot: RobotModel) -> None:
    """Check that the tool comes to the middle of its workspace.

    Raises:
        HilserlError: It does not.
    """
    joints = np.array(robot.home_joints_rad)
    kinematics = ArmKinematics(robot, joints)
    middle = (np.array(robot.workspace_low_m) + robot.workspace_high_m) / 2
    home, quaternion = kinematics.tool_pose(joints)
    lean_rad = np.linalg.norm(turn_between(quaternion, np.array(robot.tool_wxyz)))
    if lean_rad > _HOME_TURN_RAD:
        raise HilserlError(
            f"{path}: at home.joints_rad the tool is turned by {np.rad2deg(lean_rad):.0f} degrees from pointing down "
            f"(arm.tool_pitch_deg from it) with the fingers along y. `hilserl robots check {path}` proposes a home."
        )
    for part in np.linspace(0.0, 1.0, _REACH_STEPS):
        joints = kinematics.solve(joints, home + part * (middle - home), np.array(robot.tool_wxyz))
    missed_m = float(np.linalg.norm(kinematics.tool_pose(joints)[0] - middle))
    if missed_m > _REACHED_M:
        raise HilserlError(
            f"{path}: the workspace is out of reach: the tool stays {100 * missed_m:.0f} cm away from its middle, "
            f"{np.round(middle, 2).tolist()} m. `hilserl robots check {path}` proposes a workspace."
        )


def arm_joints(model: mujoco.MjModel, tool: str) -> tuple[str, ...]:
    """Return the joints between the base and a body, from the base."""
    names: list[str] = []
    body = model.body(tool).id
    while body:
        start, count = model.body_jntadr[body], model.body_jntnum[body]
        names += [model.joint(joint).name for joint in range(start, start + count)][::-1]
        body = model.body_parentid[body]
    free = mujoco.mjtJoint.mjJNT_FREE
    return tuple(name for name in reversed(names) if model.joint(name).type[0] != free)


def _gripper(path: Path, description: RobotDescription, model: mujoco.MjModel) -> Gripper:
    fingers = description.fingers
    kind = mujoco.mjtJoint(model.joint(fingers.joints[0]).type[0])
    stiffness, force = _GRIP[kind]
    force = fingers.force or force
    inwards = np.sign(fingers.closed - fingers.open)
    return Gripper(
        tuple(PREFIX + name for name in fingers.joints),
        opened=fingers.open,
        closed=fingers.closed,
        full_grip=float(fingers.closed + inwards * force / stiffness),
        pads=colliding_geoms(path, description, path.stat().st_mtime),
        swings=kind == mujoco.mjtJoint.mjJNT_HINGE,
        stiffness=stiffness,
        force=force,
    )


def _with_gaps(path: Path, robot: RobotModel) -> Gripper:
    """Measure the gap between the fingers over their travel."""
    gripper = robot.gripper
    try:
        model = robot.spec().compile()
    except ValueError as error:
        raise refused(path, error) from error
    data = mujoco.MjData(model)
    sides = [[model.geom(name).id for name in side] for side in gripper.pads]
    gaps: list[tuple[float, float]] = []
    for position in np.linspace(gripper.closed, gripper.opened, _SAMPLES):
        for name in gripper.joints:
            data.joint(name).qpos[0] = position
        mujoco.mj_kinematics(model, data)
        gap = min(mujoco.mj_geomDistance(model, data, a, b, _FAR_M, None) for a in sides[0] for b in sides[1])
        gaps.append((float(position), max(0.0, float(gap))))
    opening = gaps[-1][1]
    if opening < 0.005:
        raise HilserlError(
            f"{path}: fingers that are open (fingers.open = {gripper.opened}) leave a gap of {1000 * opening:.1f} mm; "
            "expected open and closed the other way round, or name the two geoms that hold objects in fingers.geoms."
        )
    return replace(gripper, opening_m=opening, gaps=tuple(sorted(gaps)))


def _servo(path: Path, description: RobotDescription, model: mujoco.MjModel, joints: tuple[str, ...]) -> Servo:
    """Take the gains from the description, the file or the inertia."""
    table = description.arm
    torque = table.torque_nm or tuple(_torque_nm(path, model, name) for name in joints)
    stiffness = table.stiffness or tuple(
        _gain(model, name, 1) or limit / _SERVO_ERROR_RAD for name, limit in zip(joints, torque, strict=True)
    )
    inertia = _inertia(model, description, joints)
    damping = table.damping or tuple(
        max(_gain(model, name, 2), 2.0 * float(np.sqrt(kp * about)))
        for name, kp, about in zip(joints, stiffness, inertia, strict=True)
    )
    return Servo(stiffness, damping, torque, (table.speed_rad_per_s,) * len(joints))


def _actuator(model: mujoco.MjModel, joint: str) -> int | None:
    """Return the file's own actuator of a joint, if it has one."""
    number = model.joint(joint).id
    for actuator in range(model.nu):
        on_joint = model.actuator_trntype[actuator] == mujoco.mjtTrn.mjTRN_JOINT
        if on_joint and model.actuator_trnid[actuator, 0] == number:
            return actuator
    return None


def _gain(model: mujoco.MjModel, joint: str, term: int) -> float:
    """Return stiffness (1) or damping (2) of the file's servo."""
    actuator = _actuator(model, joint)
    return 0.0 if actuator is None else -float(model.actuator_biasprm[actuator, term])


def _torque_nm(path: Path, model: mujoco.MjModel, joint: str) -> float:
    """Return the largest torque that the file gives a joint."""
    actuator = _actuator(model, joint)
    number = model.joint(joint).id
    limits = [float(model.jnt_actfrcrange[number, 1]) if model.jnt_actfrclimited[number] else 0.0]
    if actuator is not None and model.actuator_forcelimited[actuator]:
        limits.append(float(model.actuator_forcerange[actuator, 1]))
    known = [limit for limit in limits if limit > 0]
    if not known:
        raise HilserlError(
            f"{path}: the file gives the joint {joint!r} no largest torque: write torque_nm = [...] with one number "
            "for each joint of the arm into [arm] of the TOML file."
        )
    return min(known)


def _inertia(model: mujoco.MjModel, description: RobotDescription, joints: tuple[str, ...]) -> list[float]:
    """Compute the inertia about each joint at home, in kg m^2."""
    data = mujoco.MjData(model)
    for name, position in zip(joints, description.home.joints_rad, strict=True):
        data.joint(name).qpos[0] = position
    mujoco.mj_forward(model, data)
    dense = np.zeros((model.nv, model.nv))
    mujoco.mj_fullM(model, data, dense)
    return [float(dense[dof, dof]) for dof in (model.joint(name).dofadr[0] for name in joints)]
