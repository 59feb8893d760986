"""Training a classifier: balanced batches, early stop, calibration, and a threshold for a false-positive rate.

Everything random follows from one seed.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray
from scipy.optimize import minimize

from hilserl.rewards.dataset import LabelledImages, Split
from hilserl.rewards.network import ClassifierConfig, ClassifierNetwork

_EVALUATED_AT_ONCE = 512


class Fit(NamedTuple):
    """A trained and calibrated network."""

    network: ClassifierNetwork
    updates: int
    """After which its weights were taken."""
    validation_loss: float
    """Mean cross-entropy, each class counting alike, before calibration."""


def fit(
    labels: LabelledImages,
    split: Split,
    config: ClassifierConfig,
    seed: int,
    show: Callable[[int, float], object] = lambda updates, loss: None,  # noqa: ARG005
) -> Fit:
    """Trains until the validation loss stops falling, takes the best weights and calibrates them."""
    init_key, key = jax.random.split(jax.random.key(seed))
    network = ClassifierNetwork(labels.frames, labels.proprioception.shape[1], config, key=init_key)
    optimizer = optax.adam(config.learning_rate)
    state = optimizer.init(eqx.filter(network, eqx.is_array))
    data = {name: jnp.asarray(values[split.train]) for name, values in labels.inputs.items()}
    classes = labels.classes[split.train]
    targets = (jnp.asarray(classes), jnp.asarray(labels.proprioception[split.train]))
    best = Fit(network, 0, float("inf"))
    for updates in range(0, config.max_updates, config.check_every):
        rows = _balanced(classes, config, np.random.default_rng([seed, 1, updates]))
        keys = jax.random.split(jax.random.fold_in(key, updates), config.check_every)
        network, state = _descend(network, state, labels, config, (data, targets), rows, keys)
        done = updates + config.check_every
        loss = _balanced_loss(logits_of(network, labels, split.validation), labels.classes[split.validation])
        if loss < best.validation_loss:
            best = Fit(network, done, loss)
        show(done, loss)
        if done - best.updates >= config.patience * config.check_every:
            break
    logits = logits_of(best.network, labels, split.validation)
    scale, bias = calibration(logits, labels.classes[split.validation])
    return best._replace(network=best.network.rescaled(scale, bias))


def _balanced(classes: np.ndarray, config: ClassifierConfig, rng: np.random.Generator) -> np.ndarray:
    """Rows of `check_every` batches with as many of each class, int [updates, batch]."""
    each = config.batch_size // config.classes
    shape = (config.check_every, each)
    return np.concatenate([rng.choice(np.flatnonzero(classes == c), shape) for c in range(config.classes)], 1)


def _descend(
    network: ClassifierNetwork,
    state: optax.OptState,
    labels: LabelledImages,
    config: ClassifierConfig,
    data: tuple[dict[str, Array], tuple[Int[Array, "n"], Float[Array, "n numbers"]]],
    rows: np.ndarray,
    keys: PRNGKeyArray,
) -> tuple[ClassifierNetwork, optax.OptState]:
    arrays, static = eqx.partition(network, eqx.is_array)
    arrays, state = _updates(arrays, state, data, jnp.asarray(rows), keys, static, labels.frames, config)
    return eqx.combine(arrays, static), state


@eqx.filter_jit
def _updates(
    arrays: Any, state: Any, data: Any, rows: Array, keys: PRNGKeyArray, static: Any, frames: Any, config: Any
) -> tuple[Any, Any]:
    """One update for each row of `rows` and its key."""
    inputs, targets = data
    optimizer = optax.adam(config.learning_rate)

    def loss(arrays: Any, batch: dict[str, Array], classes: Array, measured: Array, key: PRNGKeyArray) -> Array:
        prepare_key, network_key = jax.random.split(key)
        logits, guessed = eqx.combine(arrays, static).learn(frames.augment(batch, prepare_key), network_key)
        errors = optax.huber_loss(guessed, measured).mean()
        judged = optax.softmax_cross_entropy_with_integer_labels(logits, classes).mean()
        return judged + config.proprioception * errors

    def update(carry: tuple[Any, Any], drawn: tuple[Array, PRNGKeyArray]) -> tuple[tuple[Any, Any], None]:
        (arrays, state), (chosen, key) = carry, drawn
        batch = {name: values[chosen] for name, values in inputs.items()}
        gradient = jax.grad(loss)(arrays, batch, *(values[chosen] for values in targets), key)
        change, state = optimizer.update(gradient, state)
        return (optax.apply_updates(arrays, change), state), None

    return jax.lax.scan(update, (arrays, state), (rows, keys))[0]


_jitted = eqx.filter_jit(lambda network, batch: network(batch))


def logits_of(network: ClassifierNetwork, labels: LabelledImages, rows: np.ndarray) -> np.ndarray:
    """float32 [rows, classes]"""
    chunks = [rows[i : i + _EVALUATED_AT_ONCE] for i in range(0, len(rows), _EVALUATED_AT_ONCE)]
    return np.concatenate([_jitted(network, {k: v[chunk] for k, v in labels.inputs.items()}) for chunk in chunks])


def log_odds_of_success(logits: np.ndarray) -> np.ndarray:
    """Of the last class against all others, float [n]."""
    return logits[:, -1] - np.logaddexp.reduce(logits[:, :-1], axis=1)


def _balanced_loss(logits: np.ndarray, classes: np.ndarray) -> float:
    losses = np.logaddexp.reduce(logits, axis=1) - logits[np.arange(len(classes)), classes]
    return float(np.mean([losses[classes == c].mean() for c in np.unique(classes)]))


def calibration(logits: np.ndarray, classes: np.ndarray) -> tuple[float, np.ndarray]:
    """The scale and biases [classes - 1] that make logits most likely, with Platt's targets (Platt 1999, for any number
    of classes): no data set makes anything certain."""
    count = logits.shape[1]
    frequency = np.bincount(classes, minlength=count)[classes][:, None]
    targets = (np.eye(count)[classes] * frequency + 1) / (frequency + count)
    exact = logits.astype(np.float64)

    def loss(x: np.ndarray) -> float:
        moved = x[0] * exact + np.append(0.0, x[1:])
        return float((np.logaddexp.reduce(moved, axis=1) - (targets * moved).sum(1)).mean())

    found = minimize(loss, np.eye(count)[0]).x
    return float(found[0]), found[1:].astype(np.float32)


def threshold_for(log_odds: np.ndarray, success: np.ndarray, rate: float) -> float:
    """The log-odds that a success must exceed for at most `rate` of the images without one to do so as well.

    Where there are too few of those to tell (fewer than 1 / rate), none of them may. It lies half way between the last
    image that must not and the first success that does, so that neither decides alone, and never below even odds.
    """
    negatives = np.sort(log_odds[~success])[::-1]
    bar = negatives[int(rate * len(negatives))]
    above = log_odds[success & (log_odds > bar)]
    return max(0.0, float((bar + above.min()) / 2 if len(above) else bar))
