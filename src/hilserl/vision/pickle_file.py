"""Reader of pickled dictionaries of arrays that runs no code.

Dictionaries may be nested. Arrays are NumPy's (protocols 2 to 5) or JAX's, dictionaries plain or Flax's frozen ones;
the libraries that wrote them are not needed. The unpickler below calls nothing. It records which of a few known calls
the file asks for, and arrays are made of the records that are valid.
"""

import io
import math
import pickletools
import re
from collections import OrderedDict
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np

from hilserl.errors import HilserlError
from hilserl.vision.restricted_pickle import DAMAGED, RestrictedUnpickler, unreadable


class _Call:
    """Record of a call in the file, and of its result's state.

    The call is not made.
    """

    __slots__ = ("args", "state")
    args: tuple[Any, ...]
    state: Any

    def __new__(cls, *args: Any) -> "_Call":
        call = super().__new__(cls)
        call.args, call.state = args, None
        return call

    # Without this method the unpickler would set any attribute that the file names.
    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Array(_Call):
    """Record of `_reconstruct(type, shape, kind)`.

    The state is (version, shape, dtype, is Fortran's order, data).
    """


class _BufferArray(_Call):
    """Record of `_frombuffer(data, dtype, shape, order)`."""


class _Scalar(_Call):
    """Record of `scalar(dtype, data)`."""


class _JaxArray(_Call):
    """Record of `_reconstruct_array(function, args, state as of _Array, aval)`."""


class _Dtype(_Call):
    """Record of `dtype(code, align, copy)`.

    The state is (version, byte order, subarray, names, fields, ...).
    """


class _Bytes(_Call):
    """Record of `encode(text, "latin1")`, by which protocol 2 writes bytes."""


class _FrozenDict(_Call):
    """Record of `FrozenDict(dictionary)`."""


_KNOWN: dict[tuple[str, str], type[_Call]] = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy.core.numeric", "_frombuffer"): _BufferArray,
    ("numpy._core.numeric", "_frombuffer"): _BufferArray,
    ("numpy", "ndarray"): _Call,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _Bytes,
    ("jax._src.array", "_reconstruct_array"): _JaxArray,
    ("jax._src.device_array", "reconstruct_device_array"): _JaxArray,
    ("flax.core.frozen_dict", "FrozenDict"): _FrozenDict,
}


_NUMBERS, _NUMBERS_AND_FLAGS = "[<>|=][fiu][1248]", "[<>|=]([fiu][1248]|b1)"
"""Byte orders and codes of the dtypes that arrays may have."""
_VALUES: dict[tuple[str, str], Any] = {
    **{key: record for key, record in _KNOWN.items() if record not in (_JaxArray, _FrozenDict)},
    ("numpy.core.multiarray", "scalar"): _Scalar,
    ("numpy._core.multiarray", "scalar"): _Scalar,
    ("collections", "OrderedDict"): OrderedDict,
}


class _PickleReader(RestrictedUnpickler):
    """Unpickler of dictionaries, numbers, text and records of the known calls alone."""

    known = _KNOWN


class _ValueReader(RestrictedUnpickler):
    """Unpickler of plain values and records of NumPy's calls alone."""

    known = _VALUES


def read_pickled_values(path: Path) -> Any:
    """Read lists, dictionaries, numbers, text and arrays of numbers.

    Memory holds the file's content once.

    Raises:
        HilserlError: the file is damaged or holds anything else.
    """
    try:
        with path.open("rb") as file:
            _check_memo(file, path.stat().st_size)
            file.seek(0)
            return _value(_ValueReader(file).load(), "", {})
    except DAMAGED as error:
        raise HilserlError(f"Cannot read the pickle {path}: {str(error) or type(error).__name__}") from error


def _value(value: Any, name: str, made: dict[int, Any]) -> Any:
    """Turn records into arrays and numbers.

    Args:
        value: What the unpickler returned.
        name: Path to the value, as in `/3/rewards`.
        made: Results by the identity of their values, so that a value is made once however often the file names it.
    """
    if id(value) not in made:
        made[id(value)] = _made(value, name, made)
    return made[id(value)]


def _made(value: Any, name: str, made: dict[int, Any]) -> Any:
    match value:
        case dict():
            return {key: _value(content, f"{name}/{key}", made) for key, content in value.items()}
        case list() | tuple():
            return [_value(content, f"{name}/{index}", made) for index, content in enumerate(value)]
        case None | bool() | int() | float() | str() | bytes():
            return value
        case _Scalar(args=(dtype, data)):
            return _filled(dtype, data, (), "C", name, _NUMBERS_AND_FLAGS).item()
        case _:
            return _array(value, name, _NUMBERS_AND_FLAGS)


def read_pickle_file(path: Path) -> dict[str, Any]:
    """Read nested dictionaries of float and integer arrays.

    Raises:
        HilserlError: the file is damaged or holds anything else.
    """
    try:
        data = path.read_bytes()
        _check_memo(data, len(data))
        tree = _tree(_PickleReader(io.BytesIO(data)).load(), "")
        if not isinstance(tree, dict):
            raise ValueError("it holds one array, not a dictionary of arrays")
        return tree
    except DAMAGED as error:
        raise unreadable(path, error) from error


def _check_memo(data: bytes | IO[bytes], size: int) -> None:
    """Raise ValueError for a memo place that the file cannot need.

    The unpickler allocates memory for all places below it.
    """
    for opcode, place, _ in pickletools.genops(data):
        if "PUT" in opcode.name and place is not None and place > size:
            raise ValueError(f"it asks for place {place} in a memo, in {size} bytes")


def _tree(value: Any, name: str) -> Any:
    """Turn records into dictionaries and arrays.

    `name` is the path to the value, as in `/block/kernel`.
    """
    if isinstance(value, _FrozenDict):
        (value,) = value.args
    if not isinstance(value, dict):
        return _array(value, name).copy(order="K")
    if not all(isinstance(key, str) for key in value):
        raise ValueError(f"a key of its entry {name or '/'} is not text")
    return {key: _tree(content, f"{name}/{key}") for key, content in value.items()}


def _array(value: Any, name: str, codes: str = _NUMBERS) -> np.ndarray:
    """Make the array that a record describes, in this machine's byte order.

    Raises:
        ValueError: names the array that is not valid.
    """
    match value:
        case (
            _Array(state=(_, shape, dtype, fortran, data)) | _JaxArray(args=(_, _, (_, shape, dtype, fortran, data), _))
        ):
            order = "F" if fortran else "C"
        case _BufferArray(args=(data, dtype, shape, order)):
            pass
        case _:
            raise ValueError(f"its entry {name or '/'} is neither a dictionary nor an array")
    return _filled(dtype, data, shape, order, name, codes)


def _filled(
    dtype: Any, data: Any, shape: tuple[int, ...], order: Literal["C", "F"], name: str, codes: str
) -> np.ndarray:
    """Make an array of recorded bytes, without a copy if possible.

    It is in this machine's byte order.
    """
    if isinstance(data, _Bytes):
        text, encoding = data.args
        data = text.encode("latin1") if encoding == "latin1" else None
    match dtype:
        case _Dtype(args=(str(code), *_), state=(3, str(byte_order), None, None, None, *_)) if re.fullmatch(
            codes, byte_order + code
        ):
            kind = np.dtype(byte_order + code)
        case _:
            raise ValueError(f"its entry {name or '/'} is an array of neither floats nor integers")
    if not isinstance(data, bytes | bytearray) or math.prod(shape) * kind.itemsize != len(data):
        raise ValueError(f"its entry {name or '/'} has the shape {shape}, which its data do not fill")
    return np.frombuffer(data, kind).reshape(shape, order=order).astype(kind.newbyteorder("="), copy=False)
