"""Every transition drawn is one that happened. Each boundary case is also shown to break a naive buffer.

Toy steps carry 100 * episode + index, so a true transition always goes from v to v + 1.
"""

import dataclasses
import itertools
from collections.abc import Callable
from dataclasses import replace

import jax
import numpy as np
import pytest

from hilserl.data.hindsight import Hindsight
from hilserl.data.replay import Columns, HostStorage, Replay, ReplayStorage
from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Step, Transitions
from hilserl.errors import HilserlError
from hilserl.tasks import make_sim_env
from hilserl.training.device_placement import DeviceStorage
from hilserl.vision.frame_encoder import FrameEncoder, VisionConfig
from tests.support.batches import SMALL, transitions
from tests.support.steps import make_episode, make_step


class NaiveBuffer:
    """Usual ring: the next row is the next observation, a time limit is done, interventions are copies."""

    def __init__(self, capacity: int) -> None:
        self.capacity, self.rows, self.demonstrations = capacity, [], []

    def add(self, step: Step) -> None:
        self.rows = [*self.rows, step][-self.capacity :]
        if step.intervened:
            self.demonstrations.append(step)

    @staticmethod
    def _pairs(rows: list[Step]) -> Transitions:
        value = np.array([r.observation["state"][0] for r in rows])
        done = np.array([r.ends_episode for r in rows[1:]], np.float32)
        return transitions(
            {"state": value[:-1, None]}, np.zeros(0), np.zeros(0), {"state": value[1:, None]}, 1.0 - done, np.zeros(0)
        )

    def online(self) -> Transitions:
        return self._pairs(self.rows)

    def prior(self) -> Transitions:
        return self._pairs(self.demonstrations)


class Ours:
    """The same questions asked of the real replay."""

    def __init__(self, spec: ExperienceSpec, capacity: int) -> None:
        self.replay = Replay(spec, capacity)
        self.add = self.replay.add

    def online(self) -> Transitions:
        return self.replay.transitions(self.replay.online_rows())

    def prior(self) -> Transitions:
        return self.replay.transitions(self.replay.prior_rows())


def untrue(found: Transitions) -> list[tuple[float, float]]:
    """The pairs (observation, next observation) that never followed each other."""
    before, after = found.observation["state"][:, 0], found.next_observation["state"][:, 0]
    return [(float(a), float(b)) for a, b in zip(before, after, strict=True) if b != a + 1]


def wrong_bootstraps(found: Transitions, terminal: set[float]) -> list[float]:
    """Next observations whose bootstrap is not: 0 exactly where the episode terminated."""
    after = found.next_observation["state"][:, 0]
    return [float(v) for v, b in zip(after, found.bootstrap, strict=True) if (b == 0.0) != (float(v) in terminal)]


def time_limit_then_next_episode(buffer) -> bool:
    for step in [*make_episode(1, 4), *make_episode(2, 4)]:
        buffer.add(step)
    found = buffer.online()
    return not untrue(found) and len(found.bootstrap) == 8


def intervention_segments(buffer) -> bool:
    for step in [*make_episode(1, 9, intervened=(2, 3, 7, 8)), *make_episode(2, 4, intervened=(1,))]:
        buffer.add(step)
    found = buffer.prior()
    return not untrue(found) and sorted(found.next_observation["state"][:, 0]) == [102, 103, 107, 108, 201]


def time_limit_bootstraps(buffer) -> bool:
    for step in [*make_episode(1, 3), *make_episode(2, 3, terminated=True)]:
        buffer.add(step)
    return not wrong_bootstraps(buffer.online(), terminal={203.0})


def demonstration_out_of_time(buffer) -> bool:
    for step in make_episode(1, 3, intervened=(1, 2, 3)):
        buffer.add(step)
    found = buffer.prior()
    return not wrong_bootstraps(found, terminal=set()) and len(found.bootstrap) == 3


def ring_wrap(buffer) -> bool:
    steps = [step for episode in range(1, 8) for step in make_episode(episode, 4, intervened=(2, 3))]
    for step in steps:
        buffer.add(step)
        if untrue(buffer.online()) or untrue(buffer.prior()):
            return False
    return True


CASES = [
    time_limit_then_next_episode,
    intervention_segments,
    time_limit_bootstraps,
    demonstration_out_of_time,
    ring_wrap,
]


@pytest.mark.parametrize("case", CASES)
def test_boundaries_are_true(spec: ExperienceSpec, case) -> None:
    assert case(Ours(spec, capacity=13 if case is ring_wrap else 50))


@pytest.mark.parametrize("case", CASES)
def test_naive_buffer_fails_each_case(case) -> None:
    assert not case(NaiveBuffer(13 if case is ring_wrap else 50))


def test_images_follow_their_state_at_segment_starts(spec: ExperienceSpec) -> None:
    replay = Replay(spec, 50)
    for step in make_episode(0, 9, intervened=(2, 3, 7, 8)):
        replay.add(step)
    found = replay.transitions(replay.prior_rows())
    assert (found.observation["eye"][:, 0, 0, 0] == found.observation["state"][:, 0]).all()
    assert (found.next_observation["eye"][:, 0, 0, 0] == found.next_observation["state"][:, 0]).all()


def test_replay_of_a_resumed_run_has_the_same_transitions(spec: ExperienceSpec) -> None:
    episodes = [make_episode(i, 3, intervened=(2,), terminated=i == 1) for i in range(3)]
    whole, resumed = Replay(spec, 50), Replay(spec, 50)
    for episode in episodes:
        for step in episode:
            whole.add(step)
    for episode in episodes:
        for step in episode:
            resumed.add(step)
    a, b = (r.sample(np.random.default_rng(0), 2, 8) for r in (whole, resumed))
    assert np.array_equal(a.action, b.action)
    assert np.array_equal(a.bootstrap, b.bootstrap)


def test_episodes_may_interleave(spec: ExperienceSpec) -> None:
    replay = Replay(spec, 50)
    first, second = make_episode(1, 4), make_episode(2, 4)
    for pair in zip(first, second, strict=True):
        for step in pair:
            replay.add(step)
    found = replay.transitions(replay.online_rows())
    assert not untrue(found)
    assert len(found.bootstrap) == 8


def test_episode_cut_by_the_end_of_a_run_bootstraps(spec: ExperienceSpec) -> None:
    replay = Replay(spec, 50)
    for step in [make_step(0, 0), make_step(0, 1), *make_episode(1, 2)]:
        replay.add(step)
    found = replay.transitions(replay.online_rows())
    assert not untrue(found)
    assert (found.bootstrap == 1.0).all()


def test_episode_may_be_longer_than_the_ring(spec: ExperienceSpec) -> None:
    replay = Replay(spec, 5)
    for step in make_episode(0, 23, intervened=tuple(range(1, 24))):
        replay.add(step)
        assert not untrue(replay.transitions(replay.online_rows()))
        assert not untrue(replay.transitions(replay.prior_rows()))
    assert len(replay.online_rows()) == 4


def test_demonstrations_are_never_overwritten(spec: ExperienceSpec) -> None:
    replay = Replay(spec, 5, prior=make_episode(9, 3, terminated=True))
    for episode in range(6):
        for step in make_episode(episode, 3):
            replay.add(step)
    found = replay.transitions(replay.prior_rows())
    assert sorted(found.next_observation["state"][:, 0]) == [901, 902, 903]
    assert wrong_bootstraps(found, terminal={903.0}) == []


def test_demonstration_and_online_episode_may_share_a_number(spec: ExperienceSpec) -> None:
    replay = Replay(spec, 20, prior=make_episode(0, 3)[:-1])
    for step in make_episode(0, 3):
        replay.add(step)
    assert not untrue(replay.transitions(replay.online_rows()))


@pytest.mark.parametrize(("first", "then"), [(0, 2), (1, None), (0, 0)])
def test_gap_in_an_episode_is_refused(spec: ExperienceSpec, first: int, then: int | None) -> None:
    replay = Replay(spec, 20)
    with pytest.raises(HilserlError, match="expected"):  # noqa: PT012 - which of the two is refused depends on the case
        replay.add(make_step(0, first))
        if then is not None:
            replay.add(make_step(0, then))


def test_batches_are_half_prior_and_repeat_with_the_seed(spec: ExperienceSpec) -> None:
    replay = Replay(spec, 50, prior=make_episode(9, 5))
    for step in make_episode(1, 5):
        replay.add(step)
    batch = replay.sample(np.random.default_rng(3), batches=4, size=10)
    from_prior = batch.observation["state"][..., 0] >= 900
    assert (from_prior.sum(axis=1) == 5).all()
    again = replay.sample(np.random.default_rng(3), batches=4, size=10)
    assert np.array_equal(batch.action, again.action)


def test_batch_is_of_one_kind_if_the_other_is_missing(spec: ExperienceSpec) -> None:
    only_prior = Replay(spec, 50, prior=make_episode(9, 5))
    assert only_prior.sample(np.random.default_rng(0), 1, 6).reward.shape == (1, 6)
    only_online = Replay(spec, 50)
    with pytest.raises(HilserlError, match="no transition"):
        only_online.sample(np.random.default_rng(0), 1, 6)
    for step in make_episode(1, 5):
        only_online.add(step)
    assert only_online.sample(np.random.default_rng(0), 1, 6).reward.shape == (1, 6)


def test_intervened_step_is_stored_once(spec: ExperienceSpec) -> None:
    replay = Replay(spec, 50)
    for step in make_episode(1, 5, intervened=(1, 2, 3, 4, 5)):
        replay.add(step)
    assert len(replay) == 6
    assert len(replay.online_rows()) == len(replay.prior_rows()) == 5


FEATURES = {"eye.features": (2, 2, 4)}


def test_features_are_stored_instead_of_images(spec: ExperienceSpec) -> None:
    replay = Replay(spec, 50, features=FEATURES)
    for step in make_episode(1, 5):
        value = step.observation["state"][0]
        replay.add(replace(step, observation={**step.observation, "eye.features": np.full((2, 2, 4), value)}))
    found = replay.transitions(replay.online_rows())
    assert set(found.observation) == {"state", "eye.features"}
    assert found.observation["eye.features"].dtype == np.float16
    assert (found.observation["eye.features"][:, 0, 0, 0] == found.observation["state"][:, 0]).all()
    assert (found.next_observation["eye.features"][:, 0, 0, 0] == found.next_observation["state"][:, 0]).all()


def test_replay_of_200_000_steps_of_two_cameras_fits_in_1_gb() -> None:
    env = make_sim_env("pick_cube", obs="pixels")
    replay = Replay(env.experience, 200_000, features=FrameEncoder(env.experience, VisionConfig()).stored)
    assert replay.nbytes < 1.05e9
    assert replay.nbytes > 200_000 * 2 * 80 * 15 * 2, "and the features are counted"


def test_return_to_go_is_known_where_the_episode_terminated(spec: ExperienceSpec) -> None:
    replay = Replay(spec, 50, make_episode(9, 2, terminated=True), hindsight=Hindsight(0.5))
    for step in [*make_episode(1, 3, terminated=True), *make_episode(2, 3), make_step(3, 0), make_step(3, 1)]:
        replay.add(replace(step, reward=8.0) if step.index else step)
    found = replay.transitions(np.union1d(replay.online_rows(), replay.prior_rows()))
    known = dict(zip(found.next_observation["state"][:, 0].tolist(), found.return_to_go.tolist(), strict=True))
    assert [known[v] for v in (101, 102, 103)] == [14.0, 12.0, 8.0]
    assert [known[v] for v in (201, 202, 203, 301)] == [-np.inf] * 4
    assert np.isfinite([known[v] for v in (901, 902)]).all(), "demonstrations count as well"


def test_return_to_go_ends_where_the_ring_was_overwritten(spec: ExperienceSpec) -> None:
    """An old row keeps no return of the episode that stood there before."""
    replay = Replay(spec, 6, hindsight=Hindsight(0.5))
    for step in [*make_episode(1, 3, terminated=True), *(make_step(2, index) for index in range(10))]:
        replay.add(step)
    found = replay.transitions(replay.online_rows())
    assert (found.return_to_go == -np.inf).all()
    replay.add(make_step(2, 10, reward=1.0, terminated=True))
    assert np.isfinite(replay.transitions(replay.online_rows()).return_to_go).all()


def test_changes_to_go_count_the_grippers_set_in_motion(state_spec: ExperienceSpec) -> None:
    """The state's command before the action decides what a change is."""
    place, gripper = state_spec.gripper_state[0], state_spec.action.grippers[0]
    replay = Replay(state_spec, 20, hindsight=Hindsight(0.5))
    for index, (command, action) in enumerate([(1, 0), (1, 1), (-1, -1), (-1, -1), (-1, 0.2), (1, 1)]):
        step = make_step(0, index, camera=False, terminated=index == 5)
        step.observation["state"][place], step.action[gripper] = command, action
        replay.add(step)
    found = replay.transitions(replay.online_rows())
    assert found.gripper_changes.tolist() == [0, 1, 0, 0, 1]
    assert found.changes_to_go.tolist() == [0.5 + 0.5**4, 1 + 0.5**3, 0.25, 0.5, 1]


def same(a: Transitions, b: Transitions) -> bool:
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(x.dtype == y.dtype and np.array_equal(x, y) for x, y in pairs)


@pytest.mark.parametrize("capacity", [2, 13, 40])
@pytest.mark.parametrize("seed", range(3))
def test_batches_on_a_device_are_the_same_bit_by_bit(spec: ExperienceSpec, capacity: int, seed: int) -> None:
    rng = np.random.default_rng([seed, capacity])
    prior = make_episode(9, 4, terminated=True) if seed else []
    host, device = (Replay(spec, capacity, prior, make_storage=storage) for storage in (HostStorage, DeviceStorage))
    numbers, running = itertools.count(10), {}
    for turn in range(150):
        place, event = int(rng.integers(3)), rng.random()
        episode, index = running.pop(place, None) or (next(numbers), 0)
        if event < 0.1:
            leave = "forget" if event < 0.05 else "end"
            for replay in (host, device):
                getattr(replay, leave)(episode)
            continue
        reward, intervened = (float(rng.normal()), bool(rng.random() < 0.3)) if index else (0.0, False)
        terminated, truncated = bool(index and event > 0.9), bool(index and 0.8 < event < 0.9)
        step = make_step(episode, index, reward=reward, intervened=intervened, terminated=terminated)
        step = replace(step, truncated=truncated)
        for replay in (host, device):
            replay.add(step)
        if not step.ends_episode:
            running[place] = (episode, index + 1)
        if host.holds() and turn % 3 == 0:
            drawn = [replay.sample(np.random.default_rng(turn), 2, 6) for replay in (host, device)]
            assert same(*drawn)
            assert isinstance(drawn[0].action, np.ndarray)
            assert isinstance(drawn[1].action, jax.Array)
    assert host.nbytes == device.nbytes
    assert np.array_equal(host.online_rows(), device.online_rows())


def test_demonstrations_reach_a_device_whole(spec: ExperienceSpec) -> None:
    prior = [step for episode in range(70) for step in make_episode(episode, 7, terminated=bool(episode % 2))]
    host, device = Replay(spec, 5, prior), Replay(spec, 5, prior, make_storage=DeviceStorage)
    assert len(host.prior_rows()) == 490
    assert same(*(replay.transitions(replay.prior_rows()) for replay in (host, device)))


def test_features_of_another_type_are_rounded_alike(spec: ExperienceSpec) -> None:
    host, device = Replay(spec, 5, features=FEATURES), Replay(spec, 5, features=FEATURES, make_storage=DeviceStorage)
    for step in make_episode(1, 2):
        features = np.random.default_rng(step.index).normal(size=(2, 2, 4))
        for replay in (host, device):
            replay.add(replace(step, observation={**step.observation, "eye.features": features}))
    assert same(*(replay.transitions(replay.online_rows()) for replay in (host, device)))


CLONES = dataclasses.replace(SMALL, cloning_weight=1.0)


@pytest.mark.parametrize("storage", [HostStorage, DeviceStorage])
def test_replay_marks_steps_of_the_operator(
    state_spec: ExperienceSpec, storage: Callable[[Columns], ReplayStorage]
) -> None:
    replay = Replay(state_spec, 20, make_episode(9, 3, terminated=True, camera=False), make_storage=storage)
    for step in make_episode(1, 6, intervened=(2, 3), camera=False):
        replay.add(step)
    found = replay.sample(np.random.default_rng(0), 4, 64)
    led_to = np.asarray(found.next_observation["state"])[..., 0]
    assert np.array_equal(np.asarray(found.demonstrated), np.isin(led_to, [102, 103, 901, 902, 903]))
    assert set(np.unique(led_to)) == {101, 102, 103, 104, 105, 106, 901, 902, 903}


def test_takeover_marks_the_policys_last_action_before_it(state_spec: ExperienceSpec) -> None:
    replay = Replay(state_spec, 100, make_episode(9, 3, camera=False))
    for step in make_episode(1, 7, intervened=(3, 4, 7), camera=False) + make_episode(
        2, 2, intervened=(1,), camera=False
    ):
        replay.add(step)
    drawn = replay.transitions(np.concatenate([replay.online_rows(), replay.prior_rows()]))
    assert np.unique(drawn.next_observation["state"][drawn.taken_over, 0]).tolist() == [102.0, 106.0]


def test_takeover_outlives_no_row_of_the_ring(state_spec: ExperienceSpec) -> None:
    replay = Replay(state_spec, 4)
    for step in make_episode(1, 7, intervened=(3, 7), camera=False):
        replay.add(step)
    drawn = replay.transitions(replay.online_rows())
    assert drawn.next_observation["state"][drawn.taken_over, 0].tolist() == [106.0]
