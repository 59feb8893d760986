"""Messages of a page that anybody could have written."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilserl.errors import HilserlError
from hilserl.operators.phone.messages import PhoneMessage, parse_message

POSE = b'{"place_m": [0.1, 1, -2], "turn_xyzw": [0, 0, 0, 1], "angles_deg": null, "pads": [0, 0.5, -1]}'


def test_message_has_pose_pads_and_presses() -> None:
    assert parse_message(POSE) == PhoneMessage((0.1, 1.0, -2.0), (0.0, 0.0, 0.0, 1.0), pads=(0.0, 0.5, -1.0))
    assert parse_message('{"presses": ["takeover", "gripper"]}').presses == ("takeover", "gripper")
    assert not parse_message('{"visible": false}').visible


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "null", "{", "\x00", '{"pads": [0, 0]}', '{"pads": ["0", 0, 0]}', '{"unknown": 1}'),
        *('{"presses": ["end"]}', '{"presses": "gripper"}', '{"visible": 0}', '{"pads": [NaN, 0, 0]}'),
        *('{"pads": [1e999, 0, 0]}', '{"place_m": [1e9, 0, 0]}', '{"angles_deg": [0, -1e5, 0]}'),
        '{"place_m": [0, 0, 0], "turn_xyzw": [0, 0, 0, 0]}',
    ],
)
def test_nonsense_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(HilserlError, match="Invalid message of the phone's page"):
        parse_message(text)


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_a_message_or_refused(text: bytes) -> None:
    with contextlib.suppress(HilserlError):
        assert isinstance(parse_message(text), PhoneMessage)
