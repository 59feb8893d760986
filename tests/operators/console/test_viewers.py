"""Studio's viewers: refusals, and the internal names that the console replaces."""

import inspect
import socket
from typing import Any

import pytest
from mujoco.studio import launch_thread, viewer_handle, web_viewer
from mujoco.studio.web import web_server

from hilserl.errors import HilserlError
from hilserl.operators.console import viewers
from hilserl.operators.console.console import empty_scene
from hilserl.operators.console.page_access import PageAccess
from hilserl.operators.console.page_keys import PageKeys


def test_taken_port_is_named_with_its_flag() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(HilserlError, match=rf"{port}.*--console\.port"):
            viewers.open_web(port, [], PageAccess(None))


def test_window_without_a_display_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(HilserlError, match=r"--console\.view web"):
        viewers.open_native(*empty_scene(), [])


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (web_viewer, "_print_url_banner"),
        (web_server, "serve"),
        (web_viewer.WebViewer, "_update_model"),
        (web_viewer.WebViewer, "prepare_next_frame"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_studio_has_the_functions_that_the_console_replaces(owner: object, name: str) -> None:
    assert callable(getattr(owner, name))


@pytest.mark.parametrize(
    ("owner", "code"),
    [
        (web_viewer.WebViewer, "self._host = "),
        (web_viewer.WebViewer, "self._host, config.http_port"),
        (web_viewer.WebViewer, "self._http_port = "),
        (web_viewer.WebViewer, "self._http_sock = "),
        (web_viewer.WebViewer, "_print_url_banner(self._host, self._http_port)"),
        (web_viewer.WebViewer, "self.client_camera = "),
        (web_server, "from websockets.asyncio.server import serve"),
        (web_server, "await serve("),
        (launch_thread, "ViewerHandle"),
    ],
)
def test_studio_uses_the_names_that_the_console_replaces(owner: object, code: str) -> None:
    assert code in inspect.getsource(owner)  # pyright: ignore[reportArgumentType]


def test_studio_handle_has_the_names_that_the_console_reads() -> None:
    source = inspect.getsource(viewer_handle)
    for name in ("_is_running", "self.model", "self.data", "def sync", "def send_to_viewer", "def close"):
        assert name in source


def test_heartbeat_answers_from_the_second_message_until_the_page_is_lost() -> None:
    page: Any = object()
    other: Any = object()
    heartbeat = viewers.PageHeartbeat(PageKeys())
    assert not heartbeat.answers
    heartbeat.heard(page)
    assert not heartbeat.answers, "the first message is the page's version"
    heartbeat.heard(page)
    assert heartbeat.answers
    heartbeat.lost(other)
    assert heartbeat.answers
    heartbeat.lost(page)
    assert not heartbeat.answers
