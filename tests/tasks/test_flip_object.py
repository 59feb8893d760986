"""The task: its success means caught upside down, its script can do it, and the arm stays within its real limits."""

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from hilserl.sim.control import WrenchControl
from hilserl.sim.environment import ManipulationEnv
from hilserl.sim.quaternions import rotate
from hilserl.tasks import make_sim_env
from hilserl.tasks.flip_object import ARM, PAN, PAN_RADIUS_M, PATTY, PATTY_HALF_M
from tests.support.demonstrator import demonstrated_successes

UPSIDE_DOWN_WXYZ = np.array([0.0, 1.0, 0.0, 0.0])
UPRIGHT_WXYZ = np.array([1.0, 0.0, 0.0, 0.0])


@pytest.fixture(scope="module")
def env() -> Iterator[ManipulationEnv]:
    env = make_sim_env("flip_object")
    yield env
    env.close()


def play(env: ManipulationEnv, seed: int) -> bool:
    env.reset(seed=seed)
    for _ in range(100):
        _, _, terminated, truncated, _ = env.step(env.supervision.expert_action())
        if terminated or truncated:
            return terminated
    raise AssertionError("an episode ends within 100 steps")


def put(env: ManipulationEnv, from_pan_m: tuple[float, float, float], quaternion_wxyz: np.ndarray) -> None:
    """The patty at rest somewhere seen from the middle of the pan, which hangs level and still."""
    env.reset(seed=0)
    for _ in range(60):
        env.step(np.zeros(3))
    env.simulation.place_turned(PATTY, env.simulation.position_m(PAN) + from_pan_m, quaternion_wxyz)
    env.simulation.settle()


def wait(env: ManipulationEnv, steps: int) -> list[bool]:
    return [env.step(np.zeros(3))[4]["success"] for _ in range(steps)]


def test_expert_succeeds_in_90_of_100(env: ManipulationEnv) -> None:
    assert sum(play(env, seed) for seed in range(100)) >= 90


def test_demonstrator_succeeds_most_of_the_time(env: ManipulationEnv) -> None:
    assert demonstrated_successes(env, 30) >= 21


@pytest.mark.parametrize("seed", range(6))
def test_expert_recovers_from_any_state(env: ManipulationEnv, seed: int) -> None:
    env.reset(seed=seed)
    rng = np.random.default_rng(seed)
    for _ in range(15):
        if env.step(rng.uniform(-0.6, 0.6, 3))[2]:
            return
    if not env.supervision.progress():
        pytest.skip("the patty fell out of the pan")
    assert any(env.step(env.supervision.expert_action())[2] for _ in range(85))


def test_seed_decides_everything(env: ManipulationEnv) -> None:
    def episode(seed: int) -> np.ndarray:
        first, _ = env.reset(seed=seed)
        return np.array([first["state"], *(env.step(env.supervision.expert_action())[0]["state"] for _ in range(12))])

    assert np.array_equal(episode(5), episode(5))
    assert not np.array_equal(episode(5), episode(6))


def test_lying_upside_down_in_the_pan_is_a_success(env: ManipulationEnv) -> None:
    put(env, (0.02, 0.01, PATTY_HALF_M), UPSIDE_DOWN_WXYZ)
    assert env.supervision.succeeded()
    assert all(wait(env, 5)), "and it stays one"


def test_lying_as_it_started_is_none(env: ManipulationEnv) -> None:
    put(env, (0.0, 0.0, PATTY_HALF_M), UPRIGHT_WXYZ)
    assert not any(wait(env, 5))


def test_upside_down_in_the_air_is_none(env: ManipulationEnv) -> None:
    put(env, (0.0, 0.0, 0.25), UPSIDE_DOWN_WXYZ)
    assert not env.supervision.succeeded()
    assert not wait(env, 1)[0]
    assert any(wait(env, 10)), "but it is when it has landed"


def test_passing_through_the_right_place_in_motion_is_none(env: ManipulationEnv) -> None:
    put(env, (0.0, 0.0, PATTY_HALF_M), UPSIDE_DOWN_WXYZ)
    dofs = env.simulation.model.body(PATTY).dofadr[0] + np.arange(6)
    for dof, speed in ((0, 0.6), (2, 0.6), (4, 8.0)):
        env.simulation.data.qvel[dofs] = 0.0
        env.simulation.data.qvel[dofs[dof]] = speed
        env.simulation.settle()
        assert not env.supervision.succeeded()


@pytest.mark.parametrize("beside_m", [(0.0, 0.25), (PAN_RADIUS_M + 0.12, 0.0), (0.0, -0.25)])
def test_upside_down_beside_the_pan_is_none(env: ManipulationEnv, beside_m: tuple[float, float]) -> None:
    floor_m = 0.002 + PATTY_HALF_M - env.simulation.position_m(PAN)[2]
    for height in (PATTY_HALF_M, floor_m):
        put(env, (*beside_m, height), UPSIDE_DOWN_WXYZ)
        assert not env.supervision.succeeded()
        assert not any(wait(env, 8))


def test_standing_on_its_edge_or_leaning_on_the_rim_is_none(env: ManipulationEnv) -> None:
    for tilt in (np.pi / 2, np.deg2rad(140)):
        put(env, (0.05, 0.0, 0.04), rotate(UPRIGHT_WXYZ, np.array([0.0, tilt, 0.0])))
        assert not env.supervision.succeeded()


def test_arm_holds_the_pan_still(env: ManipulationEnv) -> None:
    """The springs alone do; the patty's weight, which no controller knows of, lowers the pan a little."""
    put(env, (0.02, 0.02, PATTY_HALF_M), UPRIGHT_WXYZ)
    pan, patty = env.simulation.position_m(PAN), env.simulation.position_m(PATTY)
    wait(env, 20)
    assert np.abs(env.simulation.position_m(PAN) - pan).max() < 0.005
    assert np.abs(env.simulation.position_m(PATTY) - patty).max() < 0.01
    assert np.abs(np.concatenate(env.simulation.arm.tcp_velocity)).max() < 0.02


def test_throw_stays_within_the_arms_limits(env: ManipulationEnv) -> None:
    """The datasheet's joint ranges, torques (87 and 12 N m) and speeds (150 and 180 degrees a second)."""
    model, data = env.simulation.model, env.simulation.data
    low, high = model.jnt_range[:7].T
    torque, speed = np.repeat([87.0, 12.0], (4, 3)), np.deg2rad(np.repeat([150.0, 180.0], (4, 3)))

    def check() -> None:
        assert (data.qpos[:7] > low).all()
        assert (data.qpos[:7] < high).all()
        assert (np.abs(data.qfrc_actuator[:7]) < 0.7 * torque).all()
        assert (np.abs(data.qvel[:7]) < speed).all()

    with env.simulation.watched(check, 10):
        for seed in range(8):
            play(env, seed)


@pytest.mark.parametrize("signs", list(itertools.product((-1.0, 1.0), repeat=3)))
def test_full_wrenches_for_long_lead_nowhere_bad(env: ManipulationEnv, signs: tuple[float, ...]) -> None:
    """Springs and workspace hold against them; a joint may just come to lean on its stop."""
    model, data = env.simulation.model, env.simulation.data
    low, high = model.jnt_range[:7].T
    env.reset(seed=0)
    for _ in range(30):
        env.step(np.array(signs))
        assert (data.qpos[:7] > low - 0.01).all()
        assert (data.qpos[:7] < high + 0.01).all()
        assert env.simulation.position_m(PAN)[2] > 0.05, "the pan stays above the floor"
        assert abs(env.simulation.arm.tcp_position_m[1]) < 0.02


def test_force_never_leads_further_out_of_the_workspace() -> None:
    control, move = ARM.control, np.array([1.0, 0.0, -1.0, 0.0, 1.0, 0.0])
    assert isinstance(control, WrenchControl)
    low, high = np.array(ARM.workspace_low_m), np.array(ARM.workspace_high_m)
    assert control.wrench((low + high) / 2, move, ARM) == pytest.approx([13.0, 0.0, -12.0, 0.0, 3.5, 0.0])
    assert control.wrench(high + 0.01, move, ARM) == pytest.approx([0.0, 0.0, -12.0, 0.0, 3.5, 0.0])
    assert control.wrench(low - 0.01, move, ARM) == pytest.approx([13.0, 0.0, 0.0, 0.0, 3.5, 0.0])


def test_patties_start_all_over_the_pan_and_lie(env: ManipulationEnv) -> None:
    places = []
    for seed in range(150):
        env.reset(seed=seed)
        places.append(env.simulation.position_m(PATTY) - env.simulation.position_m(PAN))
        assert env.supervision.progress() == pytest.approx(0.1)
        assert not env.supervision.harm()
        assert not env.supervision.succeeded()
    spread = np.array(places)[:, :2]
    assert np.linalg.norm(spread, axis=1).max() < PAN_RADIUS_M
    assert (np.ptp(spread, axis=0) > 0.06).all()


def test_progress_and_harm_agree_with_an_operator(env: ManipulationEnv) -> None:
    put(env, (0.0, 0.0, PATTY_HALF_M), UPRIGHT_WXYZ)
    seen = [env.supervision.progress()]
    for height_m, quaternion in ((0.15, UPRIGHT_WXYZ), (0.15, UPSIDE_DOWN_WXYZ), (PATTY_HALF_M, UPSIDE_DOWN_WXYZ)):
        put(env, (0.0, 0.0, height_m), quaternion)
        seen.append(env.supervision.progress())
        assert not env.supervision.harm()
    assert seen == sorted(seen)
    assert len(set(seen)) == 4
    put(env, (0.2, 0.0, 0.0), UPRIGHT_WXYZ)
    assert env.supervision.harm(), "it is falling"
    put(env, (0.2, 0.0, -0.3), UPRIGHT_WXYZ)
    assert not env.supervision.harm(), "it has fallen"
    assert env.supervision.progress() == 0.0
