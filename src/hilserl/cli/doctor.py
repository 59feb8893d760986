"""Check this machine, and say how to correct what fails."""

import contextlib
import os
import platform
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from hilserl.cli.parsing import parse
from hilserl.errors import HilserlError
from hilserl.settings import NotNegative

_PACKAGES = ("mujoco", "jax", "equinox", "optax", "pyarrow", "gymnasium", "numpy")
_LEARNER_PORT = 50051
_NEEDED_DISK_GB = 2.0


def _python() -> str:
    return f"{platform.python_version()} on {platform.platform()}, {os.cpu_count()} cores"


def _packages() -> str:
    try:
        return ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    except PackageNotFoundError as error:
        raise HilserlError(f"The package {error.name} is missing; run `make setup` again.") from error


def _simulation() -> str:
    from hilserl.tasks import make_sim_env

    env = make_sim_env("pick_cube")
    env.reset(seed=0)
    env.step(env.supervision.expert_action())
    return "a task steps"


def _opengl() -> str:
    from hilserl.tasks import make_sim_env

    env = make_sim_env("pick_cube")
    env.reset(seed=0)
    image = env.scene.image(120, 160)
    env.close()
    if image.std() < 1:
        raise HilserlError("OpenGL renders an empty image; try MUJOCO_GL=osmesa with the package libosmesa6.")
    return f"renders offscreen with MUJOCO_GL={os.environ.get('MUJOCO_GL', 'glfw')}"


def _jax() -> str:
    import jax

    names = [f"{device.platform}:{device.device_kind}" for device in jax.devices()]
    advice = "" if jax.default_backend() != "cpu" else " (a CPU is enough; with an NVIDIA GPU install hilserl[cuda])"
    return ", ".join(names) + advice


def _disk() -> str:
    free = shutil.disk_usage(".").free / 1e9
    if free < _NEEDED_DISK_GB:
        raise HilserlError(f"Only {free:.1f} GB are free here; a run wants {_NEEDED_DISK_GB:.0f} GB. Make room.")
    return f"{free:.0f} GB free here"


def _port() -> str:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", _LEARNER_PORT))
        except OSError as error:
            raise HilserlError(f"Port {_LEARNER_PORT} on 127.0.0.1 is taken ({error}); choose another.") from error
    return f"127.0.0.1:{_LEARNER_PORT} is free"


def _devices() -> str:
    from hilserl.operators.devices.discovery import attached_devices

    return "; ".join(attached_devices())


_CHECKS: dict[str, Callable[[], str]] = {
    "python": _python,
    "packages": _packages,
    "simulation": _simulation,
    "opengl": _opengl,
    "jax": _jax,
    "disk": _disk,
    "port": _port,
    "devices": _devices,
}


def _alone(name: str) -> tuple[bool, str]:
    """Run one check in another process, which a driver may end.

    Returns:
        True if the check passes, and the last line of its output.
    """
    command = [sys.executable, "-m", "hilserl.cli.doctor", name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)  # noqa: S603 (our own)
    except subprocess.TimeoutExpired:
        return False, "no answer within 120 s"
    lines = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
    fallback = f"ended with status {done.returncode}"
    return done.returncode == 0, lines[-1] if lines else fallback


def _live(seconds: float) -> int:
    from hilserl.operators.devices.discovery import ALL_MOTIONS, DEVICE_KINDS, open_all, watch_devices

    opened, reasons = open_all(ALL_MOTIONS)
    for reason in reasons:
        print(reason)
    if not opened:
        print("There is no device to watch.")
        return 1
    for kind in opened:
        for control in DEVICE_KINDS[kind].controls:
            print(f"  {control.label:<30} {control.meaning}")
    sources = [source for devices in opened.values() for source in devices]
    width = shutil.get_terminal_size().columns - 1
    try:
        watch_devices(
            sources,
            seconds,
            lambda line: print(f"\r{line[:width]}\033[K", end="", flush=True),
        )
    finally:
        print()
        for source in sources:
            source.close()
    return 0


def _learner(address: str, credentials: Path | None) -> int:
    """Ask a learner for its description, as an actor does."""
    from hilserl.address import Address
    from hilserl.distributed.credentials import load_credentials
    from hilserl.distributed.learner_client import LearnerClient

    line = LearnerClient(Address.parse(address), load_credentials(credentials))
    with contextlib.closing(line):
        line.describe()
        started = time.perf_counter()
        found = line.describe()
        answered_ms = 1e3 * (time.perf_counter() - started)
    fits = "fits this one" if found.version == version("hilserl") else f"this one is {version('hilserl')}"
    print(
        f"The learner at {address} answers in {answered_ms:.1f} ms: task {found.task}, "
        f"{found.facts.update_steps} update steps, {found.facts.online} steps, {found.actors} actors, "
        f"hilserl {found.version} ({fits})."
    )
    return 0


@dataclass(frozen=True)
class DoctorArguments:
    """Check this machine, and say how to correct what fails."""

    live: NotNegative = 0.0
    """Seconds to show the signals of the attached gamepad and SpaceMouse instead."""
    learner: str | None = None
    """Learner to ask for its description instead, HOST:PORT."""
    credentials: Path | None = None
    """Directory with the token and certificate of that learner, from `hilserl credentials`."""


def run(words: Sequence[str]) -> int:
    """Run all checks, or what the arguments ask for instead."""
    arguments = parse("doctor", DoctorArguments, words)
    if arguments.live > 0:
        return _live(arguments.live)
    if arguments.learner is not None:
        return _learner(arguments.learner, arguments.credentials)
    failures = 0
    for name in _CHECKS:
        passed, text = _alone(name)
        failures += not passed
        print(f"{'ok  ' if passed else 'FAIL'} {name:<11} {text}")
    print("All is well." if not failures else f"{failures} of {len(_CHECKS)} checks failed.")
    return min(failures, 1)


if __name__ == "__main__":
    try:
        print(_CHECKS[sys.argv[1]]())
    except HilserlError as failure:
        print(failure, file=sys.stderr)
        sys.exit(1)
