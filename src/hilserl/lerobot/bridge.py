"""Serve a robot or a teleoperator of LeRobot to another process.

`hilserl.lerobot.process` runs this file in LeRobot's interpreter, which need not have hilserl. It imports the standard
library and LeRobot alone, and uses only the documented methods of LeRobot's `Robot` and `Teleoperator`.

    python -P bridge.py robot CONTROL SIDE RATE_HZ --robot.type=so101_follower --robot.port=/dev/ttyACM0

CONTROL and SIDE are file descriptors of connections of `multiprocessing`. All messages are JSON; an image is a JSON
message with its shape, then its bytes. The first message on SIDE describes the device, or has an `error`. On CONTROL
this file sends a measurement RATE_HZ times a second; a robot takes goals there. SIDE answers images and, for a
simulated robot, the truth of its scene.
"""

import dataclasses
import importlib
import importlib.metadata
import json
import logging
import pkgutil
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any

ROLES = {"robot": ("lerobot.robots", "Robot"), "teleop": ("lerobot.teleoperators", "Teleoperator")}
"""Package of each kind of device, with the prefix of its names."""
_SAME = 1e-6
"""Difference of a goal from what was sent that counts as none."""
_BEHIND_S = 0.5
"""Delay after which the schedule restarts instead of catching up."""


class DeviceError(Exception):
    """Reason why a device cannot be served, as a sentence."""


def make_device(role: str, words: list[str]) -> Any:
    """Make the device that the flags name, with LeRobot's own parser.

    Raises:
        DeviceError: LeRobot is missing, or there is no such device.
    """
    package, kind = ROLES[role]
    try:
        draccus = importlib.import_module("draccus")
        module = importlib.import_module(package)
        utils = importlib.import_module("lerobot.utils.import_utils")
    except ImportError as error:
        raise DeviceError(
            f"LeRobot cannot be imported by {sys.executable} ({error}). Install it there: "
            f"{sys.executable} -m pip install 'lerobot[feetech]>=0.6,<0.7', or name another interpreter."
        ) from error
    broken = _import_built_in(module)
    utils.register_third_party_plugins()
    words = _import_named(role, words)
    form = dataclasses.make_dataclass("Wanted", [(role, getattr(module, f"{kind}Config"))])
    try:
        wanted = draccus.parse(form, args=words)
    except (Exception, SystemExit) as error:  # draccus ends the program for some errors, and prints the reason
        more = f" Not importable here: {'; '.join(broken)}." if broken else ""
        raise DeviceError(f"LeRobot refuses {' '.join(words)}: {_sentence(error)}{more}") from error
    make = getattr(module, f"make_{'robot' if role == 'robot' else 'teleoperator'}_from_config")
    return make(getattr(wanted, role))


def _import_built_in(package: Any) -> list[str]:
    """Import LeRobot's own devices. Return those that lack a library."""
    broken = []
    for each in pkgutil.iter_modules(package.__path__):
        if each.ispkg:
            try:
                importlib.import_module(f"{package.__name__}.{each.name}")
            except ImportError as error:
                broken.append(f"{each.name} ({error})")
    return broken


def _import_named(role: str, words: list[str]) -> list[str]:
    """Import the package of --robot.discover_packages_path and its modules; return the other flags."""
    flag = f"--{role}.discover_packages_path="
    for word in words:
        if word.startswith(flag):
            package = importlib.import_module(word.removeprefix(flag))
            for each in pkgutil.iter_modules(getattr(package, "__path__", [])):
                importlib.import_module(f"{package.__name__}.{each.name}")
    return [word for word in words if not word.startswith(flag)]


def connect(device: Any, role: str, words: list[str]) -> None:
    """Connect without asking for a calibration.

    Raises:
        DeviceError: the device does not answer, or has no calibration.
    """
    try:
        device.connect(calibrate=False)
    except TypeError:
        device.connect()  # LeRobot's gamepad takes no argument
    calibrated = device.is_calibrated
    if not (calibrated() if callable(calibrated) else calibrated):
        device.disconnect()
        raise DeviceError(
            f"The {role} {device.name} has no calibration. Calibrate it once, in LeRobot's environment: "
            f"lerobot-calibrate {' '.join(words)}"
        )


def describe(device: Any, role: str) -> dict[str, Any]:
    """Return what the other process has to know of a device."""
    config = getattr(device, "config", None)
    calibration = getattr(device, "calibration", None) or {}
    seen = device.observation_features if role == "robot" else {}
    return {
        "lerobot": importlib.metadata.version("lerobot"),
        "name": str(device.name),
        "measured": [key for key, kind in seen.items() if kind is float],
        "commanded": _names(device.action_features),
        "cameras": [key for key, kind in seen.items() if isinstance(kind, tuple) and kind[-1] == 3],
        "use_degrees": getattr(config, "use_degrees", None),
        "calibration": {name: [each.range_min, each.range_max] for name, each in calibration.items()},
        "scene": getattr(device, "hilserl_scene", None),
    }


def _names(features: Any) -> list[str]:
    """Return the names in a device's action. LeRobot's gamepad declares those of a dataset."""
    return list(features["names"] if {"dtype", "names"} <= set(features) else features)


def _sentence(error: BaseException) -> str:
    """Return an error on one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:400]}"


class Schedule:
    """Steady rate of a loop."""

    def __init__(self, rate_hz: float) -> None:
        self._period_s, self._due = 1.0 / rate_hz, time.monotonic()

    def wait(self) -> None:
        """Wait until the next cycle is due."""
        self._due = max(self._due + self._period_s, time.monotonic() - _BEHIND_S)
        time.sleep(max(0.0, self._due - time.monotonic()))


class RobotLoop:
    """Loop of a robot: goals in, measurements out.

    Without a new goal the servos hold the last one. A failed cycle is reported, and the next one tries again.
    """

    def __init__(self, robot: Any, control: Connection, side: Connection, words: list[str]) -> None:
        self._robot, self._control, self._side, self._words = robot, control, side, words
        self._lock = threading.Lock()
        self._images: dict[str, Any] = {}
        self._seen_s = 0.0
        self._taken = 0

    def run(self, schedule: Schedule, ending: threading.Event) -> None:
        """Serve until the other process closes a connection."""
        threading.Thread(target=self._answer_side, name="side", daemon=True).start()
        while not ending.is_set():
            goal, reconnect = None, False
            while self._control.poll():
                message = json.loads(self._control.recv_bytes())
                reconnect |= message.get("reconnect", False)
                goal, self._taken = message.get("goal", goal), message["number"]
            report = self._cycle(goal, reconnect=reconnect)
            self._control.send_bytes(json.dumps({**report, "taken": self._taken, "time_s": self._seen_s}).encode())
            schedule.wait()

    def _cycle(self, goal: dict[str, float] | None, *, reconnect: bool) -> dict[str, Any]:
        try:
            with self._lock:
                if reconnect:
                    self._reconnect()
                sent = self._robot.send_action(goal) if goal else {}
                seen = self._robot.get_observation()
                self._seen_s = time.monotonic()
                self._images = {key: value for key, value in seen.items() if hasattr(value, "shape")}
        except Exception as error:  # noqa: BLE001 (each driver has its own; the arm's loop gets it)
            return {"failed": _sentence(error)}
        numbers = {key: float(value) for key, value in seen.items() if not hasattr(value, "shape")}
        clipped = bool(goal) and any(abs(sent[key] - number) > _SAME for key, number in goal.items() if key in sent)
        return {"joints": numbers, "clipped": clipped}

    def _reconnect(self) -> None:
        """Connect again, if the device still does not answer."""
        try:
            self._robot.get_observation()
        except Exception:  # noqa: BLE001 (a device that answers needs no new connection)
            if self._robot.is_connected:
                try:
                    self._robot.disconnect()
                except Exception as error:  # noqa: BLE001 (it was lost anyway, and connecting says if it is still)
                    logging.getLogger("hilserl.bridge").warning("While disconnecting: %s", _sentence(error))
            connect(self._robot, "robot", self._words)

    def _answer_side(self) -> None:
        try:
            while True:
                message = json.loads(self._side.recv_bytes())
                try:
                    self._answer(message)
                except Exception as error:  # noqa: BLE001 (the other process raises it)
                    self._say({"error": _sentence(error)})
        except (EOFError, OSError):
            return

    def _answer(self, message: dict[str, Any]) -> None:
        if (camera := message.get("image")) is not None:
            with self._lock:
                image, time_s = self._images.get(camera), self._seen_s
            if image is None:
                raise DeviceError(f"The camera {camera} has given no image yet.")
            self._say({"shape": image.shape, "time_s": time_s})
            self._side.send_bytes(image.tobytes())
            return
        with self._lock:
            if "reset_scene" in message:
                self._robot.reset_scene(message["reset_scene"])
            self._say({"truth": self._robot.truth()})

    def _say(self, message: dict[str, Any]) -> None:
        self._side.send_bytes(json.dumps(message).encode())


class TeleopLoop:
    """Loop of a teleoperator: its actions and events out."""

    def __init__(self, teleop: Any, control: Connection) -> None:
        self._teleop, self._control = teleop, control

    def run(self, schedule: Schedule, ending: threading.Event) -> None:
        """Serve until the other process closes the connection."""
        while not (ending.is_set() or self._control.poll()):
            try:
                action = {key: float(value) for key, value in self._teleop.get_action().items()}
                events = self._teleop.get_teleop_events() if hasattr(self._teleop, "get_teleop_events") else {}
                report = {"action": action, "events": {str(getattr(k, "value", k)): bool(v) for k, v in events.items()}}
            except Exception as error:  # noqa: BLE001 (each driver has its own; the operator's process gets it)
                report = {"failed": _sentence(error)}
            self._control.send_bytes(json.dumps(report).encode())
            schedule.wait()


def main(role: str, control_fd: str, side_fd: str, rate_hz: str, *words: str) -> None:
    """Serve a device until the other process closes its connections."""
    control, side = Connection(int(control_fd)), Connection(int(side_fd))
    ending = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        del number, frame
        ending.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        device = make_device(role, list(words))
        connect(device, role, list(words))
        described = describe(device, role)
    except Exception as error:  # noqa: BLE001 (the process that started this one shows it)
        reason = str(error) if isinstance(error, DeviceError) else _sentence(error)
        side.send_bytes(json.dumps({"error": reason}).encode())
        return
    try:
        side.send_bytes(json.dumps(described).encode())
        loop = RobotLoop(device, control, side, list(words)) if role == "robot" else TeleopLoop(device, control)
        loop.run(Schedule(float(rate_hz)), ending)
    except (EOFError, OSError):
        pass  # the other process has ended
    finally:
        device.disconnect()


if __name__ == "__main__":
    main(*sys.argv[1:])
