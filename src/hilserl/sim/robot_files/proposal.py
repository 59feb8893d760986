"""The TOML file that a robot's file seems to want."""

from pathlib import Path

import msgspec

from hilserl.errors import HilserlError
from hilserl.sim.robot_files.description import ArmTable, HomeTable, RobotDescription, ToolTable, WorkspaceTable
from hilserl.sim.robot_files.load import make_robot
from hilserl.sim.robot_files.reach import find_reach
from hilserl.sim.robot_files.source import compile_spec, read_spec
from hilserl.sim.robot_files.structure import find_structure
from hilserl.sim.robot_files.tool_frame import find_tool_frame


def propose(path: Path) -> RobotDescription:
    """Propose tool, fingers, home and workspace of a robot's file.

    Raises:
        HilserlError: The file is broken, has no gripper, or its tool comes nowhere ahead of the base.
    """
    spec = read_spec(path)
    spec.compiler.fusestatic = False
    structure = find_structure(path, compile_spec(path, spec))
    tool, fingers = find_tool_frame(path, structure)
    draft = RobotDescription(
        title=path.stem,
        tool=tool,
        fingers=fingers,
        home=HomeTable(joints_rad=(0.0,) * len(structure.arm)),
        workspace=WorkspaceTable(low_m=(0.1, -0.1, 0.0), high_m=(0.3, 0.1, 0.2)),
    )
    # Fingers open to both sides, so that a tool turned by half a turn is as good: one may suit the wrist better.
    drafts = (draft, msgspec.structs.replace(draft, tool=_turned(tool)))
    found = find_reach((make_robot(path, drafts[0]), make_robot(path, drafts[1])))
    reach, draft = max(zip(found, drafts, strict=True), key=lambda each: each[0].score if each[0] else -1.0)
    if reach is None:
        raise HilserlError(
            f"{path}: the tool reaches nothing ahead of the base (+x, above z = 0), pointing down or leaning by up to "
            "45 degrees. Turn or raise the base in the file: the robot looks along +x and stands on z = 0."
        )
    return msgspec.structs.replace(
        draft,
        home=HomeTable(joints_rad=reach.home_joints_rad),
        workspace=WorkspaceTable(low_m=reach.low_m, high_m=reach.high_m),
        arm=ArmTable(tool_pitch_deg=reach.tool_pitch_deg),
    )


def _turned(tool: ToolTable) -> ToolTable:
    """Turn a tool by half a turn about its approach."""
    x, y, z = tool.fingers_open
    return msgspec.structs.replace(tool, fingers_open=(-x, -y, -z))
