"""Schemas of the requests' bodies."""

import numpy as np
import pytest

from hilserl.errors import HilserlError
from hilserl.robot.http.schemas import LoadBody, PoseBody, ReasonBody, SceneBody, decode


def test_decode_normalises_the_quaternion_of_a_pose() -> None:
    pose = decode(b'{"arr": [0.4, 0, 0.3, 0, 1.5, 0, 0]}', PoseBody).pose()
    assert np.allclose(pose, [0.4, 0, 0.3, 0, 1, 0, 0])


def test_decode_reads_a_load() -> None:
    body = b'{"mass": 0.5, "F_x_center_load": [0, 0, 0.1], "load_inertia": [1, 0, 0, 0, 1, 0, 0, 0, 1]}'
    load = decode(body, LoadBody).load()
    assert (load.mass_kg, load.centre_m, load.inertia_kg_m2) == (0.5, (0, 0, 0.1), (1, 0, 0, 0, 1, 0, 0, 0, 1))


def test_decode_shows_the_beginning_of_an_invalid_body() -> None:
    with pytest.raises(HilserlError, match=r"Invalid body '\{\"seed\": x+\.\.\.'.*finite"):
        decode(b'{"seed": ' + b"x" * 200, SceneBody)


@pytest.mark.parametrize("body", [b'{"reason": "' + b"x" * 201 + b'"}', b'{"reason": 1}', b'{"reason": "a", "b": 1}'])
def test_decode_refuses_an_invalid_reason(body: bytes) -> None:
    with pytest.raises(HilserlError, match="Invalid body"):
        decode(body, ReasonBody)
