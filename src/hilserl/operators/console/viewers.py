"""MuJoCo Studio's viewers as an operator needs them: on loopback, silent, and aware of whether anybody is there.

Studio's web viewer listens on every interface, takes a page of any origin for its own, and keeps a key held for as long
as it hears nothing else; it has no settings for these (mujoco 4.0.0, studio/web/web_server.py). A robot needs the
opposite, so the address, the server and the banner are given other values here when a console is opened.
"""

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
from websockets.asyncio.server import ServerConnection, serve

from hilserl.errors import HilserlError
from hilserl.operators.console.messages import Presence

LOOPBACK = "127.0.0.1"
SILENCE_S = 1.0
"""A page that has sent nothing for so long is taken for gone; one that is there sends with every frame."""
_ORIGINS = (None, re.compile(r"http://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?"))
_PING_S = 2.0
_WATCHING_FRAME_S = 1 / 20


class _Line:
    """When the page that controls the panel was last heard."""

    def __init__(self) -> None:
        self._connection: object | None = None
        self._heard_s = -float("inf")

    def heard(self, connection: object) -> None:
        """The first thing that a page says is its version; from the second on it tells what the person does."""
        if connection is self._connection:
            self._heard_s = time.monotonic()
        else:
            self._connection, self._heard_s = connection, -float("inf")

    def lost(self, connection: object) -> None:
        if connection is self._connection:
            self._connection = None

    @property
    def answers(self) -> bool:
        return self._connection is not None and time.monotonic() - self._heard_s < SILENCE_S


def _server_of(line: _Line) -> Callable[..., Any]:
    """`websockets.serve` for pages of this machine only, telling `line` what it hears from the panel."""

    class Connection(ServerConnection):
        async def recv(self, decode: bool | None = None) -> Any:
            message = await super().recv(decode)
            if self.request is not None and self.request.path.startswith("/ui"):
                line.heard(self)
            return message

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            line.lost(self)

    changes = {"origins": _ORIGINS, "create_connection": Connection, "ping_interval": _PING_S, "ping_timeout": _PING_S}

    @functools.wraps(serve)
    def limited(*arguments: Any, **options: Any) -> Any:
        return serve(*arguments, **(options | changes))

    return limited


class LoopbackViewer(web_viewer.WebViewer):
    """The web viewer on 127.0.0.1."""

    def __init__(self, config: viewer_protocol.ViewerConfig, endpoint: endpoints.ViewerEndpoint, plugins: list) -> None:
        self.line = _Line()
        self.unhurried = True
        """Nobody drives: a slower picture will do, and leaves the machine to the learner."""
        logging.getLogger("WebServer").setLevel(logging.WARNING)
        web_viewer._print_url_banner = lambda host, port: None  # noqa: ARG005
        web_server.serve = _server_of(self.line)
        super().__init__(config, endpoint, plugins=plugins)

    @property
    def _host(self) -> str:
        return LOOPBACK

    @_host.setter
    def _host(self, value: str) -> None:
        """What the base class asks for is not what a robot needs."""

    @property
    def answers(self) -> bool:
        return self.line.answers

    @messages.handler(priority=messages.Priority.INTERNAL)
    def _on_post_model(self, event: messages.PostModelEvent) -> None:
        del event
        self._update_model()

    def prepare_next_frame(self) -> bool:
        if self.unhurried:
            time.sleep(_WATCHING_FRAME_S)
        frame = super().prepare_next_frame()
        if not (frame and self.answers):
            self.send_to_sim(Presence(False, time.monotonic()))
        return frame


def open_web(port: int, plugins: list[plugin.Plugin]) -> tuple[viewer_handle.ViewerHandle, int]:
    """Serves the console on loopback; 0 takes the first free port from 8080 on. Returns the handle and the port.

    A process opens one such console in its life: the pictures of a closed one would crash the next (mujoco 4.0.0).

    Raises HilserlError when the port is taken.
    """
    config = viewer_protocol.ViewerConfig(title="hilserl", gfx="web", http_port=port)
    opened: dict[str, int] = {}

    def make(endpoint: endpoints.ViewerEndpoint, plugins: list) -> viewer_protocol.Viewer:
        viewer = LoopbackViewer(config, endpoint, plugins)
        opened["port"] = viewer._http_port
        return viewer

    address = f"{LOOPBACK}:{port or '8080 and up'}"
    failure = f"The console cannot listen on {address}; choose another port with --console.port, or 0 for a free one"
    handle = _launch(make, plugins, failure)
    return handle, opened["port"]


def open_native(model: mujoco.MjModel, data: mujoco.MjData, plugins: list[plugin.Plugin]) -> viewer_handle.ViewerHandle:
    """Opens a window on this machine's display. Raises HilserlError where there is none."""
    if not has_display():
        raise HilserlError("There is no display here (DISPLAY is not set); use --console.view web.")

    def make(endpoint: endpoints.ViewerEndpoint, plugins: list) -> viewer_protocol.Viewer:
        # The viewer (mujoco 4.0.0) imports a name that Python has had since 3.12.
        if not hasattr(collections.abc, "Buffer"):
            setattr(collections.abc, "Buffer", object)  # noqa: B010
        from mujoco.studio import native_viewer

        # With the graphics card's own drawing this version finds no picture to draw into.
        config = viewer_protocol.ViewerConfig(title="hilserl", gfx="opengl_software")
        return native_viewer.NativeViewer(config, endpoint, model=model, plugins=plugins)

    handle = _launch(make, plugins, "The console's window cannot be opened")
    # It crashes when a world takes the place of another, so it has to have the right one from the first picture on.
    handle.model, handle.data = model, data
    return handle


def has_display() -> bool:
    return sys.platform != "linux" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def _launch(
    make: Callable[[endpoints.ViewerEndpoint, list], viewer_protocol.Viewer],
    plugins: list[plugin.Plugin],
    failure: str,
) -> viewer_handle.ViewerHandle:
    """Runs a viewer in a thread of its own and waits until it is there."""
    viewer_plugins, sim_plugins = plugin.split_plugins(plugins)
    ready: list[bool] = []

    def run(endpoint: endpoints.ViewerEndpoint) -> None:
        viewer = make(endpoint, viewer_plugins)
        ready.append(True)
        viewer_protocol.run_viewer_loop(viewer)

    handle = launch_thread.launch_thread(run, sim_plugins=sim_plugins)
    try:
        while not ready and handle.is_running():
            time.sleep(0.01)
    except (RuntimeError, OSError, ImportError, mujoco.FatalError) as error:
        raise HilserlError(f"{failure}. Reason: {error}") from error
    if not ready:
        raise HilserlError(f"{failure}.")
    return handle
