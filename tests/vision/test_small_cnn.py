"""The small CNN has its shape, keeps the size of signals, and learns."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hilserl.vision.small_cnn import FEATURE_CHANNELS, STRIDE, SmallCNN


@pytest.fixture
def encoder() -> SmallCNN:
    return SmallCNN(key=jax.random.key(0))


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize(("height", "width"), [(128, 128), (64, 96), (130, 33), (1, 1)])
def test_features_are_a_sixteenth(encoder: SmallCNN, height: int, width: int) -> None:
    images = noise(2, height, width, 3)
    features = encoder(images)
    assert features.shape == (2, -(-height // STRIDE), -(-width // STRIDE), FEATURE_CHANNELS)
    assert features.dtype == jnp.float32
    np.testing.assert_allclose(eqx.filter_jit(encoder)(images), features, rtol=1e-4, atol=1e-5)


def test_images_of_a_batch_are_independent(encoder: SmallCNN) -> None:
    images = noise(3, 32, 32, 3)
    np.testing.assert_allclose(encoder(images)[1:2], encoder(images[1:2]), rtol=1e-4, atol=1e-5)


def test_layer_is_a_sum_over_its_window(encoder: SmallCNN) -> None:
    images = noise(1, 6, 6, 3)
    first = SmallCNN(key=jax.random.key(1))
    first = eqx.tree_at(lambda e: (e.kernels, e.biases), first, (encoder.kernels[:1], [jnp.linspace(-1, 1, 32)]))
    padded = np.pad(images[0] / 255.0 - 0.5, ((0, 1), (0, 1), (0, 0)))
    kernel = np.asarray(encoder.kernels[0])
    for row in range(3):
        for column in range(3):
            window = padded[2 * row : 2 * row + 3, 2 * column : 2 * column + 3]
            expected = np.maximum(np.einsum("hwc,hwco->o", window, kernel) + np.linspace(-1, 1, 32), 0)
            np.testing.assert_allclose(first(images)[0, row, column], expected, rtol=1e-4, atol=1e-5)


def test_key_decides_the_weights(encoder: SmallCNN) -> None:
    assert eqx.tree_equal(encoder, SmallCNN(key=jax.random.key(0)))
    assert not eqx.tree_equal(encoder, SmallCNN(key=jax.random.key(1)))
    assert [kernel.shape[2:] for kernel in encoder.kernels] == [(3, 32), (32, 32), (32, 64), (64, 64)]


@pytest.mark.parametrize("seed", range(3))
def test_signals_keep_their_size(seed: int) -> None:
    """He's distribution keeps the mean square from layer to layer; the zeros of the padding take a part of it."""
    images = noise(4, 128, 128, 3)
    features = SmallCNN(key=jax.random.key(seed))(images)
    assert 0.3 < float((features**2).mean() / ((images / 255.0 - 0.5) ** 2).mean()) < 1.5


def test_gradients_reach_every_weight(encoder: SmallCNN) -> None:
    gradients = eqx.filter_jit(eqx.filter_grad(lambda e, x: (e(x) ** 2).mean()))(encoder, noise(4, 64, 64, 3))
    leaves = jax.tree.leaves(gradients)
    assert len(leaves) == 8
    for leaf in leaves:
        assert jnp.isfinite(leaf).all()
        assert (jnp.abs(leaf).reshape(-1, leaf.shape[-1]).max(0) > 0).mean() > 0.9


def test_small_cnn_learns_to_tell_images_apart(encoder: SmallCNN) -> None:
    images, values = noise(8, 32, 32, 3), jnp.arange(8) / 8

    @eqx.filter_value_and_grad
    def loss(encoder: SmallCNN) -> jax.Array:
        return ((encoder(images).mean((1, 2, 3)) - values) ** 2).mean()

    @eqx.filter_jit
    def step(encoder: SmallCNN) -> tuple[jax.Array, SmallCNN]:
        value, gradients = loss(encoder)
        return value, jax.tree.map(lambda w, g: w - 0.3 * g, encoder, gradients)

    first, encoder = step(encoder)
    last = first
    for _ in range(200):
        last, encoder = step(encoder)
    assert last < 0.1 * first
