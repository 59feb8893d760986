"""Imitation in soft actor-critic learns from demonstrated transitions alone."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hilserl.agents.agent import Actor, AgentConfig, act, update_step
from hilserl.agents.gripper import choice_index
from hilserl.agents.imitation import GRIPPER_MARGIN, imitation_loss
from hilserl.agents.sac import create_sac_agent
from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Transitions
from hilserl.training.algorithms import ALGORITHMS
from tests.support.batches import SMALL, camera_batches, doing, first, moved, random_batches, with_camera, with_grippers

CLONES = dataclasses.replace(SMALL, cloning_weight=1.0)
FILTERS = dataclasses.replace(CLONES, cloning_filter=True)


def loss(actor: Actor, batch: Transitions) -> jax.Array:
    """Of an actor on what it sees itself."""
    batch = jax.tree.map(jnp.asarray, batch)
    return imitation_loss(actor, actor.encoder(batch.observation), batch, jnp.ones(8))[0]


def one_batch(spec: ExperienceSpec, demonstrated: bool | np.ndarray) -> Transitions:
    batch = first(random_batches(spec, 1, 8))
    return batch._replace(demonstrated=np.broadcast_to(demonstrated, (8,)))


@pytest.mark.parametrize("grippers", [0, 1, 2])
def test_imitation_loss_ignores_steps_without_demonstration(state_spec: ExperienceSpec, grippers: int) -> None:
    spec = with_grippers(state_spec, grippers)
    actor = create_sac_agent(spec, SMALL, 0).actor
    value, gradient = eqx.filter_value_and_grad(loss)(actor, one_batch(spec, demonstrated=False))
    assert value == 0
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(gradient))
    half = np.arange(8) < 4
    batch = one_batch(spec, half)
    others = np.where(half[:, None], batch.action, -batch.action)
    assert loss(actor, batch) == loss(actor, doing(batch, others)) != 0


def test_demonstrated_choice_is_worth_a_margin_more_and_no_further(state_spec: ExperienceSpec) -> None:
    spec = with_grippers(state_spec, 1)
    batch = one_batch(spec, demonstrated=True)
    batch = doing(batch, np.concatenate([batch.action[:, :3], np.ones((8, 1), np.float32)], -1))
    actor = create_sac_agent(spec, SMALL, 0).actor

    def where_opening_is_worth(value: float) -> float:
        head = actor.gripper
        assert head is not None
        last = (jnp.zeros_like(head.values.weight), jnp.array([0.0, 0.0, value]))
        head = eqx.tree_at(lambda h: (h.values.weight, h.values.bias), head, last)
        return float(loss(dataclasses.replace(actor, gripper=head), batch))

    best = where_opening_is_worth(GRIPPER_MARGIN)
    assert where_opening_is_worth(0.0) - best == pytest.approx(1, abs=1e-4)
    assert where_opening_is_worth(-GRIPPER_MARGIN) - best == pytest.approx(2, abs=1e-4)
    assert where_opening_is_worth(9.0) == pytest.approx(best, abs=1e-4)


def test_gripper_loss_has_no_gradient_into_the_policy(state_spec: ExperienceSpec) -> None:
    batch = one_batch(state_spec, demonstrated=True)
    other = doing(batch, np.stack([batch.action[:, 0], -batch.action[:, 1]], -1))
    actor = create_sac_agent(state_spec, SMALL, 0).actor
    gradients = [eqx.filter_grad(loss)(actor, each) for each in (batch, other)]
    assert not moved(gradients[0].policy, gradients[1].policy)
    assert moved(gradients[0].gripper, gradients[1].gripper)


def test_imitation_loss_follows_the_weights(state_spec: ExperienceSpec) -> None:
    batch = one_batch(state_spec, demonstrated=True)
    actor = create_sac_agent(state_spec, SMALL, 0).actor
    features = actor.encoder(batch.observation)
    part = jnp.where(jnp.arange(8) < 3, 1.0, 0.25)
    weights = (jnp.ones(8), part, 1 - part, jnp.zeros(8))
    whole, some, others, nothing = (float(imitation_loss(actor, features, batch, each)[0]) for each in weights)
    assert nothing == 0
    assert some + others == pytest.approx(whole, rel=1e-4)


@pytest.mark.parametrize("filters", [False, True])
def test_filter_leaves_demonstrations_that_are_worth_less(state_spec: ExperienceSpec, filters: bool) -> None:
    """Half of the steps show an action that earns nothing; the others took the opposite one, which earns 1."""
    spec, shown = with_grippers(state_spec, 0), np.arange(8) < 4
    batches = random_batches(spec, 2, 8)
    actions = np.where(shown[:, None], 0.5, -0.5) * np.ones(3)
    batches = doing(batches, np.broadcast_to(actions, (2, 8, 3)).astype(np.float32))._replace(
        reward=np.broadcast_to(~shown, (2, 8)).astype(np.float32),
        bootstrap=np.zeros((2, 8), np.float32),
        return_to_go=np.zeros((2, 8), np.float32),
        demonstrated=np.broadcast_to(shown, (2, 8)),
    )
    settings = dataclasses.replace(FILTERS, learning_rate=3e-3, cloning_weight=0.1, initial_temperature=1e-4)
    agent, metrics = create_sac_agent(spec, settings, 0), {}
    for index in range(150):
        agent, metrics = update_step(agent, batches, jax.random.key(index))
    assert metrics["imitated"] == 1, "nothing is left out before acting"
    if filters:
        agent = ALGORITHMS["rlpd"].after_pretraining(agent)
    for index in range(150, 600):
        agent, metrics = update_step(agent, batches, jax.random.key(index))
    action = act(agent.actor, {"state": batches.observation["state"][0, 0]}, jax.random.key(0), explore=False)
    assert metrics["imitated"] < 0.5 if filters else metrics["imitated"] == 1
    assert (np.abs(action - 0.5).max() < 0.5) != filters, "the policy stays at what is shown unless it is worth less"


@pytest.mark.parametrize("imitates", [False, True])
def test_stillness_is_imitated_if_asked_for(state_spec: ExperienceSpec, imitates: bool) -> None:
    """Half of the steps are still; the policy learns the others' action, or hesitates between the two."""
    spec, still = with_grippers(state_spec, 0), np.arange(8) < 4
    batches = random_batches(spec, 2, 8)
    shown = np.where(still[:, None], 0.0, 0.5) * np.ones(3)
    state = batches.observation["state"] * 0
    batches = doing(batches, np.broadcast_to(shown, (2, 8, 3)).astype(np.float32))._replace(
        observation={"state": state},
        reward=np.zeros((2, 8), np.float32),
        bootstrap=np.zeros((2, 8), np.float32),
        demonstrated=np.ones((2, 8), bool),
    )
    settings = dataclasses.replace(CLONES, learning_rate=3e-3, imitate_stillness=imitates)
    agent = create_sac_agent(spec, settings, 0)
    for index in range(300):
        agent, _ = update_step(agent, batches, jax.random.key(index))
    action = act(agent.actor, {"state": state[0, 0]}, jax.random.key(0), explore=False)
    np.testing.assert_allclose(action, 0.25 if imitates else 0.5, atol=0.1)


def test_filter_begins_after_pretraining_if_switched_on(state_spec: ExperienceSpec) -> None:
    for settings, filters in (
        (FILTERS, False),
        (CLONES, None),
        (dataclasses.replace(FILTERS, cloning_weight=0.0), None),
    ):
        agent = create_sac_agent(state_spec, settings, 0)
        assert agent.filters_imitation == filters
        after = ALGORITHMS["rlpd"].after_pretraining(agent)
        assert after.filters_imitation == (None if filters is None else True)


@pytest.mark.parametrize("grippers", [0, 1, 2])
def test_imitation_works_without_reward(state_spec: ExperienceSpec, grippers: int) -> None:
    spec = with_grippers(state_spec, grippers)
    batches = random_batches(spec, 2, 8)
    shown = np.array([0.5, -0.3, 0.1, 1.0, -1.0][: 3 + grippers], np.float32)
    batches = doing(batches, np.broadcast_to(shown, batches.action.shape))._replace(
        reward=np.zeros((2, 8), np.float32),
        demonstrated=np.ones((2, 8), bool),
    )

    def learned(settings: AgentConfig) -> np.ndarray:
        agent, metrics = create_sac_agent(spec, dataclasses.replace(settings, learning_rate=3e-3), 0), {}
        for index in range(150):
            agent, metrics = update_step(agent, batches, jax.random.key(index))
        assert ("gripper_agreement" in metrics) == (grippers > 0 and settings.cloning_weight > 0)
        return act(agent.actor, {"state": batches.observation["state"][0, 0]}, jax.random.key(0), explore=False)

    imitated = learned(CLONES)
    np.testing.assert_allclose(imitated[:3], shown[:3], atol=0.1)
    assert choice_index(jnp.array(imitated[3:])) == choice_index(jnp.array(shown[3:]))
    assert np.abs(learned(SMALL)[:3] - shown[:3]).max() > 0.1, "values alone say nothing of it"


def test_zero_weight_ignores_demonstrations(state_spec: ExperienceSpec) -> None:
    batches = random_batches(state_spec, 2, 8)
    mine, theirs = (batches._replace(demonstrated=np.full((2, 8), who)) for who in (False, True))
    agent = create_sac_agent(state_spec, SMALL, 0)
    assert not moved(*(update_step(agent, each, jax.random.key(0))[0] for each in (mine, theirs)))
    agent = create_sac_agent(state_spec, CLONES, 0)
    assert moved(*(update_step(agent, each, jax.random.key(0))[0] for each in (mine, theirs)))


def test_cloning_weight_fades(state_spec: ExperienceSpec) -> None:
    fading = dataclasses.replace(CLONES, cloning_half_life=4)
    agent, weights = create_sac_agent(state_spec, fading, 0), []
    for number in range(5):
        weights.append(float(agent.cloning_weight))
        agent, _ = update_step(agent, random_batches(state_spec, 2, 8), jax.random.key(number))
    np.testing.assert_allclose(weights, 0.5 ** (np.arange(5) / 2), rtol=1e-5)
    assert create_sac_agent(state_spec, CLONES, 0).cloning_weight == agent.config.cloning_weight == 1
    mine, theirs = (
        random_batches(state_spec, 2, 8)._replace(demonstrated=np.full((2, 8), who)) for who in (True, False)
    )
    for _ in range(60):
        agent, _ = update_step(agent, mine, jax.random.key(0))
    ends = [update_step(agent, each, jax.random.key(0))[0].actor.policy for each in (mine, theirs)]
    for one, other in zip(jax.tree.leaves(ends[0]), jax.tree.leaves(ends[1]), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3)


def test_camera_heads_learn_from_demonstrated_actions(state_spec: ExperienceSpec) -> None:
    spec = with_camera(state_spec)
    batches = camera_batches(spec)._replace(demonstrated=np.ones((2, 8), bool))
    plain, imitating = (
        update_step(create_sac_agent(spec, settings, 0), batches, jax.random.key(0))[0] for settings in (SMALL, CLONES)
    )
    assert moved(plain.actor.encoder.heads, imitating.actor.encoder.heads)
    assert not moved(plain.actor.encoder.scale, imitating.actor.encoder.scale)
