"""Backend of a real Franka arm under ROS 1."""

import time
from dataclasses import dataclass

from typing_extensions import override

from hilserl.robot.control.backend import ArmStateError, Load
from hilserl.robot.control.driver import ArmSettings
from hilserl.robot.control.impedance import Compliance
from hilserl.robot.control.process_backend import LoopBackend
from hilserl_ros1.driver import RosArm
from hilserl_ros1.options import RosOptions

_POLL_S = 0.01
_BUSY_S = 60.0


@dataclass(frozen=True)
class RosSettings(ArmSettings):
    """Settings of a Franka arm under ROS 1."""

    robot_ip: str
    """Address of the robot's control box."""
    options: RosOptions
    """ROS master and programs."""

    @property
    @override
    def tick_s(self) -> float:
        """Period of the loop; the controller's filter of set points is slower."""
        return 0.005

    @override
    def make(self) -> RosArm:
        return RosArm(self.robot_ip, self.options, self.box, self.limits, self.gripper, self.reset_joints_rad)


class RosBackend(LoopBackend):
    """Arm under ROS 1 with its impedance controller, started at once.

    The loop only begins slow commands; this backend waits for them.

    Raises:
        HilserlError: ROS or the controller does not come up.
    """

    @override
    def set_compliance(self, compliance: Compliance) -> None:
        self.call("set_compliance", compliance=compliance.as_dict())
        self._await_outcome()
        self._compliance = compliance

    @override
    def set_load(self, load: Load) -> None:
        super().set_load(load)
        self._await_outcome()

    @override
    def start_impedance(self) -> None:
        super().start_impedance()
        self._await_outcome()

    @override
    def stop_impedance(self) -> None:
        super().stop_impedance()
        self._await_outcome()

    @override
    def recover(self) -> None:
        super().recover()
        self._await_outcome()

    def _await_outcome(self) -> None:
        until = time.monotonic() + _BUSY_S
        while (outcome := self.call("outcome")) is None:
            if time.monotonic() > until:
                raise ArmStateError(f"The arm has been busy for {_BUSY_S:.0f} s; see the output of the ROS programs.")
            time.sleep(_POLL_S)
        if outcome:
            raise ArmStateError(outcome)
