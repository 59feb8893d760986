"""Returns, successes and imitated actions, computed from what followed a step."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hilserl.data.spec import ActionLayout

_UNKNOWN = -np.inf
_MOVES = 0.03
"""Least part of a full motion that counts as one.

Smaller ones are a script's trembling, or what a key's motion becomes on the other axes of another frame."""


class Hindsight(NamedTuple):
    """Settings of what is computed from the steps that followed."""

    discount: float = 1.0
    """Discount factor of a step in the returns."""
    motions: int = 1
    """Motions of the operator that an imitated action makes at once."""


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


class ImitatedActions:
    """Actions to imitate, each made of the operator's next motions.

    People at keys move one axis after the other. The mean of what they do in a pose is then to move all axes a little,
    which takes too long and pushes too weakly. An imitated action makes the next motions at once: it is their mean,
    times their number. Motions to both sides cancel.

    Args:
        rows: rows to keep.
        layout: layout of an action.
        motions: most motions in an imitated action, the step's own included; 1 imitates what was done.
    """

    def __init__(self, rows: int, layout: ActionLayout, motions: int) -> None:
        self._continuous = list(layout.continuous)
        self._motions = motions
        self._sums = np.zeros((rows, layout.size), np.float32)
        self._counts = np.ones(rows, np.int64)

    @property
    def nbytes(self) -> int:
        """Memory in bytes."""
        return self._sums.nbytes + self._counts.nbytes

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """Return the actions to imitate in [-1, 1], float32 [..., action]."""
        actions = self._sums[rows]
        factor = (self._motions / self._counts[rows])[..., None]
        actions[..., self._continuous] = np.clip(factor * actions[..., self._continuous], -1, 1)
        return actions

    def write(
        self, row: int, action: np.ndarray, leading: tuple[int, ...], *, demonstrated: bool, ends: bool
    ) -> tuple[int, ...]:
        """Write one step, and add its motion to those that it continues.

        Args:
            row: row of the step.
            action: its action, float32 [action].
            leading: rows of the operator's last motions.
            demonstrated: True if the operator chose the action; otherwise it continues nothing.
            ends: True if the action sets a gripper in motion, to which no earlier motion may lead at once.

        Returns:
            The rows whose motion the next step may continue.
        """
        self._sums[row], self._counts[row] = action, self._motions if ends else 1
        if not demonstrated or ends:
            return ()
        if not action.any():
            return leading
        for earlier in leading:
            self._sums[earlier, self._continuous] += action[self._continuous]
            self._counts[earlier] += 1
        last = (*leading, row)
        return last[max(0, len(last) + 1 - self._motions) :]


def motions_at_once(actions: Sequence[np.ndarray], layout: ActionLayout) -> int:
    """Return the number of motions that make one of all axes.

    It is the number of axes divided by the mean number that moves in one step; 1 if nothing moves.

    Args:
        actions: demonstrated actions, each float32 [action].
        layout: layout of an action.
    """
    axes = list(layout.continuous)
    at_once = [moved for action in actions if (moved := int((np.abs(action[axes]) > _MOVES).sum()))]
    return round(len(axes) / np.mean(at_once)) if at_once else 1
