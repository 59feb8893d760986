"""The TOML file beside a robot's MJCF or URDF."""

import math
from pathlib import Path

import msgspec

from hilserl.errors import HilserlError
from hilserl.sim.robot_models.model import ControlName, Vec3


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the file: unknown keys are errors."""


class ToolTable(_Table, frozen=True, kw_only=True):
    """The tool's point and axes, in the frame of a body."""

    body: str
    """Body that carries the fingers."""
    position_m: Vec3
    """Position of the tool's point."""
    approach: Vec3
    """Direction in which the tool approaches an object."""
    fingers_open: Vec3
    """Direction along which the fingers open."""


class FingersTable(_Table, frozen=True, kw_only=True):
    """The fingers and their drive."""

    joints: tuple[str, ...]
    """One or two joints of the fingers, in metres or radians."""
    open: float
    """Position of an open finger."""
    closed: float
    """Position of a closed finger."""
    force: float = 0.0
    """Largest force (N) or torque (N m); 0 is a usual one."""
    geoms: tuple[str, ...] = ()
    """Two geoms that hold objects; by default all that collide."""


class HomeTable(_Table, frozen=True, kw_only=True):
    """The posture at the start of an episode."""

    joints_rad: tuple[float, ...]
    """Joints of the arm, from the base."""


class WorkspaceTable(_Table, frozen=True, kw_only=True):
    """The box in which the tool moves, in the base's frame."""

    low_m: Vec3
    """Lowest coordinates."""
    high_m: Vec3
    """Highest coordinates."""


class ArmTable(_Table, frozen=True, kw_only=True):
    """The arm; empty entries are taken from the robot's file."""

    control: ControlName = "position"
    """Commands of the joints."""
    stiffness: tuple[float, ...] = ()
    """Stiffness of the joints' servos in N m/rad."""
    damping: tuple[float, ...] = ()
    """Damping of the joints' servos in N m s/rad."""
    torque_nm: tuple[float, ...] = ()
    """Largest torques of the joints."""
    speed_rad_per_s: float = 3.0
    """Largest speed of a command."""
    step_factor: float = 1.0
    """Motion of a full action, as a factor of a Panda's."""
    senses_wrench: bool = False
    """True if the arm measures force and torque at its wrist."""
    tool_pitch_deg: float = 0.0
    """Lean of the tool from straight down, away from the base."""


class RobotDescription(_Table, frozen=True, kw_only=True):
    """All that a robot's TOML file says."""

    title: str = ""
    """Name for people; by default the file's."""
    tool: ToolTable
    fingers: FingersTable
    home: HomeTable
    workspace: WorkspaceTable
    arm: ArmTable = ArmTable()


def description_path(path: Path) -> Path:
    """Return the path of the TOML file beside a robot's file."""
    return path.with_suffix(".toml")


def read_description(path: Path) -> RobotDescription:
    """Read the TOML file beside a robot's file.

    Raises:
        HilserlError: The file is missing, no TOML, or a key is missing, unknown or of the wrong type.
    """
    beside = description_path(path)
    if not beside.exists():
        raise HilserlError(
            f"There is no {beside}, which names the tool, fingers, home and workspace of {path.name}. "
            f"`hilserl robots check {path} --write` proposes it."
        )
    try:
        found = msgspec.toml.decode(beside.read_bytes(), type=RobotDescription)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise HilserlError(f"{beside} is not a robot's description: {_lower(str(error))}.") from error
    _check(beside, found)
    return found


def _check(path: Path, found: RobotDescription) -> None:
    """Raise HilserlError for values that contradict each other."""
    if not 1 <= len(found.fingers.joints) <= 2:
        raise HilserlError(f"{path}: fingers.joints = {found.fingers.joints}: expected one or two joints.")
    if found.fingers.open == found.fingers.closed:
        raise HilserlError(f"{path}: fingers.open and fingers.closed are both {found.fingers.open}.")
    if len(found.fingers.geoms) not in (0, 2):
        raise HilserlError(f"{path}: fingers.geoms = {found.fingers.geoms}: expected two geoms, or none.")
    for name in ("approach", "fingers_open"):
        if math.hypot(*getattr(found.tool, name)) < 1e-6:
            raise HilserlError(f"{path}: tool.{name} = {getattr(found.tool, name)}: expected a direction.")
    across = sum(a * b for a, b in zip(found.tool.approach, found.tool.fingers_open, strict=True))
    if abs(across) > 0.05 * math.hypot(*found.tool.approach) * math.hypot(*found.tool.fingers_open):
        raise HilserlError(f"{path}: tool.approach and tool.fingers_open are not at a right angle.")
    space = found.workspace
    if any(low >= high for low, high in zip(space.low_m, space.high_m, strict=True)):
        raise HilserlError(f"{path}: workspace.low_m {space.low_m} is not below workspace.high_m {space.high_m}.")


_USUAL = {"arm": msgspec.to_builtins(ArmTable()), "fingers": {"force": 0.0, "geoms": ()}}
"""Entries that are left out of a file with these values."""


def to_toml(found: RobotDescription) -> str:
    """Write a description as TOML, each table with a comment."""
    tables: dict[str, tuple[str, dict[str, object]]] = {
        "tool": ("Body that carries the fingers; point and axes in its frame.", msgspec.to_builtins(found.tool)),
        "fingers": ("Joints of the fingers, in m or rad.", msgspec.to_builtins(found.fingers)),
        "home": ("Start of an episode, rad.", msgspec.to_builtins(found.home)),
        "workspace": ("Box of the tool in the base's frame, m: x forward, z up.", msgspec.to_builtins(found.workspace)),
        "arm": ("Empty entries are taken from the robot's file.", msgspec.to_builtins(found.arm)),
    }
    lines = [f'title = "{found.title}"']
    for name, (comment, values) in tables.items():
        lines += ["", f"[{name}]  # {comment}"]
        usual = _USUAL.get(name, {})
        lines += [f"{key} = {_toml(value)}" for key, value in values.items() if key not in usual or usual[key] != value]
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return f"{value + 0.0:.6g}" if isinstance(value, float) else str(value)


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:].rstrip(".")
