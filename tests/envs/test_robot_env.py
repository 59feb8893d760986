"""The environment behind a robot server: the simulated task's twin, whatever happens to the line and to the arm."""

import contextlib
from collections.abc import Iterator
from typing import Any, cast

import gymnasium
import numpy as np
import pytest

from hilserl import tasks
from hilserl.envs.env import SceneSetup, require_supervision
from hilserl.envs.options import EnvOptions
from hilserl.envs.robot_env import RobotEnv
from hilserl.envs.robot_measurements import wrist_wrench
from hilserl.errors import HilserlError
from hilserl.robot.client.config import RobotConfig
from hilserl.robot.control.backend import ArmStateError, Backend, LostError
from hilserl.robot.control.limits import Box, Limits
from hilserl.robot.drivers.sim.driver import SimArm
from hilserl.robot.drivers.sim.world import SimWorld
from hilserl.sim.environment import ManipulationEnv
from hilserl.sim.robot_models.panda import HOME_JOINTS_RAD
from hilserl.tasks.pick_cube import PickCube
from tests.support.robot_rig import Rig, serving, sim_backend


@pytest.fixture(scope="module")
def shared() -> Iterator[Rig]:
    with sim_backend() as backend, serving(backend) as made:
        yield made


@pytest.fixture
def rig(shared: Rig) -> Iterator[Rig]:
    yield shared
    shared.post("/recover")
    shared.post("/startimp", X_Client="the next test")
    shared.post("/release", X_Client="the next test")


@contextlib.contextmanager
def robot_env(rig: Rig, **options: Any) -> Iterator[RobotEnv]:
    config = RobotConfig(f"http://127.0.0.1:{rig.port}", **options.pop("config", {}))
    setup = options.pop("scene_setup", None)
    with contextlib.closing(RobotEnv(PickCube(), config, EnvOptions(**options), scene_setup=setup)) as env:
        yield env


@pytest.mark.parametrize(
    "options", [{"obs": "state"}, {"frame": "tool"}, {"obs": "pixels", "image_size": 32, "cameras": ("wrist",)}]
)
def test_robot_env_has_the_simulated_tasks_spaces(options: dict[str, Any]) -> None:
    """Nothing answers at that address: making an environment asks nothing of the robot."""
    real = RobotEnv(PickCube(), RobotConfig("http://127.0.0.1:9"), EnvOptions(**options))
    simulated = ManipulationEnv(PickCube(), EnvOptions(**options))
    assert real.observation_space == simulated.observation_space
    assert real.action_space == simulated.action_space
    assert real.experience == simulated.experience
    with pytest.raises(LostError, match=r"127\.0\.0\.1:9 does not answer"):
        real.reset(seed=0)
    real.close()
    simulated.close()


def test_gymnasium_makes_it_by_name() -> None:
    env = gymnasium.make("hilserl/FrankaPickCube-v0", server="http://127.0.0.1:9", gripper_pause_s=0.5)
    assert isinstance(env.unwrapped, RobotEnv)
    env.close()


def test_episode_begins_like_a_simulated_one(rig: Rig) -> None:
    simulated = ManipulationEnv(PickCube(), EnvOptions(obs="state"))
    layout = simulated.experience.state
    near = {"tcp_position_m": 0.01, "tcp_quaternion_wxyz": 0.02, "gripper_width_m": 0.001, "gripper_command": 0.0}
    near |= {"cube_position_m": 0.001, "wrist_force_n": 1.0, "wrist_torque_nm": 0.1}
    with robot_env(rig) as env:
        for seed in (3, 4):
            expected, _ = simulated.reset(seed=seed)
            observation, info = env.reset(seed=seed)
            assert info == {"success": False, "is_success": False}
            assert env.observation_space.contains(observation)
            for name, tolerance in near.items():
                where = layout.slice(name)
                assert np.allclose(observation["state"][where], expected["state"][where], atol=tolerance), name
    simulated.close()


def test_script_lifts_the_cube_and_close_releases_the_arm(rig: Rig) -> None:
    with robot_env(rig, obs="pixels", image_size=48) as env:
        observation, info = env.reset(seed=7)
        assert env.observation_space.contains(observation)
        reward, terminated = 0.0, False
        for _ in range(60):
            observation, reward, terminated, truncated, info = env.step(require_supervision(env).expert_action())
            assert not truncated
            if terminated:
                break
        assert terminated
        assert reward == 1.0
        assert info == {"success": True, "is_success": True}
        assert require_supervision(env).progress() > 0.9
        assert env.observation_space.contains(observation)
        assert env.timing()["steps"] > 5
        assert rig.get("/health").json["controller"].startswith("hilserl on ")
    assert rig.get("/health").json["controller"] is None


def test_action_moves_the_tool_from_its_observed_pose(rig: Rig) -> None:
    with robot_env(rig) as env:
        env.reset(seed=0)
        seen = env.teleoperation.tcp_positions_m[""].copy()
        env.step(np.array([1.0, -1.0, 0.5, 0.0]))
        assert np.allclose(
            rig.get("/health").json["set_point"][:3], seen + np.array([0.035, -0.035, 0.0175]), atol=1e-6
        )
        for action in (np.zeros(3), np.full(4, np.nan)):
            with pytest.raises(HilserlError, match="4 finite numbers"):
                env.step(action)


def test_tool_frame_works_on_the_robot(rig: Rig) -> None:
    with robot_env(rig, frame="tool") as env:
        observation, _ = env.reset(seed=7)
        assert np.allclose(observation["state"][:3], 0)
        terminated = False
        for _ in range(60):
            *_, terminated, _, _ = env.step(require_supervision(env).expert_action())
            if terminated:
                break
        assert terminated


def test_gripper_pauses_between_commands(rig: Rig) -> None:
    with robot_env(rig, config={"gripper_pause_s": 60.0}) as env:
        env.reset(seed=0)
        command = env.experience.gripper_state
        said = [env.step(np.array([0, 0, 0, g], np.float32))[0]["state"][command] for g in (-1, 1, 0, -1)]
        assert np.array_equal(np.concatenate(said), [-1, -1, -1, -1])
        observation, _ = env.reset(seed=0)
        assert observation["state"][command] == 1


def test_episodes_may_begin_beside_home_and_turned_and_a_seed_says_where(rig: Rig) -> None:
    with robot_env(rig, config={"reset_spread_m": 0.05, "reset_turn_rad": 0.3}) as env:
        starts = [env.reset(seed=seed)[0]["state"][:7] for seed in (1, 2, 1)]
        assert np.linalg.norm(starts[0] - starts[1]) > 0.05
        assert np.allclose(starts[0], starts[2], atol=0.2)


def test_precision_is_for_the_way_home_and_compliance_for_the_episode(rig: Rig) -> None:
    config = {"compliance": {"translational_stiffness": 1500.0}, "precision": {"translational_stiffness": 2500.0}}
    with robot_env(rig, config=config) as env:
        env.reset(seed=0)
        assert rig.get("/limits").json["compliance"]["translational_stiffness"] == 1500
    rig.post("/update_param", {"translational_stiffness": 3000.0}, X_Client="an operator")
    rig.post("/release", X_Client="an operator")
    with robot_env(rig, config={"precision": {"translational_stiffness": 2500.0}}) as env:
        env.reset(seed=0)
        assert rig.get("/limits").json["compliance"]["translational_stiffness"] == 3000
    with robot_env(rig, config={"compliance": {"stiffnes": 1.0}}) as env, pytest.raises(HilserlError, match="stiffnes"):
        env.reset(seed=0)


def test_halt_is_reported_and_reset_works_after_recovery(rig: Rig) -> None:
    with robot_env(rig) as env:
        env.reset(seed=0)
        rig.post("/stop", {"reason": "a hand in the way"})
        with pytest.raises(ArmStateError, match="a hand in the way"):
            env.step(np.zeros(4))
        with pytest.raises(ArmStateError, match="/recover"):
            env.reset(seed=0)
        assert rig.get("/health").json["mode"] == "halted"
        rig.post("/recover")
        env.reset(seed=0)
        env.step(np.zeros(4))


def test_clients_do_not_share_an_arm(rig: Rig) -> None:
    with robot_env(rig) as env, robot_env(rig) as other:
        env.reset(seed=0)
        with pytest.raises(ArmStateError, match="controls the arm"):
            other.reset(seed=0)
        env.step(np.zeros(4))


def test_server_may_go_and_come_back() -> None:
    with sim_backend() as backend:
        with serving(backend) as first:
            config = RobotConfig(f"http://127.0.0.1:{first.port}")
            env = RobotEnv(PickCube(), config)
            env.reset(seed=0)
        with pytest.raises(LostError, match="robot-server"):
            env.step(np.zeros(4))
        with pytest.raises(LostError, match="robot-server"):
            env.reset(seed=0)
        with serving(backend, port=first.port):
            env.reset(seed=0)
            env.step(np.zeros(4))
            env.close()


def test_scene_of_another_task_is_refused(rig: Rig) -> None:
    class Other(PickCube):
        name = "other"

    env = RobotEnv(Other(), RobotConfig(f"http://127.0.0.1:{rig.port}"))
    with contextlib.closing(env), pytest.raises(HilserlError, match="simulates pick_cube, not other"):
        env.reset(seed=0)


class RealArm:
    """A simulated arm that does not let on that it is one."""

    scene = None

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)


def test_real_arm_has_no_supervision(rig: Rig) -> None:
    asked = []
    with serving(cast("Backend", RealArm(rig.backend))) as real:
        with robot_env(real, obs="state") as env, pytest.raises(HilserlError, match="where the objects are"):
            env.reset(seed=0)
        with robot_env(real, obs="pixels", image_size=16, scene_setup=SceneSetup(lambda: asked.append(1))) as env:
            observation, _ = env.reset(seed=0)
            assert len(asked) == 1
            assert env.observation_space.contains(observation)
            assert env.supervision is None
            _, reward, terminated, _, info = env.step(np.zeros(4))
            assert (reward, terminated, info["success"]) == (0.0, False, False)
            with pytest.raises(HilserlError, match="human operator"):
                require_supervision(env)


def test_wrench_equals_the_simulated_tasks() -> None:
    arm = SimArm(SimWorld(PickCube()), Box(), Limits(), "franka", HOME_JOINTS_RAD)
    for _ in range(200):
        arm.tick()
    arm.command(arm.pose + np.array([0.1, 0.05, -0.1, 0, 0, 0, 0]))
    for _ in range(60):
        arm.tick()
    measured = arm.measurements()
    force, torque = wrist_wrench(measured["pose"], measured["force"], measured["torque"])
    expected_force, expected_torque = arm.sim.arm.wrist_wrench
    assert np.linalg.norm(expected_force) > 1
    assert np.allclose(force, expected_force, atol=0.05)
    assert np.allclose(torque, expected_torque, atol=0.02)


def test_frames_are_seen_while_a_step_lasts(rig: Rig) -> None:
    seen = []
    with robot_env(rig) as env:
        env.reset(seed=0)
        with env.scene.watched(lambda: seen.append(env.scene.simulation.data.qpos.copy()), 4):
            env.step(np.array([1.0, 0.0, 0.0, 0.0]))
        assert 1 <= len(seen) <= 4
        assert np.ptp(np.array(seen), axis=0).max() >= 0
        assert env.render().shape == (480, 640, 3)


def test_tasks_have_a_robot_env_unless_no_server_can_do_them() -> None:
    """An id that is registered can be made; making it does not contact a server."""
    registered = {tasks.gymnasium_id(name, "Franka") for name in tasks.names()} & set(gymnasium.registry)
    assert tasks.gymnasium_id("pick_cube", "Franka") in registered
    for env_id in registered:
        with contextlib.closing(gymnasium.make(env_id, server="http://127.0.0.1:9")):
            pass
    for name in ("handover", "flip_object"):
        assert tasks.gymnasium_id(name, "Franka") not in registered
        with pytest.raises(HilserlError, match=name):
            RobotEnv(tasks.find(name)(), RobotConfig())
