"""A task from a TOML file beside its scene."""

import functools
import re
from pathlib import Path
from typing import Any

import mujoco
import numpy as np

from hilserl.errors import HilserlError, unknown
from hilserl.sim.control import TRANSLATION, ArmSetup, PoseControl
from hilserl.sim.robot_files.source import compile_spec
from hilserl.sim.robot_models.model import Vec3
from hilserl.sim.robot_models.placement import Needs
from hilserl.sim.scene import VIEWS
from hilserl.sim.task import TaskPreset
from hilserl.sim.task_env import steps_of
from hilserl.tasks.scenes.description import Goal, SceneDescription, read_scene_description
from hilserl.tasks.scenes.kinds import KINDS
from hilserl.tasks.scenes.scene_task import SCENE_PREFIX, SceneTask, scene_spec

_AROUND_M, _OVER_M, _ROOM_M = 0.1, 0.22, 0.02
_MAX_YAW_RAD, _STEP_RAD = 1.7, 0.15
_PRESET = TaskPreset({"agent.discount": 0.92, "max_env_steps": 8_000, "demonstrations": 20})


def is_task_file(name: str) -> bool:
    """True if a task's name is that of a file."""
    return Path(name).suffix.lower() in (".toml", ".xml", ".mjcf")


def load_task(name: str, scene: str = "") -> type[SceneTask]:
    """Load a task from its TOML file.

    Args:
        name: Path of the TOML file, or of the scene beside it.
        scene: Path of another scene than the file names; empty for that.

    Raises:
        HilserlError: A file is missing or broken, or they do not fit together.
    """
    path = Path(name).resolve().with_suffix(".toml")
    if not path.is_file():
        raise HilserlError(f"There is no file {path}, which says what to do in a scene; docs/add_a_task.md shows one.")
    description = read_scene_description(path)
    scene_path = Path(scene).resolve() if scene else path.parent / (description.scene or f"{path.stem}.xml")
    times = tuple(each.stat().st_mtime if each.is_file() else 0.0 for each in (path, scene_path))
    return _load(path, scene_path, times)


@functools.lru_cache(maxsize=16)
def _load(path: Path, scene_path: Path, times: tuple[float, ...]) -> type[SceneTask]:
    del times
    description = read_scene_description(path)
    model = compile_spec(scene_path, scene_spec(scene_path))
    _check_names(path, description, model)
    name = description.name or re.sub(r"\W+", "_", path.stem)
    goal = description.goal
    kind = KINDS[goal.kind]
    low, high = _workspace(description, model)
    moves = (*TRANSLATION, "tcp_drz") if description.turns else TRANSLATION
    control = PoseControl(
        moves,
        max_step_rad=_STEP_RAD if description.turns else 0.0,
        max_turn_rad=(0.0, 0.0, _MAX_YAW_RAD if description.turns else 0.0),
    )
    own = {model.camera(camera).name for camera in range(model.ncam)}
    members: dict[str, Any] = {
        "__doc__": f"Task of {path.name}.",
        "__module__": __name__,
        "name": name,
        "summary": description.summary or _summary(goal),
        "preset": _PRESET,
        "max_episode_steps": steps_of(description.seconds),
        "description": description,
        "scene_path": scene_path,
        "arms": (ArmSetup(control=control, has_gripper=bool(goal.body), workspace_low_m=low, workspace_high_m=high),),
        "needs": Needs(opening_m=_opening_m(goal, model)),
        "cameras": tuple(SCENE_PREFIX + camera if camera in own else camera for camera in description.cameras),
    }
    task = type("".join(word.capitalize() for word in name.split("_")), (kind,), members)
    task.state = task.entries()
    return task


def _check_names(path: Path, description: SceneDescription, model: mujoco.MjModel) -> None:
    """Raise HilserlError for names and bodies that do not fit."""
    goal = description.goal
    bodies = [model.body(number).name for number in range(1, model.nbody)]
    sites = [model.site(number).name for number in range(model.nsite)]
    joints = [model.joint(number).name for number in range(model.njnt)]
    cameras = [*(model.camera(number).name for number in range(model.ncam)), *(view.name for view in VIEWS)]
    named = (
        *(("goal.body", "body", name, bodies) for name in (goal.body,) if name),
        *(("goal." + key, "site", name, sites) for key, name in _sites(goal)),
        *(("goal.joint", "joint", name, joints) for name in (goal.joint,) if name),
        *(("random", "body", name, bodies) for name in description.random),
        *(("cameras", "camera", name, cameras) for name in description.cameras),
    )
    for key, kind, name, existing in named:
        if name not in existing:
            raise HilserlError(f"{path}: {key}: {unknown(kind, name, existing)}")
    if goal.body and not _is_free(model, goal.body):
        raise HilserlError(f"{path}: goal.body {goal.body!r} cannot move: give it a <freejoint/> in the scene.")
    if goal.joint and model.joint(goal.joint).type[0] == mujoco.mjtJoint.mjJNT_FREE:
        raise HilserlError(f"{path}: goal.joint {goal.joint!r} is free; expected a hinge or a slide.")
    if goal.joint and model.jnt_limited[model.joint(goal.joint).id]:
        low, high = model.joint(goal.joint).range
        if not low <= goal.to <= high:
            raise HilserlError(
                f"{path}: goal.to {goal.to} is outside the joint's range, {low:.3g} to {high:.3g} in m or rad. "
                'MJCF counts angles in degrees, unless its <compiler> says angle="radian".'
            )


def _sites(goal: Goal) -> tuple[tuple[str, str], ...]:
    return tuple((key, getattr(goal, key)) for key in ("region", "site", "at") if getattr(goal, key))


def _is_free(model: mujoco.MjModel, body: str) -> bool:
    joint = model.body(body).jntadr[0]
    return joint >= 0 and model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_FREE


def _workspace(description: SceneDescription, model: mujoco.MjModel) -> tuple[Vec3, Vec3]:
    """Return the file's workspace, or one around the named objects."""
    if description.workspace:
        return description.workspace.low_m, description.workspace.high_m
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    goal = description.goal
    points = [data.site(name).xpos for _, name in _sites(goal)]
    points += [data.xpos[model.joint(goal.joint).bodyid[0]]] if goal.joint else []
    names = {name for name in (goal.body, *description.random) if name}
    points += [data.body(name).xpos for name in names]
    spreads = description.random.values()
    ranges = np.array([[s.x_m, s.y_m] for s in spreads] or [[(0.0, 0.0), (0.0, 0.0)]])
    low, high = np.min(points, axis=0), np.max(points, axis=0)
    low[:2] += ranges[:, :, 0].min(axis=0) - _AROUND_M
    high[:2] += ranges[:, :, 1].max(axis=0) + _AROUND_M
    low[2], high[2] = 0.0, high[2] + _OVER_M
    return _vector(low), _vector(high)


def _opening_m(goal: Goal, model: mujoco.MjModel) -> float:
    """Return the gap that the fingers need around the body."""
    if not goal.body:
        return 0.0
    half = model.geom_aabb[model.body(goal.body).geomadr[0], 3:5]
    return 2 * float(half.min()) + _ROOM_M


def _summary(goal: Goal) -> str:
    """Describe a goal in half a sentence."""
    return {
        "lift": f"lift {goal.body} by {100 * goal.height_m:.0f} cm",
        "place": f"set {goal.body} down in {goal.region}",
        "insert": f"insert {goal.body} into {goal.site}",
        "turn": f"move {goal.joint} to {goal.to:g}",
    }[goal.kind]


def _vector(values: np.ndarray) -> Vec3:
    x, y, z = np.round(values, 3).tolist()
    return x, y, z
