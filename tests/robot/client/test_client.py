"""Client of the robot server: addresses, answers and errors."""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
from typing_extensions import override

from hilserl.errors import HilserlError
from hilserl.robot.client.client import RobotClient
from hilserl.robot.control.backend import ArmStateError, LostError


@contextlib.contextmanager
def serving_answer(status: int, body: bytes) -> Iterator[tuple[RobotClient, list[dict[str, str]]]]:
    """Yield a client of a server with one answer, and its requests' headers."""
    requests: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(dict(self.headers))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.do_GET()

        @override
        def log_message(self, format: str, *args: object) -> None:
            """Print nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with contextlib.closing(RobotClient(f"http://127.0.0.1:{server.server_port}", "secret")) as client:
            yield client, requests
        server.shutdown()


@pytest.mark.parametrize("server", ["", "127.0.0.1:5000", "ftp://host", "http://"])
def test_client_refuses_an_invalid_address(server: str) -> None:
    with pytest.raises(HilserlError, match="Invalid robot server"):
        RobotClient(server)


def test_client_names_itself_and_shows_its_token() -> None:
    with serving_answer(200, b'{"pose": [1, 2]}') as (client, requests):
        assert np.array_equal(client.state()["pose"], [1.0, 2.0])
        client.get("health")
    assert {request["Authorization"] for request in requests} == {"Bearer secret"}
    names = {request["X-Client"] for request in requests}
    assert len(names) == 1
    assert names.pop().startswith("hilserl on ")
    (secret,) = {request["X-Lease"] for request in requests}
    assert len(secret) == 32


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, HilserlError), (401, HilserlError), (404, HilserlError), (409, ArmStateError), (503, LostError)],
)
def test_client_raises_the_error_of_the_status_with_the_server_s_reason(status: int, kind: type[HilserlError]) -> None:
    with serving_answer(status, json.dumps({"error": "the reason"}).encode()) as (client, _):
        with pytest.raises(HilserlError, match=r"/pose of .*the reason") as caught:
            client.post("pose", {"arr": []})
        assert type(caught.value) is kind


@pytest.mark.parametrize("page", [b"<html>Welcome!</html>", b"\xff"])
def test_client_names_a_server_that_is_not_a_robot_server(page: bytes) -> None:
    with (
        serving_answer(200, page) as (client, _),
        pytest.raises(HilserlError, match=r"127\.0\.0\.1.* is not a robot server"),
    ):
        client.get("health")


def test_client_says_what_to_do_if_no_server_answers() -> None:
    with pytest.raises(LostError, match=r"127\.0\.0\.1:9 does not answer /getstate.*hilserl robot-server"):
        RobotClient("http://127.0.0.1:9").state()
