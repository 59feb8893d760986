"""The task: its success means a grasp and a lift, its script can do it, its time limit is not a failure."""

import numpy as np
import pytest

from hilserl.sim.environment import ManipulationEnv
from hilserl.tasks import make_sim_env
from hilserl.tasks.pick_cube import CUBE, HALF_M, LIFT_M


def play(env: ManipulationEnv, seed: int) -> tuple[bool, int]:
    env.reset(seed=seed)
    for steps in range(1, 101):
        _, _, terminated, truncated, _ = env.step(env.supervision.expert_action())
        if terminated or truncated:
            return terminated, steps
    raise AssertionError("an episode ends within 100 steps")


def test_expert_succeeds_in_99_of_100(shared_env: ManipulationEnv) -> None:
    outcomes = [play(shared_env, seed) for seed in range(100)]
    assert sum(success for success, _ in outcomes) >= 99


@pytest.mark.parametrize("seed", range(6))
def test_expert_recovers_from_any_state(shared_env: ManipulationEnv, seed: int) -> None:
    """Random motion, gripper included, knocks the cube about; a failed grasp is one of the things it leaves behind."""
    env = shared_env
    env.reset(seed=seed)
    rng = np.random.default_rng(seed)
    for index in range(25):
        action = env.supervision.expert_action() if index % 2 else rng.uniform(-1, 1, 4)
        if env.step(action)[2]:
            env.reset(seed=seed)
    if env.supervision.harm():
        pytest.skip("the cube left the workspace")
    assert any(env.step(env.supervision.expert_action())[2] for _ in range(60))


def test_expert_recovers_from_closing_beside_the_cube(shared_env: ManipulationEnv) -> None:
    env = shared_env
    env.reset(seed=1)
    for _ in range(5):
        env.step(np.array([0, 0, 0, -1.0]))
    assert env.simulation.arm.gripper_width_m < 0.01
    assert any(env.step(env.supervision.expert_action())[2] for _ in range(60))


def lift_cube_by_hand(env: ManipulationEnv, height_m: float) -> None:
    position = env.simulation.position_m(CUBE)
    position[2] = HALF_M + height_m
    env.simulation.place(CUBE, position, 0.0)
    env.simulation.settle()


def test_thrown_cube_is_no_success(shared_env: ManipulationEnv) -> None:
    env = shared_env
    env.reset(seed=0)
    lift_cube_by_hand(env, 3 * LIFT_M)
    _, reward, terminated, _, info = env.step(np.zeros(4))
    assert env.simulation.position_m(CUBE)[2] > HALF_M + LIFT_M
    assert not terminated
    assert not info["success"]
    assert reward == 0.0


def test_scooped_cube_is_no_success(shared_env: ManipulationEnv) -> None:
    """The cube lies on the hand's housing, well above the floor and touching the robot."""
    env = shared_env
    env.reset(seed=0)
    env.step(np.array([0, 0, 0, -1.0]))
    hand = env.simulation.position_m("robot/hand")
    env.simulation.place(CUBE, hand + np.array([0.0, 0.0, 0.03]), 0.0)
    env.simulation.settle()
    for _ in range(2):
        _, _, terminated, _, _ = env.step(np.array([0, 0, 0, -1.0]))
        assert not terminated


def test_grasp_without_a_lift_is_no_success(shared_env: ManipulationEnv) -> None:
    env = shared_env
    env.reset(seed=0)
    for _ in range(60):
        if env.simulation.held(CUBE):
            break
        assert not env.step(env.supervision.expert_action())[2]
    assert env.simulation.held(CUBE)
    for _ in range(3):
        assert not env.step(np.zeros(4))[2]
    assert any(env.step(np.array([0, 0, 1.0, 0]))[2] for _ in range(8)), "and lifting it is one"


def test_opening_drops_the_cube(shared_env: ManipulationEnv) -> None:
    env = shared_env
    env.reset(seed=0)
    while not env.step(env.supervision.expert_action())[2]:
        pass
    for _ in range(6):
        env.step(np.array([0, 0, 0, 1.0]))
    assert not env.simulation.held(CUBE)
    assert env.simulation.position_m(CUBE)[2] < HALF_M + 0.01


def test_time_limit_truncates_and_success_terminates(shared_env: ManipulationEnv) -> None:
    env = shared_env
    env.reset(seed=0)
    ends = [env.step(np.zeros(4))[2:4] for _ in range(100)]
    assert ends[-1] == (False, True)
    assert not any(terminated or truncated for terminated, truncated in ends[:-1])
    env.reset(seed=0)
    while True:
        _, reward, terminated, truncated, _ = env.step(env.supervision.expert_action())
        if terminated:
            break
    assert not truncated
    assert reward == 1.0


def test_cubes_start_everywhere_they_may(shared_env: ManipulationEnv) -> None:
    env = shared_env
    starts, yaws = [], []
    for seed in range(300):
        env.reset(seed=seed)
        starts.append(env.simulation.position_m(CUBE))
        w, _, _, z = env.simulation.quaternion_wxyz(CUBE)
        yaws.append(2 * np.arctan2(z, w))
    x, y, z = np.array(starts).T
    assert x.min() >= 0.25
    assert x.max() <= 0.55
    assert y.min() >= -0.25
    assert y.max() <= 0.25
    assert np.ptp(x) > 0.27
    assert np.ptp(y) > 0.45
    assert np.ptp(yaws) > 5.5
    assert np.allclose(z, HALF_M, atol=1e-3)


def test_dense_reward_grows_along_a_good_episode() -> None:
    env = make_sim_env("pick_cube", reward="dense")
    env.reset(seed=0)
    rewards, terminated = [], False
    while not terminated:
        _, reward, terminated, _, _ = env.step(env.supervision.expert_action())
        rewards.append(reward)
    assert 0 <= min(rewards) <= max(rewards) <= 1
    assert rewards[-1] > 0.95
    assert np.mean(np.diff(rewards) > 0) > 0.7


def test_progress_and_harm_agree_with_an_operator(shared_env: ManipulationEnv) -> None:
    env = shared_env
    env.reset(seed=0)
    assert not env.supervision.harm()
    seen = [env.supervision.progress()]
    while not env.step(env.supervision.expert_action())[2]:
        seen.append(env.supervision.progress())
    assert seen[0] < 0.3
    assert seen[-1] > 0.6
    env.simulation.place(CUBE, np.array([0.7, 0.0, HALF_M]), 0.0)
    env.simulation.settle()
    assert env.supervision.harm()
