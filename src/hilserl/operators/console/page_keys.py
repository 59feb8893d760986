"""Keys of the browser's page, counted as they come."""

import threading
from collections import deque
from dataclasses import dataclass
from importlib.resources import files

import msgspec

from hilserl.operators.devices.key_names import NAMES_BY_CODE

HELP = "?"
"""Name of the press that asks for help, whichever key has it."""
_MAX_PRESSES = 1000
"""Most presses that wait for the viewer's thread."""


@dataclass(frozen=True)
class KeyReading:
    """Keys since the last reading."""

    held: frozenset[str]
    """Names of the keys that are held, or were for a moment."""
    pressed: tuple[str, ...]
    """Names of the keys that went down, in order."""


class PageKeys:
    """Key events of the page, from the server's thread to the viewer's.

    An event counts when it arrives, however seldom the page is drawn.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: set[str] = set()
        self._pressed: deque[str] = deque(maxlen=_MAX_PRESSES)
        self.printed: dict[str, str] = {}
        """Characters that the operator's layout has on each key, if the browser tells them."""

    def hear(self, text: str) -> None:
        """Take a message of the page's script (page_keys.js)."""
        verb, _, rest = text.partition(" ")
        if verb == "layout":
            printed = msgspec.json.decode(rest, type=dict[str, str])
            self.printed = {NAMES_BY_CODE[code]: printed[code] for code in printed.keys() & NAMES_BY_CODE}
        elif verb == "release":
            self.release()
        elif verb == "help":
            with self._lock:
                self._pressed.append(HELP)
        elif name := NAMES_BY_CODE.get(rest):
            with self._lock:
                if verb == "down":
                    self._held.add(name)
                    self._pressed.append(name)
                else:
                    self._held.discard(name)

    def release(self) -> None:
        """Forget held keys; presses still count."""
        with self._lock:
            self._held.clear()

    def take(self) -> KeyReading:
        """Return the keys since the last call, the shortest tap included."""
        with self._lock:
            pressed = tuple(self._pressed)
            self._pressed.clear()
            return KeyReading(frozenset(self._held.union(pressed)), pressed)


def key_script() -> str:
    """Return the script that sends the page's keys."""
    return files(__package__ or "").joinpath("page_keys.js").read_text()
