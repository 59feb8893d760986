"""Behaviour cloning reproduces demonstrated actions."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hilserl.agents.agent import act, update_step
from hilserl.agents.cloning import cloning_loss, create_cloning_agent, negative_log_likelihood
from hilserl.data.spec import ExperienceSpec
from tests.support.batches import SMALL, camera_batches, doing, first, moved, random_batches, with_camera, with_grippers


@pytest.mark.parametrize("grippers", [0, 1, 2])
def test_cloning_reproduces_a_constant_action(state_spec: ExperienceSpec, grippers: int) -> None:
    spec = with_grippers(state_spec, grippers)
    batches = random_batches(spec, 2, 8)
    shown = np.array([0.5, -0.3, 0.0, 1.0, -1.0][: 3 + grippers], np.float32)
    batches = doing(batches, np.broadcast_to(shown, batches.action.shape))
    agent, metrics = create_cloning_agent(spec, dataclasses.replace(SMALL, learning_rate=3e-3, ema_rate=0.1), 0), {}
    for index in range(150):
        agent, metrics = update_step(agent, batches, jax.random.key(index))
    assert ("gripper_agreement" in metrics) == (grippers > 0)
    assert metrics.get("gripper_agreement", 1.0) == 1.0
    seen = {"state": batches.observation["state"][0, 0]}
    for actor in (agent.actor, agent.ema_actor):
        done = act(actor, seen, jax.random.key(0), explore=False)
        np.testing.assert_allclose(done, shown, atol=0.1)
        assert np.array_equal(done[3:], shown[3:])
    before = negative_log_likelihood(create_cloning_agent(spec, SMALL, 0), first(batches))
    assert negative_log_likelihood(agent, first(batches))["cloning_loss"] < before["cloning_loss"]


def test_gripper_loss_has_no_gradient_into_the_policy(state_spec: ExperienceSpec) -> None:
    """The head is asked beside the policy's action, and must not change it."""
    agent, batch = create_cloning_agent(state_spec, SMALL, 0), first(random_batches(state_spec, 1, 8))
    other = doing(batch, batch.action * jnp.array([1.0, -1.0]))
    gradients = [
        eqx.filter_grad(lambda actor, b=b: cloning_loss(actor, agent.config, actor.encoder(b.observation), b)[0])(
            agent.actor
        )
        for b in (batch, other)
    ]
    assert not moved(gradients[0].policy, gradients[1].policy)
    assert moved(gradients[0].gripper, gradients[1].gripper)


def test_camera_heads_are_trained(state_spec: ExperienceSpec) -> None:
    """The reference's behaviour cloning leaves them as they were drawn (defect D9)."""
    spec = with_camera(state_spec)
    agent = create_cloning_agent(spec, SMALL, 0)
    after, _ = update_step(agent, camera_batches(spec), jax.random.key(0))
    head, learned = agent.actor.encoder.heads["eye.features"], after.actor.encoder.heads["eye.features"]
    assert moved(head.bottleneck, learned.bottleneck)
    assert not moved(agent.actor.encoder.scale, after.actor.encoder.scale)
