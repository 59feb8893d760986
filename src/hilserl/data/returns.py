"""Rewards of stored steps with what followed each."""

import numpy as np

_UNKNOWN = -np.inf


class Returns:
    """Rewards, gripper changes and what followed them in their episodes.

    Args:
        rows: rows to keep.
        discount: discount factor of a step.
        state_size: numbers of a state.

    Attributes:
        reward: float32 [rows].
        gripper_changes: grippers that the action set in motion, float32 [rows].
        return_to_go: discounted return from this step on, float32 [rows]; -inf unless the episode terminated.
        changes_to_go: discounted sum of the gripper changes from this step on, float32 [rows].
        succeeds: True if the episode ended in success, bool [rows].
        final_state: state at that success, float32 [rows, state_size]; 0 where there is none.
    """

    def __init__(self, rows: int, discount: float, state_size: int) -> None:
        self._discount = discount
        self.reward, self.gripper_changes, self.changes_to_go = np.zeros((3, rows), np.float32)
        self.return_to_go = np.full(rows, _UNKNOWN, np.float32)
        self.succeeds = np.zeros(rows, bool)
        self.final_state = np.zeros((rows, state_size), np.float32)

    @property
    def nbytes(self) -> int:
        """Memory in bytes."""
        return 4 * self.reward.nbytes + self.succeeds.nbytes + self.final_state.nbytes

    def gather(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Gather every column by its name in `Transitions`."""
        return {
            "reward": self.reward[rows],
            "gripper_changes": self.gripper_changes[rows],
            "return_to_go": self.return_to_go[rows],
            "changes_to_go": self.changes_to_go[rows],
            "succeeds": self.succeeds[rows],
            "final_state": self.final_state[rows],
        }

    def write(self, row: int, reward: float, gripper_changes: int) -> None:
        """Write one step; what follows it is unknown."""
        self.reward[row], self.gripper_changes[row] = reward, gripper_changes
        self.return_to_go[row], self.changes_to_go[row] = _UNKNOWN, 0.0
        self.succeeds[row], self.final_state[row] = False, 0.0

    def look_back(self, rows: np.ndarray, success_state: np.ndarray | None) -> None:
        """Write what followed the steps of an episode that terminated.

        Args:
            rows: its rows, the last step first, int [steps].
            success_state: its last state, float32 [state_size], if it succeeded.
        """
        if success_state is not None:
            self.succeeds[rows], self.final_state[rows] = True, success_state
        return_to_go = changes_to_go = 0.0
        for row in rows:
            return_to_go = float(self.reward[row]) + self._discount * return_to_go
            changes_to_go = float(self.gripper_changes[row]) + self._discount * changes_to_go
            self.return_to_go[row], self.changes_to_go[row] = return_to_go, changes_to_go
