"""The other end of the robot server: a connection that is kept, and errors that say what to do."""

import io
import json
import os
import secrets
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
"""What a reset of the joints may take."""


class RobotClient:
    """Speaks to a robot server under a name of its own. From any thread; it connects when first asked something.

    All methods raise `LostError` where nobody answers, `ArmStateError` where the arm's state or another client forbids
    what is asked, and HilserlError where the request makes no sense to the server or the token is wrong.
    """

    def __init__(self, server: str, token: str | None = None) -> None:
        """`token` is by default the environment variable HILSERL_TOKEN's."""
        try:
            address = parse_url(server)
        except urllib3.exceptions.LocationParseError as error:
            raise HilserlError(f"{server!r} is no address of a robot server: {error}") from error
        if address.scheme not in ("http", "https") or not address.host:
            raise HilserlError(f"{server!r} is no address of a robot server; expected http://HOST:PORT.")
        self.server = server.rstrip("/")
        token = token or os.environ.get("HILSERL_TOKEN", "")
        headers = {"X-Client": f"hilserl-{secrets.token_hex(4)}", "Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self._pool = urllib3.PoolManager(maxsize=8, headers=headers, retries=False)

    def get(self, route: str, **query: object) -> Any:
        """What a route answers, from JSON."""
        return self._decoded(route, self._ask("GET", route, fields=query).data)

    def post(self, route: str, body: object = None, *, patient: bool = False) -> bytes:
        """What a route answers; `patient` waits for a whole minute."""
        content = b"" if body is None else json.dumps(body).encode()
        return self._ask("POST", route, body=content, answer_s=_LONG_S if patient else _ANSWER_S).data

    def state(self) -> dict[str, np.ndarray]:
        """What /getstate answers, each float64."""
        state = self._decoded("getstate", self.post("getstate"))
        return {name: np.array(value, dtype=np.float64) for name, value in state.items()}

    def picture(self, camera: str, height: int, width: int) -> np.ndarray:
        """uint8 [height, width, 3] RGB of one of the server's cameras."""
        answer = self._ask("GET", f"cameras/{camera}.npy", fields={"height": height, "width": width})
        return np.load(io.BytesIO(answer.data), allow_pickle=False)

    def _decoded(self, route: str, body: bytes) -> Any:
        try:
            return json.loads(body)
        except ValueError as error:
            raise HilserlError(
                f"What answers at {self.server} is no robot server: {body[:100]!r} to /{route}."
            ) from error

    def _ask(self, method: str, route: str, answer_s: float = _ANSWER_S, **more: Any) -> urllib3.BaseHTTPResponse:
        timeout = urllib3.Timeout(connect=_CONNECT_S, read=answer_s)
        try:
            answer = self._pool.request(method, f"{self.server}/{route}", timeout=timeout, **more)
        except urllib3.exceptions.HTTPError as error:
            raise LostError(
                f"The robot server at {self.server} does not answer /{route} ({type(error).__name__}); "
                "is `hilserl robot-server` running there?"
            ) from error
        if answer.status == HTTPStatus.OK:
            return answer
        raise _error(answer.status, f"/{route} of {self.server}: {_reason(answer.data)}")

    def close(self) -> None:
        """Lets the connections go."""
        self._pool.clear()


def _reason(body: bytes) -> str:
    try:
        said = json.loads(body)
    except ValueError:
        return body[:200].decode(errors="replace")
    return str(said["error"]) if isinstance(said, Mapping) and "error" in said else str(said)


def _error(status: int, text: str) -> HilserlError:
    kinds: dict[int, type[HilserlError]] = {
        HTTPStatus.CONFLICT: ArmStateError,
        HTTPStatus.SERVICE_UNAVAILABLE: LostError,
    }
    return kinds.get(status, HilserlError)(text)
