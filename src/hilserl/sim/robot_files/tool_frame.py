"""The tool's point and axes, from the fingers' shape and motion."""

from pathlib import Path
from typing import NamedTuple

import mujoco
import numpy as np

from hilserl.errors import HilserlError
from hilserl.sim.robot_files.body import touching_spec
from hilserl.sim.robot_files.description import FingersTable, ToolTable
from hilserl.sim.robot_files.source import compile_spec
from hilserl.sim.robot_files.structure import Structure

_FROM_TIP_M = 0.01
_SNAP = 0.96
"""Cosine from which a direction is that of an axis."""
_FAR_M = 1.0
_WIDE_M, _PARALLEL_PART = 0.1, 0.4
"""Widest useful gap of swinging fingers; their travel when about parallel."""


class ToolFrame(NamedTuple):
    """A proposal for the tool and the fingers."""

    tool: ToolTable
    fingers: FingersTable


def find_tool_frame(path: Path, structure: Structure) -> ToolFrame:
    """Propose the tool's point between the fingertips and its axes.

    Raises:
        HilserlError: Nothing of the fingers touches an object.
    """
    spec, sides = touching_spec(path, structure.tool, structure.fingers, ())
    pads = _pads(sides)
    if pads:
        spec, sides = touching_spec(path, structure.tool, structure.fingers, pads)
    spec.compiler.fusestatic = False
    model = compile_spec(path, spec)
    data = mujoco.MjData(model)
    geoms = [[model.geom(name).id for name in side] for side in sides]
    ends = [float(end) for end in model.joint(structure.fingers[0]).range]
    gaps = [_gap_m(model, data, structure, geoms, end) for end in ends]
    opened, closed = (ends[1], ends[0]) if gaps[1] > gaps[0] else (ends[0], ends[1])
    if max(gaps) - min(gaps) < 0.005:
        raise HilserlError(
            f"{path}: the joints {', '.join(structure.fingers)} hardly change the gap between the fingers; write the "
            "tables [tool] and [fingers] of the TOML file yourself."
        )
    swings = model.joint(structure.fingers[0]).type[0] == mujoco.mjtJoint.mjJNT_HINGE
    if swings:
        opened = _usual_opening(model, data, structure, geoms, (closed, opened))
    _gap_m(model, data, structure, geoms, closed + (opened - closed) * (_PARALLEL_PART if swings else 0.5))
    body = model.body(structure.tool).id
    across = _opening(model, data, structure, geoms[0], body)
    points = [np.concatenate([_corners(model, data, geom, body) for geom in side]) for side in geoms]
    shown = points if pads else points[: len(structure.fingers)]
    moving = np.concatenate(shown)
    approach = moving.mean(axis=0)
    approach = _snapped(approach - across * (approach @ across))
    tip = min(float((side @ approach).max()) for side in shown)
    third = np.cross(approach, across)
    distal = moving[moving @ approach > tip - 0.02]
    inner = [side[side @ approach > tip - 0.03] @ across for side in points]
    middle = _between(inner[0], inner[1])
    position = approach * (tip - _FROM_TIP_M) + third * float((distal @ third).mean()) + across * middle
    return ToolFrame(
        ToolTable(
            body=structure.tool,
            position_m=_vector(position),
            approach=_vector(approach),
            fingers_open=_vector(across),
        ),
        FingersTable(joints=structure.fingers, open=opened, closed=closed, geoms=pads),
    )


def _pads(sides: tuple[tuple[str, ...], tuple[str, ...]]) -> tuple[str, ...]:
    """Return the two geoms that are named as pads, if any."""
    named = [[name for name in side if "pad" in name.lower()] for side in sides]
    return (named[0][0], named[1][0]) if all(len(names) == 1 for names in named) else ()


def _usual_opening(
    model: mujoco.MjModel,
    data: mujoco.MjData,
    structure: Structure,
    geoms: list[list[int]],
    ends: tuple[float, float],
) -> float:
    """Return where swinging fingers are open enough; further open they only spread."""
    for position in np.linspace(*ends, 40):
        if _gap_m(model, data, structure, geoms, position) > _WIDE_M:
            return float(np.round(position, 3))
    return ends[1]


def _gap_m(
    model: mujoco.MjModel, data: mujoco.MjData, structure: Structure, geoms: list[list[int]], position: float
) -> float:
    """Move the fingers and measure the gap between their geoms."""
    for name in structure.fingers:
        data.joint(name).qpos[0] = position
    mujoco.mj_kinematics(model, data)
    return min(mujoco.mj_geomDistance(model, data, a, b, _FAR_M, None) for a in geoms[0] for b in geoms[1])


def _opening(
    model: mujoco.MjModel, data: mujoco.MjData, structure: Structure, finger: list[int], body: int
) -> np.ndarray:
    """Return the first finger's direction of motion, in the tool body's frame."""
    joint = model.joint(structure.fingers[0]).id
    direction = data.xaxis[joint]
    if model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_HINGE:
        tip = np.mean([data.geom_xpos[geom] for geom in finger], axis=0)
        direction = np.cross(direction, tip - data.xanchor[joint])
    return _snapped(data.xmat[body].reshape(3, 3).T @ direction)


def _corners(model: mujoco.MjModel, data: mujoco.MjData, geom: int, body: int) -> np.ndarray:
    """Return the corners of a geom's box, float64 [8, 3]."""
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    box = model.geom_aabb[geom, :3] + signs * model.geom_aabb[geom, 3:]
    world = data.geom_xpos[geom] + box @ data.geom_xmat[geom].reshape(3, 3).T
    return (world - data.xpos[body]) @ data.xmat[body].reshape(3, 3)


def _between(first: np.ndarray, second: np.ndarray) -> float:
    """Return the middle between the facing ends of two sets of numbers."""
    if not len(first) or not len(second):
        return float(np.concatenate([first, second]).mean())
    if first.mean() > second.mean():
        first, second = second, first
    return float((first.max() + second.min()) / 2)


def _snapped(direction: np.ndarray) -> np.ndarray:
    """Normalise a direction; one that is nearly an axis becomes it."""
    direction = direction / np.linalg.norm(direction)
    axis = int(np.abs(direction).argmax())
    if abs(direction[axis]) < _SNAP:
        return direction
    return np.eye(3)[axis] * np.sign(direction[axis])


def _vector(values: np.ndarray) -> tuple[float, float, float]:
    x, y, z = np.round(values, 4).tolist()
    return x, y, z
