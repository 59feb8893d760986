"""Start, supervision and recovery of franka_control's controllers."""

import threading
import time
from collections.abc import Callable

import numpy as np

from hilserl.errors import HilserlError
from hilserl.robot.control.backend import ArmStateError
from hilserl.robot.control.impedance import Compliance
from hilserl_ros1.launch import Programs
from hilserl_ros1.node import STATES, RosNode

_START_S, _RESET_S, _RECOVER_S = 30.0, 30.0, 5.0
_POLL_S = 0.01
_STALE_S = 0.5
"""Age at which the robot's state counts as lost.

franka_control publishes it 30 times a second by default.
"""
_ARRIVED_RAD = 0.01
_ROBOT_MODES = ("OTHER", "IDLE", "MOVE", "GUIDING", "REFLEX", "USER_STOPPED", "AUTOMATIC_ERROR_RECOVERY")
"""Modes of franka_msgs/FrankaState, by their numbers."""
_IDLE, _MOVE = _ROBOT_MODES.index("IDLE"), _ROBOT_MODES.index("MOVE")
_EXPLANATIONS = {
    "IDLE": "its controller is not running",
    "GUIDING": "a person guides it by hand",
    "USER_STOPPED": "its user stop is pressed",
}


class Controllers:
    """Impedance controller and joint controller; one runs at a time.

    The `run_...` methods block, so they belong in the worker's thread.

    Args:
        node: node that receives the robot's state.
        programs: starts and ends the controllers.
        reset_joints_rad: posture of a joint reset.
        given_up: set when a running method has to end early.
    """

    def __init__(
        self, node: RosNode, programs: Programs, reset_joints_rad: tuple[float, ...], given_up: threading.Event
    ) -> None:
        self._node, self._programs, self._given_up = node, programs, given_up
        self._reset_joints_rad = reset_joints_rad
        self.compliance = Compliance()
        """Impedance parameters of the next impedance controller."""

    @property
    def is_moving(self) -> bool:
        """True if the robot follows its controller."""
        return self._robot_mode == _MOVE

    @property
    def _robot_mode(self) -> int:
        return self._node.states.message.robot_mode

    def trouble(self) -> str:
        """Return why the arm does not follow poses; empty if it does."""
        silent_s = time.monotonic() - self._node.states.received_s
        if silent_s > _STALE_S:
            return f"no {STATES} for {silent_s:.1f} s; {self._programs.status()}"
        return "" if self.is_moving else self._stopped_by()

    def _stopped_by(self) -> str:
        state = self._node.states.message
        mode = dict(enumerate(_ROBOT_MODES)).get(state.robot_mode, str(state.robot_mode))
        if mode == "REFLEX":
            # The first list is empty again once the arm stands.
            for errors in (state.current_errors, state.last_motion_errors):
                if names := [name for name in errors.__slots__ if getattr(errors, name)]:
                    return f"reflex: {', '.join(names)}"
            return "reflex"
        return f"the robot's mode is {mode}" + (f": {_EXPLANATIONS[mode]}" if mode in _EXPLANATIONS else "")

    def run_impedance(self) -> None:
        """Launch the impedance controller and wait until it follows poses.

        It also returns if the robot reports that it is stopped.

        Raises:
            HilserlError: the controller does not come up.
        """
        begun_s = self._programs.launch("impedance")

        def is_up() -> bool:
            if self._node.states.received_s < begun_s:
                return False
            if self._robot_mode not in (_IDLE, _MOVE):
                return True
            is_listening = self._node.jacobians.received_s > begun_s and self._node.has_listener
            return self._robot_mode == _MOVE and is_listening

        self._require(is_up, "impedance")
        if self.is_moving:
            self._node.set_compliance(self.compliance)

    def run_joint_reset(self) -> None:
        """Run the joint controller, then the impedance controller.

        The impedance controller runs even if the joints did not get there.
        """
        self._node.set_reset_joints(self._reset_joints_rad)
        begun_s = self._programs.launch("joint")
        self._require(lambda: self._node.states.received_s > begun_s, "joint")
        self._wait_for(self._reset_is_over, _RESET_S)
        self.run_impedance()

    def _reset_is_over(self) -> bool:
        away_rad = np.abs(np.array(self._node.states.message.q) - self._reset_joints_rad).max()
        return bool(away_rad < _ARRIVED_RAD or self._given_up.is_set() or self._robot_mode not in (_IDLE, _MOVE))

    def run_recovery(self) -> None:
        """Bring the arm out of a halt. Raises `ArmStateError` if the robot stays stopped."""
        if self._programs.has_ended or time.monotonic() - self._node.states.received_s > _STALE_S:
            self.run_impedance()
        if not self.is_moving:
            self._node.recover()
            if not self._wait_for(lambda: self.is_moving, _RECOVER_S) and self._robot_mode == _IDLE:
                self.run_impedance()
        if not self.is_moving:
            raise ArmStateError(f"The arm is still halted: {self._stopped_by()}.")
        self._node.set_compliance(self.compliance)

    def _wait_for(self, condition: Callable[[], bool], within_s: float) -> bool:
        """Wait for a condition; return False if it does not come."""
        end_s = time.monotonic() + within_s
        while not condition():
            if time.monotonic() > end_s or self._programs.has_ended:
                return False
            time.sleep(_POLL_S)
        return True

    def _require(self, condition: Callable[[], bool], controller: str) -> None:
        if not self._wait_for(condition, _START_S):
            state = self._node.states.message
            robot = "the robot has sent no state yet" if state is None else self._stopped_by()
            raise HilserlError(
                f"The {controller} controller did not come up within {_START_S:.0f} s: {self._programs.status()}; "
                f"{robot}."
            )
