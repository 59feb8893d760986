"""The structure of a robot: joints of the arm and the fingers."""

import re
from dataclasses import dataclass
from pathlib import Path

import mujoco

from hilserl.errors import HilserlError

_FINGER_NAME = re.compile(r"finger|jaw|grip|knuckle|driver|carriage|claw", re.IGNORECASE)
_FINGER_TRAVEL_M = 0.2
_FINGER_DEPTH = 3
"""Most joints in a row of a finger."""


@dataclass(frozen=True)
class Structure:
    """Joints of arm and fingers, and the body between them."""

    arm: tuple[str, ...]
    """Joints of the arm, from the base."""
    fingers: tuple[str, ...]
    """Joints of the fingers."""
    tool: str
    """Body that carries the fingers."""
    other_arms: int = 0
    """Number of further arms in the file, which are left out."""


def find_structure(path: Path, model: mujoco.MjModel) -> Structure:
    """Tell the arm's joints from the fingers'.

    An arm is a chain of joints. It ends where two or more short chains begin, or at one joint that is named as a
    finger.

    Raises:
        HilserlError: The file has no arm, or no fingers.
    """
    arm: list[str] = []
    body, others = 0, 0
    while True:
        kids = _jointed(model, body)
        if not kids:
            raise HilserlError(
                f"{path}: no fingers follow the joints {', '.join(arm) or '(there are none)'}. A robot needs a "
                "gripper: add one to the file, with one or two joints that move its fingers."
            )
        if arm and all(_depth(model, kid) <= _FINGER_DEPTH for kid in kids):
            fingers = [kid for kid in kids if _is_finger(model, kid)]
            if fingers and (len(kids) > 1 or not _jointed(model, fingers[0])):
                return _structure(model, arm, fingers, others)
        kids.sort(key=lambda kid: -_depth(model, kid))
        others += sum(_depth(model, kid) > _FINGER_DEPTH for kid in kids[1:])
        body = kids[0]
        start, count = model.body_jntadr[body], model.body_jntnum[body]
        free = mujoco.mjtJoint.mjJNT_FREE
        arm += [model.joint(joint).name for joint in range(start, start + count) if model.jnt_type[joint] != free]


def _structure(model: mujoco.MjModel, arm: list[str], fingers: list[int], others: int) -> Structure:
    joints = [model.body_jntadr[finger] for finger in fingers]
    first = joints[0]
    alike = [joint for joint in joints if model.jnt_type[joint] == model.jnt_type[first]]
    alike.sort(key=lambda joint: "driver" not in model.joint(joint).name)
    tool = model.body(model.body_parentid[fingers[0]]).name
    return Structure(tuple(arm), tuple(model.joint(joint).name for joint in alike[:2]), tool, others)


def _jointed(model: mujoco.MjModel, body: int) -> list[int]:
    """Return the nearest bodies below a body that have joints."""
    found: list[int] = []
    for child in range(1, model.nbody):
        if model.body_parentid[child] == body:
            found += [child] if model.body_jntnum[child] else _jointed(model, child)
    return found


def _depth(model: mujoco.MjModel, body: int) -> int:
    """Return the length of the longest chain of jointed bodies."""
    return 1 + max((_depth(model, kid) for kid in _jointed(model, body)), default=0)


def _is_finger(model: mujoco.MjModel, body: int) -> bool:
    joint = model.body_jntadr[body]
    low, high = model.jnt_range[joint]
    if model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_SLIDE and high - low < _FINGER_TRAVEL_M:
        return True
    names = f"{model.joint(joint).name} {model.body(body).name}"
    return model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_HINGE and bool(_FINGER_NAME.search(names))
