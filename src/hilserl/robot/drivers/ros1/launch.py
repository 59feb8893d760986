"""The ROS programs that the server starts and ends: franka_control with a controller, and a gripper's driver."""

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hilserl.errors import HilserlError
from hilserl.robot.control.backend import GripperKind

_END_S = 25.0
"""Longer than roslaunch gives its nodes, which outlive it otherwise: 15 s, 2 s more, then it kills them."""


@dataclass(frozen=True)
class RosOptions:
    """The ROS that the arm is under."""

    gripper_ip: str | None = None
    """Starts the driver of a Robotiq gripper at this address; without it the driver runs already."""
    master_uri: str | None = None
    """The ROS master; by default what ROS_MASTER_URI says."""
    environment: str = ""
    """Words before `roslaunch` and `rosrun`, as /home/me/catkin_ws/devel/env.sh."""


Controller = Literal["impedance", "joint"]


class Programs:
    """At most one controller, and a gripper's driver for as long as the server runs. Everything blocks."""

    def __init__(self, robot_ip: str, options: RosOptions, gripper: GripperKind) -> None:
        self._words = shlex.split(options.environment)
        self._arguments = (f"robot_ip:={robot_ip}", f"load_gripper:={str(gripper == 'franka').lower()}")
        self._is_closing = False
        self._launch: _Program | None = None
        self._driver: _Program | None = None
        self._driver_ip = options.gripper_ip if gripper == "robotiq" else None

    def start_driver(self) -> None:
        """Of the gripper, where there is one to start. Raises HilserlError where there is no rosrun."""
        if self._driver_ip is not None:
            driver = ("rosrun", "robotiq_2f_gripper_control", "Robotiq2FGripperTcpNode.py", self._driver_ip)
            self._driver = _Program(*self._words, *driver)

    def launch(self, controller: Controller) -> float:
        """Ends the other controller first; returns when that was done, on the monotonic clock.

        Raises HilserlError where there is no roslaunch.
        """
        self.end_launch()
        if self._is_closing:
            raise HilserlError("The robot server is ending.")
        begun_s = time.monotonic()
        launch = ("roslaunch", "serl_franka_controllers", f"{controller}.launch", *self._arguments)
        self._launch = _Program(*self._words, *launch)
        return begun_s

    def end_launch(self) -> None:
        if self._launch is not None:
            self._launch.end()
            self._launch = None

    def fate(self) -> str:
        """What became of the controller's roslaunch."""
        return self._launch.fate() if self._launch is not None else "no controller is launched"

    @property
    def has_ended(self) -> bool:
        """Whether no controller is launched, be it that it ended by itself."""
        return self._launch is None or self._launch.has_ended

    def terminate(self) -> None:
        """Does not wait, and keeps others from being started."""
        self._is_closing = True
        for program in (self._launch, self._driver):
            if program is not None:
                program.terminate()

    def close(self) -> None:
        """Returns once everything has ended."""
        for program in (self._launch, self._driver):
            if program is not None:
                program.end()


class _Program:
    """A command in a session of its own; what it prints goes where the server's errors go."""

    def __init__(self, *command: str) -> None:
        self._command = shlex.join(command)
        try:
            self._process = subprocess.Popen(  # noqa: S603 (the words are the user's)
                command,
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr,
                env=_environment(),
                start_new_session=True,
            )
        except OSError as error:
            raise HilserlError(
                f"`{self._command}` cannot be started: {error}. Is ROS's setup.bash sourced? "
                f"--ros.environment names an env.sh to start it with."
            ) from error

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def fate(self) -> str:
        status = self._process.poll()
        return f"`{self._command}` " + ("is running" if status is None else f"ended with status {status}")

    def terminate(self) -> None:
        # Not an interrupt: the loop's process ignores it, and its children begin as it is.
        self._signal(signal.SIGTERM)

    def end(self) -> None:
        """Returns once it is gone."""
        self.terminate()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


def _environment() -> dict[str, str]:
    """This process's, but for the virtual environment, whose Python is not the one that ROS's programs are made for."""
    environment = dict(os.environ)
    if sys.prefix != sys.base_prefix:
        ours = str(Path(sys.prefix) / "bin")
        folders = environment.get("PATH", "").split(os.pathsep)
        environment["PATH"] = os.pathsep.join(folder for folder in folders if folder != ours)
        environment.pop("VIRTUAL_ENV", None)
    return environment
