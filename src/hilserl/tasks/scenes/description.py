"""The TOML file of a task in a user's scene."""

import math
from pathlib import Path
from typing import Literal

import msgspec

from hilserl.errors import HilserlError
from hilserl.sim.robot_models.model import Vec3

Range = tuple[float, float]


class _SceneTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the file: unknown keys are errors."""


class Goal(_SceneTable, frozen=True, kw_only=True):
    """The goal of a task, by its kind."""

    kind: Literal["lift", "place", "insert", "turn"]
    """Kind of the task. turn moves a joint to a value, be it a button, a switch or a valve."""
    body: str = ""
    """Body to lift, place or insert; it has a free joint."""
    height_m: float = 0.1
    """Height above the start at success, to lift."""
    region: str = ""
    """Site whose box or disc the body has to lie in."""
    site: str = ""
    """Site for the body's origin; its z axis points out."""
    tolerance_m: float = 0.003
    """Largest distance of the body from the site, to insert."""
    joint: str = ""
    """Joint to move, to turn."""
    to: float = 0.0
    """Value of the joint at success, in m or rad."""
    at: str = ""
    """Site at which the tool pushes; by default the body's origin."""


class Spread(_SceneTable, frozen=True, kw_only=True):
    """The random start of a body, relative to the scene's file."""

    x_m: Range = (0.0, 0.0)
    """Offset along x."""
    y_m: Range = (0.0, 0.0)
    """Offset along y."""
    yaw_deg: Range = (0.0, 0.0)
    """Turn about z."""


class ToolBox(_SceneTable, frozen=True, kw_only=True):
    """The box in which the tool moves (world frame)."""

    low_m: Vec3
    """Lowest coordinates."""
    high_m: Vec3
    """Highest coordinates."""


class SceneDescription(_SceneTable, frozen=True, kw_only=True):
    """All that a task's TOML file says."""

    goal: Goal
    name: str = ""
    """Name of the task; by default the file's."""
    summary: str = ""
    """Description in half a sentence, imperative."""
    scene: str = ""
    """MJCF file beside this file; by default of the same name."""
    seconds: float = 10.0
    """Time limit of an episode."""
    turns: bool = False
    """True if the action also turns the tool about z."""
    cameras: tuple[str, ...] = ("front", "wrist")
    """Cameras of a policy: front, side, wrist, and the scene's own."""
    random: dict[str, Spread] = {}
    """Random starts by body."""
    workspace: ToolBox | None = None
    """Box of the tool; by default around the named objects."""


_NEEDED = {"lift": ("body",), "place": ("body", "region"), "insert": ("body", "site"), "turn": ("joint",)}
_OF_KIND = {
    "lift": {"kind", "body", "height_m"},
    "place": {"kind", "body", "region"},
    "insert": {"kind", "body", "site", "tolerance_m"},
    "turn": {"kind", "joint", "to", "at"},
}


def read_scene_description(path: Path) -> SceneDescription:
    """Read a task's TOML file.

    Raises:
        HilserlError: The file is missing, no TOML, or a key is missing, unknown or of the wrong type.
    """
    if not path.is_file():
        raise HilserlError(f"There is no file {path}.")
    try:
        found = msgspec.toml.decode(path.read_bytes(), type=SceneDescription)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        complaint = str(error).rstrip(".")
        raise HilserlError(f"{path} is no task: {complaint[:1].lower()}{complaint[1:]}.") from error
    _check(path, found)
    return found


def _check(path: Path, found: SceneDescription) -> None:
    """Raise HilserlError for values that do not fit the goal."""
    goal = found.goal
    usual = msgspec.to_builtins(Goal(kind=goal.kind))
    for key in _NEEDED[goal.kind]:
        if not getattr(goal, key):
            raise HilserlError(f"{path}: a goal of the kind {goal.kind!r} needs goal.{key}.")
    for key, value in msgspec.to_builtins(goal).items():
        if value != usual[key] and key not in _OF_KIND[goal.kind]:
            raise HilserlError(f"{path}: a goal of the kind {goal.kind!r} has no goal.{key}.")
    if goal.kind == "turn" and goal.to == 0.0:
        raise HilserlError(f"{path}: goal.to says how far the joint {goal.joint!r} has to move, in m or rad; got 0.")
    if not (math.isfinite(found.seconds) and found.seconds >= 1.0):
        raise HilserlError(f"{path}: seconds = {found.seconds}: expected at least 1.")
    for body, spread in found.random.items():
        for key, (low, high) in msgspec.to_builtins(spread).items():
            if low > high:
                raise HilserlError(f"{path}: random.{body}.{key} = [{low}, {high}]: the first is above the second.")
