"""Images give the same features, encoded once or in every update."""

import dataclasses
from collections.abc import Iterator
from typing import Any, cast

import equinox as eqx
import jax
import numpy as np
import pytest

from hilserl.agents.agent import AgentConfig, update_step
from hilserl.agents.sac import create_sac_agent
from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Step
from hilserl.errors import HilserlError
from hilserl.sim.environment import ManipulationEnv
from hilserl.tasks import make_sim_env
from hilserl.training.config import TrainConfig
from hilserl.training.learner import Learner
from hilserl.vision import encoders
from hilserl.vision.dct import low_frequencies
from hilserl.vision.frame_encoder import FrameEncoder, VisionConfig, random_shift
from hilserl.vision.heads import CameraHead, FrequencyHead
from tests.support.batches import transitions
from tests.support.configs import train_config

ONCE = VisionConfig()
EVERY_UPDATE = VisionConfig(encode="every_update")
CNN = VisionConfig("small_cnn")
SIZE = 32


@pytest.fixture(scope="module")
def env() -> Iterator[ManipulationEnv]:
    env = make_sim_env("pick_cube", obs="pixels", image_size=SIZE)
    yield env
    env.close()


@pytest.fixture(scope="module")
def steps(env: ManipulationEnv) -> list[Step]:
    """Make an episode of ten random actions with images and without features."""
    rng = np.random.default_rng(0)
    steps = [Step(0, 0, env.reset(seed=0)[0], np.zeros(4, np.float32))]
    for index in range(1, 11):
        action = rng.uniform(-1, 1, 4).astype(np.float32)
        steps.append(Step(0, index, env.step(action)[0], action, truncated=index == 10))
    return steps


def config(vision: VisionConfig) -> TrainConfig:
    agent = AgentConfig(hidden=(16,), num_critics=2, num_target_critics=2, utd_ratio=2, batch_size=8, vision=vision)
    return train_config("pick_cube", training_starts=1, replay_capacity=50, image_size=SIZE, agent=agent)


def frames_of(steps: list[Step], camera: str = "front") -> np.ndarray:
    return np.stack([step.observation[camera] for step in steps])


def test_features_in_replay_are_those_of_the_images(env: ManipulationEnv, steps: list[Step]) -> None:
    """The actor computes them when it acts, the learner when it reads images from disk."""
    learner = Learner(env.experience, config(ONCE), [])
    observe = FrameEncoder(env.experience, ONCE).encode
    for number, step in enumerate(steps):
        seen = dataclasses.replace(step, observation=observe(step.observation))
        learner.receive(seen if number % 2 else step)
    stored = learner._replay.transitions(learner._replay.online_rows()).next_observation
    for camera in ("front", "wrist"):
        fresh = np.asarray(encoders.FROZEN["efficientnet_lite0"].load()(frames_of(steps, camera)))[1:]
        fresh = np.moveaxis(fresh, -1, 1).reshape(len(fresh), 80, -1) @ low_frequencies(2, 2, 5)
        found = stored[f"{camera}.features"]
        assert found.dtype == np.float16
        np.testing.assert_allclose(found, fresh, rtol=2e-3, atol=2e-3)
        assert camera not in stored


def test_encoding_in_the_update_gives_the_same_features(env: ManipulationEnv, steps: list[Step]) -> None:
    still = FrameEncoder(env.experience, dataclasses.replace(EVERY_UPDATE, shift_px=0))
    batch = {camera: frames_of(steps, camera) for camera in ("front", "wrist")}
    prepared = still.augment(batch, jax.random.key(0))
    assert prepared.keys() == {"front.features", "wrist.features"}
    for index, step in enumerate(steps):
        for name, features in FrameEncoder(env.experience, ONCE).encode(step.observation).items():
            if name in prepared:
                np.testing.assert_allclose(prepared[name][index], features, rtol=2e-3, atol=2e-3)


def test_bfloat16_is_near(env: ManipulationEnv, steps: list[Step]) -> None:
    observation = steps[3].observation
    exact, near = (
        FrameEncoder(env.experience, VisionConfig(precision=precision)).encode(observation)["wrist.features"]
        for precision in ("float32", "bfloat16")
    )
    assert not np.array_equal(exact, near)
    assert np.abs(exact.astype(float) - near).mean() < 0.05 * np.abs(exact.astype(float)).mean()


def test_images_are_encoded_once(env: ManipulationEnv, steps: list[Step], monkeypatch: pytest.MonkeyPatch) -> None:
    frames = FrameEncoder(env.experience, ONCE)
    seen = frames.encode(steps[0].observation)
    monkeypatch.setattr(FrameEncoder, "_compiled", None)
    assert frames.encode(seen) is seen, "what has features is not encoded again"


@pytest.mark.parametrize("vision", [ONCE, EVERY_UPDATE, CNN, VisionConfig("resnet10", proprio_width=16)], ids=str)
def test_encoders_learn_and_act(
    env: ManipulationEnv, steps: list[Step], monkeypatch: pytest.MonkeyPatch, vision: VisionConfig
) -> None:
    from hilserl.agents.agent import act
    from hilserl.vision.resnet10 import untrained

    monkeypatch.setitem(encoders.FROZEN, "resnet10", encoders.FROZEN["resnet10"]._replace(load=untrained))
    learner = Learner(env.experience, config(vision), [])
    for step in steps:
        learner.receive(step)
    before = learner.snapshot[0]
    learner.learn()
    after = learner.snapshot[0]
    parts = [(agent.actor.encoder.heads, agent.actor.encoder.proprio) for agent in (before, after)]
    heads = [jax.tree.leaves(part) for part in parts]
    assert all((a != b).any() for a, b in zip(*heads, strict=True) if a.size > 16), "every array of the heads changes"
    seen = learner.frame_encoder.encode(steps[0].observation)
    assert act(after.actor, seen, jax.random.key(0), explore=True).shape == (4,)


def test_frozen_encoder_is_not_in_the_agent(env: ManipulationEnv) -> None:
    """So it is neither trained, nor tracked, nor kept in checkpoints."""
    small, large = (
        sum(leaf.size for leaf in jax.tree.leaves(create_sac_agent(env.experience, config(v).agent, 0).actor))
        for v in (EVERY_UPDATE, dataclasses.replace(EVERY_UPDATE, width=256))
    )
    assert small < 200_000
    assert small < large


def test_vision_settings_change_nothing_without_cameras(state_spec: ExperienceSpec) -> None:
    rng = np.random.default_rng(0)
    observation = {"state": rng.normal(size=(2, 8, 3)).astype(np.float32)}
    batches = transitions(
        observation,
        rng.choice([-1.0, 1.0], (2, 8, 2)),
        rng.normal(size=(2, 8)).astype(np.float32),
        observation,
        np.ones((2, 8)),
        np.ones((2, 8), bool),
    )
    weights = []
    for vision in (ONCE, EVERY_UPDATE):
        agent, _ = update_step(create_sac_agent(state_spec, config(vision).agent, 0), batches, jax.random.key(1))
        weights.append(jax.tree.leaves(agent))
    assert all(np.array_equal(a, b) for a, b in zip(*weights, strict=True))


def test_shifts_are_windows_of_the_padded_image() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (200, 8, 10, 3), np.uint8)
    shifted = np.asarray(random_shift(frames, 2, jax.random.key(0)))
    padded = np.pad(frames, ((0, 0), (2, 2), (2, 2), (0, 0)), "edge")
    found = set()
    for before, after in zip(padded, shifted, strict=True):
        corners = [(y, x) for y in range(5) for x in range(5) if np.array_equal(before[y : y + 8, x : x + 10], after)]
        assert corners
        found.add(corners[0])
    assert len(found) == 25, "every shift occurs, each frame's by itself"
    assert np.array_equal(shifted, random_shift(frames, 2, jax.random.key(0)))
    assert random_shift(frames, 0, jax.random.key(0)) is frames


def test_noise_in_the_head_is_noise_on_the_features() -> None:
    """Noise on the sums has the deviation of noise on every feature."""
    head = CameraHead((80, 8, 8), VisionConfig(noise=0.2), key=jax.random.key(0))
    rng = np.random.default_rng(0)
    features = rng.gamma(1.0, size=(16, 80, 8, 8)).astype(np.float32) * rng.uniform(0.1, 3.0, (80, 1, 1))
    still = np.asarray(head(features, None))
    assert np.array_equal(still, head(features, None))
    run = eqx.filter_jit(lambda x, key: head(x, key))
    spread = 0.2 * features.std((0, 2, 3))[:, None, None]
    shaken = np.stack([run(features, jax.random.key(n)) for n in range(300)]).std(0)
    expected = np.stack([run(features + spread * rng.normal(size=features.shape), None) for _ in range(300)]).std(0)
    assert 0.95 < np.mean(shaken / expected) < 1.05
    quiet = CameraHead((80, 8, 8), VisionConfig(noise=0.0), key=jax.random.key(0))
    assert np.array_equal(quiet(features, jax.random.key(0)), still)


def test_noise_on_frequencies_is_noise_on_standardised_features() -> None:
    rng, (batch, shape) = np.random.default_rng(0), (16, (80, 15))
    features = rng.normal(size=(batch, *shape)).astype(np.float32) * rng.uniform(0.5, 30.0, shape)
    head = FrequencyHead(shape, VisionConfig(noise=0.2), key=jax.random.key(0)).standardised(features)
    run = eqx.filter_jit(lambda x, key: head(x, key))
    shaken = np.stack([run(features, jax.random.key(n)) for n in range(300)]).std(0)
    noisy = (features + 0.2 * features.std(0) * rng.normal(size=features.shape) for _ in range(300))
    expected = np.stack([run(x, None) for x in noisy]).std(0)
    assert 0.95 < np.mean(shaken / expected) < 1.05
    quiet = FrequencyHead(shape, VisionConfig(noise=0.0), key=jax.random.key(0)).standardised(features)
    silent = eqx.filter_jit(lambda x, key: quiet(x, key))(features, jax.random.key(0))
    assert np.array_equal(run(features, None), silent)


def test_features_are_standardised_whatever_their_offset_and_scale() -> None:
    rng, shape = np.random.default_rng(0), (80, 15)
    features, offset, scale = rng.normal(size=(64, *shape)), rng.normal(size=shape), rng.uniform(0.5, 2.0, shape)
    plain, moved = (
        FrequencyHead(shape, VisionConfig(), key=jax.random.key(0)).standardised(x)(x, None)
        for x in (features, 100 * offset + 50 * scale * features)
    )
    np.testing.assert_allclose(plain, moved, atol=2e-3)


def test_features_without_spread_stay_finite() -> None:
    """A number that was constant in the first images may change in later ones."""
    features = np.random.default_rng(0).normal(size=(32, 80, 15))
    features[:, :40] = 3.0
    head = FrequencyHead((80, 15), VisionConfig(), key=jax.random.key(0)).standardised(features)
    assert np.isfinite(head(1e3 * features, None)).all()
    ones = np.ones((32, 80, 15))
    dead = FrequencyHead((80, 15), VisionConfig(), key=jax.random.key(0)).standardised(ones)
    assert np.isfinite(dead(features, None)).all()
    assert np.isfinite(dead(ones, None)).all()


def test_agent_standardises_once_with_what_replay_holds(env: ManipulationEnv, steps: list[Step]) -> None:
    """Target networks and the averaged actor see the same numbers; training does not change them."""
    learner = Learner(env.experience, config(ONCE), [])
    for step in steps:
        learner.receive(step)
    stored = learner._replay.transitions(learner._replay.online_rows()).observation["wrist.features"]
    learner.learn()
    first = learner.snapshot[0]
    learner.learn()
    for agent in (first, learner.snapshot[0]):
        heads = [encoder.heads["wrist.features"] for encoder in agent.encoders]
        assert len(heads) == 3
        for head in heads:
            assert isinstance(head, FrequencyHead)
            spread = stored.astype(np.float32).reshape(len(stored), -1).std(0)
            assert np.corrcoef(np.asarray(head.scale), spread)[0, 1] > 0.95
            np.testing.assert_array_equal(head.centre, cast("Any", heads[0]).centre)


@pytest.mark.parametrize(
    "settings",
    [{"frequencies": 0}, {"shift_px": -1}, {"noise": -0.1}, {"embeddings": 0}, {"width": 0}, {"proprio_width": -1}],
)
def test_impossible_settings_are_refused(settings: dict) -> None:
    with pytest.raises(HilserlError, match=next(iter(settings))):
        VisionConfig(**settings)
