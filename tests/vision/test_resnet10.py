"""ResNet-10 computes HIL-SERL's features, and its weights are downloaded whole or not at all."""

import hashlib
import io
import pickle
from collections.abc import Callable, Iterator
from http.client import IncompleteRead
from pathlib import Path
from typing import Any
from urllib.error import URLError

import jax
import numpy as np
import pytest

from hilserl.errors import HilserlError
from hilserl.vision import resnet10

REFERENCE = Path(__file__).parent / "data" / "resnet10_features.npz"
"""float16, `features` [2, 4, 4, 512] of `sample_images(128, 128)` and `resized` [1, 4, 4, 512] of the first of
`sample_images(64, 200)`, with `random_weights()`, computed with PyTorch 2.14.1 on a CPU from its conv2d, group_norm,
max_pool2d and interpolate (bilinear with antialiasing). SAME was written out: a stride of 2 pads one row and one column
behind and none before, with zeros for a convolution and -inf for the maximum. Flax 0.12.8 gave the same to 2e-5."""


def random_weights() -> dict[str, Any]:
    """Weights with the published names and shapes; scales and biases far from one and zero."""
    rng = np.random.default_rng(10)

    def conv(size: int, channels_in: int, channels_out: int) -> dict[str, np.ndarray]:
        scale = (2 / (size * size * channels_in)) ** 0.5
        return {"kernel": scale * rng.standard_normal((size, size, channels_in, channels_out), np.float32)}

    def norm(channels: int) -> dict[str, np.ndarray]:
        scale = rng.uniform(0.5, 1.5, channels).astype(np.float32)
        return {"scale": scale, "bias": rng.uniform(-0.5, 0.5, channels).astype(np.float32)}

    tree: dict[str, Any] = {"conv_init": conv(7, 3, 64), "norm_init": norm(64)}
    for index, (before, width) in enumerate([(64, 64), (64, 128), (128, 256), (256, 512)]):
        block = {"Conv_0": conv(3, before, width), "MyGroupNorm_0": norm(width)}
        block |= {"Conv_1": conv(3, width, width), "MyGroupNorm_1": norm(width)}
        if index:
            block |= {"conv_proj": conv(1, before, width), "norm_proj": norm(width)}
        tree[f"ResNetBlock_{index}"] = block
    return tree


def sample_images(height: int, width: int) -> np.ndarray:
    """A smooth image and noise, uint8 [2, height, width, 3]."""
    row, column = np.linspace(0, 1, height)[:, None], np.linspace(0, 1, width)[None]
    channels = [row * column, (1 - row) * column, row * np.sin(6 * column) ** 2]
    smooth = (255 * np.stack(channels, -1)).astype(np.uint8)
    return np.stack([smooth, np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)])


@pytest.mark.parametrize(
    ("name", "images"), [("features", sample_images(128, 128)), ("resized", sample_images(64, 200)[:1])]
)
def test_features_are_those_of_an_independent_implementation(name: str, images: np.ndarray) -> None:
    encoder = resnet10.from_weights(random_weights())
    found = np.asarray(jax.jit(lambda x: encoder(x))(images))
    assert found.dtype == np.float32
    assert found.shape == (len(images), 4, 4, resnet10.FEATURE_CHANNELS)
    np.testing.assert_allclose(found, np.load(REFERENCE)[name].astype(np.float32), rtol=1e-3, atol=1e-4)


def test_network_has_the_published_number_of_parameters() -> None:
    encoder = resnet10.from_weights(random_weights() | {"output_head": {"kernel": np.ones((512, 1000), np.float32)}})
    assert sum(leaf.size for leaf in jax.tree.leaves(encoder)) == 4_905_792


def test_missing_and_misshaped_weights_are_named() -> None:
    tree = random_weights()
    del tree["ResNetBlock_2"]["conv_proj"]
    tree["norm_init"]["scale"] = np.ones(32, np.float32)
    with pytest.raises(HilserlError) as caught:
        resnet10.from_weights(tree)
    assert "ResNetBlock_2/conv_proj/kernel is missing, expected (1, 1, 128, 256)" in str(caught.value)
    assert "norm_init/scale is (32,), expected (64,)" in str(caught.value)
    assert "norm_init/bias" not in str(caught.value)


@pytest.fixture
def published() -> bytes:
    """Make a file of weights that passes for the published one."""
    return pickle.dumps(random_weights() | {"output_head": {"bias": np.zeros(1000, np.float32)}})


def file_of(data: bytes) -> resnet10.WeightsFile:
    """Describe a file of weights as if it were the published one."""
    return resnet10.PUBLISHED._replace(size=len(data), sha256=hashlib.sha256(data).hexdigest())


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the path of the weights, which are absent; clear the loaded encoder afterwards."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    resnet10.load.cache_clear()
    yield tmp_path / "hilserl" / "resnet10_params.pkl"
    resnet10.load.cache_clear()


def serve(monkeypatch: pytest.MonkeyPatch, answer: Callable[[], io.BytesIO]) -> list[str]:
    """Answers every request with `answer()`; the addresses asked for."""
    asked = []

    def urlopen(url: str, *, timeout: float) -> io.BytesIO:
        assert timeout > 0
        asked.append(url)
        return answer()

    monkeypatch.setattr(resnet10, "urlopen", urlopen)
    return asked


def failing(error: Exception) -> Callable[[], io.BytesIO]:
    def answer() -> io.BytesIO:
        raise error

    return answer


def test_weights_are_downloaded_once(path: Path, published: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = serve(monkeypatch, lambda: io.BytesIO(published))
    inside = jax.jit(lambda x: resnet10.load(file_of(published))(x))(sample_images(128, 128))
    assert path.read_bytes() == published
    assert list(path.parent.iterdir()) == [path]
    np.testing.assert_allclose(resnet10.load(file_of(published))(sample_images(128, 128)), inside, rtol=1e-4, atol=1e-4)
    resnet10.load.cache_clear()
    resnet10.load(file_of(published))
    assert len(asked) == 1
    assert asked[0].startswith("https://github.com/rail-berkeley/serl/releases/")


def test_weights_path_is_below_the_users_cache_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert resnet10.weights_path() == tmp_path / ".cache" / "hilserl" / "resnet10_params.pkl"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert resnet10.weights_path() == tmp_path / ".cache" / "hilserl" / "resnet10_params.pkl"


class Broken(io.BytesIO):
    def read(self, size: int | None = -1, /) -> bytes:
        raise IncompleteRead(b"some", size)


@pytest.mark.parametrize("damage", ["wrong", "short", "long", "empty", "offline", "slow", "broken"])
def test_failed_download_says_what_to_do_and_leaves_nothing(
    path: Path, published: bytes, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    answers = {
        "wrong": lambda: io.BytesIO(published[:5000] + b"x" + published[5001:]),
        "short": lambda: io.BytesIO(published[:-100]),
        "long": lambda: io.BytesIO(published + b"x" * 100),
        "empty": io.BytesIO,
        "offline": failing(URLError("no route to host")),
        "slow": failing(TimeoutError()),
        "broken": Broken,
    }
    serve(monkeypatch, answers[damage])
    with pytest.raises(HilserlError) as caught:
        resnet10.load(file_of(published))
    assert f"download https://github.com/rail-berkeley/serl/releases/download/resnet10/{path.name}" in str(caught.value)
    assert f"by hand to {path}" in str(caught.value)
    assert not path.parent.exists() or not list(path.parent.iterdir())


def test_download_reads_no_more_than_it_needs(path: Path, published: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    positions = []

    class Long(io.BytesIO):
        def close(self) -> None:
            positions.append(self.tell())
            super().close()

    serve(monkeypatch, lambda: Long(published + b"x" * 1000))
    with pytest.raises(HilserlError, match="by hand"):
        resnet10.load(file_of(published))
    assert positions == [len(published) + 1]
    assert not path.exists()


def test_damaged_weights_are_neither_read_nor_replaced(
    path: Path, published: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = serve(monkeypatch, lambda: io.BytesIO(published))
    monkeypatch.setattr(resnet10, "read_pickle_file", lambda _: pytest.fail("read before it was checked"))
    path.parent.mkdir()
    path.write_bytes(published[:-1])
    with pytest.raises(HilserlError, match=f"rm {path}"):
        resnet10.load(file_of(published))
    assert path.read_bytes() == published[:-1]
    assert not asked
