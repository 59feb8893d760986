"""Rewards of stored steps with the return that followed each."""

from collections.abc import Iterable

import numpy as np

_UNKNOWN = -np.inf


class Returns:
    """Rewards and gripper changes with their discounted sums.

    Args:
        rows: rows to keep.
        discount: discount factor of a step.

    Attributes:
        reward: float32 [rows].
        gripper_changes: grippers that the action set in motion, float32 [rows].
        return_to_go: discounted return from this step on, float32 [rows]; -inf unless the episode terminated.
        changes_to_go: discounted sum of the gripper changes from this step on, float32 [rows].
    """

    def __init__(self, rows: int, discount: float) -> None:
        self._discount = discount
        self.reward, self.gripper_changes, self.changes_to_go = np.zeros((3, rows), np.float32)
        self.return_to_go = np.full(rows, _UNKNOWN, np.float32)

    @property
    def nbytes(self) -> int:
        """Memory in bytes."""
        return 4 * self.reward.nbytes

    def write(self, row: int, reward: float, gripper_changes: int) -> None:
        """Write one step; what follows it is unknown."""
        self.reward[row], self.gripper_changes[row] = reward, gripper_changes
        self.return_to_go[row], self.changes_to_go[row] = _UNKNOWN, 0.0

    def look_back(self, rows: Iterable[int]) -> None:
        """Write what followed the steps of an episode that terminated.

        Args:
            rows: its rows, the last step first.
        """
        return_to_go = changes_to_go = 0.0
        for row in rows:
            return_to_go = float(self.reward[row]) + self._discount * return_to_go
            changes_to_go = float(self.gripper_changes[row]) + self._discount * changes_to_go
            self.return_to_go[row], self.changes_to_go[row] = return_to_go, changes_to_go
