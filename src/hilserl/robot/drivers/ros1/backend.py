"""A real Franka arm under ROS 1 behind the server."""

import time
from dataclasses import dataclass

from hilserl.robot.control.backend import ArmStateError, Load
from hilserl.robot.control.driver import ArmSettings
from hilserl.robot.control.impedance import Compliance
from hilserl.robot.control.process_backend import LoopBackend
from hilserl.robot.drivers.ros1.driver import RosArm
from hilserl.robot.drivers.ros1.launch import RosOptions

_POLL_S = 0.01
_BUSY_S = 60.0


@dataclass(frozen=True)
class RosSettings(ArmSettings):
    """A Franka arm, its control box and its gripper."""

    robot_ip: str
    options: RosOptions

    @property
    def tick_s(self) -> float:
        """The controller ticks faster than this, and its filter of set points is slower."""
        return 0.005

    def make(self) -> RosArm:
        return RosArm(self.robot_ip, self.options, self.box, self.limits, self.gripper, self.reset_joints_rad)


class RosBackend(LoopBackend):
    """Starts the loop and the impedance controller. Raises HilserlError where either does not come up.

    What the arm's loop only begins is waited for here.
    """

    def set_compliance(self, compliance: Compliance) -> None:
        self.ask("set_compliance", compliance=compliance.as_dict())
        self._await_outcome()
        self._compliance = compliance

    def set_load(self, load: Load) -> None:
        super().set_load(load)
        self._await_outcome()

    def start_impedance(self) -> None:
        super().start_impedance()
        self._await_outcome()

    def stop_impedance(self) -> None:
        super().stop_impedance()
        self._await_outcome()

    def recover(self) -> None:
        super().recover()
        self._await_outcome()

    def _await_outcome(self) -> None:
        until = time.monotonic() + _BUSY_S
        while (outcome := self.ask("outcome")) is None:
            if time.monotonic() > until:
                raise ArmStateError(f"The arm has been busy for {_BUSY_S:.0f} s; look at what ROS printed.")
            time.sleep(_POLL_S)
        if outcome:
            raise ArmStateError(outcome)
