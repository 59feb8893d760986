"""Reads a pickle of nested dictionaries of arrays, without running its code and without what it was written with.

Arrays are NumPy's (protocols 2 to 5) or JAX's, dictionaries plain or Flax's frozen ones. The unpickler below calls
nothing: it notes which of a few known calls the file asks for, and arrays are made of the notes that are in order.
"""

import io
import math
import pickletools
import re
from pathlib import Path
from typing import Any

import numpy as np

from hilserl.vision.pretrained import DAMAGED, RestrictedUnpickler, unreadable


class _Call:
    """A call that the file asks for, noted and not made, and the state it would set on the result."""

    __slots__ = ("args", "state")
    args: tuple[Any, ...]
    state: Any

    def __new__(cls, *args: Any) -> "_Call":
        call = super().__new__(cls)
        call.args, call.state = args, None
        return call

    # Without it the unpickler would set attributes as the file says, on these classes too.
    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Array(_Call):
    """`_reconstruct(type, shape, kind)`, then the state (version, shape, dtype, is Fortran's order, data)."""


class _BufferArray(_Call):
    """`_frombuffer(data, dtype, shape, order)`."""


class _JaxArray(_Call):
    """`_reconstruct_array(function, args, state as of _Array, aval)`."""


class _Dtype(_Call):
    """`dtype(code, align, copy)`, then the state (version, byte order, subarray, names, fields, ...)."""


class _Bytes(_Call):
    """`encode(text, "latin1")`: how protocol 2 writes bytes."""


class _FrozenDict(_Call):
    """`FrozenDict(dictionary)`."""


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


class _PickleReader(RestrictedUnpickler):
    """It can make dictionaries, numbers, text and notes of the known calls, and nothing else."""

    known = _KNOWN


def read_pickle_file(path: Path) -> dict[str, Any]:
    """The nested dictionaries of float and integer arrays. Raises HilserlError naming the file when it holds others."""
    try:
        data = path.read_bytes()
        _check_memo(data)
        tree = _tree(_PickleReader(io.BytesIO(data)).load(), "")
        if not isinstance(tree, dict):
            raise ValueError("it holds one array, not a dictionary of arrays")
        return tree
    except DAMAGED as error:
        raise unreadable(path, error) from error


def _check_memo(data: bytes) -> None:
    """Raises ValueError on a place in the memo that the file cannot need: the unpickler takes memory for all below."""
    for opcode, place, _ in pickletools.genops(data):
        if "PUT" in opcode.name and place is not None and place > len(data):
            raise ValueError(f"it asks for place {place} in a memo, in {len(data)} bytes")


def _tree(value: Any, name: str) -> Any:
    """Dictionaries and arrays instead of notes; `name` is the path to the value, as in `/block/kernel`."""
    if isinstance(value, _FrozenDict):
        (value,) = value.args
    if not isinstance(value, dict):
        return _array(value, name)
    if not all(isinstance(key, str) for key in value):
        raise ValueError(f"a key of its entry {name or '/'} is not text")
    return {key: _tree(content, f"{name}/{key}") for key, content in value.items()}


def _array(value: Any, name: str) -> np.ndarray:
    """The array that a note describes, in this machine's byte order. Raises ValueError naming it."""
    match value:
        case (
            _Array(state=(_, shape, dtype, fortran, data)) | _JaxArray(args=(_, _, (_, shape, dtype, fortran, data), _))
        ):
            order = "F" if fortran else "C"
        case _BufferArray(args=(data, dtype, shape, order)):
            pass
        case _:
            raise ValueError(f"its entry {name or '/'} is neither a dictionary nor an array")
    if isinstance(data, _Bytes):
        text, encoding = data.args
        data = text.encode("latin1") if encoding == "latin1" else None
    match dtype:
        case _Dtype(args=(str(code), *_), state=(3, str(byte_order), None, None, None, *_)) if re.fullmatch(
            "[<>|=][fiu][1248]", byte_order + code
        ):
            kind = np.dtype(byte_order + code)
        case _:
            raise ValueError(f"its entry {name or '/'} is an array of neither floats nor integers")
    if not isinstance(data, bytes | bytearray) or math.prod(shape) * kind.itemsize != len(data):
        raise ValueError(f"its entry {name or '/'} has the shape {shape}, which its data do not fill")
    return np.frombuffer(data, kind).reshape(shape, order=order).astype(kind.newbyteorder("="))
