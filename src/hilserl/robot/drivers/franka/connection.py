"""Torque-control connection to a Franka through libfranka."""

from collections.abc import Callable, Sequence
from typing import Any

from hilserl.errors import HilserlError
from hilserl.robot.control.backend import ArmStateError, Load
from hilserl.robot.drivers.franka.library import load_library

TICK_S = 0.001
_JOINTS = 7


class FrankaConnection:
    """Robot at an address, with or without torque control over it.

    libfranka's exceptions end here: a lost robot raises HilserlError, a refused command `ArmStateError`, and a control
    that the robot ends by itself calls `on_control_lost` with the robot's reason.

    Args:
        robot_ip: address of the robot.
        collision: joint torques N m [7], and forces N and moments N m [6] at the tool, that stop the robot.
        on_control_lost: called with the reason when the robot ends the control.

    Raises:
        HilserlError: no robot answers at the address.
    """

    def __init__(
        self,
        robot_ip: str,
        collision: tuple[Sequence[float], Sequence[float]],
        on_control_lost: Callable[[str], None],
    ) -> None:
        library = self._library = load_library()
        self._ip, self._collision, self._on_control_lost = robot_ip, collision, on_control_lost
        self._control: Any = None
        self._sent = [0.0] * _JOINTS
        self.missed = 0
        """Number of the robot's states that the loop came too late for."""
        try:
            # The loop asks for its priority itself, and the active control would not check.
            self.robot = library.Robot(robot_ip, library.RealtimeConfig.kIgnore)
            self.model = self.robot.load_model()
            self.first_state = self.robot.read_once()
        except (library.NetworkException, library.FrankaException, library.CommandException) as error:
            raise HilserlError(f"The robot at {robot_ip} cannot be controlled: {error}") from error

    @property
    def has_control(self) -> bool:
        """True if the robot takes torques from this connection."""
        return self._control is not None

    def read(self) -> Any:
        """Wait for the robot's next state. Raises HilserlError if the robot is lost."""
        try:
            if self._control is not None:
                try:
                    state, passed = self._control.readOnce()
                except self._library.ControlException as error:
                    self._end_control(error)
                else:
                    self.missed += max(0, round(passed.to_sec() / TICK_S) - 1)
                    return state
            return self.robot.read_once()
        except self._library.NetworkException as error:
            raise self._lost(error) from error

    def write(self, torque_Nm: list[float]) -> None:  # noqa: N803 (a unit)
        """Send joint torques. Raises HilserlError if the robot is lost."""
        self._sent = torque_Nm
        try:
            self._control.writeOnce(self._library.Torques(torque_Nm))
        except self._library.ControlException as error:
            self._end_control(error)
        except self._library.NetworkException as error:
            raise self._lost(error) from error

    def take_control(self) -> None:
        """Start torque control. Raises `ArmStateError` if the robot does not allow it."""
        torques, forces = (list(limits) for limits in self._collision)
        try:
            self.robot.set_collision_behavior(torques, torques, forces, forces)
            self._control = self.robot.start_torque_control()
        except (self._library.CommandException, self._library.ControlException) as error:
            raise ArmStateError(f"The robot does not take torques: {one_line(error)}") from error

    def give_up_control(self) -> None:
        """End torque control; the robot then holds itself."""
        if self._control is None:
            return
        last = self._library.Torques(self._sent)
        last.motion_finished = True
        try:
            self._control.writeOnce(last)
        except self._library.ControlException as error:
            self._end_control(error)
        # libfranka lets nothing else read while a control exists, finished or not.
        self._control = None

    def recover(self) -> None:
        """Clear the robot's errors. Raises `ArmStateError` if they stay."""
        try:
            self.robot.automatic_error_recovery()
        except (self._library.CommandException, self._library.ControlException) as error:
            raise ArmStateError(f"The robot does not recover: {one_line(error)}") from error

    def set_load(self, load: Load) -> None:
        """Set the load of the hand. Raises `ArmStateError` if the robot refuses it."""
        try:
            self.robot.set_load(load.mass_kg, list(load.centre_m), list(load.inertia_kg_m2))
        except self._library.CommandException as error:
            raise ArmStateError(f"The robot does not take this load: {error}") from error

    def _end_control(self, error: Exception) -> None:
        self._control = None
        self._on_control_lost(one_line(error))

    def _lost(self, error: Exception) -> HilserlError:
        self._control = None
        return HilserlError(f"The robot at {self._ip} is lost: {error}")


def one_line(error: Exception) -> str:
    """Return libfranka's message, which names the errors, without its line ends."""
    return " ".join(str(error).split())
