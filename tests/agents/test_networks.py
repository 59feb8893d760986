"""Log-probabilities of the squashed Gaussian, and critics that share nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hilserl.agents.networks import PolicyOutput, sample_squashed, squashed_log_prob
from hilserl.agents.sac import create_sac_agent
from hilserl.data.spec import ExperienceSpec
from tests.support.batches import SMALL


def test_critics_are_independent_down_to_the_output_layer(state_spec: ExperienceSpec) -> None:
    critics = create_sac_agent(state_spec, SMALL, 0).critics
    for leaf in (critics.value.weight, critics.trunk.layers[0].weight):
        assert leaf.shape[0] == 3
        assert not np.array_equal(leaf[0], leaf[1])


def test_squashed_density_integrates_to_one() -> None:
    output = PolicyOutput(jnp.full((200_000, 1), 0.4), jnp.full((200_000, 1), -0.3))
    action, log_prob = sample_squashed(output, jax.random.key(0))
    assert float(jnp.abs(action).max()) <= 1.0
    assert float(jnp.mean(jnp.exp(-log_prob))) == pytest.approx(2.0, rel=0.05), "E[1/p] is the measure of (-1, 1)"


def test_sampled_log_prob_is_finite_at_the_edge() -> None:
    action, log_prob = sample_squashed(PolicyOutput(jnp.array([[40.0]]), jnp.array([[0.0]])), jax.random.key(0))
    assert np.isfinite(log_prob).all()
    assert float(action[0, 0]) <= 1.0


def test_squashed_log_prob_is_that_of_the_sample() -> None:
    output = PolicyOutput(jnp.array([[0.3, -0.8]]), jnp.array([[-1.0, -2.0]]))
    action, log_prob = sample_squashed(output, jax.random.key(0))
    np.testing.assert_allclose(squashed_log_prob(output, action), log_prob, rtol=1e-4)


@pytest.mark.parametrize("demonstrated", [-0.9, -0.2, 0.0, 0.6])
def test_squashed_log_prob_is_highest_at_the_demonstrated_mean(demonstrated: float) -> None:
    means = jnp.append(jnp.linspace(-3, 3, 60), jnp.arctanh(demonstrated))[:, None]
    density = squashed_log_prob(PolicyOutput(means, jnp.full_like(means, -1.0)), jnp.full_like(means, demonstrated))
    assert int(density.argmax()) == len(means) - 1


@pytest.mark.parametrize("action", [-1.0, 1.0])
def test_squashed_log_prob_is_finite_at_the_limit(action: float) -> None:
    output = PolicyOutput(jnp.zeros((1, 1)), jnp.full((1, 1), -5.0))
    gradient = jax.grad(lambda mean: squashed_log_prob(output._replace(mean=mean), jnp.array([[action]])).sum())
    assert np.isfinite(gradient(output.mean)).all()
    assert np.sign(gradient(output.mean)) == np.sign(action)
