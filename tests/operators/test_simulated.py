"""Control changes hands without a jump and without a dropped object; the simulated person behaves like one."""

from itertools import pairwise

import numpy as np
import pytest

from hilserl.data.spec import ActionLayout
from hilserl.operators.simulated import Demonstrator, SimulatedOperator, SimulatedOperatorConfig
from hilserl.operators.takeover import Control, GripperRequest, Intent, Takeover
from hilserl.sim.environment import ManipulationEnv
from tests.support.layouts import ACTION

DUAL = ActionLayout(("x1", "g1", "x2", "g2"), grippers=(1, 3))
OPEN, CLOSED = np.array([1.0]), np.array([-1.0])
POLICY_ACTION = np.array([0.1, 0.2, 0.3, -1.0], np.float32)


def drive(*grippers: GripperRequest, motion: tuple[float, ...] = (0.0, 0.0, 0.0)) -> Intent:
    return Intent(True, motion, grippers)


def test_without_engagement_the_policy_acts_untouched() -> None:
    state, decision = Takeover().advance(Intent(False), POLICY_ACTION, OPEN, ACTION)
    assert state.control is Control.POLICY
    assert not decision.intervened
    assert np.array_equal(decision.action, POLICY_ACTION)


def test_a_takeover_replaces_the_whole_action_and_is_recorded() -> None:
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
def test_the_gripper_is_only_asked_for_changes(request_: GripperRequest, command: np.ndarray, expected: float) -> None:
    _, decision = Takeover().advance(drive(request_), POLICY_ACTION, command, ACTION)
    assert decision.action[3] == expected


def test_two_grippers_are_asked_separately() -> None:
    intent = drive(GripperRequest.TOGGLE, GripperRequest.TOGGLE, motion=(0.1, 0.2))
    _, decision = Takeover().advance(intent, np.zeros(4), np.array([1.0, -1.0]), DUAL)
    assert np.allclose(decision.action, [0.1, -1.0, 0.2, 1.0])


def test_taking_over_a_grasped_cube_keeps_it(shared_env: ManipulationEnv) -> None:
    """The person takes over in mid-lift, with hands still, and hands back: no jump, no drop."""
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


class Track:
    """A task whose progress the test writes; the expert always moves along +x and closes."""

    def __init__(self) -> None:
        self.now, self.danger = 0.0, False

    def expert_action(self) -> np.ndarray:
        return np.array([1.0, 0.0, 0.0, -1.0])

    def progress(self) -> float:
        return self.now

    def succeeded(self) -> bool:
        return False

    def harm(self) -> bool:
        return self.danger


def operator(task: Track, **settings) -> SimulatedOperator:
    config = SimulatedOperatorConfig(**{"first_patience_steps": 3, "reaction_delay_steps": 2, **settings})
    made = SimulatedOperator(task, ACTION, config, seed=0)
    made.begin_episode(0)
    return made


def steps_until_engaged(person: SimulatedOperator, limit: int = 200) -> int:
    for step in range(limit):
        if person.intent().engaged:
            return step
    return limit


def test_the_person_takes_over_after_patience_and_reaction() -> None:
    assert steps_until_engaged(operator(Track())) == 3 + 2
    assert steps_until_engaged(operator(Track(), reaction_delay_steps=0)) == 3


def test_progress_keeps_the_person_watching() -> None:
    task = Track()
    person = operator(task)
    for _ in range(40):
        task.now += 0.025
        assert not person.intent().engaged


def test_harm_is_stopped_before_patience_ends() -> None:
    task = Track()
    person = operator(task, first_patience_steps=100, last_patience_steps=100)
    task.danger = True
    assert steps_until_engaged(person) == 2


def steps_driven(person: SimulatedOperator, limit: int = 200) -> int:
    """How long the person keeps control that was just taken, the step of taking it included."""
    steps = 1
    while steps < limit and person.intent().engaged:
        steps += 1
    return steps


def test_the_person_hands_back_when_it_goes_well() -> None:
    task = Track()
    person = operator(task, handback_progress=0.3, max_intervention_steps=50)
    steps_until_engaged(person)
    task.now += 0.29
    for _ in range(5):
        assert person.intent().engaged
    task.now += 0.02
    assert steps_driven(person) == 3, "the reaction delay, and then no more"


def test_the_person_hands_back_when_it_takes_too_long() -> None:
    person = operator(Track(), max_intervention_steps=6)
    steps_until_engaged(person)
    assert steps_driven(person) == 6 + 2


def test_trust_grows_with_autonomous_success_only() -> None:
    person = operator(Track(), remembered_episodes=4, last_patience_steps=40)
    assert person.trust == 0.0
    for success, intervened in ((True, True), (False, False), (True, False), (True, False)):
        person.end_episode(success, intervened)
    assert person.trust == 0.5
    person.begin_episode(1)
    assert steps_until_engaged(person) > 20, "patience has grown"
    for _ in range(4):
        person.end_episode(success=False, intervened=False)
    person.begin_episode(2)
    assert steps_until_engaged(person) == 5, "and shrinks again"


def test_the_hand_has_limits_and_errors_and_repeats_with_its_seed() -> None:
    def motions(seed: int, episode: int) -> np.ndarray:
        hand = Demonstrator(Track(), ACTION, SimulatedOperatorConfig(max_speed=0.6, motion_noise=0.1), seed)
        hand.begin_episode(episode)
        return np.array([hand.intent().motion for _ in range(400)])

    first = motions(0, 0)
    assert first[:, 0].mean() == pytest.approx(0.6, abs=0.03)
    assert first[:, 1].std() == pytest.approx(0.1, abs=0.02)
    assert np.array_equal(first, motions(0, 0))
    assert not np.array_equal(first, motions(1, 0))
    assert not np.array_equal(first, motions(0, 1))


@pytest.mark.parametrize(
    "settings", [{"max_speed": 0.0}, {"max_speed": 1.5}, {"motion_noise": -1.0}, {"remembered_episodes": 0}]
)
def test_impossible_people_are_refused(settings: dict) -> None:
    with pytest.raises(ValueError, match="expected"):
        SimulatedOperatorConfig(**settings)
