"""Pickles of arrays are read without running their code, and anything else is refused."""

import io
import pickle
import struct
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hilserl.errors import HilserlError
from hilserl.vision import pickle_file
from hilserl.vision.pickle_file import read_pickle_file


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


# The type stubs know only the pickler in C, whose `save` cannot be overridden.
PythonPickler: Any = pickle._Pickler


class Pickler(PythonPickler):
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
def test_pickles_of_anything_but_arrays_are_refused(
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
def test_pickle_cannot_change_the_reader(tmp_path: Path, name: str, state: bytes) -> None:
    """BUILD on a class sets its attributes, unless the class refuses."""
    before = [dict(vars(known)) for known in pickle_file._KNOWN.values()]
    with pytest.raises(HilserlError, match=r"weights\.pkl"):
        read(tmp_path, b"\x80\x02cnumpy\n" + name.encode() + b"\n" + state + b"b.")
    assert [dict(vars(known)) for known in pickle_file._KNOWN.values()] == before


def test_dictionary_that_holds_itself_is_refused(tmp_path: Path) -> None:
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
def test_foreign_file_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(HilserlError, match=r"Cannot read the weights in .*weights\.pkl: .+"):
        read(tmp_path, content)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(HilserlError, match=r"absent\.pkl"):
        read_pickle_file(tmp_path / "absent.pkl")


@pytest.mark.parametrize("protocol", [2, 5])
def test_cut_file_is_named(tmp_path: Path, protocol: int) -> None:
    content = pickle.dumps({"a": ARRAYS["float32"], "b": jnp.ones(3)}, protocol)
    for length in range(len(content)):
        with pytest.raises(HilserlError, match=r"weights\.pkl"):
            read(tmp_path, content[:length])


@pytest.mark.filterwarnings("ignore:invalid escape sequence:DeprecationWarning")  # of protocol 0's text
@pytest.mark.parametrize("protocol", [2, 5])
def test_damaged_file_gives_numbers_or_an_error(tmp_path: Path, protocol: int) -> None:
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
