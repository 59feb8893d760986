"""A Franka arm behind the server: the loop that controls it, and the hand's process beside it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from hilserl.errors import HilserlError
from hilserl.robot.control.driver import ArmSettings
from hilserl.robot.control.process_backend import LoopBackend
from hilserl.robot.drivers.franka.driver import FrankaArm
from hilserl.robot.drivers.franka.hand import Hand, HandLine

Joints = tuple[float, float, float, float, float, float, float]
Wrench = tuple[float, float, float, float, float, float]


@dataclass(frozen=True)
class FrankaSettings(ArmSettings):
    """A Franka arm, and what stops it."""

    robot_ip: str
    collision_torque_Nm: Joints  # noqa: N815 (a unit)
    collision_force: Wrench
    """N and N m at the tool."""
    hand: HandLine | None = None
    """Filled in by `FrankaBackend`."""

    def __post_init__(self) -> None:
        if self.gripper == "robotiq":
            raise HilserlError("libfranka drives no gripper 'robotiq'. There is: franka, none.")
        for name in ("collision_torque_Nm", "collision_force"):
            if not all(0 < value < float("inf") for value in getattr(self, name)):
                raise HilserlError(f"{name} is {getattr(self, name)}; expected numbers above 0.")

    @property
    def patience_s(self) -> float:
        """Automatic error recovery lasts as long as the robot takes."""
        return 15.0

    @property
    def more(self) -> Mapping[str, int]:
        return dict.fromkeys(("success_rate", "missed", "hand_refusals"), 1)

    def make(self) -> FrankaArm:
        collision = (self.collision_torque_Nm, self.collision_force)
        return FrankaArm(self.robot_ip, self.box, self.limits, self.reset_joints_rad, collision, self.hand)


class FrankaBackend(LoopBackend):
    """Takes control at once; the arm holds where it is. Raises HilserlError where there is no robot or no hand."""

    def __init__(self, settings: FrankaSettings) -> None:
        self._hand = Hand(settings.robot_ip) if settings.gripper == "franka" else None
        if self._hand is None:
            super().__init__(settings)
            return
        super().__init__(replace(settings, hand=self._hand.line))
        # Only the loop has it now, so that the hand's process ends with the loop.
        self._hand.line.close()

    def metrics(self) -> Mapping[str, float]:
        seen = self.seen()
        return {
            **super().metrics(),
            "robot_command_success_rate": float(seen["success_rate"][0]),
            "robot_states_missed": int(seen["missed"][0]),
            "hand_refusals": int(seen["hand_refusals"][0]),
        }

    def close(self) -> None:
        super().close()
        if self._hand is not None:
            self._hand.close()
