"""Client of the robot server, with persistent connections."""

import io
import json
import os
import secrets
import socket
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import numpy as np
import urllib3
from urllib3.util import parse_url

from hilserl.errors import HilserlError
from hilserl.robot.control.backend import ArmStateError, LostError

_CONNECT_S, _ANSWER_S = 2.0, 5.0
_LONG_S = 60.0
"""Time limit of a joint reset."""


class RobotClient:
    """Client of a robot server, with a secret that keeps its lease.

    It connects with the first request. All methods may be called from any thread. They raise `LostError` if no server
    answers, `ArmStateError` if the arm's state or another client forbids the command, and HilserlError if the server
    refuses the request or the token.

    Args:
        server: address of the server, http://HOST:PORT.
        token: token of the server; by default the environment variable HILSERL_TOKEN.
    """

    def __init__(self, server: str, token: str | None = None) -> None:
        try:
            address = parse_url(server)
        except urllib3.exceptions.LocationParseError as error:
            raise HilserlError(f"Invalid robot server {server!r}: {error}") from error
        if address.scheme not in ("http", "https") or not address.host:
            raise HilserlError(f"Invalid robot server {server!r}: expected http://HOST:PORT.")
        self.server = server.rstrip("/")
        token = token or os.environ.get("HILSERL_TOKEN", "")
        headers = {
            "X-Client": f"hilserl on {socket.gethostname()}"[:64],
            "X-Lease": secrets.token_hex(16),
            "Content-Type": "application/json",
        }
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self._pool = urllib3.PoolManager(maxsize=8, headers=headers, retries=False)

    def get(self, route: str, **query: object) -> Any:
        """Send a GET request and decode the JSON answer."""
        return self._decoded(route, self._request("GET", route, fields=query).data)

    def post(self, route: str, body: object = None, *, patient: bool = False) -> bytes:
        """Send a POST request and return the answer's body.

        Args:
            route: the route, without a slash.
            body: encoded as JSON; None for an empty body.
            patient: wait for up to a minute.
        """
        content = b"" if body is None else json.dumps(body).encode()
        return self._request("POST", route, body=content, answer_s=_LONG_S if patient else _ANSWER_S).data

    def state(self) -> dict[str, np.ndarray]:
        """Return the answer of /getstate, each value as a float64 array."""
        state = self._decoded("getstate", self.post("getstate"))
        return {name: np.array(value, dtype=np.float64) for name, value in state.items()}

    def image(self, camera: str, height: int, width: int) -> np.ndarray:
        """Return an image of a server's camera, uint8 [height, width, 3] RGB."""
        answer = self._request("GET", f"cameras/{camera}.npy", fields={"height": height, "width": width})
        return np.load(io.BytesIO(answer.data), allow_pickle=False)

    def _decoded(self, route: str, body: bytes) -> Any:
        try:
            return json.loads(body)
        except ValueError as error:
            raise HilserlError(
                f"The server at {self.server} is not a robot server: it answers {body[:100]!r} to /{route}."
            ) from error

    def _request(
        self,
        method: str,
        route: str,
        fields: Mapping[str, object] | None = None,
        body: bytes | None = None,
        answer_s: float = _ANSWER_S,
    ) -> urllib3.BaseHTTPResponse:
        query = {name: str(value) for name, value in (fields or {}).items()}
        timeout = urllib3.Timeout(connect=_CONNECT_S, read=answer_s)
        try:
            answer = self._pool.request(
                method, f"{self.server}/{route}", fields=query or None, body=body, timeout=timeout
            )
        except urllib3.exceptions.HTTPError as error:
            raise LostError(
                f"The robot server at {self.server} does not answer /{route} ({type(error).__name__}). "
                "Check that `hilserl robot-server` is running there."
            ) from error
        if answer.status == HTTPStatus.OK:
            return answer
        raise _error(answer.status, f"/{route} of {self.server}: {_reason(answer.data)}")

    def close(self) -> None:
        """Close all connections."""
        self._pool.clear()


def _reason(body: bytes) -> str:
    try:
        answer = json.loads(body)
    except ValueError:
        return body[:200].decode(errors="replace")
    return str(answer["error"]) if isinstance(answer, Mapping) and "error" in answer else str(answer)


def _error(status: int, text: str) -> HilserlError:
    kinds: dict[int, type[HilserlError]] = {
        HTTPStatus.CONFLICT: ArmStateError,
        HTTPStatus.SERVICE_UNAVAILABLE: LostError,
    }
    return kinds.get(status, HilserlError)(text)
