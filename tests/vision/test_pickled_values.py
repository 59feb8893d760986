"""Pickled lists are read without running anything, and memory cannot be blown up."""

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hilserl.errors import HilserlError
from hilserl.vision.pickle_file import read_pickled_values


class Harmful:
    """An object whose pickle names a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


def read(path: Path, data: bytes) -> Any:
    path.write_bytes(data)
    return read_pickled_values(path)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_values_return_from_every_protocol(tmp_path: Path, protocol: int) -> None:
    value = [
        {
            "image": np.arange(24, dtype=np.uint8).reshape(1, 2, 4, 3),
            "flag": np.bool_(True),
            "number": np.float64(0.25),
        },
        {"state": np.zeros((1, 3), np.float32), "dones": False, "rewards": 1, "text": "x", "none": None},
        OrderedDict(a=np.array([True, False])),
    ]
    found = read(tmp_path / "x.pkl", pickle.dumps(value, protocol))
    assert np.array_equal(found[0]["image"], value[0]["image"])
    assert found[0]["image"].dtype == np.uint8
    assert (found[0]["flag"], found[0]["number"]) == (True, 0.25)
    assert found[1]["dones"] is False
    assert list(found[2]["a"]) == [True, False]


@pytest.mark.parametrize(
    "value",
    [
        Harmful(print, "ran"),
        Harmful(eval, "print('ran')"),
        [{"observations": Harmful(Path, "x")}],
        np.array([{}], dtype=object),
        np.zeros(2, dtype=[("a", "f4")]),
        np.datetime64("2026-01-01"),
        Path("x"),
        {1, 2},
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_pickles_of_other_values_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], value: Any, protocol: int
) -> None:
    with pytest.raises(HilserlError, match=r"Cannot read the pickle .*x\.pkl: .+"):
        read(tmp_path / "x.pkl", pickle.dumps(value, protocol))
    assert not capsys.readouterr().out


def test_shared_values_are_made_once(tmp_path: Path) -> None:
    value: list[Any] = [0]
    for _ in range(60):  # as a tree 2**60 values
        value = [value, value]
    found = read(tmp_path / "x.pkl", pickle.dumps(value))
    assert found[0] is found[1]


def test_list_that_contains_itself_is_refused(tmp_path: Path) -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(HilserlError, match="Cannot read the pickle"):
        read(tmp_path / "x.pkl", pickle.dumps(value))


@pytest.mark.parametrize("data", [b"", b"hello", pickle.dumps([1, 2])[:-3], b"\x80\x04r\xff\xff\xff\x7f."])
def test_damaged_pickle_is_named(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(HilserlError, match=r"x\.pkl"):
        read(tmp_path / "x.pkl", data)
