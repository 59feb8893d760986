"""ROS programs that the server runs.

They are franka_control with a controller, and a gripper's driver.
"""

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Literal

from hilserl.errors import HilserlError
from hilserl.robot.control.backend import GripperKind
from hilserl_ros1.options import RosOptions

_END_S = 25.0
"""Time for a program to end.

roslaunch gives its nodes 15 s, then 2 s more, then it kills them; nodes of a killed roslaunch live on.
"""


Controller = Literal["impedance", "joint"]


class Programs:
    """At most one controller, and a gripper's driver while the server runs.

    All methods but `status`, `has_ended` and `terminate` block.
    """

    def __init__(self, robot_ip: str, options: RosOptions, gripper: GripperKind) -> None:
        self._prefix = shlex.split(options.environment)
        self._arguments = (f"robot_ip:={robot_ip}", f"load_gripper:={str(gripper == 'franka').lower()}")
        self._is_closing = False
        self._launch: _Program | None = None
        self._driver: _Program | None = None
        self._driver_ip = options.gripper_ip if gripper == "robotiq" else None

    def start_driver(self) -> None:
        """Start the gripper's driver, if it has an address. Raises HilserlError without rosrun."""
        if self._driver_ip is not None:
            driver = ("rosrun", "robotiq_2f_gripper_control", "Robotiq2FGripperTcpNode.py", self._driver_ip)
            self._driver = _Program(*self._prefix, *driver)

    def launch(self, controller: Controller) -> float:
        """End the running controller, then launch another one.

        Returns:
            Time of the launch on the monotonic clock.

        Raises:
            HilserlError: roslaunch is missing, or the server is ending.
        """
        self.end_launch()
        if self._is_closing:
            raise HilserlError("The robot server is ending.")
        begun_s = time.monotonic()
        launch = ("roslaunch", "serl_franka_controllers", f"{controller}.launch", *self._arguments)
        self._launch = _Program(*self._prefix, *launch)
        return begun_s

    def end_launch(self) -> None:
        """End the running controller, if any."""
        if self._launch is not None:
            self._launch.end()
            self._launch = None

    def status(self) -> str:
        """Describe the state of the controller's roslaunch."""
        return self._launch.status() if self._launch is not None else "no controller is launched"

    @property
    def has_ended(self) -> bool:
        """True if no controller runs."""
        return self._launch is None or self._launch.has_ended

    def terminate(self) -> None:
        """Ask all programs to end, without waiting, and start no more."""
        self._is_closing = True
        for program in (self._launch, self._driver):
            if program is not None:
                program.terminate()

    def close(self) -> None:
        """End all programs."""
        for program in (self._launch, self._driver):
            if program is not None:
                program.end()


class _Program:
    """Command in a separate session, with output to standard error."""

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
                f"`{self._command}` cannot be started: {error}. Source ROS's setup.bash before, or name an env.sh with "
                f"--ros.environment."
            ) from error

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def status(self) -> str:
        status = self._process.poll()
        return f"`{self._command}` " + ("is running" if status is None else f"ended with status {status}")

    def terminate(self) -> None:
        # Not an interrupt: the loop's process ignores it, and its children inherit that.
        self._signal(signal.SIGTERM)

    def end(self) -> None:
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
    """Return the environment variables without the virtual environment.

    Its Python is not the one that ROS's programs need.
    """
    environment = dict(os.environ)
    if sys.prefix != sys.base_prefix:
        ours = str(Path(sys.prefix) / "bin")
        directories = environment.get("PATH", "").split(os.pathsep)
        environment["PATH"] = os.pathsep.join(directory for directory in directories if directory != ours)
        environment.pop("VIRTUAL_ENV", None)
    return environment
