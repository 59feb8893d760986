"""The simulated robot does what its numbers say, in metres and in the right direction, the same each time."""

from typing import Any, cast

import mujoco
import numpy as np
import pytest

from hilserl.errors import HilserlError
from hilserl.sim.control import MAX_STEP_M, TOOL_DOWN_WXYZ
from hilserl.sim.environment import ManipulationEnv
from hilserl.sim.robot_models.panda import ARM_JOINTS
from hilserl.sim.scene import PHYSICS_DT_S, world
from hilserl.sim.simulation import Simulation
from hilserl.sim.task_env import CONTROL_DT_S
from hilserl.tasks import make_sim_env

HOLD = 0.0


def entry_of(env: ManipulationEnv, observation: dict[str, np.ndarray], name: str) -> np.ndarray:
    return observation["state"][env.experience.state.slice(name)]


def run_actions(env: ManipulationEnv, seed: int, actions: np.ndarray) -> list[np.ndarray]:
    observation, _ = env.reset(seed=seed)
    seen = [observation["state"]]
    for action in actions:
        observation, reward, *_ = env.step(action)
        seen.append(np.append(observation["state"], reward))
    return seen


def test_seed_decides_reset_and_episode(shared_env: ManipulationEnv) -> None:
    actions = np.random.default_rng(0).uniform(-1, 1, (40, 4))
    first = run_actions(shared_env, 3, actions)
    other_env = make_sim_env("pick_cube")
    second = run_actions(other_env, 3, actions)
    third = run_actions(shared_env, 4, actions)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not np.array_equal(first[0], third[0])


def test_watching_changes_nothing() -> None:
    actions = np.random.default_rng(0).uniform(-1, 1, (10, 4))
    plain, watched = make_sim_env("pick_cube"), make_sim_env("pick_cube")
    frames = []
    with watched.simulation.watched(lambda: frames.append(watched.simulation.data.time), 5):
        seen = run_actions(watched, 0, actions)
    for a, b in zip(run_actions(plain, 0, actions), seen, strict=True):
        assert np.array_equal(a, b)
    run_actions(watched, 0, actions)
    assert len(frames) == 5 * len(actions), "and only while watched"
    assert np.allclose(np.diff(frames), CONTROL_DT_S / 5, atol=PHYSICS_DT_S / 10)


def test_state_agrees_with_the_simulator(shared_env: ManipulationEnv) -> None:
    """Against the simulator itself: poses by its own joints, velocities by finite differences of poses."""
    env = shared_env
    observation, _ = env.reset(seed=5)
    rng = np.random.default_rng(1)
    for _ in range(12):
        observation, *_ = env.step(rng.uniform(-1, 1, 4))
    model, data = env.simulation.model, env.simulation.data
    fresh = mujoco.MjData(model)
    fresh.qpos[:], fresh.mocap_pos[:], fresh.mocap_quat[:] = data.qpos, data.mocap_pos, data.mocap_quat
    mujoco.mj_kinematics(model, fresh)
    tcp = model.site("robot/tcp").id
    position = entry_of(env, observation, "tcp_position_m")
    assert np.allclose(position, fresh.site_xpos[tcp], atol=1e-6)
    rotation = np.zeros(9)
    mujoco.mju_quat2Mat(rotation, entry_of(env, observation, "tcp_quaternion_wxyz").astype(float))
    assert np.allclose(rotation, fresh.site_xmat[tcp], atol=1e-5)
    assert np.allclose(entry_of(env, observation, "cube_position_m"), fresh.body("cube").xpos, atol=1e-6)
    fingers = [model.joint(f"robot/finger_joint{i}").qposadr[0] for i in (1, 2)]
    assert entry_of(env, observation, "gripper_width_m")[0] == pytest.approx(data.qpos[fingers].sum(), abs=1e-6)

    dt = 1e-6
    mujoco.mj_integratePos(model, fresh.qpos, data.qvel, dt)
    mujoco.mj_kinematics(model, fresh)
    velocity = (fresh.site_xpos[tcp] - data.site_xpos[tcp]) / dt
    assert np.allclose(entry_of(env, observation, "tcp_linear_velocity_m_per_s"), velocity, atol=1e-4)
    turn = fresh.site_xmat[tcp].reshape(3, 3) @ data.site_xmat[tcp].reshape(3, 3).T
    spin = np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]]) / (2 * dt)
    assert np.allclose(entry_of(env, observation, "tcp_angular_velocity_rad_per_s"), spin, atol=1e-4)


def test_wrist_wrench_excludes_the_hands_weight(shared_env: ManipulationEnv) -> None:
    env = shared_env
    observation, _ = env.reset(seed=0)
    assert np.abs(entry_of(env, observation, "wrist_force_n")).max() < 0.05
    assert np.abs(entry_of(env, observation, "wrist_torque_nm")).max() < 0.05
    for _ in range(20):
        observation, *_ = env.step(np.array([0, 0, -1, HOLD]))
    assert entry_of(env, observation, "wrist_force_n")[2] > 5.0, "the floor pushes a descending hand up"


def test_wrist_force_shows_a_held_cubes_weight(shared_env: ManipulationEnv) -> None:
    env = shared_env
    observation, _ = env.reset(seed=0)
    terminated = False
    while not terminated:
        observation, _, terminated, _, _ = env.step(env.supervision.expert_action())
    for _ in range(10):
        observation, *_ = env.step(np.array([0, 0, 0, HOLD]))
    assert entry_of(env, observation, "wrist_force_n")[2] == pytest.approx(-0.1 * 9.81, abs=0.15)


def test_closing_shrinks_the_gap_and_opening_widens_it(shared_env: ManipulationEnv) -> None:
    env = shared_env
    observation, _ = env.reset(seed=0)
    assert entry_of(env, observation, "gripper_width_m")[0] == pytest.approx(0.08, abs=0.002)
    assert entry_of(env, observation, "gripper_command")[0] == 1.0
    widths = []
    for action in (-1.0, HOLD, HOLD, HOLD, HOLD, HOLD):
        observation, *_ = env.step(np.array([0, 0, 0, action]))
        widths.append(entry_of(env, observation, "gripper_width_m")[0])
    assert entry_of(env, observation, "gripper_command")[0] == -1.0
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < 0.005
    for _ in range(8):
        observation, *_ = env.step(np.array([0, 0, 0, 1.0]))
    assert entry_of(env, observation, "gripper_width_m")[0] > 0.075


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_tool_moves_along_the_action(shared_env: ManipulationEnv, axis: int, sign: float) -> None:
    env = shared_env
    observation, _ = env.reset(seed=0)
    start = entry_of(env, observation, "tcp_position_m").copy()
    action = np.zeros(4)
    action[axis] = sign
    steps = 4
    for _ in range(steps):
        observation, *_ = env.step(action)
    moved = entry_of(env, observation, "tcp_position_m") - start
    across = np.delete(moved, axis)
    assert 0.75 * MAX_STEP_M * steps < sign * moved[axis] < 1.1 * MAX_STEP_M * steps
    assert np.abs(across).max() < 0.006
    assert np.allclose(entry_of(env, observation, "tcp_quaternion_wxyz"), TOOL_DOWN_WXYZ, atol=0.03)


def test_hand_crosses_the_workspace_in_about_two_seconds(shared_env: ManipulationEnv) -> None:
    env = shared_env
    env.reset(seed=0)
    y, steps = [], 0
    while not y or y[-1] > -0.28:
        y.append(env.step(np.array([0, 1 if not y or (len(y) < 12 and y[-1] < 0.28) else -1, 0, HOLD]))[0]["state"][1])
        if y[-1] > 0.28:
            steps = len(y)
        assert len(y) < 60
    assert 1.4 < (len(y) - steps) * CONTROL_DT_S < 2.6


def test_standing_still_stands_still(shared_env: ManipulationEnv) -> None:
    env = shared_env
    first, _ = last, _ = env.reset(seed=0)
    for _ in range(30):
        last, *_ = env.step(np.zeros(4))
    drift = entry_of(env, last, "tcp_position_m") - entry_of(env, first, "tcp_position_m")
    assert np.abs(drift).max() < 0.002


def test_tool_stays_in_the_workspace_and_joints_in_their_limits(shared_env: ManipulationEnv) -> None:
    env = shared_env
    model, data = env.simulation.model, env.simulation.data
    joints = [model.joint(f"robot/{name}") for name in ARM_JOINTS]
    low, high = np.array(env.task.arms[0].workspace_low_m), np.array(env.task.arms[0].workspace_high_m)
    for corner in np.stack(np.meshgrid([-1, 1], [-1, 1], [-1, 1]), -1).reshape(-1, 3):
        env.reset(seed=0)
        for _ in range(30):
            observation, *_ = env.step(np.append(corner, HOLD))
            position = entry_of(env, observation, "tcp_position_m")
            assert (position > low - 0.02).all()
            assert (position < high + 0.02).all()
        for joint in joints:
            angle = data.qpos[joint.qposadr[0]]
            assert joint.range[0] < angle < joint.range[1]


def test_target_has_no_hidden_state(shared_env: ManipulationEnv) -> None:
    """Pushing against the workspace's edge for long must not delay the way back."""
    env = shared_env
    pushed, _ = env.reset(seed=0)
    for _ in range(30):
        pushed, *_ = env.step(np.array([1, 0, 0, HOLD]))
    back, *_ = env.step(np.array([-1, 0, 0, HOLD]))
    moved = entry_of(env, pushed, "tcp_position_m")[0] - entry_of(env, back, "tcp_position_m")[0]
    assert moved > 0.4 * MAX_STEP_M


def test_actions_beyond_the_box_are_as_its_edge(shared_env: ManipulationEnv) -> None:
    env = shared_env
    inside = run_actions(env, 0, np.array([[1.0, -1.0, 0.0, 0.0]]))
    outside = run_actions(env, 0, np.array([[7.0, -9.0, 0.0, 0.0]]))
    assert np.array_equal(inside[1], outside[1])


@pytest.mark.parametrize("action", [[0, 0, np.nan, 0], [0, 0, np.inf, 0], [0, 0, 0], [[0, 0, 0, 0]]])
def test_invalid_action_is_refused_and_changes_nothing(shared_env: ManipulationEnv, action: list) -> None:
    env = shared_env
    env.reset(seed=0)
    with pytest.raises(HilserlError, match="4 finite numbers"):
        env.step(np.array(action))
    assert np.isfinite(env.step(np.zeros(4))[0]["state"]).all()


def test_control_step_must_be_whole_physics_steps() -> None:
    with pytest.raises(HilserlError, match="multiple"):
        Simulation(world(), 0.0333)
    assert Simulation(world(), 0.1).substeps == 50


def test_unknown_options_name_what_exists() -> None:
    with pytest.raises(HilserlError, match="Available: pixels, state"):
        make_sim_env("pick_cube", obs=cast("Any", "sound"))
    with pytest.raises(HilserlError, match="Available: dense, sparse"):
        make_sim_env("pick_cube", reward=cast("Any", "much"))
