"""Takeover: control changes without a jump and without a dropped object."""

from itertools import pairwise

import numpy as np
import pytest

from hilserl.data.spec import ActionLayout
from hilserl.operators.takeover import Control, GripperRequest, Intent, Takeover
from hilserl.sim.environment import ManipulationEnv
from tests.support.layouts import ACTION

DUAL = ActionLayout(("x1", "g1", "x2", "g2"), grippers=(1, 3))
OPEN, CLOSED = np.array([1.0]), np.array([-1.0])
POLICY_ACTION = np.array([0.1, 0.2, 0.3, -1.0], np.float32)


def drive(*grippers: GripperRequest, motion: tuple[float, ...] = (0.0, 0.0, 0.0)) -> Intent:
    return Intent(True, motion, grippers)


def test_policy_acts_unchanged_without_engagement() -> None:
    state, decision = Takeover().advance(Intent(False), POLICY_ACTION, OPEN, ACTION)
    assert state.control is Control.POLICY
    assert not decision.intervened
    assert np.array_equal(decision.action, POLICY_ACTION)


def test_takeover_replaces_the_whole_action_and_is_recorded() -> None:
    state, decision = Takeover().advance(drive(GripperRequest.HOLD, motion=(0.5, 0, -3)), POLICY_ACTION, OPEN, ACTION)
    assert state.control is Control.HUMAN
    assert decision.intervened
    assert decision.action.dtype == np.float32
    assert decision.action.tolist() == [0.5, 0.0, -1.0, 0.0]
    state, decision = state.advance(Intent(False), POLICY_ACTION, OPEN, ACTION)
    assert state.control is Control.POLICY
    assert not decision.intervened


@pytest.mark.parametrize(
    ("request_", "command", "expected"),
    [
        (GripperRequest.HOLD, OPEN, 0.0),
        (GripperRequest.HOLD, CLOSED, 0.0),
        (GripperRequest.CLOSE, OPEN, -1.0),
        (GripperRequest.CLOSE, CLOSED, 0.0),
        (GripperRequest.OPEN, CLOSED, 1.0),
        (GripperRequest.OPEN, OPEN, 0.0),
        (GripperRequest.TOGGLE, OPEN, -1.0),
        (GripperRequest.TOGGLE, CLOSED, 1.0),
    ],
)
def test_gripper_action_is_a_change_only(request_: GripperRequest, command: np.ndarray, expected: float) -> None:
    _, decision = Takeover().advance(drive(request_), POLICY_ACTION, command, ACTION)
    assert decision.action[3] == expected


def test_grippers_are_commanded_separately() -> None:
    intent = drive(GripperRequest.TOGGLE, GripperRequest.TOGGLE, motion=(0.1, 0.2))
    _, decision = Takeover().advance(intent, np.zeros(4), np.array([1.0, -1.0]), DUAL)
    assert np.allclose(decision.action, [0.1, -1.0, 0.2, 1.0])


def test_takeover_keeps_a_grasped_cube(shared_env: ManipulationEnv) -> None:
    """The operator takes over during a lift and hands back."""
    env = shared_env
    observation, _ = env.reset(seed=0)
    while not env.simulation.held("cube"):
        observation, *_ = env.step(env.supervision.expert_action())
    state, layout = Takeover(), env.experience.state
    positions = [observation["state"][layout.slice("tcp_position_m")]]
    for intent in [drive(GripperRequest.HOLD)] * 5 + [Intent(False)] * 5:
        commands = observation["state"][env.experience.gripper_state]
        state, decision = state.advance(intent, np.zeros(4), commands, ACTION)
        observation, *_ = env.step(decision.action)
        positions.append(observation["state"][layout.slice("tcp_position_m")])
    assert env.simulation.held("cube")
    assert max(np.linalg.norm(b - a) for a, b in pairwise(positions)) < 0.012
