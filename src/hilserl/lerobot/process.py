"""Process of a device of LeRobot, started in LeRobot's interpreter."""

import importlib.util
import json
import multiprocessing
import subprocess
import sys
import threading
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

import msgspec

from hilserl.child_process import Streams, describe_end, end, start
from hilserl.errors import EnvUnavailableError, HilserlError
from hilserl.lerobot import bridge

Role = Literal["robot", "teleop"]

_START_S, _ANSWER_S, _END_S = 90.0, 3.0, 5.0
"""LeRobot imports torch, which takes long."""


class DeviceInfo(msgspec.Struct):
    """Description of a device, as LeRobot declares it."""

    lerobot: str
    """LeRobot's version."""
    name: str
    """Name of the device's class, as `so_follower`."""
    measured: list[str]
    """Keys of the measured numbers."""
    commanded: list[str]
    """Keys of an action."""
    cameras: list[str]
    """Keys of the images."""
    use_degrees: bool | None
    """True for degrees, False for percent. None if the device does not say."""
    calibration: dict[str, tuple[int, int]]
    """Ends of each motor's range, in 4096ths of a turn."""
    scene: str | None
    """Task of a simulated robot's scene; None for a real one."""


class BridgeProcess:
    """Process of a device, started at once; `info` describes the device.

    Args:
        role: robot or teleoperator.
        python: interpreter that has LeRobot.
        words: LeRobot's own flags without dashes, as `robot.type=so101_follower`.
        rate_hz: measurements a second.

    Raises:
        HilserlError: the device does not start; the message says why.
    """

    def __init__(self, role: Role, python: Path, words: Sequence[str], rate_hz: float) -> None:
        self.control, control = multiprocessing.Pipe()
        """Goals out, measurements in. Another process may take it over."""
        self._side, side = multiprocessing.Pipe()
        self._lock = threading.Lock()
        fds = control.fileno(), side.fileno()
        command = [str(python), "-P", bridge.__file__, role, *map(str, fds), str(rate_hz)]
        command += [f"--{word}" for word in words]
        try:
            # What LeRobot prints must not mix with this program's own output.
            self._process = start(command, "LeRobot", Streams(subprocess.DEVNULL, 2, None), fds)
        finally:
            control.close()
            side.close()
        try:
            self.info = self._described(python)
        except HilserlError:
            self.close()
            raise

    def _described(self, python: Path) -> DeviceInfo:
        if not self._side.poll(_START_S):
            raise HilserlError(f"LeRobot's device did not start within {_START_S:.0f} s in {python}.")
        try:
            message = json.loads(self._side.recv_bytes())
        except (EOFError, OSError) as error:
            raise HilserlError(
                f"LeRobot's process {describe_end(self._process, _END_S)} while it was starting; its error is above. "
                f"The interpreter was {python}."
            ) from error
        if "error" in message:
            raise HilserlError(message["error"])
        return msgspec.convert(message, DeviceInfo)

    @property
    def is_alive(self) -> bool:
        """True while the process lives."""
        return self._process.poll() is None

    def ask(self, **message: Any) -> dict[str, Any]:
        """Send a question on the side connection and return the answer.

        Raises:
            EnvUnavailableError: the process does not answer.
            HilserlError: it refuses the question.
        """
        with self._lock:
            return self._asked(message)

    def image(self, camera: str) -> tuple[bytes, tuple[int, int, int], float]:
        """Return the newest image of a camera.

        Returns:
            RGB bytes, their shape [height, width, 3], and the time by `time.monotonic`.

        Raises:
            EnvUnavailableError: the process does not answer, or the camera has no image.
        """
        with self._lock:
            answer = self._asked({"image": camera})
            return self._received(), tuple(answer["shape"]), answer["time_s"]

    def _asked(self, message: dict[str, Any]) -> dict[str, Any]:
        try:
            self._side.send_bytes(json.dumps(message).encode())
        except OSError as error:
            raise self._gone() from error
        answer = json.loads(self._received())
        if "error" in answer:
            raise EnvUnavailableError(f"LeRobot's device says: {answer['error']}")
        return answer

    def _received(self) -> bytes:
        try:
            if not self._side.poll(_ANSWER_S):
                # A late answer would be taken for the answer to the next question.
                self._side.close()
                raise EnvUnavailableError(
                    f"LeRobot's process did not answer within {_ANSWER_S:.0f} s; restart the server."
                )
            return self._side.recv_bytes()
        except (EOFError, OSError) as error:
            raise self._gone() from error

    def _gone(self) -> EnvUnavailableError:
        """Say how the process ended."""
        how = describe_end(self._process, _END_S)
        return EnvUnavailableError(f"LeRobot's process {how}; restart the server.")

    def close(self) -> None:
        """End the process, which disconnects the device."""
        self.control.close()
        self._side.close()
        end(self._process, _END_S)


def interpreter(python: Path | None) -> Path:
    """Return the interpreter of LeRobot's environment.

    Raises:
        HilserlError: none is named, and this one has no LeRobot; or it does not exist.
    """
    if python is None:
        if importlib.util.find_spec("lerobot") is None:
            raise HilserlError(
                "LeRobot is not installed beside hilserl. It wants Python 3.12 and an environment of its own: "
                "python3.12 -m venv lerobot-env && lerobot-env/bin/pip install 'lerobot[feetech]>=0.6,<0.7'; then "
                "name lerobot-env/bin/python with --lerobot.python (a robot) or --console.lerobot.python (a hand)."
            )
        return Path(sys.executable)
    if not python.is_file():
        raise HilserlError(f"There is no interpreter {python}. It is the bin/python of LeRobot's environment.")
    return python.absolute()  # resolving the link would leave the virtual environment


def take_flags(role: Role, words: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """Separate LeRobot's own flags from a command line.

    Args:
        role: `robot` for --robot.X, `teleop` for --teleop.X.
        words: the command line.

    Returns:
        The other words, and LeRobot's flags, each as NAME=VALUE.

    Raises:
        HilserlError: a flag has no value.
    """
    others, flags, rest = [], [], iter(words)
    for word in rest:
        if not word.startswith(f"--{role}."):
            others.append(word)
            continue
        if "=" not in word:
            value = next(rest, None)
            if value is None or value.startswith("--"):
                raise HilserlError(f"{word} needs a value, as LeRobot's own commands do: {word}=VALUE.")
            word = f"{word}={value}"
        flags.append(word.removeprefix("--"))
    return others, tuple(flags)


class Receiver:
    """Receiver of the newest message of a device.

    Args:
        connection: the control connection.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def newest(self, wait_s: float = 0.0) -> list[dict[str, Any]]:
        """Return all messages since the last call, in order.

        Args:
            wait_s: longest time to wait for the first one.

        Raises:
            EOFError: the device's process has ended.
        """
        messages = []
        try:
            while self._connection.poll(0.0 if messages else wait_s):
                messages.append(json.loads(self._connection.recv_bytes()))
        except OSError as error:
            raise EOFError("closed") from error
        return messages
