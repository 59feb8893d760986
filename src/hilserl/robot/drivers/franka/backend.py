"""Backend of a Franka arm: the control loop and the hand's process."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from typing_extensions import override

from hilserl.errors import HilserlError
from hilserl.robot.control.driver import ArmSettings
from hilserl.robot.control.process_backend import LoopBackend
from hilserl.robot.drivers.franka.driver import FrankaArm
from hilserl.robot.drivers.franka.hand import HandClient, HandProcess

Joints = tuple[float, float, float, float, float, float, float]
Wrench = tuple[float, float, float, float, float, float]


@dataclass(frozen=True)
class FrankaSettings(ArmSettings):
    """Settings of a Franka arm, with the forces that stop it."""

    robot_ip: str
    """Address of the robot."""
    collision_torque_Nm: Joints  # noqa: N815 (a unit)
    """Joint torques that stop the robot."""
    collision_force: Wrench
    """Forces (N) and moments (N m) at the tool that stop it."""
    hand: HandClient | None = None
    """The hand's process; `FrankaBackend` sets it."""

    def __post_init__(self) -> None:
        if self.gripper == "robotiq":
            raise HilserlError("Invalid gripper 'robotiq': libfranka does not drive it. Available: franka, none.")
        for name in ("collision_torque_Nm", "collision_force"):
            if not all(0 < value < float("inf") for value in getattr(self, name)):
                raise HilserlError(f"Invalid {name} {getattr(self, name)}: expected numbers above 0.")

    @property
    @override
    def stale_after_s(self) -> float:
        """Longest time without a tick, enough for an automatic error recovery."""
        return 15.0

    @property
    @override
    def extra_measurements(self) -> Mapping[str, int]:
        return dict.fromkeys(("success_rate", "missed", "hand_refusals"), 1)

    @override
    def make(self) -> FrankaArm:
        collision = (self.collision_torque_Nm, self.collision_force)
        return FrankaArm(self.robot_ip, self.box, self.limits, self.reset_joints_rad, collision, self.hand)


class FrankaBackend(LoopBackend):
    """Franka arm under control from the start; it holds its pose.

    Raises:
        HilserlError: no robot or no hand answers.
    """

    def __init__(self, settings: FrankaSettings) -> None:
        self._hand = HandProcess(settings.robot_ip) if settings.gripper == "franka" else None
        if self._hand is None:
            super().__init__(settings)
            return
        super().__init__(replace(settings, hand=self._hand.client))
        # Only the loop keeps the client, so that the hand's process ends with the loop.
        self._hand.client.close()

    @override
    def metrics(self) -> Mapping[str, float]:
        state = self.read_state()
        return {
            **super().metrics(),
            "robot_command_success_rate": float(state["success_rate"][0]),
            "robot_states_missed": int(state["missed"][0]),
            "hand_refusals": int(state["hand_refusals"][0]),
        }

    @override
    def close(self) -> None:
        super().close()
        if self._hand is not None:
            self._hand.close()
