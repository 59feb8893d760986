"""Robots are put where they reach a task, and refused with a reason where they do not."""

import numpy as np
import pytest

from hilserl.errors import HilserlError
from hilserl.sim.control import POSE_MOVES, ArmSetup, PoseControl
from hilserl.sim.robot_models.placement import Needs, obstacle, place_robot
from hilserl.sim.robot_models.registry import ROBOTS
from hilserl.tasks import find, make_sim_env, names
from hilserl.tasks.flip_object import FlipObject
from hilserl.tasks.handover import Handover
from hilserl.tasks.insert_usb import InsertUsb
from hilserl.tasks.pick_cube import PickCube

OTHERS = [name for name in ROBOTS if name != "panda"]
ALL_TURNS = ArmSetup(
    control=PoseControl(POSE_MOVES, max_step_rad=0.1, max_turn_rad=(0.1, 0.1, 0.1)),
    workspace_low_m=(0.35, -0.05, 0.02),
    workspace_high_m=(0.45, 0.05, 0.1),
)


def test_pandas_place_does_not_change() -> None:
    for name in names():
        assert find(name)(ROBOTS["panda"]).arms == find(name).arms


@pytest.mark.parametrize("name", list(ROBOTS))
def test_robots_can_all_pick_a_cube(name: str) -> None:
    assert PickCube.obstacle(ROBOTS[name]) is None


@pytest.mark.parametrize("name", OTHERS)
def test_workspace_of_a_task_that_shrinks_is_around_its_middle(name: str) -> None:
    (arm,), (nominal,) = PickCube(ROBOTS[name]).arms, PickCube.arms
    middle = np.add(arm.workspace_low_m, arm.workspace_high_m)[:2] / 2
    assert np.allclose(middle, np.add(nominal.workspace_low_m, nominal.workspace_high_m)[:2] / 2)
    assert (np.array(arm.workspace_low_m) >= nominal.workspace_low_m).all()
    assert (np.array(arm.workspace_high_m) <= nominal.workspace_high_m).all()


@pytest.mark.parametrize("name", ["fr3", "ur5e", "xarm7", "gen3", "vx300s"])
def test_six_robots_insert_and_hand_over(name: str) -> None:
    assert InsertUsb.obstacle(ROBOTS[name]) is None
    assert Handover.obstacle(ROBOTS[name]) is None


def test_fixed_task_stays_and_the_base_moves() -> None:
    (arm,) = InsertUsb(ROBOTS["vx300s"]).arms
    assert arm.workspace_low_m == InsertUsb.arms[0].workspace_low_m
    assert arm.base_m[0] > 0.05


def test_right_arm_of_two_faces_the_left_one() -> None:
    left, right = Handover(ROBOTS["ur5e"]).arms
    assert left.base_m[0] < 0 < right.base_m[0]
    assert np.isclose(left.base_m[0], -right.base_m[0], atol=1e-6)


@pytest.mark.parametrize(
    ("task", "robot", "reason"),
    [
        (FlipObject, "ur5e", "it takes positions, and the task commands forces"),
        (InsertUsb, "so101", "its fingers swing"),
        (Handover, "openarm", "its tool leans by 40 degrees"),
    ],
)
def test_robot_that_cannot_is_told_why(task: type[PickCube], robot: str, reason: str) -> None:
    with pytest.raises(HilserlError, match=reason):
        task(ROBOTS[robot])


def test_turns_that_an_arm_cannot_follow_leave_the_action() -> None:
    needs = Needs(opening_m=0.02)
    placed = place_robot("a task", ALL_TURNS, needs, ROBOTS["so101"])
    assert placed.numbers == ("tcp_dx", "tcp_dy", "tcp_dz", "tcp_dry", "tcp_drz", "gripper")
    assert obstacle(ALL_TURNS, Needs(opening_m=0.02, every_turn=True), ROBOTS["so101"]) == (
        "its 5 joints cannot follow tcp_drx"
    )


def test_gripper_that_is_too_small_is_told_in_millimetres() -> None:
    assert obstacle(ArmSetup(), Needs(opening_m=0.08, shrinks=True), ROBOTS["vx300s"]) == (
        "its gripper opens 72 mm, and the task needs 80"
    )


def test_workspace_that_is_too_small_is_told_in_centimetres() -> None:
    reason = obstacle(ArmSetup(), Needs(), ROBOTS["so101"])
    assert reason == "it does not reach all of the task's 40 x 60 x 50 cm (its own workspace is 13 x 28 x 17 cm)"


def test_state_has_forces_only_where_the_arm_senses_them() -> None:
    for name, robot in ROBOTS.items():
        entries = make_sim_env("pick_cube", arm=name).experience.state.names
        assert ("wrist_force_n" in entries) == robot.senses_wrench
        tool = make_sim_env("pick_cube", arm=name, frame="tool").experience.state.names
        assert ("wrist_force_in_tool_n" in tool) == robot.senses_wrench


@pytest.mark.parametrize("name", OTHERS)
def test_script_picks_the_cube_with_every_robot(name: str) -> None:
    env = make_sim_env("pick_cube", arm=name)
    for seed in range(12):
        env.reset(seed=seed)
        assert any(env.step(env.supervision.expert_action())[2] for _ in range(100)), f"{name}, seed {seed}"


@pytest.mark.parametrize("task", ["insert_usb", "handover"])
@pytest.mark.parametrize("name", ["ur5e", "vx300s"])
def test_script_inserts_and_hands_over_with_arms_that_take_positions(task: str, name: str) -> None:
    env = make_sim_env(task, arm=name)
    for seed in range(2):
        env.reset(seed=seed)
        assert any(env.step(env.supervision.expert_action())[2] for _ in range(150)), f"{name}, seed {seed}"


def test_seed_decides_the_episode_with_servos() -> None:
    runs = []
    for _ in range(2):
        env = make_sim_env("pick_cube", arm="so101")
        env.reset(seed=5)
        runs.append([env.step(np.array([0.5, -0.3, -0.4, 0.0]))[0]["state"] for _ in range(10)])
    assert np.array_equal(*runs)


def test_episodes_do_not_depend_on_what_was_before() -> None:
    env = make_sim_env("pick_cube", arm="xarm7")
    first, _ = env.reset(seed=3)
    for _ in range(15):
        env.step(np.array([1.0, 1.0, -1.0, -1.0]))
    again, _ = env.reset(seed=3)
    assert np.array_equal(first["state"], again["state"])
