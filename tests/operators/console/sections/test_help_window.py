"""Help by `?`: the press on its way from the page to the window with the keys."""

from types import SimpleNamespace
from typing import Any

import pytest

from hilserl.operators.console.keyboard import Keyboard
from hilserl.operators.console.page_keys import HELP, KeyReading, PageKeys
from hilserl.operators.console.sections.help_window import HelpWindow
from hilserl.operators.devices.key_map import KEYS


class Page:
    """A viewer with the page's keys that keeps what is sent to the control loop."""

    def __init__(self) -> None:
        self.page_keys = PageKeys()
        self.sent: list[object] = []

    def send_to_sim(self, message: object) -> None:
        self.sent.append(message)


def press(keyboard: Keyboard, *messages: str) -> Page:
    page: Any = Page()
    for message in messages:
        page.page_keys.hear(message)
    keyboard.send_input(page, None, "", present=True)
    return page


def test_help_press_holds_no_key_down() -> None:
    keys = PageKeys()
    keys.hear("help")
    assert keys.take().pressed == (HELP,)
    assert keys.take() == KeyReading(frozenset(), ())


@pytest.mark.parametrize(("presses", "asked"), [(0, False), (1, True), (2, False), (3, True)])
def test_help_is_asked_for_by_an_odd_number_of_presses(presses: int, asked: bool) -> None:
    keyboard = Keyboard(KEYS)
    page = press(keyboard, *["help"] * presses)
    assert keyboard.take_help() is asked
    assert not keyboard.take_help()
    assert not page.sent, "help moves no robot and asks for no command"


def test_help_and_motion_do_not_disturb_each_other() -> None:
    keyboard = Keyboard(KEYS)
    page = press(keyboard, "down KeyW", "help", "down Tab")
    assert len(page.sent) == 2
    assert page.sent[0].held == frozenset({"W"})  # pyright: ignore[reportAttributeAccessIssue]
    assert keyboard.take_help()


def test_help_window_opens_and_closes_and_draws_nothing_while_closed() -> None:
    window = HelpWindow()
    window.draw((), with_marker=True)
    window.toggle()
    assert window.is_open
    window.toggle()
    assert not window.is_open
    window.draw(SimpleNamespace(), with_marker=True)  # pyright: ignore[reportArgumentType] (never looked at)
