"""Layer-normalised MLPs, the squashed Gaussian policy, critics and the gripper head."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

_MIN_LOG_STD, _MAX_LOG_STD = -5.0, 1.5
_EDGE = 0.99


class MLP(eqx.Module):
    """Layers of linear map, layer norm and tanh.

    RLPD's network (arXiv 2302.02948, section 4.2).
    """

    layers: list[eqx.nn.Linear]
    norms: list[eqx.nn.LayerNorm]

    def __init__(self, inputs: int, hidden: tuple[int, ...], *, key: PRNGKeyArray) -> None:
        sizes = (inputs, *hidden)
        keys = jax.random.split(key, len(hidden))
        self.layers = [_linear(a, b, k) for a, b, k in zip(sizes[:-1], sizes[1:], keys, strict=True)]
        self.norms = [eqx.nn.LayerNorm(size) for size in hidden]

    def __call__(self, x: Float[Array, "inputs"]) -> Float[Array, "hidden"]:
        """Compute the last hidden layer of one input."""
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = jnp.tanh(norm(layer(x)))
        return x


def _linear(inputs: int, outputs: int, key: PRNGKeyArray, scale: float = 1.0) -> eqx.nn.Linear:
    """Make a linear layer with Xavier-uniform weights and zero bias."""
    layer = eqx.nn.Linear(inputs, outputs, key=key)
    weight = scale * jax.nn.initializers.glorot_uniform()(key, (outputs, inputs), jnp.float32)
    return eqx.tree_at(lambda m: (m.weight, m.bias), layer, (weight, jnp.zeros(outputs)))


class PolicyOutput(NamedTuple):
    """Diagonal Gaussian before the tanh."""

    mean: Float[Array, "*batch continuous"]
    log_std: Float[Array, "*batch continuous"]


class Policy(eqx.Module):
    """Tanh-squashed Gaussian over continuous actions (SAC, arXiv 1812.05905, appendix C)."""

    trunk: MLP
    mean: eqx.nn.Linear
    log_std: eqx.nn.Linear

    def __init__(self, inputs: int, actions: int, hidden: tuple[int, ...], *, key: PRNGKeyArray) -> None:
        trunk, mean, log_std = jax.random.split(key, 3)
        self.trunk = MLP(inputs, hidden, key=trunk)
        self.mean = _linear(hidden[-1], actions, mean, 0.1)
        self.log_std = _linear(hidden[-1], actions, log_std, 0.1)

    def __call__(self, features: Float[Array, "inputs"]) -> PolicyOutput:
        """Compute the Gaussian of one observation's features."""
        x = self.trunk(features)
        return PolicyOutput(self.mean(x), jnp.clip(self.log_std(x), _MIN_LOG_STD, _MAX_LOG_STD))


def sample_squashed(
    output: PolicyOutput, key: PRNGKeyArray
) -> tuple[Float[Array, "*batch continuous"], Float[Array, "*batch"]]:
    """Sample an action in (-1, 1) by reparameterisation.

    Args:
        output: the Gaussian before the tanh, with any leading axes.
        key: random key of the sample.

    Returns:
        The action `tanh(mean + std * noise)` and its log-probability.
    """
    noise = jax.random.normal(key, output.mean.shape)
    raw = output.mean + jnp.exp(output.log_std) * noise
    log_prob = _log_prob(output, noise, raw)
    return jnp.tanh(raw), log_prob


def _log_prob(
    output: PolicyOutput, noise: Float[Array, "*batch continuous"], raw: Float[Array, "*batch continuous"]
) -> Float[Array, "*batch"]:
    """Compute log p(tanh(raw)) for raw = mean + std * noise."""
    gaussian = -0.5 * noise**2 - output.log_std - 0.5 * jnp.log(2 * jnp.pi)
    # log(1 - tanh(x)^2), in a form that neither overflows nor cancels.
    squash = 2.0 * (jnp.log(2.0) - raw - jax.nn.softplus(-2.0 * raw))
    return (gaussian - squash).sum(-1)


def squashed_log_prob(output: PolicyOutput, action: Float[Array, "*batch continuous"]) -> Float[Array, "*batch"]:
    """Compute the log-probability of an action in [-1, 1].

    Actions beyond +-0.99 count as +-0.99: an input device at its limit gives exactly 1, which no squashed Gaussian
    gives.
    """
    raw = jnp.arctanh(jnp.clip(action, -_EDGE, _EDGE))
    return _log_prob(output, (raw - output.mean) * jnp.exp(-output.log_std), raw)


class Critic(eqx.Module):
    """Q(s, a) of a whole action, grippers included."""

    trunk: MLP
    value: eqx.nn.Linear

    def __init__(self, inputs: int, hidden: tuple[int, ...], *, key: PRNGKeyArray) -> None:
        trunk, value = jax.random.split(key)
        self.trunk = MLP(inputs, hidden, key=trunk)
        self.value = _linear(hidden[-1], 1, value)

    def __call__(self, features: Float[Array, "inputs"], action: Float[Array, "action"]) -> Float[Array, ""]:
        """Compute Q of one observation's features and one action."""
        return self.value(self.trunk(jnp.concatenate([features, action])))[0]


class GripperHead(eqx.Module):
    """Network with one number for each joint gripper choice.

    The greatest is chosen. The numbers are Q(s, continuous action, choice) where critics are learned, and logits where
    actions are cloned. There are 3 for one gripper and 9 for two.
    """

    trunk: MLP
    values: eqx.nn.Linear

    def __init__(self, inputs: int, grippers: int, hidden: tuple[int, ...], *, key: PRNGKeyArray) -> None:
        trunk, values = jax.random.split(key)
        self.trunk = MLP(inputs, hidden, key=trunk)
        self.values = _linear(hidden[-1], 3**grippers, values, 0.1)

    def __call__(
        self, features: Float[Array, "inputs"], continuous: Float[Array, "continuous"]
    ) -> Float[Array, "choices"]:
        """Compute every choice's number for one observation's features."""
        return self.values(self.trunk(jnp.concatenate([features, continuous])))


def critic_ensemble(members: int, inputs: int, hidden: tuple[int, ...], *, key: PRNGKeyArray) -> Critic:
    """Create independent critics as one module with a leading member axis.

    Members share nothing, output layers included.
    """
    return eqx.filter_vmap(lambda k: Critic(inputs, hidden, key=k))(jax.random.split(key, members))


def ensemble_values(
    critics: Critic, features: Float[Array, "batch inputs"], action: Float[Array, "batch action"]
) -> Float[Array, "members batch"]:
    """Compute every member's Q on one batch."""
    over_members = eqx.filter_vmap(lambda critic, x, a: jax.vmap(critic)(x, a), in_axes=(eqx.if_array(0), None, None))
    return over_members(critics, features, action)
