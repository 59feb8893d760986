"""Key events of the console's page, between two threads."""

import pytest
from msgspec import DecodeError

from hilserl.operators.console.page_keys import KeyReading, PageKeys
from hilserl.operators.devices.key_names import label_of


def reading_of(*messages: str) -> KeyReading:
    """Return the first reading after some messages of the page."""
    keys = PageKeys()
    for message in messages:
        keys.hear(message)
    return keys.take()


def test_tap_between_two_readings_counts_once() -> None:
    keys = PageKeys()
    for message in ("down Semicolon", "up Semicolon", "down KeyW", "up KeyW", "down Semicolon", "up Semicolon"):
        keys.hear(message)
    assert keys.take() == KeyReading(frozenset({"Semicolon", "W"}), ("Semicolon", "W", "Semicolon"))
    assert keys.take() == KeyReading(frozenset(), ())


def test_held_key_stays_held_until_it_goes_up() -> None:
    keys = PageKeys()
    keys.hear("down ShiftLeft")
    assert keys.take() == KeyReading(frozenset({"LeftShift"}), ("LeftShift",))
    assert keys.take() == KeyReading(frozenset({"LeftShift"}), ())
    keys.hear("up ShiftLeft")
    assert not keys.take().held


def test_release_forgets_held_keys_but_no_press() -> None:
    keys = PageKeys()
    for message in ("down KeyW", "down Tab"):
        keys.hear(message)
    keys.take()
    keys.hear("down Enter")
    keys.release()
    assert keys.take().pressed == ("Enter",)
    assert keys.take() == KeyReading(frozenset(), ())


@pytest.mark.parametrize("code", ["F13", "AltLeft", "", "keyw", "Semicolon "])
def test_keys_without_a_place_are_ignored(code: str) -> None:
    assert reading_of(f"down {code}") == KeyReading(frozenset(), ())


def test_layout_tells_what_is_printed() -> None:
    keys = PageKeys()
    keys.hear('layout {"KeyW": "z", "Semicolon": "m", "IntlYen": "x"}')
    assert keys.printed == {"W": "z", "Semicolon": "m"}
    with pytest.raises(DecodeError):
        keys.hear("layout [1]")


@pytest.mark.parametrize(
    ("name", "printed", "label"),
    [
        *(("W", "", "W"), ("W", "z", "Z"), ("Semicolon", "\u00f6", "\u00d6"), ("Semicolon", "", ";")),
        *(("W", "\u0446", "W"), ("Minus", "\u00df", "\u00df"), ("LeftShift", "", "Shift"), ("Tab", "", "Tab")),
    ],
)
def test_label_is_what_is_printed_if_the_font_has_it(name: str, printed: str, label: str) -> None:
    assert label_of(name, printed) == label
