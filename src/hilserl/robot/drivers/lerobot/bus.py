"""Bus of an arm's servos, with what was measured on it last."""

from dataclasses import dataclass

import numpy as np

from hilserl.errors import HilserlError
from hilserl.lerobot.joints import JointMap
from hilserl.robot.drivers.lerobot.gripper import ServoGripper
from hilserl.robot.drivers.lerobot.kinematics import MeasuredArm
from hilserl.robot.drivers.lerobot.link import BusReading, ServoLink
from hilserl.sim.robot_models.model import RobotModel

SILENCE_S = 0.3
"""Time without a measurement after which the bus counts as lost. LeRobot has tried each again by then."""
_FIRST_S, _RECONNECT_S = 10.0, 4.0


@dataclass(frozen=True)
class ServoJoints:
    """Joints and gripper of an arm, in LeRobot's numbers."""

    joints: JointMap
    """Map of the arm's joints."""
    gripper: ServoGripper | None
    """The gripper; None for an arm without one."""


class ServoBus:
    """Bus of an arm's servos.

    Args:
        link: way to LeRobot's process.
        robot: description of the arm.
        servos: its joints and gripper in LeRobot's numbers.
        silence_s: time without a measurement, in seconds, after which the bus counts as lost.

    Raises:
        HilserlError: The bus gives no measurement at first.
    """

    def __init__(self, link: ServoLink, robot: RobotModel, servos: ServoJoints, silence_s: float = SILENCE_S) -> None:
        self._link, self._servos, self._silence_s = link, servos, silence_s
        self.arm = MeasuredArm(robot)
        """The arm as it was measured last."""
        self.failures = self.clipped = 0
        self.trouble = ""
        """Error of the last cycle; empty after a measurement."""
        self._measured_s = link.now_s()
        self._await_measurement(_FIRST_S)

    def now_s(self) -> float:
        """Return the time on the bus's clock."""
        return self._link.now_s()

    @property
    def lost_by(self) -> str:
        """Reason why the bus is lost; empty while it answers."""
        if self._link.ended:
            return "LeRobot's process has ended"
        is_silent = self.now_s() - self._measured_s > self._silence_s
        return (self.trouble or "LeRobot's process is silent") if is_silent else ""

    def read(self, wait_s: float) -> None:
        """Take the measurements since the last call; wait for one."""
        for reading in self._link.read(wait_s):
            self._take(reading)

    def _take(self, reading: BusReading) -> None:
        """Take a measurement, or note that the cycle failed."""
        try:
            joints = self._servos.joints.read(reading.joints) if not reading.failed else None
        except HilserlError as error:
            joints, reading = None, BusReading(reading.time_s, {}, False, str(error))
        if joints is None:
            self.failures, self.trouble = self.failures + 1, reading.failed
            return
        self.trouble, self._measured_s = "", self.now_s()
        self.clipped += reading.clipped
        self.arm.measure(reading.time_s, joints)
        if self._servos.gripper is not None:
            self._servos.gripper.measure(reading.joints[self._servos.gripper.key])

    def send(self, wanted_rad: np.ndarray, dt_s: float) -> None:
        """Send the servos' goals, within the joints' limits.

        Without a measurement nothing is sent: the servos hold their last goals.

        Args:
            wanted_rad: goals of the joints, float64 [n].
            dt_s: time since the last call, by which a slow gripper moves.
        """
        if self.trouble:
            return
        low, high = self.arm.ranges_rad.T
        goal = self._servos.joints.write(np.clip(wanted_rad, low, high))
        if self._servos.gripper is not None:
            goal |= self._servos.gripper.goal(dt_s)
        self._link.send(goal)

    def recover(self) -> None:
        """Connect again, if the bus is lost. Raises HilserlError if it still does not answer."""
        if self._link.ended:
            raise HilserlError("LeRobot's process has ended; restart the server.")
        if self.trouble or self.lost_by:
            self._link.reconnect()
            self._await_measurement(_RECONNECT_S)
        self.arm.forget()

    def _await_measurement(self, within_s: float) -> None:
        until_s, begun_s = self.now_s() + within_s, self.now_s()
        while self.now_s() < until_s and not self._link.ended:
            self.read(SILENCE_S)
            if self._measured_s > begun_s:
                return
        why = self.trouble or self.lost_by or "no measurement came"
        raise HilserlError(f"LeRobot's arm does not answer: {why}. Check its cables and its power.")

    def close(self) -> None:
        """Let LeRobot disconnect."""
        self._link.close()
