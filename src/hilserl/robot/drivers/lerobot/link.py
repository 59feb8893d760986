"""Link between the arm's loop and LeRobot's process."""

import json
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Protocol

from typing_extensions import override

from hilserl.lerobot.process import Receiver

_MOST_WAITING = 8
"""Most goals that wait. So a stuck process never blocks the loop."""


@dataclass(frozen=True)
class BusReading:
    """Measurement of a robot, or the reason why there is none."""

    time_s: float
    """Time by `time.monotonic`."""
    joints: dict[str, float]
    """LeRobot's numbers by key; empty if the bus failed."""
    clipped: bool
    """True if LeRobot's own limits changed the goal of this cycle."""
    failed: str
    """The driver's error; empty if the bus answered."""


class ServoLink(Protocol):
    """Goals to an arm's servos, measurements back, with the clock of both."""

    @property
    def ended(self) -> bool:
        """True once the servos cannot be reached any more."""
        ...

    def now_s(self) -> float:
        """Return the time on the clock of the measurements."""
        ...

    def read(self, wait_s: float) -> list[BusReading]:
        """Return the measurements since the last call, oldest first.

        Args:
            wait_s: longest time to wait for one.
        """
        ...

    def send(self, goal: dict[str, float]) -> bool:
        """Send goals of the servos; return False if too many wait already."""
        ...

    def reconnect(self) -> None:
        """Ask for a new connection to a bus that does not answer."""
        ...

    def close(self) -> None:
        """Close this end, which disconnects the robot once all ends are closed."""
        ...


class BridgeLink(ServoLink):
    """Goals to LeRobot's process, measurements back.

    Args:
        connection: the control connection of `BridgeProcess`.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection, self._receiver = connection, Receiver(connection)
        self._number = self._taken = 0
        self._ended = False

    @property
    @override
    def ended(self) -> bool:
        return self._ended

    @override
    def now_s(self) -> float:
        return time.monotonic()

    @override
    def read(self, wait_s: float) -> list[BusReading]:
        if self._ended:
            time.sleep(wait_s)  # nothing else gives the loop its time
            return []
        try:
            messages = self._receiver.newest(wait_s)
        except EOFError:
            self._ended = True
            return []
        for message in messages:
            self._taken = message["taken"]
        return [
            BusReading(each["time_s"], each.get("joints", {}), each.get("clipped", False), each.get("failed", ""))
            for each in messages
        ]

    @override
    def send(self, goal: dict[str, float]) -> bool:
        if self._ended or self._number - self._taken >= _MOST_WAITING:
            return False
        return self._write({"goal": goal})

    @override
    def reconnect(self) -> None:
        self._write({"reconnect": True})

    def _write(self, message: dict[str, Any]) -> bool:
        self._number += 1
        try:
            self._connection.send_bytes(json.dumps({**message, "number": self._number}).encode())
        except OSError:
            self._ended = True
        return not self._ended

    @override
    def close(self) -> None:
        self._connection.close()
