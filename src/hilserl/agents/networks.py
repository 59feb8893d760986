"""The networks: layer-normalised MLPs, a tanh-Gaussian policy, critic ensembles and the gripper's choice."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

_MIN_LOG_STD, _MAX_LOG_STD = -5.0, 1.5
_EDGE = 0.99


class MLP(eqx.Module):
    """Linear, layer norm, tanh, repeated: the field's network for RLPD (arXiv 2302.02948, section 4.2)."""

    layers: list[eqx.nn.Linear]
    norms: list[eqx.nn.LayerNorm]

    def __init__(self, inputs: int, hidden: tuple[int, ...], *, key: PRNGKeyArray) -> None:
        sizes = (inputs, *hidden)
        keys = jax.random.split(key, len(hidden))
        self.layers = [_linear(a, b, k) for a, b, k in zip(sizes[:-1], sizes[1:], keys, strict=True)]
        self.norms = [eqx.nn.LayerNorm(size) for size in hidden]

    def __call__(self, x: Float[Array, "inputs"]) -> Float[Array, "hidden"]:
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = jnp.tanh(norm(layer(x)))
        return x


def _linear(inputs: int, outputs: int, key: PRNGKeyArray, scale: float = 1.0) -> eqx.nn.Linear:
    """Xavier-uniform weights, zero bias."""
    layer = eqx.nn.Linear(inputs, outputs, key=key)
    weight = scale * jax.nn.initializers.glorot_uniform()(key, (outputs, inputs), jnp.float32)
    return eqx.tree_at(lambda m: (m.weight, m.bias), layer, (weight, jnp.zeros(outputs)))


class PolicyOutput(NamedTuple):
    """A diagonal Gaussian before its tanh; each is [continuous actions]."""

    mean: Float[Array, "actions"]
    log_std: Float[Array, "actions"]


class Policy(eqx.Module):
    """A tanh-squashed Gaussian over the continuous actions (SAC, arXiv 1812.05905, appendix C)."""

    trunk: MLP
    mean: eqx.nn.Linear
    log_std: eqx.nn.Linear

    def __init__(self, inputs: int, actions: int, hidden: tuple[int, ...], *, key: PRNGKeyArray) -> None:
        trunk, mean, log_std = jax.random.split(key, 3)
        self.trunk = MLP(inputs, hidden, key=trunk)
        self.mean = _linear(hidden[-1], actions, mean, 0.1)
        self.log_std = _linear(hidden[-1], actions, log_std, 0.1)

    def __call__(self, features: Float[Array, "inputs"]) -> PolicyOutput:
        x = self.trunk(features)
        return PolicyOutput(self.mean(x), jnp.clip(self.log_std(x), _MIN_LOG_STD, _MAX_LOG_STD))


def sample_squashed(output: PolicyOutput, key: PRNGKeyArray) -> tuple[Array, Array]:
    """An action in (-1, 1) and its log-density, by reparameterisation; works on any leading axes."""
    noise = jax.random.normal(key, output.mean.shape)
    raw = output.mean + jnp.exp(output.log_std) * noise
    log_prob = _log_density(output, noise, raw)
    return jnp.tanh(raw), log_prob


def _log_density(output: PolicyOutput, noise: Array, raw: Array) -> Array:
    """Of tanh(raw), where raw is the mean and so many standard deviations of noise."""
    gaussian = -0.5 * noise**2 - output.log_std - 0.5 * jnp.log(2 * jnp.pi)
    # log(1 - tanh(x)^2), written so that it neither overflows nor cancels.
    squash = 2.0 * (jnp.log(2.0) - raw - jax.nn.softplus(-2.0 * raw))
    return (gaussian - squash).sum(-1)


def squashed_log_density(output: PolicyOutput, action: Float[Array, "*batch actions"]) -> Float[Array, "*batch"]:
    """The log-density of an action in [-1, 1]; one closer to the edge than `_EDGE` counts as there.

    A hand that hits its limit leaves an action of exactly 1, which no squashed Gaussian gives.
    """
    raw = jnp.arctanh(jnp.clip(action, -_EDGE, _EDGE))
    return _log_density(output, (raw - output.mean) * jnp.exp(-output.log_std), raw)


class Critic(eqx.Module):
    """Q(s, a) of a whole action, grippers included."""

    trunk: MLP
    value: eqx.nn.Linear

    def __init__(self, inputs: int, hidden: tuple[int, ...], *, key: PRNGKeyArray) -> None:
        trunk, value = jax.random.split(key)
        self.trunk = MLP(inputs, hidden, key=trunk)
        self.value = _linear(hidden[-1], 1, value)

    def __call__(self, features: Float[Array, "inputs"], action: Float[Array, "action"]) -> Float[Array, ""]:
        return self.value(self.trunk(jnp.concatenate([features, action])))[0]


class GripperHead(eqx.Module):
    """A number for every joint gripper choice beside a motion, 3 for one gripper, 9 for two; the greatest is taken.

    Q(s, motion, .) where values are learned, logits where choices are cloned.
    """

    trunk: MLP
    values: eqx.nn.Linear

    def __init__(self, inputs: int, grippers: int, hidden: tuple[int, ...], *, key: PRNGKeyArray) -> None:
        trunk, values = jax.random.split(key)
        self.trunk = MLP(inputs, hidden, key=trunk)
        self.values = _linear(hidden[-1], 3**grippers, values, 0.1)

    def __call__(self, features: Float[Array, "inputs"], motion: Float[Array, "motions"]) -> Float[Array, "choices"]:
        return self.values(self.trunk(jnp.concatenate([features, motion])))


def critic_ensemble(members: int, inputs: int, hidden: tuple[int, ...], *, key: PRNGKeyArray) -> Critic:
    """Independent critics, output layers included, as one module with a leading member axis."""
    return eqx.filter_vmap(lambda k: Critic(inputs, hidden, key=k))(jax.random.split(key, members))


@eqx.filter_vmap(in_axes=(eqx.if_array(0), None, None))
def ensemble_values(
    critic: Critic, features: Float[Array, "batch inputs"], action: Float[Array, "batch action"]
) -> Float[Array, "members batch"]:
    """Every member's Q on one batch."""
    return jax.vmap(critic)(features, action)
