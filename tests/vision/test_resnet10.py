"""ResNet-10 computes what HIL-SERL's does; its weights are fetched whole or not at all, and read without trust."""

import hashlib
import io
import pickle
import struct
from collections.abc import Callable, Iterator
from http.client import IncompleteRead
from pathlib import Path
from typing import Any
from urllib.error import URLError

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hilserl.errors import HilserlError
from hilserl.vision import pickle_file, resnet10
from hilserl.vision.pickle_file import read_pickle_file

REFERENCE = Path(__file__).parent / "data" / "resnet10_features.npz"
"""float16, `features` [2, 4, 4, 512] of `pictures(128, 128)` and `resized` [1, 4, 4, 512] of the first of
`pictures(64, 200)`, with `random_weights()`, computed with PyTorch 2.14.1 on a CPU from its conv2d, group_norm,
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


def pictures(height: int, width: int) -> np.ndarray:
    """A smooth picture and noise, uint8 [2, height, width, 3]."""
    row, column = np.linspace(0, 1, height)[:, None], np.linspace(0, 1, width)[None]
    channels = [row * column, (1 - row) * column, row * np.sin(6 * column) ** 2]
    smooth = (255 * np.stack(channels, -1)).astype(np.uint8)
    return np.stack([smooth, np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)])


@pytest.mark.parametrize(("name", "images"), [("features", pictures(128, 128)), ("resized", pictures(64, 200)[:1])])
def test_features_are_those_of_an_independent_implementation(name: str, images: np.ndarray) -> None:
    encoder = resnet10.from_weights(random_weights())
    found = np.asarray(jax.jit(lambda x: encoder(x))(images))
    assert found.dtype == np.float32
    assert found.shape == (len(images), 4, 4, resnet10.FEATURE_CHANNELS)
    np.testing.assert_allclose(found, np.load(REFERENCE)[name].astype(np.float32), rtol=1e-3, atol=1e-4)


def test_it_has_the_published_number_of_parameters() -> None:
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
def published(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A file of weights, and the encoder takes it for the published one."""
    data = pickle.dumps(random_weights() | {"output_head": {"bias": np.zeros(1000, np.float32)}})
    monkeypatch.setattr(resnet10, "_BYTES", len(data))
    monkeypatch.setattr(resnet10, "_SHA256", hashlib.sha256(data).hexdigest())
    return data


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the weights belong; nothing is there, and what a test loads is forgotten behind it."""
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


def test_the_weights_are_fetched_once(path: Path, published: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = serve(monkeypatch, lambda: io.BytesIO(published))
    inside = jax.jit(lambda x: resnet10.load()(x))(pictures(128, 128))
    assert path.read_bytes() == published
    assert list(path.parent.iterdir()) == [path]
    np.testing.assert_allclose(resnet10.load()(pictures(128, 128)), inside, rtol=1e-4, atol=1e-4)
    resnet10.load.cache_clear()
    resnet10.load()
    assert len(asked) == 1
    assert asked[0].startswith("https://github.com/rail-berkeley/serl/releases/")


def test_without_a_cache_folder_named_it_is_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert resnet10.weights_path() == tmp_path / ".cache" / "hilserl" / "resnet10_params.pkl"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert resnet10.weights_path() == tmp_path / ".cache" / "hilserl" / "resnet10_params.pkl"


class Broken(io.BytesIO):
    def read(self, size: int | None = -1, /) -> bytes:
        raise IncompleteRead(b"some", size)


@pytest.mark.parametrize("damage", ["wrong", "short", "long", "empty", "offline", "slow", "broken"])
def test_a_failed_fetch_says_what_to_do_and_leaves_nothing(
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
        resnet10.load()
    assert f"download https://github.com/rail-berkeley/serl/releases/download/resnet10/{path.name}" in str(caught.value)
    assert f"by hand to {path}" in str(caught.value)
    assert not path.parent.exists() or not list(path.parent.iterdir())


def test_no_more_is_read_than_belongs(path: Path, published: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    positions = []

    class Long(io.BytesIO):
        def close(self) -> None:
            positions.append(self.tell())
            super().close()

    serve(monkeypatch, lambda: Long(published + b"x" * 1000))
    with pytest.raises(HilserlError, match="by hand"):
        resnet10.load()
    assert positions == [len(published) + 1]
    assert not path.exists()


def test_a_damaged_file_is_neither_read_nor_replaced(
    path: Path, published: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = serve(monkeypatch, lambda: io.BytesIO(published))
    monkeypatch.setattr(resnet10, "read_pickle_file", lambda _: pytest.fail("read before it was checked"))
    path.parent.mkdir()
    path.write_bytes(published[:-1])
    with pytest.raises(HilserlError, match=f"rm {path}"):
        resnet10.load()
    assert path.read_bytes() == published[:-1]
    assert not asked


# The file of weights.


class Frozen:
    """Pickles as Flax's FrozenDict does."""

    def __init__(self, content: dict[str, Any]) -> None:
        self.content = content

    def __reduce__(self) -> tuple[Any, ...]:
        return Global("flax.core.frozen_dict", "FrozenDict"), (self.content,)


class Global:
    """Stands for a name that need not be importable here; see `dumps`."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    def __call__(self) -> None:
        raise AssertionError


class Pickler(pickle._Pickler):
    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        if isinstance(obj, Global):
            self.write(f"c{obj.module}\n{obj.name}\n".encode())
        else:
            super().save(obj, save_persistent_id)


def dumps(value: Any, protocol: int) -> bytes:
    file = io.BytesIO()
    Pickler(file, protocol).dump(value)
    return file.getvalue()


class OldJaxArray:
    """Pickles as an array of JAX 0.3 does."""

    def __init__(self, value: np.ndarray) -> None:
        self.value = value

    def __reduce__(self) -> tuple[Any, ...]:
        aval = {"weak_type": False, "named_shape": {}}
        return Global("jax._src.device_array", "reconstruct_device_array"), (*self.value.__reduce__(), aval)


ARRAYS = {
    "float32": np.arange(6, dtype=np.float32).reshape(2, 3),
    "float16": np.ones((1, 2), np.float16),
    "fortran": np.asfortranarray(np.arange(24.0).reshape(2, 3, 4)),
    "strided": np.arange(24, dtype=np.int32).reshape(4, 6)[::2, 1::2],
    "big_endian": np.arange(3, dtype=">f4"),
    "byte": np.arange(256, dtype=np.uint8),
    "scalar": np.array(1.5, np.float32),
}


def read(tmp_path: Path, content: bytes) -> Any:
    path = tmp_path / "weights.pkl"
    path.write_bytes(content)
    return read_pickle_file(path)


def assert_arrays(found: dict[str, np.ndarray]) -> None:
    assert list(found) == list(ARRAYS)
    for name, expected in ARRAYS.items():
        assert found[name].dtype == expected.dtype.newbyteorder("=")
        assert found[name].flags.writeable
        np.testing.assert_array_equal(found[name], expected)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_arrays_return_from_every_protocol(tmp_path: Path, protocol: int) -> None:
    tree = read(tmp_path, pickle.dumps({"a": {"b": ARRAYS}, "c": ARRAYS["float32"]}, protocol))
    assert list(tree) == ["a", "c"]
    assert_arrays(tree["a"]["b"])


@pytest.mark.parametrize("spelling", [b"numpy.core.", b"numpy._core."])
def test_arrays_of_either_numpy_are_known(tmp_path: Path, spelling: bytes) -> None:
    content = pickle.dumps(ARRAYS, 2).replace(b"numpy._core.", spelling)
    assert spelling in content
    assert_arrays(read(tmp_path, content))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_arrays_of_jax_return_as_numpys(tmp_path: Path, protocol: int) -> None:
    content = pickle.dumps({"a": {"b": jnp.arange(6.0).reshape(2, 3)}, "c": jnp.int32(4)}, protocol)
    tree = read(tmp_path, content)
    np.testing.assert_array_equal(tree["a"]["b"], np.arange(6, dtype=np.float32).reshape(2, 3), strict=True)
    np.testing.assert_array_equal(tree["c"], np.array(4, np.int32), strict=True)


def test_older_jax_and_flax_are_known(tmp_path: Path) -> None:
    content = dumps(Frozen({"a": Frozen({"b": OldJaxArray(ARRAYS["float32"])}), "c": ARRAYS["fortran"]}), 4)
    tree = read(tmp_path, content)
    assert type(tree) is dict
    assert type(tree["a"]) is dict
    np.testing.assert_array_equal(tree["a"]["b"], ARRAYS["float32"], strict=True)
    np.testing.assert_array_equal(tree["c"], ARRAYS["fortran"], strict=True)


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("this must never run",))


class Pickled:
    """Pickles as the call of a known name, with a state."""

    def __init__(self, module: str, name: str, args: tuple[Any, ...], state: Any) -> None:
        self.reduced = (Global(module, name), args, state)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.reduced


def array_like(shape: Any, dtype: Any, data: Any) -> Pickled:
    return Pickled("numpy.core.multiarray", "_reconstruct", (), (1, shape, dtype, False, data))


def dtype_like(code: str, *state: Any) -> Pickled:
    return Pickled("numpy", "dtype", (code, False, True), state)


FLOAT = (3, "<", None, None, None, -1, -1, 0)
OBJECTS = [
    np.array([Evil(), None], object),
    np.array([1, "a"], object),
    np.array(["text"]),
    np.array([b"bytes"]),
    np.array([1j]),
    np.array([True]),
    np.array([0], "M8[s]"),
    np.zeros(2, [("a", "f4"), ("b", "O")]),
    np.zeros(2, np.dtype("f4", metadata={"a": 1})),
    Evil(),
    [np.ones(2)],
    (1, 2),
    1.0,
    "text",
    None,
    array_like((2,), dtype_like("O8", 3, "|", None, None, None, -1, -1, 63), [1, 2]),
    array_like((2,), dtype_like("f4", *FLOAT), [1, 2, 3, 4, 5, 6, 7, 8]),
    array_like((2,), dtype_like("f4", 4, *FLOAT[1:], {"meta": 1}), b"12345678"),
    array_like((2,), dtype_like("f4", 3, "2<", *FLOAT[2:]), b"12345678"),
    array_like((2,), dtype_like("f4", 3, "<", None, ("a",), {"a": 1}, 4, 1, 0), b"12345678"),
    array_like((3,), dtype_like("f4", *FLOAT), b"12345678"),
    array_like((-1,), dtype_like("f4", *FLOAT), b"12345678"),
    array_like((-1, -2), dtype_like("f4", *FLOAT), b"12345678"),
    array_like((2.0,), dtype_like("f4", *FLOAT), b"12345678"),
    array_like((2**62, 4), dtype_like("f4", *FLOAT), b"12345678"),
    array_like((2,), dtype_like("f1", *FLOAT), b"12"),
    array_like((2,), dtype_like("f4"), b"12345678"),
    array_like((2,), "f4", b"12345678"),
    array_like((2,), dtype_like("f4", *FLOAT), array_like((), "f4", b"")),
    array_like((2,), dtype_like("f4", *FLOAT), Pickled("_codecs", "encode", ("12345678", "rot13"), None)),
    Pickled("_codecs", "encode", ("x", "latin1"), None),
    Pickled("numpy.core.numeric", "_frombuffer", (b"12345678", dtype_like("f4", *FLOAT), (2,), "K"), None),
    Pickled("jax._src.array", "_reconstruct_array", (Evil(), (), (), {}), None),
    Pickled("flax.core.frozen_dict", "FrozenDict", (), {"_dict": {}}),
    Pickled("builtins", "eval", ("print('this must never run')",), None),
    Pickled("numpy.core.multiarray", "_reconstruct.__globals__", (), None),
    Pickled("numpy", "load", ("x",), None),
]


@pytest.mark.parametrize("protocol", [2, 5])
@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("index", range(len(OBJECTS)))
def test_anything_but_arrays_of_numbers_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], index: int, nested: bool, protocol: int
) -> None:
    value = OBJECTS[index]
    with pytest.raises(HilserlError, match=r"Cannot read the weights in .*weights\.pkl: .+"):
        read(tmp_path, dumps({"a": value} if nested else value, protocol))
    assert capsys.readouterr().out == ""


def test_keys_are_text(tmp_path: Path) -> None:
    with pytest.raises(HilserlError, match="not text"):
        read(tmp_path, pickle.dumps({"a": {1: ARRAYS["float32"]}}))


@pytest.mark.parametrize("name", ["dtype", "ndarray"])
@pytest.mark.parametrize("state", [b"}U\x04args}s", b"N}U\x04args}s\x86", b"N}U\x0c__setstate__Ns\x86"])
def test_a_file_cannot_change_the_reader(tmp_path: Path, name: str, state: bytes) -> None:
    """BUILD on a class sets its attributes, unless the class refuses."""
    before = [dict(vars(known)) for known in pickle_file._KNOWN.values()]
    with pytest.raises(HilserlError, match=r"weights\.pkl"):
        read(tmp_path, b"\x80\x02cnumpy\n" + name.encode() + b"\n" + state + b"b.")
    assert [dict(vars(known)) for known in pickle_file._KNOWN.values()] == before


def test_a_dictionary_that_holds_itself_is_refused(tmp_path: Path) -> None:
    tree: dict[str, Any] = {}
    tree["a"] = tree
    with pytest.raises(HilserlError, match=r"weights\.pkl"):
        read(tmp_path, pickle.dumps(tree))


GREEDY = [
    b"\x8e" + struct.pack("<q", 2**62),
    b"\x8e" + struct.pack("<q", 2**36),
    b"}r\xff\xff\xff\xff.",
    b"}p4294967295\n.",
]


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x05", b"\x82\x01.", *GREEDY])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(HilserlError, match=r"Cannot read the weights in .*weights\.pkl: .+"):
        read(tmp_path, content)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(HilserlError, match=r"absent\.pkl"):
        read_pickle_file(tmp_path / "absent.pkl")


@pytest.mark.parametrize("protocol", [2, 5])
def test_a_file_cut_anywhere_is_named(tmp_path: Path, protocol: int) -> None:
    content = pickle.dumps({"a": ARRAYS["float32"], "b": jnp.ones(3)}, protocol)
    for length in range(len(content)):
        with pytest.raises(HilserlError, match=r"weights\.pkl"):
            read(tmp_path, content[:length])


@pytest.mark.filterwarnings("ignore:invalid escape sequence:DeprecationWarning")  # of protocol 0's text
@pytest.mark.parametrize("protocol", [2, 5])
def test_a_damaged_file_gives_numbers_or_an_error(tmp_path: Path, protocol: int) -> None:
    content = pickle.dumps({"a": ARRAYS["float32"], "b": jnp.ones(3)}, protocol)
    rng = np.random.default_rng(protocol)
    for _ in range(500):
        damaged = bytearray(content)
        damaged[rng.integers(len(content))] = rng.integers(256)
        try:
            tree = read(tmp_path, bytes(damaged))
        except HilserlError:
            continue
        assert all(type(leaf) is np.ndarray and leaf.dtype.kind in "fiu" for leaf in jax.tree.leaves(tree))
