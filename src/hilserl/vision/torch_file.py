"""Reader of the tensors in an old PyTorch checkpoint, without PyTorch.

It reads the format that is not zipped, and runs none of the file's code. The format is a pickle stream whose objects
are only dictionaries and tensor descriptions, followed by the raw storages (torch.serialization, `_legacy_load`). The
unpickler below knows those few names and refuses every other.
"""

import pickle
import struct
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from typing_extensions import override

from hilserl.vision.restricted_pickle import DAMAGED, RestrictedUnpickler, unreadable

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001


class _Storage(NamedTuple):
    key: str
    dtype: np.dtype
    length: int


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _rebuild(storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any) -> _Tensor:
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


_KNOWN: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild,
    ("torch", "FloatStorage"): np.dtype("<f4"),
    ("torch", "LongStorage"): np.dtype("<i8"),
}


class _TorchReader(RestrictedUnpickler):
    """Unpickler of dictionaries, numbers and tensor descriptions alone."""

    known = _KNOWN

    @override
    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _, count, *_ = pid
        if kind != "storage":
            raise pickle.UnpicklingError(f"it refers to a {kind!r}, not to a storage")
        return _Storage(str(key), dtype, int(count))


def read_torch_file(path: Path) -> dict[str, np.ndarray]:
    """Read the named tensors of a state dictionary.

    Raises:
        HilserlError: the file is missing or damaged.
    """
    try:
        with path.open("rb") as file:
            return _read(file)
    except DAMAGED as error:
        raise unreadable(path, error) from error


def _read(file: BinaryIO) -> dict[str, np.ndarray]:
    magic, protocol = _TorchReader(file).load(), _TorchReader(file).load()
    if (magic, protocol) != (_MAGIC, _PROTOCOL):
        raise ValueError("it is not a PyTorch file of the old kind")
    _TorchReader(file).load()
    tensors: dict[str, _Tensor] = _TorchReader(file).load()
    keys: list[str] = _TorchReader(file).load()
    by_key = {str(t.storage.key): t.storage for t in tensors.values()}
    storages = {str(key): _read_storage(file, by_key[str(key)]) for key in keys}
    return {name: _view(storages[t.storage.key], t) for name, t in tensors.items()}


def _read_storage(file: BinaryIO, storage: _Storage) -> np.ndarray:
    (count,) = struct.unpack("<q", file.read(8))
    data = file.read(storage.length * storage.dtype.itemsize)
    if count != storage.length or len(data) != storage.length * storage.dtype.itemsize:
        raise ValueError(f"storage {storage.key} is cut short")
    return np.frombuffer(data, storage.dtype)


def _view(storage: np.ndarray, tensor: _Tensor) -> np.ndarray:
    size = storage.itemsize
    last = tensor.offset + sum((n - 1) * s for n, s in zip(tensor.shape, tensor.strides, strict=True))
    if last >= len(storage) or tensor.offset < 0 or min(tensor.strides, default=0) < 0:
        raise ValueError(f"a tensor of shape {tensor.shape} reaches beyond its storage")
    strides = tuple(s * size for s in tensor.strides)
    return np.lib.stride_tricks.as_strided(storage[tensor.offset :], tensor.shape, strides).copy()
