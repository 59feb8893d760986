"""Checks of this machine.

Each runs in a process, because a broken driver may end it.
"""

import contextlib
import importlib
import json
import os
import platform
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import NoReturn

from hilserl.errors import HilserlError

LEARNER_PORT = 50051
NEEDED_DISK_GB = 2.0
PATIENCE_S = 9.0
"""Longest time for all checks together, which run side by side."""
GL_PACKAGES = ("libegl1", "libgl1", "libegl-mesa0", "libgl1-mesa-dri")
"""Debian's packages of software OpenGL."""
_CONSOLE_PORT = 8080
_OPENGL_FAULT = re.compile(r"glGetError|GLError|GLContext|OpenGL|libEGL|MUJOCO_GL|osmesa", re.IGNORECASE)
"""Words of a traceback that ends in a missing graphics library."""
_PIP = f"{shlex.quote(sys.executable)} -m pip install"


@dataclass(frozen=True)
class CheckResult:
    """Result of one check."""

    passed: bool
    """True if the thing works."""
    text: str
    """Its state, or its fault, on one line."""
    command: str = ""
    """Command that mends the fault; empty if there is none."""


class FaultError(HilserlError):
    """Fault of this machine, with the command that mends it."""

    def __init__(self, text: str, command: str) -> None:
        super().__init__(text)
        self.command = command


def _python() -> str:
    return f"{platform.python_version()} on {platform.platform()}, {os.cpu_count()} cores"


def _packages() -> str:
    from packaging.requirements import Requirement

    shown = []
    for text in requires("hilserl") or []:
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        name, command = requirement.name, f'{_PIP} "{requirement.name}{requirement.specifier}"'
        try:
            found = version(name)
        except PackageNotFoundError as error:
            raise FaultError(f"{name} is missing", command) from error
        if not requirement.specifier.contains(found, prereleases=True):
            raise FaultError(f"{name} is {found}; hilserl needs {requirement.specifier}", command)
        shown += [f"{name} {found}"] * (name in ("mujoco", "jax", "numpy", "pyarrow"))
    return ", ".join(shown)


def _policies() -> str:
    from hilserl import tasks
    from hilserl.policies.built_in import built_in_policy, built_in_tasks

    for task in built_in_tasks():
        weights = built_in_policy(task) / "policy.safetensors"
        if not weights.is_file() or weights.stat().st_size < 10_000:
            raise FaultError(f"the weights of {task} are not in {weights.parent}", _reinstall())
    return f"{len(built_in_tasks())} trained policies, {len(tasks.names())} tasks"


def _simulation() -> str:
    from hilserl.tasks import make_sim_env

    env = make_sim_env("pick_cube", obs="state")
    env.reset(seed=0)
    env.step(env.supervision.expert_action())
    env.close()
    return "a task steps"


def _opengl() -> str:
    from hilserl import opengl
    from hilserl.tasks import make_sim_env

    if opengl.trouble:
        raise FaultError(f"OpenGL cannot be loaded: {opengl.trouble}", _mend_opengl())
    env = make_sim_env("pick_cube")
    env.reset(seed=0)
    image = env.scene.image(120, 160)
    env.close()
    if image.std() < 1:
        raise FaultError("OpenGL renders an empty image", _mend_opengl())
    return f"renders offscreen with MUJOCO_GL={os.environ.get('MUJOCO_GL', 'glfw')}"


def _jax() -> str:
    import jax

    names = [f"{device.platform}:{device.device_kind}" for device in jax.devices()]
    if jax.default_backend() == "cpu" and shutil.which("nvidia-smi"):
        return f"{', '.join(names)}; to use the NVIDIA GPU: {_PIP} 'jax[cuda12]=={jax.__version__}'"
    return ", ".join(names) + ("; a CPU is enough" if jax.default_backend() == "cpu" else "")


def _video() -> str:
    import av
    import numpy as np

    stream = av.CodecContext.create("libx264", "w")
    stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
    packets = [*stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8))), *stream.encode(None)]
    return f"PyAV {av.__version__} encodes H.264 ({sum(packet.size for packet in packets)} bytes)"


def _console() -> str:
    from hilserl.operators.console.viewers import has_display

    for port in range(_CONSOLE_PORT, _CONSOLE_PORT + 100):
        if _is_free(port):
            page = f"the page at http://127.0.0.1:{port}/"
            return f"a window, or {page} with --console.view web" if has_display() else page
    raise FaultError("no free port from 8080 to 8179", "hilserl demo --console.port 9000")


def _disk() -> str:
    free_gb = shutil.disk_usage(".").free / 1e9
    if free_gb < NEEDED_DISK_GB:
        command = f"du -sh {shlex.quote(str(Path.cwd()))}/* | sort -h"
        raise FaultError(f"{free_gb:.1f} GB are free here; a run wants {NEEDED_DISK_GB:.0f} GB", command)
    return f"{free_gb:.0f} GB free here"


def _port() -> str:
    if _is_free(LEARNER_PORT):
        return f"127.0.0.1:{LEARNER_PORT} is free for a learner"
    other = next(port for port in range(LEARNER_PORT + 1, LEARNER_PORT + 1000) if _is_free(port))
    raise FaultError(
        f"another program has 127.0.0.1:{LEARNER_PORT}, the learner's port",
        f"hilserl learner pick_cube --listen 127.0.0.1:{other}",
    )


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _devices() -> str:
    from hilserl.operators.devices.discovery import attached_devices

    return "; ".join(attached_devices())


def _mend_opengl() -> str:
    from hilserl import opengl

    if opengl.wanted not in ("", "egl", "glfw"):
        return "unset MUJOCO_GL"
    if shutil.which("apt-get"):
        return f"sudo apt-get install {' '.join(GL_PACKAGES)}"
    if shutil.which("dnf"):
        return "sudo dnf install mesa-libEGL mesa-libGL mesa-dri-drivers"
    return f"{_PIP} --force-reinstall mujoco"


def _reinstall() -> str:
    return f"{_PIP} --force-reinstall --no-deps {_source()}"


def _install_missing() -> str:
    return f"{_PIP} {_source()}"


def _source() -> str:
    """Return the words of pip for the package as it is installed."""
    checkout = Path(__file__).parents[3]
    return f"--editable {shlex.quote(str(checkout))}" if (checkout / "pyproject.toml").exists() else "hilserl"


@dataclass(frozen=True)
class Check:
    """One check."""

    run: Callable[[], str]
    """Returns the state of the thing, or raises."""
    mend: Callable[[], str]
    """Returns the command for faults that name none."""


def _reinstall_package(name: str) -> Callable[[], str]:
    return lambda: f"{_PIP} --force-reinstall {name}"


CHECKS: dict[str, Check] = {
    "python": Check(_python, _reinstall),
    "packages": Check(_packages, _reinstall),
    "policies": Check(_policies, _reinstall),
    "simulation": Check(_simulation, _reinstall_package("mujoco")),
    "opengl": Check(_opengl, _mend_opengl),
    "jax": Check(_jax, _reinstall_package("jax jaxlib")),
    "video": Check(_video, _reinstall_package("av")),
    "console": Check(_console, _reinstall_package("mujoco")),
    "disk": Check(_disk, lambda: ""),
    "port": Check(_port, lambda: ""),
    "devices": Check(_devices, lambda: ""),
}
"""All checks by name, in the order of their report."""


def check_here(name: str) -> CheckResult:
    """Run one check in this process."""
    try:
        return CheckResult(True, CHECKS[name].run())
    except FaultError as fault:
        return CheckResult(False, str(fault), fault.command)
    except HilserlError as error:
        return CheckResult(False, str(error), CHECKS[name].mend())


def check_all(patience_s: float = PATIENCE_S) -> dict[str, CheckResult]:
    """Run all checks side by side, each in a process.

    Args:
        patience_s: Time after which a check that has not ended counts as failed.
    """
    end = time.monotonic() + patience_s
    with contextlib.ExitStack() as stack:
        processes = {name: stack.enter_context(_start(name)) for name in CHECKS}
        try:
            return {name: _finding(name, process, end) for name, process in processes.items()}
        finally:
            for process in processes.values():
                process.kill()


def _start(name: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "hilserl.cli.machine_checks", name]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # noqa: S603 (our own)


def _finding(name: str, process: "subprocess.Popen[str]", end_s: float) -> CheckResult:
    try:
        shown, errors = process.communicate(timeout=max(0.0, end_s - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        alone = f"{shlex.quote(sys.executable)} -m hilserl.cli.machine_checks {name}"
        return CheckResult(False, f"no answer within {PATIENCE_S:.0f} s; it may only be slow", alone)
    if process.returncode == 0:
        return CheckResult(**json.loads(shown.splitlines()[-1]))
    return fault_of(name, process.returncode, errors)


def fault_of(name: str, status: int, errors: str) -> CheckResult:
    """Return the finding of a check that crashed."""
    lines = errors.strip().splitlines()
    ended = f"ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
    text = lines[-1] if lines else ended
    if "ModuleNotFoundError" in text:
        return CheckResult(False, text, _install_missing())
    # MuJoCo loads OpenGL when it is imported, so that the fault stops other checks, too.
    if _OPENGL_FAULT.search(errors):
        return CheckResult(False, f"OpenGL cannot be loaded: {text}", _mend_opengl())
    return CheckResult(False, text, CHECKS[name].mend())


def main(name: str) -> NoReturn:
    """Run one check and print its finding as JSON."""
    importlib.import_module("hilserl")
    print(json.dumps(asdict(check_here(name))))
    sys.exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
