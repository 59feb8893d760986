"""The tool's frame: what is seen and done in it is the same wherever in the world it happens."""

from typing import Any

import mujoco
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from hilserl.data.spec import StateLayout
from hilserl.envs.make import make_env
from hilserl.envs.options import EnvOptions
from hilserl.errors import HilserlError
from hilserl.operators.hands import HandsConfig
from hilserl.operators.simulated import Demonstrator, SimulatedOperatorConfig
from hilserl.rollout.rollout import EpisodeSeeds, Rollout
from hilserl.sim.control import MAX_STEP_M
from hilserl.sim.environment import ManipulationEnv
from hilserl.sim.reference_frame import Tool, World, frame_of, make_frame
from hilserl.tasks.pick_cube import PickCube
from tests.support.configs import train_config
from tests.support.layouts import ACTION

VECTORS = (
    "tcp_linear_velocity_m_per_s",
    "tcp_angular_velocity_rad_per_s",
    "wrist_force_n",
    "wrist_torque_nm",
)


def rotated(turn: np.ndarray, vector: np.ndarray) -> np.ndarray:
    result = np.zeros(3)
    mujoco.mju_rotVecQuat(result, vector, turn)
    return result


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    result = np.zeros(4)
    mujoco.mju_mulQuat(result, a, b)
    return result


def random_turn(rng: np.random.Generator) -> np.ndarray:
    turn = rng.standard_normal(4)
    return turn / np.linalg.norm(turn)


def random_values(rng: np.random.Generator) -> dict[str, np.ndarray]:
    values = {name: rng.standard_normal(3) for name in ("tcp_position_m", *VECTORS)}
    others = {"gripper_width_m": np.array(0.03), "gripper_command": np.array(1.0), "cube_position_m": np.ones(3)}
    return values | {"tcp_quaternion_wxyz": random_turn(rng)} | others


def elsewhere(values: dict[str, np.ndarray], turn: np.ndarray, shift: np.ndarray) -> dict[str, np.ndarray]:
    """The same happening, turned and moved in the world as a whole."""
    moved = {name: rotated(turn, values[name]) for name in ("tcp_position_m", *VECTORS)}
    moved["tcp_position_m"] += shift
    return values | moved | {"tcp_quaternion_wxyz": product(turn, values["tcp_quaternion_wxyz"])}


@pytest.mark.parametrize("seed", range(20))
def test_tool_frame_does_not_depend_on_the_place(seed: int) -> None:
    rng = np.random.default_rng(seed)
    here, there, turn, shift = Tool(), Tool(), random_turn(rng), rng.standard_normal(3)
    layout = StateLayout(here.entries(PickCube.arms[0]))
    for _ in range(3):
        values = random_values(rng)
        seen, also = here.observe(values), there.observe(elsewhere(values, turn, shift))
        assert seen.keys() - {"cube_position_m"} == set(layout.names)
        for name in layout.names:
            assert np.allclose(seen[name], also[name], atol=1e-9), name
        motion = rng.standard_normal(3)
        assert np.allclose(rotated(turn, here.to_world(motion)), there.to_world(motion))
        assert np.allclose(here.from_world(here.to_world(motion)), motion)


def test_tool_frame_begins_at_its_origin() -> None:
    rng, frame = np.random.default_rng(0), Tool()
    for _ in range(3):
        frame.begin()
        seen = frame.observe(random_values(rng))
        assert np.allclose(seen["tcp_from_start_m"], 0)
        assert np.allclose(seen["tcp_turn_from_start_wxyz"], [1, 0, 0, 0])
        assert not np.allclose(frame.observe(random_values(rng))["tcp_from_start_m"], 0)


def test_world_frame_changes_nothing() -> None:
    values, frame = random_values(np.random.default_rng(0)), World()
    frame.begin()
    assert frame.observe(values) is values
    assert np.array_equal(frame.to_world(np.arange(3.0)), np.arange(3.0))
    assert np.array_equal(frame.from_world(np.arange(3.0)), np.arange(3.0))


def test_unknown_frame_is_refused() -> None:
    with pytest.raises(HilserlError, match="'tool'"):
        make_frame("tol")


@pytest.fixture
def env() -> Any:
    made = ManipulationEnv(PickCube(), EnvOptions(frame="tool"))
    yield made
    made.close()


def test_tool_frame_env_keeps_gymnasiums_contract(env: ManipulationEnv) -> None:
    check_env(env, skip_render_check=True)
    assert frame_of(env.experience) == "tool"
    assert frame_of(ManipulationEnv(PickCube()).experience) == "world"


@pytest.mark.parametrize("axis", range(3))
def test_action_moves_the_tool_along_its_axes(env: ManipulationEnv, axis: int) -> None:
    """A hand that points down has its y and z turned over."""
    env.reset(seed=0)
    before, action = env.simulation.arm.tcp_position_m, np.zeros(ACTION.size)
    action[axis] = 1.0
    observation = env.step(action)[0]
    moved = env.simulation.arm.tcp_position_m - before
    assert np.argmax(np.abs(moved)) == axis
    assert np.sign(moved[axis]) == (1, -1, -1)[axis]
    told = observation["state"][env.experience.state.slice("tcp_from_start_m")]
    assert told[axis] > 0.3 * MAX_STEP_M


def test_device_motion_is_along_the_worlds_axes(env: ManipulationEnv) -> None:
    env.reset(seed=0)
    for wanted in np.eye(3) * 0.5:
        before = env.simulation.arm.tcp_position_m
        env.step(np.array([*env.teleoperation.world_to_action(tuple(wanted)), 0.0]))
        moved = env.simulation.arm.tcp_position_m - before
        assert np.argmax(moved) == np.argmax(wanted)


def test_demonstrator_is_as_skilled_in_the_tool_frame(env: ManipulationEnv) -> None:
    """The simulated operator lifts the cube, and with the same motions as in the world's frame."""
    other, lengths = ManipulationEnv(PickCube()), {}
    quiet = SimulatedOperatorConfig(HandsConfig(noise=0.0))
    for name, world in (("tool", env), ("world", other)):
        rollout = Rollout(
            world, Demonstrator(world.supervision, ACTION, quiet, 0), [], EpisodeSeeds(5, "demonstration")
        )
        steps = 0
        rollout.step(lambda _: (np.zeros(4, np.float32), 0))
        while not rollout.between_episodes:
            rollout.step(lambda _: (np.zeros(4, np.float32), 0))
            steps += 1
        assert world.supervision.succeeded()
        lengths[name] = steps
    assert abs(lengths["tool"] - lengths["world"]) <= 1
    other.close()


def test_run_has_one_frame_on_both_backends() -> None:
    config = train_config("pick_cube", obs="state", frame="tool")
    acting, judging = make_env(config.acting_env), make_env(config.simulated_env)
    assert frame_of(acting.experience) == frame_of(judging.experience) == "tool"
    acting.close()
    judging.close()
