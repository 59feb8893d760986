"""Fit of a classifier: balanced batches, early stop, calibration and threshold.

One seed decides everything random.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray, Shaped
from scipy.optimize import minimize

from hilserl.rewards.dataset import LabelledImages, Split
from hilserl.rewards.network import ClassifierConfig, ClassifierNetwork
from hilserl.vision.frame_encoder import FrameEncoder

_EVALUATED_AT_ONCE = 512


class Fit(NamedTuple):
    """Trained and calibrated network."""

    network: ClassifierNetwork
    updates: int
    """Number of updates of its weights."""
    validation_loss: float
    """Mean cross-entropy before calibration, with equal weight for each class."""


class _TrainingData(NamedTuple):
    """Inputs by name, classes and measured states to train on."""

    inputs: dict[str, Shaped[Any, "n ..."]]
    classes: Int[Array, "n"]
    measured: Float[Array, "n numbers"]


def fit(
    labels: LabelledImages,
    split: Split,
    config: ClassifierConfig,
    seed: int,
    show: Callable[[int, float], object] = lambda updates, loss: None,  # noqa: ARG005
) -> Fit:
    """Train until the validation loss stops falling, and calibrate the best weights.

    Args:
        labels: the labelled images.
        split: rows to train on and rows to validate on.
        config: settings of the classifier.
        seed: decides the weights at the start, the batches and the noise.
        show: callback with the number of updates and the validation loss.
    """
    init_key, key = jax.random.split(jax.random.key(seed))
    network = ClassifierNetwork(labels.frame_encoder, labels.proprioception.shape[1], config, key=init_key)
    optimizer = optax.adam(config.learning_rate)
    state = optimizer.init(eqx.filter(network, eqx.is_array))
    inputs = {name: jnp.asarray(values[split.train]) for name, values in labels.inputs.items()}
    classes = labels.classes[split.train]
    data = _TrainingData(inputs, jnp.asarray(classes), jnp.asarray(labels.proprioception[split.train]))
    best = Fit(network, 0, float("inf"))
    for updates in range(0, config.max_updates, config.check_every):
        rows = jnp.asarray(_balanced(classes, config, np.random.default_rng([seed, 1, updates])))
        keys = jax.random.split(jax.random.fold_in(key, updates), config.check_every)
        network, state = _train(network, state, data, (rows, keys), labels.frame_encoder, config)
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
    """Draw rows of `check_every` batches, balanced by class, int [updates, batch]."""
    each = config.batch_size // config.classes
    shape = (config.check_every, each)
    return np.concatenate([rng.choice(np.flatnonzero(classes == c), shape) for c in range(config.classes)], 1)


@eqx.filter_jit
def _train(
    network: ClassifierNetwork,
    state: optax.OptState,
    data: _TrainingData,
    drawn: tuple[Int[Array, "updates batch"], Key[Array, "updates"]],
    encoder: FrameEncoder,
    config: ClassifierConfig,
) -> tuple[ClassifierNetwork, optax.OptState]:
    """Do one update for each of the drawn batches.

    `drawn` holds the rows of each batch and the random key of each update.
    """
    arrays, static = eqx.partition(network, eqx.is_array)
    optimizer = optax.adam(config.learning_rate)

    def loss(arrays: Any, batch: _TrainingData, key: PRNGKeyArray) -> Float[Array, ""]:
        augment_key, network_key = jax.random.split(key)
        inputs = encoder.augment(batch.inputs, augment_key)
        logits, estimated = eqx.combine(arrays, static).learn(inputs, network_key)
        errors = optax.huber_loss(estimated, batch.measured).mean()
        cross_entropy = optax.softmax_cross_entropy_with_integer_labels(logits, batch.classes).mean()
        return cross_entropy + config.proprioception * errors

    def update(carry: tuple[Any, Any], drawn: tuple[Array, PRNGKeyArray]) -> tuple[tuple[Any, Any], None]:
        (arrays, state), (rows, key) = carry, drawn
        batch = jax.tree.map(lambda column: column[rows], data)
        gradient = jax.grad(loss)(arrays, batch, key)
        change, state = optimizer.update(gradient, state)
        return (optax.apply_updates(arrays, change), state), None

    arrays, state = jax.lax.scan(update, (arrays, state), drawn)[0]
    return eqx.combine(arrays, static), state


_jitted = eqx.filter_jit(lambda network, batch: network(batch))


def logits_of(network: ClassifierNetwork, labels: LabelledImages, rows: np.ndarray) -> np.ndarray:
    """Compute the logits of some rows, float32 [rows, classes]."""
    chunks = [rows[i : i + _EVALUATED_AT_ONCE] for i in range(0, len(rows), _EVALUATED_AT_ONCE)]
    return np.concatenate([_jitted(network, {k: v[chunk] for k, v in labels.inputs.items()}) for chunk in chunks])


def log_odds_of_success(logits: np.ndarray) -> np.ndarray:
    """Compute the log-odds of the last class against all others, float [n]."""
    return logits[:, -1] - np.logaddexp.reduce(logits[:, :-1], axis=1)


def _balanced_loss(logits: np.ndarray, classes: np.ndarray) -> float:
    losses = np.logaddexp.reduce(logits, axis=1) - logits[np.arange(len(classes)), classes]
    return float(np.mean([losses[classes == c].mean() for c in np.unique(classes)]))


def calibration(logits: np.ndarray, classes: np.ndarray) -> tuple[float, np.ndarray]:
    """Fit scale and biases that make the labels most likely.

    Platt's targets (Platt 1999, here for any number of classes) keep a finite data set from making a class certain.

    Args:
        logits: float [n, classes].
        classes: true classes, int [n].

    Returns:
        The scale, and the biases of all classes but the first, float32 [classes - 1].
    """
    count = logits.shape[1]
    frequency = np.bincount(classes, minlength=count)[classes][:, None]
    targets = (np.eye(count)[classes] * frequency + 1) / (frequency + count)
    exact = logits.astype(np.float64)

    def loss(x: np.ndarray) -> float:
        calibrated = x[0] * exact + np.append(0.0, x[1:])
        return float((np.logaddexp.reduce(calibrated, axis=1) - (targets * calibrated).sum(1)).mean())

    found = minimize(loss, np.eye(count)[0]).x
    return float(found[0]), found[1:].astype(np.float32)


def threshold_for(log_odds: np.ndarray, success: np.ndarray, rate: float) -> float:
    """Choose the threshold on the log-odds of success for a false-positive rate.

    The threshold lies half way between the highest image without success that must stay below it and the lowest
    success above that one, so that neither decides alone. It is never below even odds.

    Args:
        log_odds: log-odds of success, float [n].
        success: true class, bool [n].
        rate: allowed fraction of images without success above the threshold. If there are fewer than 1 / rate of
            these images, all of them stay below.
    """
    negatives = np.sort(log_odds[~success])[::-1]
    highest = negatives[int(rate * len(negatives))]
    above = log_odds[success & (log_odds > highest)]
    return max(0.0, float((highest + above.min()) / 2 if len(above) else highest))
