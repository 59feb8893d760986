"""Names of keys by their place on a US board.

A place has one name whatever is printed there: the key right of L is `Semicolon` on every board.
"""

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_SAME = (
    *("Semicolon", "Comma", "Period", "Slash", "Minus", "Equal", "Backslash", "Space", "Tab", "Enter", "Backspace"),
    *("Escape", "Insert", "Delete", "Home", "End", "PageUp", "PageDown"),
)
"""Names that browsers use as well."""

NAMES_BY_CODE = {
    **{f"Key{letter}": letter for letter in _LETTERS},
    **{f"Digit{digit}": str(digit) for digit in range(10)},
    **{name: name for name in _SAME},
    "Quote": "Apostrophe",
    "BracketLeft": "LeftBracket",
    "BracketRight": "RightBracket",
    "Backquote": "GraveAccent",
    **{f"Arrow{way}": f"{way}Arrow" for way in ("Left", "Right", "Up", "Down")},
    **{f"Shift{side}": f"{side}Shift" for side in ("Left", "Right")},
    **{f"Control{side}": f"{side}Ctrl" for side in ("Left", "Right")},
    "NumpadEnter": "KeypadEnter",
    **{f"Numpad{digit}": f"Keypad{digit}" for digit in range(10)},
}
"""Names of keys by the codes that browsers give to places (`KeyboardEvent.code`)."""
KEY_NAMES = tuple(NAMES_BY_CODE.values())
"""All keys that can have an action."""

_LABELS = {
    "Semicolon": ";",
    "Comma": ",",
    "Period": ".",
    "Slash": "/",
    "Minus": "-",
    "Equal": "=",
    "Backslash": "\\",
    "Apostrophe": "'",
    "LeftBracket": "[",
    "RightBracket": "]",
    "GraveAccent": "`",
    "Escape": "Esc",
    "LeftShift": "Shift",
    "RightShift": "Shift",
    "LeftCtrl": "Ctrl",
    "RightCtrl": "Ctrl",
}
_LAST_LATIN = "\u024f"
"""Last letter of the console's font.

Boards with other letters have Latin ones beside them."""


def label_of(name: str, printed: str = "") -> str:
    """Return the label of a key.

    Args:
        name: name of the key.
        printed: character that the operator's layout has there, if it is known.
    """
    if len(printed) == 1 and "!" <= printed <= _LAST_LATIN:
        return printed.upper() if len(printed.upper()) == 1 else printed
    return _LABELS.get(name, name)
