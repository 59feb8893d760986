"""Acting, settings and update steps that all algorithms share."""

import dataclasses

import equinox as eqx
import jax
import numpy as np
import pytest

from hilserl.agents.agent import Agent, AgentConfig, act, update_step
from hilserl.agents.sac import create_sac_agent
from hilserl.data.spec import ExperienceSpec
from hilserl.errors import HilserlError
from tests.support.batches import SMALL, arrays, moved, random_batches, with_camera


def test_update_step_leaves_the_old_agent_alone_and_repeats(state_spec: ExperienceSpec) -> None:
    agent = create_sac_agent(state_spec, SMALL, seed=0)
    before = [leaf.copy() for leaf in arrays(agent)]
    batches = random_batches(state_spec, 2, 8)
    first, _ = update_step(agent, batches, jax.random.key(5))
    second, _ = update_step(agent, batches, jax.random.key(5))
    assert all(np.array_equal(a, b) for a, b in zip(before, arrays(agent), strict=True))
    assert not moved(first, second)
    assert moved(agent, first)
    assert moved(first, update_step(agent, batches, jax.random.key(6))[0])


def test_seeds_decide_the_weights(state_spec: ExperienceSpec) -> None:
    assert not moved(create_sac_agent(state_spec, SMALL, 0), create_sac_agent(state_spec, SMALL, 0))
    one, other = (create_sac_agent(state_spec, SMALL, seed).actor.policy for seed in (0, 1))
    assert moved(one, other)


def test_deterministic_policy_ignores_the_key(state_spec: ExperienceSpec) -> None:
    actor = create_sac_agent(state_spec, SMALL, 0).actor
    observation = {"state": np.ones(3, np.float32)}
    quiet = [act(actor, observation, jax.random.key(i), explore=False) for i in range(3)]
    noisy = [act(actor, observation, jax.random.key(i), explore=True) for i in range(3)]
    assert np.array_equal(quiet[0], quiet[1])
    assert not np.array_equal(noisy[0], noisy[1])
    assert quiet[0].dtype == np.float32


def test_huge_inputs_do_not_break_the_networks(state_spec: ExperienceSpec) -> None:
    actor = create_sac_agent(state_spec, SMALL, 0).actor
    assert np.isfinite(act(actor, {"state": np.full(3, 1e9, np.float32)}, jax.random.key(0), explore=True)).all()


@pytest.mark.parametrize(
    "settings",
    [
        {"num_target_critics": 9},
        {"discount": 1.5},
        {"utd_ratio": 0},
        {"batch_size": 0},
        {"hidden": ()},
        {"tau": 0.0},
        {"ema_rate": 1.5},
        {"cloning_weight": -0.1},
        {"cloning_half_life": 0},
    ],
)
def test_impossible_settings_are_refused(settings: dict) -> None:
    with pytest.raises(HilserlError, match=next(iter(settings))):
        AgentConfig(**settings)


def test_camera_features_change_the_action(state_spec: ExperienceSpec) -> None:
    spec = with_camera(state_spec)
    actor = create_sac_agent(spec, SMALL, 0).actor
    dark = {"state": np.zeros(3, np.float32), "eye.features": np.zeros((80, 6), np.float16)}
    bright = dark | {"eye.features": np.random.default_rng(0).normal(size=(80, 6)).astype(np.float16)}
    one, other = (act(actor, observation, jax.random.key(0), explore=False) for observation in (dark, bright))
    assert not np.array_equal(one, other)


def test_ema_actor_follows_the_actor(state_spec: ExperienceSpec) -> None:
    rate, rounds = 0.1, 5
    agent = create_sac_agent(state_spec, dataclasses.replace(SMALL, ema_rate=rate), 0)
    expected = jax.tree.leaves(agent.actor)
    for number in range(rounds):
        agent, _ = update_step(agent, random_batches(state_spec, 2, 8, number), jax.random.key(number))
        expected = [(1 - rate) * e + rate * a for e, a in zip(expected, jax.tree.leaves(agent.actor), strict=True)]
    assert moved(agent.actor, agent.ema_actor)
    for found, wanted in zip(jax.tree.leaves(agent.ema_actor), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_agent_is_a_pytree(state_spec: ExperienceSpec) -> None:
    agent = create_sac_agent(state_spec, SMALL, 0)
    doubled = jax.tree.map(lambda leaf: 2 * leaf if eqx.is_inexact_array(leaf) else leaf, agent)
    assert isinstance(doubled, Agent)
    assert moved(agent, doubled)
