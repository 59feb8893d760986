"""Server of one route, POST /stop, in a process of its own.

No request to the main server, and no load on it, delays a stop. Connections without a whole request are closed after a
short time, and the oldest one makes room for a new one.
"""

import asyncio
import contextlib
import multiprocessing
import os
import signal
import socket

import h11

from hilserl.robot.control.backend import LostError, StopMemory
from hilserl.robot.control.loop import request_real_time
from hilserl.robot.control.shared_state import SharedState
from hilserl.robot.control.stop_line import StopLine
from hilserl.robot.http.access import Access
from hilserl.robot.http.schemas import error_body, stop_reason

MAX_CONNECTIONS = 256
"""Connections that are kept at once."""
REQUEST_S = 3.0
"""Time within which a request has to be complete."""
_MAX_BODY_BYTES = 4096
_HALT_S = 1.0
_PRIORITY = 5
_READ_BYTES = 4096


class StopServer:
    """Process that serves POST /stop until it is closed.

    Args:
        memory: the arm's shared memory.
        listening: a socket that listens already.
        access: who may ask.
    """

    def __init__(self, memory: StopMemory, listening: socket.socket, access: Access) -> None:
        context = multiprocessing.get_context("spawn")
        self._process = context.Process(target=_run, args=(memory, listening, access), name="stop", daemon=True)
        self._process.start()
        listening.close()

    @property
    def is_serving(self) -> bool:
        """True while the process lives."""
        return self._process.is_alive()

    def close(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.join()


def _run(memory: StopMemory, listening: socket.socket, access: Access) -> None:
    # The main server ends this process; a signal to the whole group must not end it first.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    request_real_time(_PRIORITY)
    state = SharedState(memory.state, memory.layout, memory.stale_s)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(_Stops(StopLine(memory.line), state, access), listening))


async def _serve(stops: "_Stops", listening: socket.socket) -> None:
    parent = os.getppid()
    async with await asyncio.start_server(stops.answer, sock=listening, limit=_READ_BYTES):
        while os.getppid() == parent:
            await asyncio.sleep(0.5)


class _Stops:
    """Answers to the connections of the stop server."""

    def __init__(self, line: StopLine, state: SharedState, access: Access) -> None:
        self._line, self._state, self._access = line, state, access
        self._open: dict[asyncio.StreamWriter, None] = {}

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request and close the connection."""
        self._open[writer] = None
        if len(self._open) > MAX_CONNECTIONS:
            # The oldest connection without a request makes room.
            next(iter(self._open)).close()
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=_READ_BYTES)
        try:
            async with asyncio.timeout(REQUEST_S):
                status, body = await self._requested(reader, connection, _address(writer))
                writer.write(_response(connection, status, body))
                await writer.drain()
        except (TimeoutError, OSError, h11.RemoteProtocolError):
            pass  # nothing that could be answered
        finally:
            self._open.pop(writer, None)
            writer.close()

    async def _requested(
        self, reader: asyncio.StreamReader, connection: h11.Connection, address: str
    ) -> tuple[int, bytes]:
        head: h11.Request | None = None
        body = b""
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(await reader.read(_READ_BYTES))
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > _MAX_BODY_BYTES:
                    return 413, error_body("The body is too large.")
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                return self._stop(head, body, address)
            else:
                raise h11.RemoteProtocolError("no request")

    def _stop(self, head: h11.Request, body: bytes, address: str) -> tuple[int, bytes]:
        headers = {name.decode().lower(): value.decode(errors="replace") for name, value in head.headers}
        if refused := self._access.refusal(headers):
            return refused[0], error_body(refused[1])
        if (head.method, head.target) != (b"POST", b"/stop"):
            return 404, error_body("Unknown route. Available: POST /stop.")
        try:
            client = headers.get("x-client", "")[:64] or address
            self._line.halt(self._state, f"stopped by {client}: {stop_reason(body)}", _HALT_S)
        except LostError as error:
            return 503, error_body(str(error))
        return 200, b'{"stopped": true}'


def _address(writer: asyncio.StreamWriter) -> str:
    peer = writer.get_extra_info("peername")
    return str(peer[0]) if peer else "unknown"


def _response(connection: h11.Connection, status: int, body: bytes) -> bytes:
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body))), ("Connection", "close")]
    parts = (h11.Response(status_code=status, headers=headers), h11.Data(data=body), h11.EndOfMessage())
    return b"".join(connection.send(part) or b"" for part in parts)
