"""The simulated labeller's routines."""

import numpy as np

from hilserl.operators.simulated_labeller import SimulatedLabeller
from hilserl.operators.takeover import GripperRequest, Intent, Verdict
from tests.support.layouts import ACTION

ROUTINES, LONGEST_STEPS = 9, 200


class Reach:
    """A task whose progress grows with every action of its expert, which closes at the end."""

    def __init__(self) -> None:
        self.steps, self.danger = 0, False

    def expert_action(self) -> np.ndarray:
        self.steps += 1
        return np.array([1.0, 0.0, 0.0, -1.0 if self.steps > 10 else 0.0])

    def expert_way(self) -> np.ndarray:
        return self.expert_action()

    def to_action(self, way: np.ndarray) -> np.ndarray:
        return np.clip(way, -1.0, 1.0)

    def progress(self) -> float:
        return min(1.0, self.steps / 20)

    def succeeded(self) -> bool:
        return self.steps >= 20

    def harm(self) -> bool:
        return self.danger


def routine(episode: int, seed: int = 0) -> list[Intent]:
    """Return the intents of an episode up to its reset."""
    labeller = SimulatedLabeller(Reach(), ACTION, seed)
    labeller.begin_episode(episode)
    intents: list[Intent] = []
    while not intents or intents[-1].verdict is None:
        assert len(intents) < LONGEST_STEPS
        intents.append(labeller.intent())
    return intents


def test_routines_end_with_a_reset_and_stay_in_range() -> None:
    for episode in range(2 * ROUTINES):
        *driven, last = routine(episode)
        assert last == Intent(True, verdict=Verdict.RESET)
        assert driven, f"episode {episode} is empty"
        for intent in driven:
            assert intent.engaged
            assert np.abs(intent.motion).max() <= 1.0
            assert len(intent.grippers) == 1


def test_routines_repeat_with_seed_and_episode_number() -> None:
    assert routine(0) == routine(0)
    assert routine(0) != routine(0, seed=1)
    assert routine(0) != routine(ROUTINES)


def test_routines_grip_beside_and_open_on_the_way() -> None:
    requests = {intent.grippers[0] for episode in range(ROUTINES) for intent in routine(episode)[:-1]}
    assert requests == {GripperRequest.CLOSE, GripperRequest.HOLD, GripperRequest.OPEN}


def test_harm_resets_at_once() -> None:
    task = Reach()
    labeller = SimulatedLabeller(task, ACTION, 0)
    labeller.begin_episode(0)
    assert labeller.intent().verdict is None
    task.danger = True
    assert labeller.intent().verdict is Verdict.RESET
