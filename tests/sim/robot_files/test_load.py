"""A robot from a file moves as it says; a broken file is a sentence with its remedy."""

from pathlib import Path

import mujoco
import numpy as np
import pytest

from hilserl.errors import HilserlError
from hilserl.sim.cameras import Cameras
from hilserl.sim.robot_files.description import description_path, read_description, to_toml
from hilserl.sim.robot_files.drive_through import drive_through, four_sides
from hilserl.sim.robot_files.load import load_robot
from hilserl.sim.robot_files.meshes import FITTED_GROUP, MESH_GROUP
from hilserl.sim.robot_files.proposal import propose
from hilserl.sim.robot_models.registry import find_robot
from hilserl.tasks import make_sim_env
from tests.support.own_robot import write_own_robot, write_stl, write_urdf_robot


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The robot's file with the proposed description beside it."""
    path = write_own_robot(tmp_path_factory.mktemp("own"))
    description_path(path).write_text(to_toml(propose(path)))
    return path


def broken(directory: Path, own: Path, old: str, new: str) -> Path:
    """Write the robot with a change, the description unchanged."""
    path = write_own_robot(directory, {old: new})
    description_path(path).write_text(description_path(own).read_text())
    return path


def test_proposal_names_tool_fingers_home_and_workspace(own: Path) -> None:
    found = read_description(own)
    assert found.tool.body == "flange"
    assert np.allclose(found.tool.position_m, (0.0, 0.0, 0.08), atol=0.002)
    assert np.allclose(np.abs(found.tool.fingers_open), (0, 1, 0))
    assert np.allclose(found.tool.approach, (0, 0, 1))
    assert set(found.fingers.joints) == {"slide_a", "slide_b"}
    assert (found.fingers.open, found.fingers.closed) == (0.045, 0.0)
    assert len(found.home.joints_rad) == 6
    assert np.prod(np.subtract(found.workspace.high_m, found.workspace.low_m)) > 0.005


def test_proposal_is_the_same_each_time(own: Path) -> None:
    assert propose(own) == read_description(own)


def test_tool_reaches_the_whole_proposed_workspace(own: Path) -> None:
    assert drive_through(load_robot(own)) == []


def test_script_picks_the_cube_with_a_robot_from_a_file(own: Path) -> None:
    env = make_sim_env("pick_cube", arm=str(own))
    for seed in range(10):
        env.reset(seed=seed)
        assert any(env.step(env.supervision.expert_action())[2] for _ in range(100)), f"seed {seed}"


def test_urdf_with_meshes_of_a_package_does_as_well(tmp_path: Path) -> None:
    path = write_urdf_robot(tmp_path)
    description_path(path).write_text(to_toml(propose(path)))
    robot = find_robot(str(path))
    assert robot.servo is not None
    assert robot.servo.torque == (20.0, 20.0, 20.0, 8.0, 8.0, 8.0)
    env = make_sim_env("pick_cube", arm=str(path))
    env.reset(seed=0)
    assert any(env.step(env.supervision.expert_action())[2] for _ in range(100))


def test_policy_sees_primitives_and_people_see_meshes(own: Path) -> None:
    model = load_robot(own).spec().compile()
    mesh = model.geom_type == mujoco.mjtGeom.mjGEOM_MESH
    assert (model.geom_group[mesh] == MESH_GROUP).all()
    fitted = model.geom_group == FITTED_GROUP
    assert fitted.sum() == mesh.sum() == 1
    assert not model.geom_contype[mesh | fitted].any()


def test_images_for_people_and_policy_differ_by_the_mesh(own: Path) -> None:
    env = make_sim_env("pick_cube", obs="pixels", arm=str(own))
    env.reset(seed=0)
    policy, people = Cameras(env.simulation.model), Cameras(env.simulation.model, for_people=True)
    cheap, full = (cameras.render(env.simulation.data, "front", 64, 64) for cameras in (policy, people))
    assert not np.array_equal(cheap, full)
    for closed in (policy, people, env):
        closed.close()


def test_fingers_and_hand_alone_touch_the_world(own: Path) -> None:
    model = load_robot(own).spec().compile()
    touching = {model.body(model.geom_bodyid[geom]).name for geom in np.flatnonzero(model.geom_contype)}
    assert touching == {"file/flange", "file/finger_a", "file/finger_b"}


def test_files_floor_lights_and_cameras_stay_out(own: Path) -> None:
    model = load_robot(own).spec().compile()
    assert model.nlight == model.ncam == 0
    assert not (model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE).any()


def test_four_cameras_see_the_robot(own: Path) -> None:
    views = four_sides(load_robot(own))
    assert len({view.name for view in views}) == 4
    assert all(np.linalg.norm(np.subtract(view.position_m, view.look_at_m)) > 0.5 for view in views)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('name="slide_a"', 'name="slide_x"', r"fingers.joints: Unknown joint 'slide_a'. Did you mean 'slide_[bx]'"),
        ('<body name="flange"', '<body name="hand_7"', "tool.body: Unknown body 'flange'"),
        (' mass="0.6"', ' mass="0"', "mass and inertia of moving bodies.*Give the body an <inertial>"),
        ('file="shell.stl"', 'file="gone.stl"', "the mesh shell is not there"),
        ('file="shell.stl"', 'file="shell.dae"', "the mesh shell is not there"),
        (
            'actuatorfrcrange="-20 20"/>\n        <geom type="cyl',
            '/>\n        <geom type="cyl',
            "'j1' no largest torque",
        ),
        ("<worldbody>", "<worldbody", "is not XML"),
        ('axis="0 0 1" range="-3 3"', 'axis="0 0 0" range="-3 3"', "cannot be (read|compiled)"),
    ],
)
def test_broken_file_is_told_with_its_remedy(tmp_path: Path, own: Path, old: str, new: str, sentence: str) -> None:
    with pytest.raises(HilserlError, match=sentence):
        load_robot(broken(tmp_path, own, old, new))


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("[tool]", "[tol]", "unknown field `tol`"),
        ("closed = 0\n", "", "missing required field `closed`"),
        ("closed = 0\n", "closed = 0.045\n", "are both 0.045"),
        ("[home]", "[home]\nspeed = 3", "unknown field `speed`"),
        ('body = "flange"', 'body = "base"', "the arm has no joints"),
        ("approach = [0, 0, 1]", "approach = [0, 1, 0]", "not at a right angle"),
        ("open = 0.045\nclosed = 0\n", "open = 0\nclosed = 0.045\n", "open and closed the other way round"),
    ],
)
def test_broken_description_is_told_with_its_key(tmp_path: Path, own: Path, old: str, new: str, sentence: str) -> None:
    path = write_own_robot(tmp_path)
    text = description_path(own).read_text()
    assert old in text
    description_path(path).write_text(text.replace(old, new))
    with pytest.raises(HilserlError, match=sentence):
        load_robot(path)


def test_workspace_out_of_reach_is_told(tmp_path: Path, own: Path) -> None:
    path = write_own_robot(tmp_path)
    lines = description_path(own).read_text().splitlines()
    changed = ["low_m = [1.2, -0.1, 0]" if line.startswith("low_m") else line for line in lines]
    changed = ["high_m = [1.4, 0.1, 0.2]" if line.startswith("high_m") else line for line in changed]
    description_path(path).write_text("\n".join(changed))
    with pytest.raises(HilserlError, match=r"the workspace is out of reach: the tool stays .* cm away"):
        load_robot(path)


def test_home_that_points_elsewhere_is_told(tmp_path: Path, own: Path) -> None:
    path = write_own_robot(tmp_path)
    lines = description_path(own).read_text().splitlines()
    changed = ["joints_rad = [0, 0, 0, 0, 0, 0]" if line.startswith("joints_rad") else line for line in lines]
    description_path(path).write_text("\n".join(changed))
    with pytest.raises(HilserlError, match=r"at home.joints_rad the tool is turned by 180 degrees"):
        load_robot(path)


def test_missing_description_is_told_with_the_command_that_proposes_it(tmp_path: Path) -> None:
    with pytest.raises(HilserlError, match=r"hilserl robots check .*own_arm.xml --write"):
        find_robot(str(write_own_robot(tmp_path)))


def test_million_faces_are_refused_before_they_are_loaded(tmp_path: Path, own: Path) -> None:
    path = broken(tmp_path, own, "shell.stl", "large.stl")
    write_stl(tmp_path / "meshes" / "large.stl", (0.03, 0.02, 0.12), repeats=45_000)
    with pytest.raises(HilserlError, match=r"540,000 faces, 540,000 of them in large.stl; expected at most 500,000"):
        load_robot(path)


def test_robot_without_gripper_is_told(tmp_path: Path) -> None:
    text = write_own_robot(tmp_path).read_text()
    start, end = text.index('<body name="finger_a"'), text.index('<body name="finger_b"')
    stop = text.index("</body>", end) + len("</body>")
    path = tmp_path / "bare.xml"
    path.write_text(text[:start] + text[stop:])
    with pytest.raises(HilserlError, match="no fingers follow the joints j1, j2, j3, j4, j5, j6"):
        propose(path)


def test_xacro_is_told_how_to_expand(tmp_path: Path) -> None:
    with pytest.raises(HilserlError, match=r"xacro arm.xacro > arm.urdf"):
        find_robot(str(tmp_path / "arm.xacro"))
