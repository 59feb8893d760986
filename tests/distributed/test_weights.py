"""Weights travel whole, and what is no actor's weights is refused."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from hilserl.data.arrays import named_arrays
from hilserl.distributed.protocol import ProtocolError
from hilserl.distributed.weights import Weights, pack_weights, unpack_weights, weights_of, with_weights
from tests.support.loopback import toy_actor, toy_weights

Change = Callable[[np.ndarray], np.ndarray]


def altered(name_part: str, change: Change) -> Mapping[str, np.ndarray]:
    arrays = dict(toy_weights())
    name = max((name for name in sorted(arrays) if name_part in name), key=lambda name: arrays[name].ndim)
    return {**arrays, name: change(arrays[name])}


def poked(array: np.ndarray, value: float) -> np.ndarray:
    array = array.copy()
    array.flat[-1] = value
    return array


def test_weights_come_back_as_they_were() -> None:
    found = unpack_weights(pack_weights(Weights(5, 7, toy_weights())))
    assert found is not None
    assert (found.life, found.version) == (5, 7)
    actor = with_weights(toy_actor(), found.arrays)
    got = named_arrays(actor)
    assert all(np.array_equal(array, got[name]) for name, array in named_arrays(toy_actor()).items())
    assert weights_of(actor).keys() == toy_weights().keys()


def test_absent_weights_come_back_as_none() -> None:
    assert unpack_weights(pack_weights(None)) is None


def test_array_that_is_not_contiguous_comes_back_in_its_order() -> None:
    array = np.arange(12.0).reshape(3, 4).T
    found = unpack_weights(pack_weights(Weights(1, 0, {"a": array, "scalar": np.array(3, np.float32)})))
    assert found is not None
    np.testing.assert_array_equal(found.arrays["a"], array)
    assert found.arrays["scalar"].shape == ()


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        (lambda: altered("weight", lambda a: a[:-1]), "differ"),
        (lambda: altered("weight", lambda a: a[:, :-1]), "differ"),
        (lambda: altered("weight", lambda a: a[None]), "differ"),
        (dict, "differ"),
        (lambda: {**toy_weights(), "one_more": np.zeros(1, np.float32)}, "one_more"),
        (lambda: altered("weight", lambda a: poked(a, np.nan)), "finite"),
        (lambda: altered("bias", lambda a: poked(a, np.inf)), "finite"),
        (lambda: altered("weight", lambda a: a.astype(np.int32)), "differ"),
        (lambda: altered("weight", lambda a: a.astype(np.float16)), "differ"),
    ],
    ids=range(9),
)
def test_weights_that_do_not_fit_are_refused(arrays: Callable[[], Mapping[str, np.ndarray]], reason: str) -> None:
    with pytest.raises(ProtocolError, match=reason):
        with_weights(toy_actor(), arrays())


def message(data: bytes = bytes(8), life: object = 1, **changes: Any) -> bytes:
    """Make a message with one array."""
    array = {"name": "a", "dtype": "float32", "shape": [2]} | changes
    return json.dumps({"life": life, "version": 0, "arrays": [list(array.values())]}).encode() + b"\n" + data


def test_message_is_read() -> None:
    found = unpack_weights(message())
    assert found is not None
    assert found.arrays["a"].tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    "junk",
    [
        message(shape=[3]),
        message(shape=[1]),
        message(shape=[-1, -1]),
        message(shape=[2**40, 2**40]),
        message(shape=[1] * 100),
        message(data=bytes(7)),
        message(data=bytes(9)),
        message(data=b""),
        message(dtype="object"),
        message(dtype="no such type"),
        message(dtype=None),
        message(dtype="<U2"),
        message(dtype="i4,032"),
        message(name=None),
        message(life=-1),
        b"junk",
        b"{}\n",
        b"[" * 100_000 + b"\n",
        b" " * 1_000_000 + message(),
    ],
    ids=range(19),
)
def test_junk_is_refused(junk: bytes) -> None:
    with pytest.raises(ProtocolError, match="cannot be read"):
        unpack_weights(junk)
