"""Pushing things into slots: the script can, clearances are what they say, and success is what it says."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from hilserl.sim.arm import GRIPPER_CLOSED, GRIPPER_OPEN
from hilserl.sim.environment import ManipulationEnv, towards
from hilserl.sim.quaternions import rotate
from hilserl.tasks import find, make_sim_env
from hilserl.tasks.insert_ram import DEPTH_M, LENGTH_M, MODULE, SEATED_M, SLOT_M, InsertRam
from hilserl.tasks.insert_usb import DEPTH_M as USB_DEPTH_M
from hilserl.tasks.insert_usb import GRASP_M, PLUG, PORT_M, TIP_M, TRAY_M
from tests.support.demonstrator import demonstrated_successes

RAM, USB = "insert_ram", "insert_usb"
EVERY = tuple(f"{task}{world}" for task in (RAM, USB) for world in ("", "_tight", "_loose"))
UPRIGHT = np.array([1.0, 0.0, 0.0, 0.0])


@pytest.fixture(scope="module")
def envs() -> Iterator[dict[str, ManipulationEnv]]:
    made = {name: make_sim_env(name, obs="state", ends_on_success=False) for name in EVERY}
    yield made
    for env in made.values():
        env.close()


def seat(env: ManipulationEnv, seed: int = 0) -> None:
    env.reset(seed=seed)
    assert any(env.step(env.supervision.expert_action())[4]["success"] for _ in range(100))


def push(env: ManipulationEnv, steps: int, **motions: float) -> None:
    """The same motion along the world's axes, the gripper as it is."""
    layout = env.experience.action
    world = tuple(motions.get(layout.names[i], 0.0) for i in layout.continuous)
    for _ in range(steps):
        action = np.zeros(layout.size)
        action[list(layout.continuous)] = env.teleoperation.world_to_action(world)
        env.step(action)


def put(env: ManipulationEnv, height_m: float, turn_rad: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> bool:
    """Put the released module at rest over the slot's floor; return True if that is a success."""
    sim = env.simulation
    sim.place_turned(MODULE, np.array(SLOT_M) + np.array([0.0, 0.0, height_m]), rotate(UPRIGHT, np.array(turn_rad)))
    sim.settle()
    return env.supervision.succeeded()


@pytest.mark.parametrize("name", EVERY)
def test_expert_succeeds_in_99_of_100(envs: dict[str, ManipulationEnv], name: str) -> None:
    env, successes = envs[name], 0
    for seed in range(100):
        env.reset(seed=seed)
        successes += any(
            env.step(env.supervision.expert_action())[4]["success"] for _ in range(env.task.max_episode_steps)
        )
    assert successes >= 99


@pytest.mark.parametrize("name", [RAM, USB])
def test_demonstrator_succeeds_with_a_trembling_hand(envs: dict[str, ManipulationEnv], name: str) -> None:
    assert demonstrated_successes(envs[name], 20) >= 19


@pytest.mark.parametrize("name", EVERY)
def test_slot_has_the_declared_clearance(envs: dict[str, ManipulationEnv], name: str) -> None:
    """The play of a seated module, pushed to both sides with full force, is the clearance within 0.05 mm."""
    env = envs[name]
    task: Any = find(name)
    body, clearance_m = (MODULE if name.startswith(RAM) else PLUG), task.clearance_m
    places = []
    for way in (1.0, -1.0):
        seat(env)
        down = {"tcp_dz": -1.0} if body == MODULE else {"tcp_dx": 1.0}
        push(env, 8, tcp_dy=way, **down)
        assert env.supervision.succeeded(), "it stays in"
        # Where the middle of what is in the slot is.
        along = env.simulation.data.body(body).xmat.reshape(3, 3)[:, 0]
        inside_m = 0.0 if body == MODULE else TIP_M - USB_DEPTH_M / 2
        places.append((env.simulation.position_m(body) + inside_m * along)[1])
    assert 0.2 * clearance_m < places[0] - places[1] < clearance_m + 5e-5


@pytest.mark.parametrize("name", [RAM, USB])
def test_module_beside_the_slot_does_not_go_in(envs: dict[str, ManipulationEnv], name: str) -> None:
    env = envs[name]
    env.reset(seed=0)
    sim = env.simulation
    while not sim.held(MODULE if name == RAM else PLUG):
        env.step(env.supervision.expert_action())
    before = 0.0
    for _ in range(60):
        goal = env.supervision.expert_action()
        off = np.zeros(env.experience.action.size)
        off[1] = 0.6 if name == RAM else -0.6
        env.step(np.clip(goal + off, -1, 1))
        before = max(before, float(env.supervision.progress()))
        if env.supervision.succeeded():
            pytest.skip("the push found its way back to the mouth")
    assert before < 1.0


def test_half_way_in_is_no_success(envs: dict[str, ManipulationEnv]) -> None:
    env = envs[RAM]
    env.reset(seed=0)
    assert put(env, 0.0)
    assert put(env, 0.9 * SEATED_M)
    assert not put(env, 1.2 * SEATED_M)
    assert not put(env, DEPTH_M / 2)


def test_module_with_one_end_in_is_no_success(envs: dict[str, ManipulationEnv]) -> None:
    env = envs[RAM]
    env.reset(seed=0)
    tilt_rad = 4 * SEATED_M / LENGTH_M
    for way in (1.0, -1.0):
        assert not put(env, tilt_rad * LENGTH_M / 2, (0.0, way * tilt_rad, 0.0))


def test_module_beside_the_slot_is_no_success(envs: dict[str, ManipulationEnv]) -> None:
    env = envs[RAM]
    env.reset(seed=0)
    env.simulation.place(MODULE, np.array(SLOT_M) + np.array([0.0, 0.03, 0.0]), 0.0)
    env.simulation.settle()
    assert not env.supervision.succeeded()


@pytest.mark.parametrize(("name", "out"), [(RAM, {"tcp_dz": 1.0}), (USB, {"tcp_dx": -1.0})])
def test_pulled_out_part_is_no_success(envs: dict[str, ManipulationEnv], name: str, out: dict) -> None:
    env = envs[name]
    seat(env)
    push(env, 10, **out)
    assert not env.supervision.succeeded()
    assert env.supervision.progress() < 1.0


def test_latches_snap_over_the_seated_module(envs: dict[str, ManipulationEnv]) -> None:
    """It takes force to push them aside on the way in, they are back at rest then, and hold the module."""
    env = envs[RAM]
    env.reset(seed=0)
    sim, bent, force_n = env.simulation, 0.0, 0.0
    hinges = [sim.model.joint(f"latch_{number}").qposadr[0] for number in (1, 2)]

    def watch() -> None:
        nonlocal bent
        bent = max(bent, sim.data.qpos[hinges].min())

    with env.scene.watched(watch, 25):
        while not env.supervision.succeeded():
            env.step(env.supervision.expert_action())
            force_n = max(force_n, sim.arm.wrist_wrench[0][2])
    assert bent > 0.05, "both were aside at one moment"
    assert 3.0 < force_n < 60.0
    assert np.abs(sim.data.qpos[hinges]).max() < 0.03
    sim.arm.command_gripper(1.0)
    for _ in range(5):
        sim.advance()
    assert sim.position_m(MODULE)[2] - SLOT_M[2] < DEPTH_M / 4, "it stays in when it is let go"


def test_module_is_held_by_friction(envs: dict[str, ManipulationEnv]) -> None:
    env = envs[RAM]
    env.reset(seed=3)
    sim = env.simulation
    start = sim.position_m(MODULE) - sim.arm.tcp_position_m
    push(env, 50)
    assert sim.held(MODULE)
    assert np.abs(sim.position_m(MODULE) - sim.arm.tcp_position_m - start).max() < 2e-4
    assert not env.supervision.harm()
    sim.arm.command_gripper(1.0)
    push(env, 5)
    assert env.supervision.harm(), "dropped"


def test_hand_starts_in_the_declared_range(envs: dict[str, ManipulationEnv]) -> None:
    starts = []
    for seed in range(60):
        envs[RAM].reset(seed=seed)
        arm = envs[RAM].simulation.arm
        starts.append(arm.tcp_position_m - SLOT_M)
        low, high = InsertRam.arms[0].workspace_low_m, InsertRam.arms[0].workspace_high_m
        assert (arm.tcp_position_m > low).all()
        assert (arm.tcp_position_m < high).all()
    spread = np.ptp(starts, axis=0)
    assert (spread[:2] > 0.03).all()
    assert (spread[:2] < 0.041).all()


def test_seated_plug_has_to_be_held(envs: dict[str, ManipulationEnv]) -> None:
    env = envs[USB]
    seat(env)
    release = np.zeros(env.experience.action.size)
    release[-1] = 1.0
    for _ in range(4):
        env.step(release)
    tip_m = env.simulation.position_m(PLUG) + np.array([TIP_M, 0.0, 0.0])
    assert np.abs(tip_m - PORT_M).max() < 0.002, "it stays in the port"
    assert not env.supervision.succeeded()


def guide(env: ManipulationEnv, goal_m: np.ndarray, gripper: float, steps: int) -> None:
    """The tool to a place in the world, for so many steps."""
    for _ in range(steps):
        action = towards(env.simulation.arm, goal_m, gripper)
        env.step(np.append(env.teleoperation.world_to_action(tuple(action[:6])), action[6]))


@pytest.mark.parametrize("tip_mm", [(10, -20, 3), (10, 37, 8), (0, 0, 30), (-11, -4, -12)])
def test_script_goes_around_the_ports_edge(envs: dict[str, ManipulationEnv], tip_mm: tuple[int, int, int]) -> None:
    env = envs[USB]
    env.reset(seed=0)
    sim = env.simulation
    while not (sim.held(PLUG) and sim.position_m(PLUG)[2] > TRAY_M[2] + 0.025):
        env.step(env.supervision.expert_action())
    for _ in range(25):
        tip_m = sim.position_m(PLUG) + TIP_M * sim.data.body(PLUG).xmat.reshape(3, 3)[:, 0] - PORT_M
        guide(env, sim.arm.tcp_position_m + np.array(tip_mm) / 1e3 - tip_m, GRIPPER_CLOSED, 1)
    assert sim.held(PLUG)
    assert not env.supervision.succeeded()
    assert any(env.step(env.supervision.expert_action())[4]["success"] for _ in range(15))


@pytest.mark.parametrize("ahead_mm", [-18, -8, 10, 13])
@pytest.mark.parametrize("lifted", [True, False])
def test_bad_grip_is_released_and_taken_again(envs: dict[str, ManipulationEnv], ahead_mm: int, lifted: bool) -> None:
    """Held too far ahead the fingers meet the port before the plug is home."""
    env = envs[USB]
    env.reset(seed=0)
    grasp_m = env.simulation.position_m(PLUG) + np.array([ahead_mm / 1e3, 0.0, GRASP_M])
    above_m = grasp_m + np.array([0.0, 0.0, 0.03])
    guide(env, above_m, GRIPPER_OPEN, 8)
    guide(env, grasp_m, GRIPPER_OPEN, 6)
    guide(env, grasp_m, GRIPPER_CLOSED, 4)
    if lifted:
        guide(env, above_m, GRIPPER_CLOSED, 4)
    assert env.simulation.held(PLUG)
    commands = []
    for _ in range(40):
        commands.append(env.simulation.arm.gripper_command)
        if env.step(env.supervision.expert_action())[4]["success"]:
            break
    assert env.supervision.succeeded()
    assert (GRIPPER_OPEN in commands) == (ahead_mm > 0 or (ahead_mm < -12 and not lifted))


@pytest.mark.parametrize(
    ("tip_mm", "harms"),
    [
        ((-12.5, 0.0, -4.0), True),
        ((-12.5, 3.0, 0.0), True),
        ((-12.5, 1.0, -1.0), False),
        ((-22.0, 0.0, -4.0), False),
        ((-6.0, 0.0, 0.0), False),
        ((0.0, 0.0, 0.0), False),
    ],
    ids=["below", "beside", "over the mouth", "on the way", "half in", "seated"],
)
def test_plug_against_the_port_is_harm(
    envs: dict[str, ManipulationEnv], tip_mm: tuple[float, float, float], harms: bool
) -> None:
    env = envs[USB]
    env.reset(seed=0)
    env.simulation.place(PLUG, np.array(PORT_M) + np.array(tip_mm) / 1000 - np.array([TIP_M, 0.0, 0.0]), 0.0)
    env.simulation.settle()
    assert env.supervision.harm() is harms


def test_plug_off_its_tray_is_harm(envs: dict[str, ManipulationEnv]) -> None:
    env = envs[USB]
    env.reset(seed=0)
    assert not env.supervision.harm()
    sim = env.simulation
    sim.place(PLUG, np.array([TRAY_M[0], TRAY_M[1] - 0.04, 0.006]), 0.0)
    sim.settle()
    assert env.supervision.harm()
    sim.place_turned(PLUG, np.array(TRAY_M) + np.array([0.0, 0.0, 0.02]), rotate(UPRIGHT, np.array([1.5, 0.0, 0.0])))
    sim.settle()
    assert env.supervision.harm()


@pytest.mark.parametrize("name", EVERY)
def test_seed_decides_the_episode(envs: dict[str, ManipulationEnv], name: str) -> None:
    env = envs[name]
    runs = []
    for _ in range(2):
        observation, _ = env.reset(seed=7)
        runs.append(
            np.stack(
                [observation["state"], *(env.step(env.supervision.expert_action())[0]["state"] for _ in range(25))]
            )
        )
    assert np.array_equal(*runs)
