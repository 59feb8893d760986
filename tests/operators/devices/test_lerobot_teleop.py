"""Teleoperators of LeRobot as devices: a simulated leader arm, and a controller."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hilserl.data.spec import ActionLayout
from hilserl.envs.options import EnvOptions
from hilserl.lerobot.joints import GripperMap, JointMap
from hilserl.operators.devices.device import Reading
from hilserl.operators.devices.key_map import Command
from hilserl.operators.devices.lerobot_teleop import DeltaController, LeaderArm, LeRobotTeleopConfig, open_teleop
from hilserl.operators.human import HumanOperator, Role
from hilserl.operators.takeover import Control, GripperRequest, Takeover
from hilserl.sim.environment import ManipulationEnv
from hilserl.sim.robot_models.kinematics import ArmKinematics
from hilserl.sim.robot_models.so101 import SO101
from hilserl.tasks.pick_cube import PickCube
from tests.support.lerobot_rig import PYTHON, fake_lerobot
from tests.support.loopback import until
from tests.support.told_leader import ToldLeader

KEYS = tuple(f"{joint}.pos" for joint in SO101.joints)


class Leader:
    """Leader arm that a test moves, on the test's clock."""

    def __init__(self) -> None:
        home = np.array(SO101.home_joints_rad)
        self._kinematics, self._q = ArmKinematics(SO101, home), home
        self.events: dict[str, bool] = {}
        self.jaw = 90.0
        self.now_s = 0.0
        self.ended = self.failed = False
        joints = JointMap(KEYS, np.full(5, np.pi / 180), np.zeros(5))
        self.device = LeaderArm(
            self, ArmKinematics(SO101, home), joints, GripperMap("gripper.pos", 0, 100), clock=lambda: self.now_s
        )

    def move(self, *way_m: float) -> None:
        """Move the leader's tool."""
        position, quaternion = self._kinematics.tool_pose(self._q)
        self._q = self._kinematics.solve(self._q, position + np.array(way_m), quaternion)

    def poll(self) -> list[dict[str, Any]]:
        if self.ended:
            raise EOFError
        if self.failed:
            return [{"failed": "no status packet"}]
        told = dict(zip(KEYS, np.degrees(self._q).tolist(), strict=True))
        return [{"action": told | {"gripper.pos": self.jaw}, "events": dict(self.events)}]

    def close(self) -> None:
        """Do nothing."""


@pytest.fixture
def leader() -> Leader:
    return Leader()


def test_leader_arm_leads_once_it_has_moved_since_the_takeover(leader: Leader) -> None:
    leader.device.engage(False)
    leader.move(0.05, 0.05, 0.0)
    assert not leader.device.read().moves
    leader.device.engage(True)
    assert not leader.device.read().moves
    leader.move(0.0, 0.0, 0.01)
    before = leader.device.read().hand_m
    leader.move(0.0, -0.03, 0.02)
    after = leader.device.read().hand_m
    assert before is not None
    assert after is not None
    assert np.allclose(np.subtract(after, before), (0.0, -0.03, 0.02), atol=1e-3)
    leader.device.engage(False)
    assert not leader.device.read().moves
    leader.device.engage(True)
    assert not leader.device.read().moves, "a new takeover begins anew"


def test_leader_arm_asks_for_the_gripper_when_its_jaw_crosses(leader: Leader) -> None:
    leader.jaw = 10.0
    leader.device.engage(True)
    asked = []
    for jaw in (10.0, 50.0, 80.0, 50.0, 80.0, 20.0):
        leader.jaw = jaw
        asked.append(leader.device.read().gripper)
    assert asked == [None, None, GripperRequest.OPEN, None, None, GripperRequest.CLOSE]


def test_teleop_events_are_commands_once(leader: Leader) -> None:
    leader.device.engage(False)
    leader.events = {"is_intervention": True, "success": True}
    assert leader.device.read().commands == (Command.TAKEOVER, Command.SUCCESS)
    leader.device.engage(True)
    assert leader.device.read().commands == ()
    leader.events = {"is_intervention": False, "rerecord_episode": True}
    assert leader.device.read().commands == (Command.TAKEOVER, Command.DISCARD)


def test_teleop_event_never_undoes_a_takeover_of_the_console(leader: Leader) -> None:
    """The keyboard took over; the teleoperator's own wish to do so changes nothing."""
    leader.device.engage(True)
    assert leader.device.read().commands == ()
    leader.events = {"is_intervention": True}
    assert leader.device.read().commands == ()


@pytest.mark.parametrize("loss", ["ended", "failed"])
def test_teleop_that_is_lost_is_absent(leader: Leader, loss: str) -> None:
    assert leader.device.read().present
    setattr(leader, loss, True)
    assert leader.device.read() == Reading(present=False)


class Controller:
    """Controller with LeRobot's four numbers."""

    def __init__(self, gripper: float) -> None:
        self.gripper = gripper

    def poll(self) -> list[dict[str, Any]]:
        action = {"delta_x": 0.5, "delta_y": -3.0, "delta_z": 0.0, "gripper": self.gripper}
        return [{"action": action, "events": {}}]

    def close(self) -> None:
        """Do nothing."""


@pytest.mark.parametrize(("told", "asked"), [(0, GripperRequest.CLOSE), (1, None), (2, GripperRequest.OPEN)])
def test_controller_moves_the_tool_and_tells_the_gripper_by_classes(told: int, asked: GripperRequest | None) -> None:
    reading = DeltaController(Controller(told)).read()
    assert reading.motion == (0.5, -1.0, 0.0, 0.0, 0.0, 0.0)
    assert reading.gripper is asked


@pytest.fixture
def env() -> Iterator[ManipulationEnv]:
    made = ManipulationEnv(PickCube(SO101), EnvOptions(obs="state", arm="so101"))
    yield made
    made.close()


def lead(leader: Leader, env: ManipulationEnv) -> None:
    """Move the leader as the script would move the tool."""
    way = env.supervision.expert_way()
    step = 0.019 * way[:3] / max(1.0, float(np.abs(way[:3]).max()))
    leader.move(*step.tolist())
    if way[3]:
        leader.jaw = 90.0 if way[3] > 0 else 5.0


@pytest.mark.parametrize("role", [Role(drives=True), Role()])
def test_leader_arm_lifts_the_cube(leader: Leader, env: ManipulationEnv, role: Role) -> None:
    """As a demonstration from the start, and as an intervention in the middle of a policy's episode."""
    operator = HumanOperator([leader.device], env.experience.action, role, env.teleoperation, lambda: None)
    observation, _ = env.reset(seed=3)
    operator.begin_episode(0)
    state, driven, terminated = Takeover(), 0, False
    for step in range(300):
        leader.now_s += 0.1
        leader.events = {"is_intervention": step >= 5} if not role.drives else {}
        lead(leader, env)
        intent = operator.intent()
        if intent.hold:
            continue
        before = env.teleoperation.tcp_positions_m[""].copy()
        policy = np.zeros(4, np.float32)
        gripper = observation["state"][env.experience.gripper_state]
        state, decision = state.advance(intent, policy, gripper, env.experience.action)
        driven += decision.intervened
        if decision.intervened and driven == 1:
            assert np.abs(decision.action[:3]).max() <= 1.0
        observation, _, terminated, _, _ = env.step(decision.action)
        assert np.linalg.norm(env.teleoperation.tcp_positions_m[""] - before) < 0.06
        if terminated:
            break
    assert terminated
    assert state.control is Control.HUMAN


def test_open_teleop_starts_a_leader_in_lerobots_process(tmp_path: Path) -> None:
    """A teleoperator plugin of LeRobot's, read in a process of its own."""
    arm = ToldLeader(tmp_path / "told.json")
    layout = ActionLayout(("tcp_dx", "tcp_dy", "tcp_dz", "gripper"), (3,))
    with fake_lerobot():
        device = open_teleop(layout, LeRobotTeleopConfig(python=PYTHON, words=arm.words))
    try:
        until(lambda: device.read().present, "the leader")
        device.engage(True)
        device.read()
        arm.move(np.array((0.0, 0.03, 0.0)))
        until(lambda: device.read().hand_m is not None, "its motion")
        assert device.name == "leader arm"
    finally:
        device.close()
