"""A robot of one's own as MJCF and URDF: six joints, two sliding fingers, one mesh."""

import struct
from pathlib import Path

import numpy as np

MJCF = """<mujoco model="own_arm">
  <compiler angle="radian" meshdir="meshes"/>
  <default><joint armature="0.03"/></default>
  <asset><mesh name="shell" file="shell.stl"/></asset>
  <worldbody>
    <light pos="0 0 2"/>
    <geom name="floor" type="plane" size="1 1 0.1"/>
    <body name="base">
      <geom type="cylinder" size="0.05 0.03" pos="0 0 0.03" rgba="0.2 0.3 0.5 1"/>
      <body name="link1" pos="0 0 0.06">
        <joint name="j1" axis="0 0 1" range="-3 3" actuatorfrcrange="-20 20"/>
        <geom type="cylinder" size="0.04 0.03" pos="0 0 0.03" mass="0.5"/>
        <body name="link2" pos="0 0 0.06">
          <joint name="j2" axis="0 1 0" range="-1.8 1.8" actuatorfrcrange="-20 20"/>
          <geom type="mesh" mesh="shell" pos="0 0 0.13" mass="0.8" rgba="0.8 0.5 0.1 1"/>
          <body name="link3" pos="0 0 0.26">
            <joint name="j3" axis="0 1 0" range="-2.4 2.4" actuatorfrcrange="-20 20"/>
            <geom type="capsule" size="0.03" fromto="0 0 0 0 0 0.22" mass="0.6"/>
            <body name="link4" pos="0 0 0.24">
              <joint name="j4" axis="0 1 0" range="-2.2 2.2" actuatorfrcrange="-8 8"/>
              <geom type="capsule" size="0.025" fromto="0 0 0 0 0 0.04" mass="0.3"/>
              <body name="link5" pos="0 0 0.06">
                <joint name="j5" axis="1 0 0" range="-2 2" actuatorfrcrange="-8 8"/>
                <geom type="sphere" size="0.025" mass="0.2"/>
                <body name="flange" pos="0 0 0.04">
                  <joint name="j6" axis="0 0 1" range="-3.1 3.1" actuatorfrcrange="-8 8"/>
                  <geom type="box" size="0.02 0.05 0.015" pos="0 0 0.015" mass="0.3"/>
                  <body name="finger_a" pos="0 0 0.03">
                    <joint name="slide_a" type="slide" axis="0 1 0" range="0 0.045"/>
                    <geom type="box" size="0.01 0.005 0.03" pos="0 0.005 0.03" mass="0.03"/>
                  </body>
                  <body name="finger_b" pos="0 0 0.03">
                    <joint name="slide_b" type="slide" axis="0 -1 0" range="0 0.045"/>
                    <geom type="box" size="0.01 0.005 0.03" pos="0 -0.005 0.03" mass="0.03"/>
                  </body>
                </body>
              </body>
            </body>
          </body>
        </body>
      </body>
    </body>
  </worldbody>
</mujoco>
"""
"""An arm with fingers that open 9 cm; its tool's point is between them, 5 cm above the flange."""


def write_stl(path: Path, half_size_m: tuple[float, float, float], repeats: int = 1) -> None:
    """Write a box as binary STL; with repeats each face is there several times."""
    x, y, z = half_size_m
    corners = np.array([[a, b, c] for a in (-x, x) for b in (-y, y) for c in (-z, z)])
    quads = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))
    faces = [face for a, b, c, d in quads for face in ((a, b, c), (a, c, d))]
    data = b"".join(
        struct.pack("<12fH", 0, 0, 0, *corners[face[0]], *corners[face[1]], *corners[face[2]], 0) for face in faces
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\0" * 80 + struct.pack("<I", len(faces) * repeats) + data * repeats)


def write_own_robot(directory: Path, replacements: dict[str, str] | None = None) -> Path:
    """Write the robot's MJCF and its mesh.

    Args:
        directory: Where to.
        replacements: Texts of the file and what stands for them.
    """
    text = MJCF
    for old, new in (replacements or {}).items():
        assert old in text, old
        text = text.replace(old, new)
    write_stl(directory / "meshes" / "shell.stl", (0.03, 0.02, 0.12))
    path = directory / "own_arm.xml"
    path.write_text(text)
    return path


def urdf() -> str:
    """Return a URDF of a similar arm, with a mesh of a package."""
    joints = (
        ("j1", "base", "link1", "0 0 0.06", "0 0 1", 3.0, 20.0),
        ("j2", "link1", "link2", "0 0 0.06", "0 1 0", 1.8, 20.0),
        ("j3", "link2", "link3", "0 0 0.26", "0 1 0", 2.4, 20.0),
        ("j4", "link3", "link4", "0 0 0.24", "0 1 0", 2.2, 8.0),
        ("j5", "link4", "link5", "0 0 0.06", "1 0 0", 2.0, 8.0),
        ("j6", "link5", "flange", "0 0 0.04", "0 0 1", 3.1, 8.0),
    )
    box = '<box size="0.04 0.04 0.04"/>'
    mesh = '<mesh filename="package://own_arm_description/meshes/shell.stl"/>'
    lines = ['<robot name="own_arm">', _link("base", box)]
    for name, parent, child, xyz, axis, limit, effort in joints:
        lines.append(_link(child, mesh if child == "link2" else box, "0 0 0.13" if child == "link2" else "0 0 0"))
        lines.append(
            f'<joint name="{name}" type="revolute"><parent link="{parent}"/><child link="{child}"/>'
            f'<origin xyz="{xyz}"/><axis xyz="{axis}"/>'
            f'<limit lower="{-limit}" upper="{limit}" effort="{effort}" velocity="3"/></joint>'
        )
    for side, sign in (("a", 1), ("b", -1)):
        lines.append(_link(f"finger_{side}", '<box size="0.02 0.01 0.06"/>', f"0 {sign * 0.005} 0.03"))
        lines.append(
            f'<joint name="slide_{side}" type="prismatic"><parent link="flange"/><child link="finger_{side}"/>'
            f'<origin xyz="0 0 0.03"/><axis xyz="0 {sign} 0"/>'
            '<limit lower="0" upper="0.045" effort="20" velocity="1"/></joint>'
        )
    return "\n".join([*lines, "</robot>"])


def _link(name: str, geometry: str, xyz: str = "0 0 0") -> str:
    shape = f'<origin xyz="{xyz}"/><geometry>{geometry}</geometry>'
    inertia = '<inertia ixx="0.001" iyy="0.001" izz="0.001" ixy="0" ixz="0" iyz="0"/>'
    return (
        f'<link name="{name}"><inertial><mass value="0.3"/>{inertia}</inertial>'
        f"<visual>{shape}</visual><collision>{shape}</collision></link>"
    )


def write_urdf_robot(directory: Path) -> Path:
    """Write the URDF into a package's directory, beside its meshes."""
    package = directory / "own_arm_description"
    write_stl(package / "meshes" / "shell.stl", (0.03, 0.02, 0.12))
    path = package / "urdf" / "own_arm.urdf"
    path.parent.mkdir(parents=True)
    path.write_text(urdf())
    return path
