"""Reading of MJCF and URDF files, with their meshes checked."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import mujoco

from hilserl.errors import HilserlError

MAX_FACES = 500_000
"""Most faces of all meshes together; more take minutes to compile."""
SUFFIXES = (".xml", ".mjcf", ".urdf")
_DECODABLE = (".stl", ".obj", ".msh")


def is_file_name(name: str) -> bool:
    """True if a robot's name is that of a file."""
    return Path(name).suffix.lower() in (*SUFFIXES, ".xacro")


def check_name(path: Path) -> None:
    """Raise HilserlError unless a file is there, MJCF or URDF."""
    if path.suffix == ".xacro":
        raise HilserlError(f"{path} is a xacro; expand it first: xacro {path.name} > {path.stem}.urdf")
    if path.suffix.lower() not in SUFFIXES:
        raise HilserlError(f"{path}: expected a file that ends in {', '.join(SUFFIXES)}.")
    if not path.is_file():
        raise HilserlError(f"There is no file {path}.")


def read_spec(path: Path) -> mujoco.MjSpec:
    """Read a robot's or a scene's file; its meshes have absolute paths.

    Raises:
        HilserlError: The file is missing or broken, or a mesh is; the message says what to do.
    """
    check_name(path)
    try:
        root = ET.parse(path).getroot()  # noqa: S314 - a file of the user's own
    except ET.ParseError as error:
        raise HilserlError(f"{path} is not XML: {error}.") from error
    if root.tag not in ("mujoco", "robot"):
        raise HilserlError(f"{path} is <{root.tag}>; expected MJCF, <mujoco>, or URDF, <robot>.")
    try:
        spec = _read_urdf(path, root) if root.tag == "robot" else mujoco.MjSpec.from_file(str(path))
    except ValueError as error:
        raise HilserlError(f"{path} cannot be read: {_one_line(error)}.") from error
    _resolve_meshes(path, spec)
    return spec


def compile_spec(path: Path, spec: mujoco.MjSpec) -> mujoco.MjModel:
    """Compile what a file describes.

    Raises:
        HilserlError: MuJoCo refuses it; the message says what to do.
    """
    try:
        return spec.compile()
    except ValueError as error:
        raise refused(path, error) from error


def refused(path: Path, error: ValueError) -> HilserlError:
    """Turn MuJoCo's complaint about a file into one with its remedy."""
    complaint = _one_line(error)
    remedy = ""
    if "mass and inertia of moving bodies" in complaint:
        remedy = ' Give the body an <inertial> with a mass in kg and an inertia in kg m^2, such as mass="0.1".'
    elif "inertia must satisfy" in complaint:
        remedy = (
            " The three diagonal inertias contradict each other; set balanceinertia in <compiler>, or correct them."
        )
    return HilserlError(f"{path} cannot be compiled: {complaint}.{remedy}")


def _read_urdf(path: Path, root: ET.Element) -> mujoco.MjSpec:
    """Read a URDF with its visual meshes and its fixed links."""
    _drop_undecodable(root)
    for mesh in root.iter("mesh"):
        name = mesh.get("filename", "")
        mesh.set("filename", str(_find_mesh(path, name)))
    extension = root.find("mujoco")
    if extension is None:
        extension = ET.SubElement(root, "mujoco")
    compiler = extension.find("compiler")
    if compiler is None:
        compiler = ET.SubElement(extension, "compiler")
    compiler.attrib |= {"strippath": "false", "discardvisual": "false", "fusestatic": "false", "meshdir": ""}
    return mujoco.MjSpec.from_string(ET.tostring(root, "unicode"))


def _drop_undecodable(root: ET.Element) -> None:
    """Drop visual meshes that MuJoCo does not read, such as COLLADA."""
    for link in root.iter("link"):
        for visual in link.findall("visual"):
            mesh = visual.find("geometry/mesh")
            if mesh is not None and Path(mesh.get("filename", "")).suffix.lower() not in _DECODABLE:
                link.remove(visual)


def _find_mesh(path: Path, name: str) -> Path:
    """Find a mesh that a URDF names by path or package."""
    plain = re.sub(r"^(package|file|model)://", "", name)
    shorter = "/".join(plain.split("/")[1:]) if name.startswith(("package", "model")) else plain
    for directory in path.resolve().parents:
        for candidate in (directory / plain, directory / shorter):
            if candidate.is_file():
                return candidate
    raise HilserlError(
        f"{path}: the mesh {name} is not there, looked for beside the file and in the directories above it. "
        "Correct the name, or copy the mesh there."
    )


def _resolve_meshes(path: Path, spec: mujoco.MjSpec) -> None:
    """Make the paths of meshes absolute; check existence and size."""
    directory = path.resolve().parent / (spec.meshdir or "")
    faces: dict[str, int] = {}
    for mesh in spec.meshes:
        if not mesh.file:
            continue
        file = directory / mesh.file
        if not file.is_file():
            raise HilserlError(
                f"{path}: the mesh {mesh.name or mesh.file} is not there: {file}. "
                "Correct its file or the compiler's meshdir, or copy the mesh there."
            )
        if file.suffix.lower() not in _DECODABLE:
            raise HilserlError(
                f"{path}: the mesh {file.name} is in a format that MuJoCo does not read; expected "
                f"{', '.join(_DECODABLE)}. Convert it, for example with MeshLab or Blender, and name the new file."
            )
        mesh.file = str(file)
        faces[str(file)] = count_faces(file)
    spec.meshdir = ""
    if sum(faces.values()) > MAX_FACES:
        worst = max(faces, key=lambda name: faces[name])
        raise HilserlError(
            f"{path}: its meshes have {sum(faces.values()):,} faces, {faces[worst]:,} of them in {Path(worst).name}; "
            f"expected at most {MAX_FACES:,}. Decimate them, for example with MeshLab or Blender, or name the simpler "
            "meshes for collisions."
        )


def count_faces(path: Path) -> int:
    """Count the faces of an STL or OBJ file."""
    if path.suffix.lower() == ".stl":
        with path.open("rb") as file:
            head = file.read(84)
        return int.from_bytes(head[80:84], "little") if len(head) == 84 else 0
    if path.suffix.lower() == ".obj":
        with path.open("rb") as file:
            return sum(line.startswith(b"f ") for line in file)
    return 0


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).removeprefix("Error: ").rstrip(".")
