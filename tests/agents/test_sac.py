"""Soft actor-critic follows its equations, and losses move their own parameters."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hilserl.agents.agent import act, update_step
from hilserl.agents.sac import _td_targets, _update_policy, create_sac_agent
from hilserl.data.spec import ExperienceSpec
from tests.support.batches import (
    SMALL,
    arrays,
    camera_batches,
    first,
    moved,
    random_batches,
    transitions,
    with_camera,
    with_grippers,
)


@pytest.mark.parametrize("grippers", [0, 1, 2])
def test_agent_has_no_gripper_one_or_two(state_spec: ExperienceSpec, grippers: int) -> None:
    spec = with_grippers(state_spec, grippers)
    agent = create_sac_agent(spec, SMALL, seed=0)
    after, metrics = update_step(agent, random_batches(spec, 2, 8), jax.random.key(0))
    assert all(np.isfinite(value) for value in metrics.values())
    assert ("gripper_loss" in metrics) == (grippers > 0)
    action = act(after.actor, {"state": np.zeros(spec.state.size, np.float32)}, jax.random.key(1), explore=True)
    assert action.shape == (3 + grippers,)
    assert np.abs(action).max() <= 1
    assert set(action[3:]) <= {-1.0, 0.0, 1.0}


def test_state_scaling_is_never_trained(state_spec: ExperienceSpec) -> None:
    agent = create_sac_agent(state_spec, SMALL, 0)
    after, _ = update_step(agent, random_batches(state_spec, 2, 8), jax.random.key(0))
    assert not moved(agent.actor.encoder, after.actor.encoder)


def test_target_networks_follow_at_tau(state_spec: ExperienceSpec) -> None:
    config = dataclasses.replace(SMALL, utd_ratio=1, tau=0.1)
    agent = create_sac_agent(state_spec, config, 0)
    after, _ = update_step(agent, random_batches(state_spec, 1, 8), jax.random.key(0))
    for old, new, target in zip(
        arrays(agent.targets.critics), arrays(after.critics), arrays(after.targets.critics), strict=True
    ):
        assert np.allclose(target, old + 0.1 * (new - old), atol=1e-6)


@pytest.mark.parametrize("bootstrap", [0.0, 1.0])
def test_values_converge_to_the_known_ones(state_spec: ExperienceSpec, bootstrap: float) -> None:
    """With one state and reward 1, Q is 1 with termination, and 2 without at discount 0.5."""
    config = dataclasses.replace(SMALL, discount=0.5, tau=0.2, learning_rate=3e-3, gripper_penalty=0.0)
    agent, metrics = create_sac_agent(state_spec, config, 0), {}
    state = {"state": np.ones((2, 8, 3), np.float32)}
    rng = np.random.default_rng(0)
    for index in range(150):
        action = rng.uniform(-1, 1, (2, 8, 2)).astype(np.float32)
        action[..., 1] = rng.integers(-1, 2, (2, 8))
        bootstraps = np.full((2, 8), bootstrap, np.float32)
        batch = transitions(state, action, np.ones((2, 8), np.float32), state, bootstraps, np.zeros((2, 8), bool))
        agent, metrics = update_step(agent, batch, jax.random.key(index))
    expected = 1.0 + bootstrap
    assert metrics["q"] == pytest.approx(expected, abs=0.1)
    assert metrics["gripper_q"] == pytest.approx(expected, abs=0.1)


def test_targets_are_not_below_the_return_that_followed(state_spec: ExperienceSpec) -> None:
    """Values of new networks are near 0; a return of 5 is known, and the gripper's part pays for two changes."""
    batches = random_batches(state_spec, 2, 8)
    quiet = batches._replace(reward=np.zeros_like(batches.reward))
    known = quiet._replace(
        return_to_go=np.full_like(batches.reward, 5.0), changes_to_go=np.full_like(batches.reward, 2.0)
    )
    config = dataclasses.replace(SMALL, gripper_penalty=0.5)
    agent = create_sac_agent(state_spec, config, 0)
    targets = _td_targets(agent, first(known), jax.random.key(0))
    assert np.allclose(targets.critic, 5.0)
    assert targets.gripper is not None
    assert np.allclose(targets.gripper, 4.0)
    plain = create_sac_agent(state_spec, dataclasses.replace(config, return_floor=False), 0)
    without = _td_targets(plain, first(known), jax.random.key(0))
    unknown = _td_targets(agent, first(quiet), jax.random.key(0))
    assert np.array_equal(without.critic, unknown.critic), "an unknown return changes nothing"
    assert (np.asarray(without.critic) < 5).all()


def test_penalty_reaches_the_gripper(state_spec: ExperienceSpec) -> None:
    batches = random_batches(state_spec, 2, 8)
    batches = batches._replace(gripper_changes=np.ones_like(batches.reward))
    free, _ = update_step(
        create_sac_agent(state_spec, dataclasses.replace(SMALL, gripper_penalty=0.0), 0), batches, jax.random.key(0)
    )
    dear, _ = update_step(
        create_sac_agent(state_spec, dataclasses.replace(SMALL, gripper_penalty=0.5), 0), batches, jax.random.key(0)
    )
    assert moved(free.actor.gripper, dear.actor.gripper)


def test_relative_values_make_a_gripper_cost_half_a_step(state_spec: ExperienceSpec) -> None:
    batches = random_batches(state_spec, 2, 8)
    changes = np.arange(16).reshape(2, 8) % 2
    batches = batches._replace(gripper_changes=changes, return_to_go=np.full_like(batches.reward, 5.0))
    config = dataclasses.replace(SMALL, discount=0.64, gripper_penalty=0.5, relative_values=True)
    targets = _td_targets(create_sac_agent(state_spec, config, 0), first(batches), jax.random.key(0))
    assert targets.gripper is not None
    assert np.allclose(targets.gripper, np.where(changes[0], 0.8 * 5.0, 5.0))
    assert np.allclose(targets.critic, 5.0), "the critics pay nothing"


@pytest.mark.parametrize("relative", [False, True])
def test_policy_moves_as_far_for_small_values_if_they_are_relative(state_spec: ExperienceSpec, relative: bool) -> None:
    """The critics' last layer decides how large all values are."""
    config = dataclasses.replace(SMALL, relative_values=relative, initial_temperature=0.0001)
    agent = create_sac_agent(state_spec, config, 0)
    batch = first(random_batches(state_spec, 2, 8))

    def gradient_at(scale: float) -> float:
        last = (agent.critics.value.weight * scale, jnp.full_like(agent.critics.value.weight[..., 0], scale))
        scaled = eqx.tree_at(lambda a: (a.critics.value.weight, a.critics.value.bias), agent, last)
        after, _ = _update_policy(scaled, batch.observation, jax.random.key(0))
        moments: Any = after.optimizers.policy
        # Adam's first moment is a tenth of the gradient.
        return sum(float((leaf**2).sum()) for leaf in jax.tree.leaves(moments[0].mu)) ** 0.5

    ratio = gradient_at(5.0) / gradient_at(0.5)
    assert ratio == pytest.approx(1.0 if relative else 10.0, rel=0.05)


def test_camera_heads_learn_from_the_values_and_not_from_the_policy(state_spec: ExperienceSpec) -> None:
    spec = with_camera(state_spec)
    agent, batches = create_sac_agent(spec, SMALL, 0), camera_batches(spec)
    after, metrics = update_step(agent, batches, jax.random.key(0))
    assert all(np.isfinite(value) for value in metrics.values())
    assert moved(agent.actor.encoder.heads, after.actor.encoder.heads)
    # Another temperature changes the policy's loss and nothing of the first value update.
    one = jax.tree.map(lambda leaf: leaf[:1], batches)
    warmer = eqx.tree_at(lambda a: a.log_temperature, agent, agent.log_temperature + 1.0)
    plain, warm = (update_step(a, one, jax.random.key(0))[0] for a in (agent, warmer))
    assert moved(plain.actor.policy, warm.actor.policy)
    assert not moved(plain.actor.encoder, warm.actor.encoder)
    assert not moved(plain.critics, warm.critics)
