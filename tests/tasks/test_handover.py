"""Two arms pass a bar: each obeys its own numbers, the script can, and success is what it says."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from hilserl.sim.arm import GRIPPER_OPEN
from hilserl.sim.control import TOOL_DOWN_WXYZ
from hilserl.sim.environment import ManipulationEnv
from hilserl.sim.quaternions import turn_between
from hilserl.tasks import make_sim_env
from hilserl.tasks.handover import BAR, LENGTH_M, MEETING_M, RESTING_M, TRAY_X_M, bar_of
from tests.support.demonstrator import demonstrated_successes

LEFT, RIGHT = 0, 1
ARMS = ("left", "right")
GRIPPERS = (6, 13)
STILL = np.zeros(14)


@pytest.fixture(scope="module")
def env() -> Iterator[ManipulationEnv]:
    env = make_sim_env("handover")
    yield env
    env.close()


@pytest.fixture(scope="module")
def tool_env() -> Iterator[ManipulationEnv]:
    env = make_sim_env("handover", frame="tool")
    yield env
    env.close()


def only(index: int, value: float = 1.0) -> np.ndarray:
    action = STILL.copy()
    action[index] = value
    return action


def poses(env: ManipulationEnv) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(arm.tcp_position_m, arm.tcp_quaternion_wxyz) for arm in env.simulation.arms]


def told(env: ManipulationEnv, state: np.ndarray) -> dict[str, np.ndarray]:
    """The entries of a state vector by name."""
    layout = env.experience.state
    return {name: state[layout.slice(name)] for name in layout.names}


def put(env: ManipulationEnv, position_m: tuple[float, float, float], yaw_rad: float = 0.0) -> None:
    env.simulation.place(BAR, np.array(position_m), yaw_rad)
    env.simulation.settle()


def finishes(env: ManipulationEnv, steps: int = 149) -> bool:
    """Return True if the script finishes the task from here."""
    return any(env.step(env.supervision.expert_action())[2] for _ in range(steps))


def play_until(env: ManipulationEnv, reached: Callable[[], bool]) -> None:
    while not reached():
        assert not env.step(env.supervision.expert_action())[2], "the script comes there before the end"


def holders(env: ManipulationEnv) -> tuple[bool, ...]:
    return tuple(env.simulation.held(BAR, arm) for arm in env.simulation.arms)


def test_action_has_fourteen_numbers_and_two_grippers(env: ManipulationEnv) -> None:
    layout = env.experience.action
    moves = ("tcp_dx", "tcp_dy", "tcp_dz", "tcp_drx", "tcp_dry", "tcp_drz", "gripper")
    assert layout.names == tuple(f"{arm}_{move}" for arm in ARMS for move in moves)
    assert layout.grippers == GRIPPERS


@pytest.mark.parametrize("frame", ["world", "tool"])
@pytest.mark.parametrize("arm", [LEFT, RIGHT])
@pytest.mark.parametrize("axis", range(3))
def test_displacement_moves_its_arm_alone(
    env: ManipulationEnv, tool_env: ManipulationEnv, arm: int, axis: int, frame: str
) -> None:
    env = env if frame == "world" else tool_env
    env.reset(seed=0)
    before = poses(env)
    # Homes are near the top of the workspaces: down is free.
    sign = -1.0 if (axis == 2) == (frame == "world") else 1.0
    for _ in range(2):
        env.step(only(7 * arm + axis, sign))
    after = poses(env)
    expected = sign * np.eye(3)[axis]
    if frame == "tool":
        # A tool that points down sees y and z the other way round; one that faces the other arm x and z.
        expected = expected * ((1.0, -1.0, -1.0) if arm == LEFT else (-1.0, 1.0, -1.0))
    moved = after[arm][0] - before[arm][0]
    assert moved @ expected > 0.03
    assert np.linalg.norm(moved - (moved @ expected) * expected) < 0.01
    other = 1 - arm
    assert np.linalg.norm(after[other][0] - before[other][0]) < 1e-3
    assert np.linalg.norm(turn_between(before[arm][1], after[arm][1])) < 0.06


@pytest.mark.parametrize("arm", [LEFT, RIGHT])
def test_turn_turns_its_arm_alone(env: ManipulationEnv, arm: int) -> None:
    env.reset(seed=0)
    before = poses(env)
    for _ in range(3):
        env.step(only(7 * arm + 5, -1.0))
    after = poses(env)
    turn = turn_between(before[arm][1], after[arm][1])
    assert turn[2] < -0.2
    assert np.abs(turn[:2]).max() < 0.05
    assert np.linalg.norm(after[arm][0] - before[arm][0]) < 0.01
    other = 1 - arm
    assert np.linalg.norm(turn_between(before[other][1], after[other][1])) < 1e-3


@pytest.mark.parametrize("arm", [LEFT, RIGHT])
def test_gripper_obeys_its_number(env: ManipulationEnv, arm: int) -> None:
    env.reset(seed=0)
    for _ in range(8):
        env.step(only(GRIPPERS[arm], -1.0))
    widths = [each.gripper_width_m for each in env.simulation.arms]
    assert widths[arm] < 0.005
    assert widths[1 - arm] > 0.075
    for _ in range(8):
        env.step(only(GRIPPERS[arm], 1.0))
    assert all(each.gripper_width_m > 0.075 for each in env.simulation.arms)


def test_arms_face_each_other_pointing_down(env: ManipulationEnv) -> None:
    env.reset(seed=0)
    left, right = env.simulation.arms
    assert np.allclose(left.setup.tool_wxyz, TOOL_DOWN_WXYZ)
    assert np.allclose(np.abs(right.setup.tool_wxyz), (0, 0, 1, 0))
    for arm in (left, right):
        assert np.linalg.norm(turn_between(np.array(arm.setup.tool_wxyz), arm.tcp_quaternion_wxyz)) < 1e-3
        assert (arm.setup.workspace_low_m < arm.tcp_position_m).all()
        assert (arm.tcp_position_m < arm.setup.workspace_high_m).all()


def test_hands_that_push_towards_each_other_stay_apart(env: ManipulationEnv) -> None:
    env.reset(seed=0)
    for _ in range(30):
        env.step(only(0, 1.0) + only(7, -1.0))
    left, right = env.simulation.arms
    assert right.tcp_position_m[0] - left.tcp_position_m[0] > 0.1
    touching = {env.simulation.model.geom(geom).name for geom in env.simulation.data.contact.geom.ravel()}
    assert not any(name.startswith(("left/", "right/")) for name in touching)


def test_observations_name_the_arms_and_tell_what_is_so(env: ManipulationEnv) -> None:
    observation, _ = env.reset(seed=0)
    for _ in range(5):
        observation = env.step(only(0, 0.5) + only(9, -0.5) + only(6, -1.0))[0]
    values = told(env, observation["state"])
    sim = env.simulation
    for name, arm, sign in zip(ARMS, sim.arms, (-1.0, 1.0), strict=True):
        np.testing.assert_allclose(values[f"{name}_tcp_position_m"], arm.tcp_position_m, atol=1e-6)
        np.testing.assert_allclose(values[f"{name}_tcp_quaternion_wxyz"], arm.tcp_quaternion_wxyz, atol=1e-6)
        np.testing.assert_allclose(values[f"{name}_gripper_width_m"], arm.gripper_width_m, atol=1e-6)
        assert values[f"{name}_gripper_command"] == arm.gripper_command
        end = sim.position_m(BAR) + sign * values["bar_axis"] * LENGTH_M / 2
        inside = arm.tcp_position_m + values[f"{name}_grasp_from_tcp_m"]
        assert 0.02 < np.linalg.norm(end - inside) < 0.05, "it is taken near its end"
    assert values["left_gripper_command"] != values["right_gripper_command"]
    assert values["bar_axis"][0] > 0


def test_tool_frame_is_relative_to_each_arms_start(tool_env: ManipulationEnv) -> None:
    env = tool_env
    observation, _ = env.reset(seed=0)
    start = told(env, observation["state"])
    for _ in range(4):
        observation = env.step(only(7, -1.0))[0]
    values = told(env, observation["state"])
    for name in ARMS:
        assert np.abs(start[f"{name}_tcp_from_start_m"]).max() < 1e-6
    assert values["right_tcp_from_start_m"][0] < -0.05, "backwards"
    assert np.abs(values["left_tcp_from_start_m"]).max() < 1e-3


def test_script_succeeds_in_the_tool_frame(tool_env: ManipulationEnv) -> None:
    for seed in range(3):
        tool_env.reset(seed=seed)
        assert finishes(tool_env)


def test_seed_decides_everything(env: ManipulationEnv) -> None:
    def states(seed: int) -> np.ndarray:
        rng = np.random.default_rng(0)
        first = env.reset(seed=seed)[0]["state"]
        return np.stack([first, *(env.step(rng.uniform(-1, 1, 14))[0]["state"] for _ in range(15))])

    assert np.array_equal(states(3), states(3))
    assert not np.array_equal(states(3), states(4))


def test_bar_starts_everywhere_in_the_left_tray(env: ManipulationEnv) -> None:
    starts, yaws = [], []
    for seed in range(200):
        env.reset(seed=seed)
        bar = bar_of(env.simulation)
        starts.append(bar.middle_m)
        yaws.append(bar.yaw_rad)
    low, high = np.min(starts, axis=0), np.max(starts, axis=0)
    assert np.allclose(high[:2] - low[:2], (0.06, 0.07), atol=0.005)
    assert np.allclose((low + high)[:2] / 2, (-TRAY_X_M, 0.0), atol=0.003)
    assert 0.45 < np.ptp(yaws) <= 0.5


def test_script_succeeds_in_99_of_100_with_visible_progress(env: ManipulationEnv) -> None:
    lengths = []
    for seed in range(100):
        env.reset(seed=seed)
        seen = [env.supervision.progress()]
        while True:
            _, _, terminated, truncated, _ = env.step(env.supervision.expert_action())
            seen.append(env.supervision.progress())
            if terminated or truncated:
                break
        if terminated:
            lengths.append(len(seen) - 1)
            assert 0 <= min(seen) <= max(seen) <= 1
            gains = np.maximum.accumulate(seen)
            assert all(gains[i + 10] > gains[i] + 0.02 for i in range(len(gains) - 10))
    assert len(lengths) >= 99
    assert np.mean(lengths) < 60


def test_demonstrator_succeeds_with_a_trembling_hand(env: ManipulationEnv) -> None:
    assert demonstrated_successes(env, 25) >= 24


@pytest.mark.parametrize("opening", [(LEFT,), (RIGHT,), (LEFT, RIGHT)])
@pytest.mark.parametrize("moment", ["lifted", "offered", "passed", "carried"])
def test_dropped_bar_is_taken_again(env: ManipulationEnv, opening: tuple[int, ...], moment: str) -> None:
    env.reset(seed=2)
    right = env.simulation.arms[RIGHT]
    reached = {
        "lifted": lambda: holders(env) == (True, False) and bar_of(env.simulation).middle_m[2] > 0.1,
        "offered": lambda: holders(env) == (True, False) and bar_of(env.simulation).middle_m[0] > -0.01,
        "passed": lambda: holders(env) == (True, True),
        "carried": lambda: holders(env) == (False, True) and right.tcp_position_m[0] > 0.2,
    }
    play_until(env, reached[moment])
    for _ in range(5):
        if env.step(sum((only(GRIPPERS[arm]) for arm in opening), STILL))[2]:
            return
    assert finishes(env)


def test_script_opens_a_gripper_that_closed_beside_the_bar(env: ManipulationEnv) -> None:
    env.reset(seed=1)
    for _ in range(5):
        env.step(only(6, -1.0) + only(13, -1.0))
    assert all(arm.gripper_width_m < 0.01 for arm in env.simulation.arms)
    assert finishes(env)


def test_bar_released_in_the_right_tray_is_a_success(env: ManipulationEnv) -> None:
    env.reset(seed=0)
    put(env, (TRAY_X_M, 0.02, RESTING_M), 0.2)
    assert env.step(STILL)[2:] == (True, False, {"success": True, "is_success": True})


def test_held_bar_is_no_success(env: ManipulationEnv) -> None:
    env.reset(seed=0)
    play_until(env, lambda: holders(env) == (False, True) and bar_of(env.simulation).is_in_right_tray)
    for _ in range(3):
        assert not env.step(STILL)[2]
    assert any(env.step(only(GRIPPERS[RIGHT]))[2] for _ in range(6)), "and letting it go is one"
    assert all(arm.gripper_command == GRIPPER_OPEN for arm in env.simulation.arms)


@pytest.mark.parametrize("arm", [LEFT, RIGHT])
def test_closed_gripper_is_no_success(env: ManipulationEnv, arm: int) -> None:
    env.reset(seed=0)
    put(env, (TRAY_X_M, 0.0, RESTING_M))
    for _ in range(5):
        assert not env.step(only(GRIPPERS[arm], -1.0))[2]


@pytest.mark.parametrize(
    ("position_m", "yaw_rad"),
    [
        ((-TRAY_X_M, 0.0, RESTING_M), 0.0),
        ((0.0, 0.0, MEETING_M), 0.0),
        ((0.05, 0.0, 0.13), 0.0),
        ((TRAY_X_M, 0.13, 0.016), 0.0),
        ((TRAY_X_M - 0.06, 0.0, 0.03), 0.0),
        ((TRAY_X_M, 0.0, 0.03), np.pi / 2),
    ],
    ids=["in the left tray", "in the air", "on the ridge", "beside the tray", "across its rim", "across both rims"],
)
def test_bar_elsewhere_is_no_success(
    env: ManipulationEnv, position_m: tuple[float, float, float], yaw_rad: float
) -> None:
    env.reset(seed=0)
    put(env, position_m, yaw_rad)
    assert not any(env.step(STILL)[2] for _ in range(15))


def test_moving_bar_is_no_success(env: ManipulationEnv) -> None:
    env.reset(seed=0)
    put(env, (TRAY_X_M, 0.0, RESTING_M))
    dof = env.simulation.model.body(BAR).dofadr[0]
    env.simulation.data.qvel[dof + 1] = 0.5
    env.simulation.settle()
    assert bar_of(env.simulation).is_in_right_tray
    assert not env.supervision.succeeded()


def test_left_arm_cannot_do_it_alone(env: ManipulationEnv) -> None:
    """It drops the bar as far over the chute as it reaches, at full speed: the bar comes back."""
    env.reset(seed=0)
    play_until(env, lambda: holders(env)[LEFT] and bar_of(env.simulation).middle_m[2] > 0.15)
    for _ in range(8):
        env.step(only(0) + only(2))
    for _ in range(25):
        assert not env.step(only(GRIPPERS[LEFT]))[2]
    assert bar_of(env.simulation).middle_m[0] < 0.0


def test_harm_is_a_bar_beside_the_trays(env: ManipulationEnv) -> None:
    env.reset(seed=0)
    assert not env.supervision.harm()
    put(env, (-TRAY_X_M, 0.12, 0.05))
    assert env.supervision.harm()
