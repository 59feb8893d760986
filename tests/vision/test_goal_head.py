"""The prediction of the state at success is learned by regression alone, and is shown without noise."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hilserl.agents.agent import update_step
from hilserl.agents.cloning import create_cloning_agent
from hilserl.agents.sac import create_sac_agent
from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Transitions
from hilserl.vision.frame_encoder import FrameEncoder, VisionConfig
from hilserl.vision.heads import ObservationEncoder
from tests.support.batches import SMALL, camera_batches, first, moved, with_camera


def encoder_of(spec: ExperienceSpec, vision: VisionConfig | None = None) -> ObservationEncoder:
    return ObservationEncoder(spec, FrameEncoder(spec, vision or VisionConfig()), key=jax.random.key(0))


def successful(spec: ExperienceSpec) -> Transitions:
    """Batches of steps whose final state is told by the first number of the camera's features."""
    batches = camera_batches(spec)
    final = batches.observation["state"] + batches.observation["eye.features"][..., 0, :1].astype(np.float32)
    return batches._replace(succeeds=np.ones(batches.reward.shape, bool), final_state=final)


def test_prediction_needs_a_camera(state_spec: ExperienceSpec) -> None:
    """A state with the objects' poses says where they are."""
    assert encoder_of(state_spec).goal is None
    assert encoder_of(with_camera(state_spec)).goal is not None
    assert encoder_of(with_camera(state_spec), VisionConfig(goal_prediction=False)).goal is None


def test_noise_hides_the_features_and_not_the_goal(state_spec: ExperienceSpec) -> None:
    spec = with_camera(state_spec)
    encoder, observation = encoder_of(spec), first(camera_batches(spec)).observation
    assert encoder.goal is not None
    seen, shown = np.split(np.asarray(encoder(observation)), [-encoder.goal.size], -1)
    noisy, still = np.split(np.asarray(encoder(observation, jax.random.key(1))), [-encoder.goal.size], -1)
    assert not np.allclose(seen, noisy)
    np.testing.assert_allclose(shown, still, atol=1e-6)


def test_values_do_not_move_the_prediction(state_spec: ExperienceSpec) -> None:
    spec = with_camera(state_spec)
    encoder, observation = encoder_of(spec), first(camera_batches(spec)).observation
    gradient = eqx.filter_grad(lambda e: (e(observation, jax.random.key(0)) ** 2).sum())(encoder)
    assert not any(leaf.any() for leaf in jax.tree.leaves(gradient.goal))
    assert all(leaf.any() for leaf in jax.tree.leaves(gradient.heads["eye.features"].bottleneck))


def test_steps_without_a_success_teach_nothing(state_spec: ExperienceSpec) -> None:
    spec = with_camera(state_spec)
    encoder, batch = encoder_of(spec), first(successful(spec))
    features = encoder(batch.observation)
    half = batch._replace(succeeds=jnp.arange(8) < 4)
    other = half._replace(final_state=half.final_state.at[4:].add(5.0))
    assert encoder.goal_loss(features, half) == encoder.goal_loss(features, other)
    assert encoder.goal_loss(features, half) != encoder.goal_loss(features, batch)
    assert encoder.goal_loss(features, batch._replace(succeeds=jnp.zeros(8, bool))) == 0.0


@pytest.mark.parametrize("create", [create_sac_agent, create_cloning_agent])
def test_prediction_is_learned_by_every_algorithm(state_spec: ExperienceSpec, create: type) -> None:
    """It is told by one of 480 numbers of the camera, and the head finds which."""
    spec = with_camera(state_spec)
    vision = VisionConfig(noise=0.0)
    agent = create(spec, dataclasses.replace(SMALL, learning_rate=3e-3, vision=vision), 0)
    batches, losses = successful(spec), []
    for index in range(100):
        agent, metrics = update_step(agent, batches, jax.random.key(index))
        losses.append(float(metrics["goal_loss"]))
    assert losses[-1] < 0.3 * losses[0]
    blind, _ = update_step(agent, batches._replace(succeeds=np.zeros_like(batches.succeeds)), jax.random.key(0))
    assert moved(agent.actor.encoder, blind.actor.encoder)
