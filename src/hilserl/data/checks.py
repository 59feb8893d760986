"""Checks of the numbers that enter from elsewhere: wire, files and environments.

A refusal names source, step, entry, value and expectation.
"""

from collections.abc import Mapping

import numpy as np

from hilserl.data.spec import ExperienceSpec
from hilserl.errors import HilserlError

MAX_REWARD = 1e4
"""Largest reward of a step, positive or negative. Critics would not survive larger ones."""
MAX_HUMAN_SECONDS = 3600.0
"""Longest time of an operator in one step."""
STATE_RANGES = 1e6
"""Bound of a state number, in nominal ranges around its centre.

A range below one unit counts as one.
"""


class NumberError(HilserlError):
    """A number that no step may have."""


class NumberCheck:
    """Bounds of every number of a spec's steps.

    Attributes:
        bounds: lowest and highest value by name: `action` [m], `state` [n], `reward` and `human_seconds` [1].
    """

    def __init__(self, spec: ExperienceSpec) -> None:
        reach = STATE_RANGES * np.maximum(spec.state.scale, 1.0)
        ones = np.ones(spec.action.size, np.float32)
        self.bounds: dict[str, tuple[np.ndarray, np.ndarray]] = {
            "action": (-ones, ones),
            "state": (spec.state.centre - reach, spec.state.centre + reach),
            "reward": (np.array([-MAX_REWARD]), np.array([MAX_REWARD])),
            "human_seconds": (np.zeros(1), np.array([MAX_HUMAN_SECONDS])),
        }
        entries = [f"state entry {e.name}[{i}]" for e in spec.state.entries for i in range(e.size)]
        actions = [f"action {name}" for name in spec.action.names]
        self._labels = {"state": entries, "action": actions}

    def __call__(self, numbers: Mapping[str, np.ndarray], source: str, first_step: int = 0) -> None:
        """Check some numbers of consecutive steps.

        Args:
            numbers: arrays by the names of `bounds`, each [steps, ...].
            source: where the steps come from, for the error.
            first_step: index of the first step in its episode.

        Raises:
            NumberError: a number is not finite or out of its bounds.
        """
        for name, values in numbers.items():
            low, high = self.bounds[name]
            rows = values.reshape(len(values), -1)
            # NaN is not inside either.
            inside = (rows >= low) & (rows <= high)
            if inside.all():
                continue
            step, place = np.argwhere(~inside)[0]
            label = self._labels[name][place] if name in self._labels else name
            raise NumberError(
                f"{source}, step {first_step + step}: {label} is {rows[step, place]:.6g}; "
                f"expected a number in [{low[place]:.6g}, {high[place]:.6g}]."
            )
