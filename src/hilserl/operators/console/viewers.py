"""MuJoCo Studio's viewers, adapted to a robot's console.

Studio's web viewer listens on every interface, accepts pages of any origin, misses short taps, and keeps a key held
until it hears otherwise; it has no settings for these (mujoco 4.0.0, studio/web/web_server.py). A robot needs the
opposite, so this module replaces the address, the server and the banner when a console is opened.
"""

import asyncio
import collections.abc
import functools
import logging
import os
import re
import sys
import time
from collections.abc import Callable
from typing import Any

import mujoco
from mujoco.studio import endpoints, launch_thread, messages, plugin, viewer_handle, viewer_protocol, web_viewer
from mujoco.studio.web import web_server
from typing_extensions import override
from websockets.asyncio.server import ServerConnection, serve

from hilserl.errors import HilserlError
from hilserl.operators.console.messages import Presence
from hilserl.operators.console.page_access import Answer, PageAccess
from hilserl.operators.console.page_keys import PageKeys

LOOPBACK = "127.0.0.1"
BEEP = "beep"
"""Text at which the page's script plays a tone."""
SILENCE_S = 1.0
"""Silence after which a page counts as gone, in seconds.

A page that is open sends at every UI tick.
"""
_ORIGINS = (None, re.compile(r"http://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?"))
PING_S = 2.0
"""Time between two pings, and for the answer, in seconds."""
_WATCHED_TICK_S = 1 / 20


class PageHeartbeat:
    """The last sign of life of the page that controls the panel.

    Args:
        keys: keys of the page; none is held once the page is gone.
    """

    def __init__(self, keys: PageKeys) -> None:
        self._keys = keys
        self._connection: ServerConnection | None = None
        self._heard_s = -float("inf")

    def heard(self, connection: ServerConnection) -> None:
        """Take note of a message.

        The first message of a page is its version; the later ones carry the operator's input.
        """
        if connection is self._connection:
            self._heard_s = time.monotonic()
        else:
            self._connection, self._heard_s = connection, -float("inf")
            self._keys.release()

    def lost(self, connection: ServerConnection) -> None:
        """Take note of a closed connection."""
        if connection is self._connection:
            self._connection = None
            self._keys.release()

    def tell(self, text: str) -> None:
        """Send a text to the page's script, if a page is there."""
        if (connection := self._connection) is not None:
            asyncio.run_coroutine_threadsafe(connection.send(text), connection.loop)

    @property
    def answers(self) -> bool:
        """True if the page was heard recently."""
        return self._connection is not None and time.monotonic() - self._heard_s < SILENCE_S


def _serve_with(heartbeat: PageHeartbeat, keys: PageKeys, access: PageAccess) -> Callable[..., Any]:
    """Return `websockets.serve` for pages of this machine that show the token.

    Messages from the panel keep the heartbeat up to date, and bring the keys: as text, where Studio sends bytes.
    """

    class Connection(ServerConnection):
        """A connection that reports messages of the panel."""

        @override
        async def recv(self, decode: bool | None = None) -> Any:
            while True:
                message = await super().recv(decode)
                if self.request is None or not self.request.path.startswith("/ui"):
                    return message
                heartbeat.heard(self)
                if isinstance(message, bytes):
                    return message
                keys.hear(message)

        @override
        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            heartbeat.lost(self)

    changes = {"origins": _ORIGINS, "create_connection": Connection, "ping_interval": PING_S, "ping_timeout": PING_S}

    @functools.wraps(serve)
    def _serve(*arguments: Any, process_request: Answer, **options: Any) -> Any:
        return serve(*arguments, process_request=access.guarded(process_request), **(options | changes))

    return _serve


class LoopbackViewer(web_viewer.WebViewer):
    """Studio's web viewer on 127.0.0.1."""

    def __init__(
        self,
        config: viewer_protocol.ViewerConfig,
        endpoint: endpoints.ViewerEndpoint,
        plugins: list,
        access: PageAccess,
    ) -> None:
        self.page_keys = PageKeys()
        self.heartbeat = PageHeartbeat(self.page_keys)
        self.low_rate = True
        """True while the operator does not drive.

        The scene then updates at a lower rate, which leaves the machine to the learner.
        """
        logging.getLogger("WebServer").setLevel(logging.WARNING)
        web_viewer._print_url_banner = lambda host, port: None  # noqa: ARG005
        web_server.serve = _serve_with(self.heartbeat, self.page_keys, access)
        super().__init__(config, endpoint, plugins=plugins)

    @property
    def _host(self) -> str:
        return LOOPBACK

    @_host.setter
    def _host(self, value: str) -> None:
        """Ignore the base class's address: it is not safe for a robot."""

    def beep(self) -> None:
        """Let the operator's page play a tone."""
        self.heartbeat.tell(BEEP)

    @property
    def answers(self) -> bool:
        """True if the operator's page answers."""
        return self.heartbeat.answers

    @messages.handler(priority=messages.Priority.INTERNAL)
    def _on_post_model(self, event: messages.PostModelEvent) -> None:
        del event
        self._update_model()

    @override
    def prepare_next_frame(self) -> bool:
        if self.low_rate:
            time.sleep(_WATCHED_TICK_S)
        frame = super().prepare_next_frame()
        if not (frame and self.answers):
            self.send_to_sim(Presence(False, time.monotonic()))
        return frame


def open_web(port: int, plugins: list[plugin.Plugin], access: PageAccess) -> tuple[viewer_handle.ViewerHandle, int]:
    """Serve the console on loopback.

    A process can open only one such console: the images of a closed one crash the next one (mujoco 4.0.0).

    Args:
        port: the port; 0 takes the first free one from 8080.
        plugins: plugins of the viewer and the control loop.
        access: check of the page's requests.

    Returns:
        The viewer's handle and the port.

    Raises:
        HilserlError: the port is taken.
    """
    config = viewer_protocol.ViewerConfig(title="hilserl", gfx="web", http_port=port)
    opened: dict[str, int] = {}

    def _make(endpoint: endpoints.ViewerEndpoint, plugins: list) -> viewer_protocol.Viewer:
        viewer = LoopbackViewer(config, endpoint, plugins, access)
        # The server's thread may start late: a page that is opened before waits for it.
        viewer._http_sock.listen()
        opened["port"] = viewer._http_port
        return viewer

    address = f"{LOOPBACK}:{port or '8080 and up'}"
    failure = f"The console cannot listen on {address}; choose another port with --console.port, or 0 for a free one"
    handle = _launch(_make, plugins, failure)
    return handle, opened["port"]


def open_native(model: mujoco.MjModel, data: mujoco.MjData, plugins: list[plugin.Plugin]) -> viewer_handle.ViewerHandle:
    """Open a window on this machine's display.

    Raises:
        HilserlError: the machine has no display.
    """
    if not has_display():
        raise HilserlError("This machine has no display (DISPLAY is not set). Use the browser: --console.view web.")

    def _make(endpoint: endpoints.ViewerEndpoint, plugins: list) -> viewer_protocol.Viewer:
        # The viewer (mujoco 4.0.0) imports a name that exists since Python 3.12.
        if not hasattr(collections.abc, "Buffer"):
            setattr(collections.abc, "Buffer", object)  # noqa: B010
        from mujoco.studio import native_viewer

        # With hardware drawing this version finds no image to draw into.
        config = viewer_protocol.ViewerConfig(title="hilserl", gfx="opengl_software")
        return native_viewer.NativeViewer(config, endpoint, model=model, plugins=plugins)

    handle = _launch(_make, plugins, "The console's window cannot be opened")
    # The window crashes when the model changes, so it needs the right one from the start.
    handle.model, handle.data = model, data
    return handle


def has_display() -> bool:
    """Return True if this machine can show a window."""
    return sys.platform != "linux" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def _launch(
    make: Callable[[endpoints.ViewerEndpoint, list], viewer_protocol.Viewer],
    plugins: list[plugin.Plugin],
    failure: str,
) -> viewer_handle.ViewerHandle:
    """Start a viewer in a thread and wait until it is ready."""
    viewer_plugins, sim_plugins = plugin.split_plugins(plugins)
    ready: list[bool] = []

    def _run(endpoint: endpoints.ViewerEndpoint) -> None:
        viewer = make(endpoint, viewer_plugins)
        ready.append(True)
        viewer_protocol.run_viewer_loop(viewer)

    handle = launch_thread.launch_thread(_run, sim_plugins=sim_plugins)
    try:
        while not ready and handle.is_running():
            time.sleep(0.01)
    except (RuntimeError, OSError, ImportError, mujoco.FatalError) as error:
        raise HilserlError(f"{failure}. Reason: {error}") from error
    if not ready:
        raise HilserlError(f"{failure}.")
    return handle
