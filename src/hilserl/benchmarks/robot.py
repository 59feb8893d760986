"""Timing of a simulated arm's loop and server, and of stops."""

import contextlib
import http.client
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import numpy as np

from hilserl.errors import HilserlError

_STEPS, _HZ = 150, 10
_POSES = ([0.45, 0.1, 0.3, 1, 0, 0, 0], [0.47, 0.12, 0.28, 1, 0, 0, 0])
_LOADS = ("quiet", "half_open", "images", "states")
_STOPS, _HALF_OPEN, _CLIENTS = 100, 400, 100
_CALLS = {"pose": ("POST", "/pose"), "state": ("POST", "/getstate"), "frame": ("GET", "/cameras/front.npy")}


@contextlib.contextmanager
def _server() -> Iterator[int]:
    """Run a robot server in another process, and yield its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "hilserl", "robot-server", "--backend", "sim", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 (our own)
        try:
            if process.stdout is None or not process.stdout.readline():
                raise HilserlError("The robot server did not start.")
            yield port
        finally:
            process.terminate()


def _ask(port: int, method: str, path: str, body: object = None) -> bytes:
    """Send one request on a new connection, as HIL-SERL's clients do."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as line:
        line.request(method, path, json.dumps(body) if body is not None else None)
        answer = line.getresponse()
        if answer.status != http.HTTPStatus.OK:
            raise HilserlError(f"{method} {path} answered {answer.status}: {answer.read()!r}")
        return answer.read()


def figures() -> dict[str, float]:
    """Measure a client's requests at ten times a second, in microseconds."""
    seconds: dict[str, list[float]] = {name: [] for name in _CALLS}
    with _server() as port:
        # The first image opens the OpenGL context.
        _ask(port, *_CALLS["frame"])
        begun = time.monotonic()
        for step in range(_STEPS):
            for name, (method, path) in _CALLS.items():
                started = time.perf_counter()
                _ask(port, method, path, {"arr": _POSES[step // 10 % 2]} if name == "pose" else None)
                seconds[name].append(time.perf_counter() - started)
            time.sleep(max(0.0, begun + (step + 1) / _HZ - time.monotonic()))
        metrics = json.loads(_ask(port, "GET", "/metrics"))
        stops = {kind: _stops_s(port, kind) for kind in _LOADS}
    found = {f"robot.loop_{key}_us": 1e3 * metrics[f"loop_{key}_ms"] for key in _LOOP}
    for name, laps in seconds.items():
        p50, p99 = np.percentile(laps, [50, 99])
        found |= {f"robot.{name}_p50_us": 1e6 * p50, f"robot.{name}_p99_us": 1e6 * p99}
    for kind, laps in stops.items():
        found[f"robot.stop_{kind}_p99_ms"] = 1e3 * float(np.percentile(laps, 99))
    return found | {
        "robot.loop_ticks_skipped": metrics["loop_ticks_skipped"],
        "robot.loop_real_time_priority": metrics["loop_real_time_priority"],
        "robot.watchdog_holds": metrics["watchdog_holds"],
    }


_LOOP = tuple(f"{what}_{size}" for what in ("lateness", "busy") for size in ("p50", "p99", "max"))


def _stops_s(port: int, kind: str) -> list[float]:
    """Measure stops under a load; no later pose may be taken."""
    stop_port = json.loads(_ask(port, "GET", "/health"))["stop_port"]
    laps = []
    with _load(port, kind):
        for _ in range(_STOPS):
            _patiently(port, "POST", "/recover")
            started = time.perf_counter()
            _ask(stop_port, "POST", "/stop")
            laps.append(time.perf_counter() - started)
            with contextlib.suppress(HilserlError, OSError):
                _ask(port, "POST", "/pose", {"arr": _POSES[0]})
                raise AssertionError("The arm took a pose after it was stopped.")
    return laps


def _patiently(port: int, method: str, path: str) -> None:
    """Ask until the main server, which is under load, answers."""
    while True:
        with contextlib.suppress(OSError, http.client.HTTPException):
            _ask(port, method, path)
            return


@contextlib.contextmanager
def _load(port: int, kind: str) -> Iterator[None]:
    """Put a load on the main server from another process."""
    if kind == "quiet":
        yield
        return
    command = [sys.executable, "-m", "hilserl.benchmarks.robot", str(port), kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 (our own)
        try:
            if process.stdout is None or not process.stdout.readline():
                raise HilserlError(f"The load of {kind} did not start.")
            yield
        finally:
            process.kill()


def _put_load(port: int, kind: str) -> None:
    """Hold silent connections, or ask again and again, until killed."""
    if kind == "half_open":
        lines = [socket.create_connection(("127.0.0.1", port)) for _ in range(_HALF_OPEN)]
        print("ready", flush=True)
        while True:
            for number, line in enumerate(lines):
                try:
                    line.send(b"P")
                except OSError:
                    line.close()
                    lines[number] = socket.create_connection(("127.0.0.1", port))
            time.sleep(0.5)
    threads = [threading.Thread(target=_ask_on, args=(port, kind)) for _ in range(_CLIENTS)]
    for thread in threads:
        thread.start()
    print("ready", flush=True)


def _ask_on(port: int, kind: str) -> None:
    method, path = _CALLS["frame" if kind == "images" else "state"]
    while True:
        with contextlib.suppress(HilserlError, OSError, http.client.HTTPException):
            _ask(port, method, path)


if __name__ == "__main__":
    _put_load(int(sys.argv[1]), sys.argv[2])
