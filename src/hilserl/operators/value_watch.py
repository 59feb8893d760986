"""Watch of the critics' values, for advice on a takeover."""

import math
from collections import deque
from collections.abc import Callable

import numpy as np
from typing_extensions import override

from hilserl.data.step import Observation, Step
from hilserl.data.subscriber import Subscriber

ActionValue = Callable[[Observation, np.ndarray], float]
"""Returns what the critics expect of an action in an observation."""
_KEPT_STEPS = 100
_MEAN_OF = 5
"""Values that are averaged, since critics tremble from step to step."""
_NOTICEABLE = 0.1
"""Part of the best value by which a new best exceeds it."""
PATIENCE_STEPS = 20
"""Control steps without a new best value after which the policy stagnates.

A policy on its way to success divides the value by the discount factor in every step: at 0.95 by 2.8 in 20 steps."""


class ValueWatch(Subscriber):
    """Values of the actions taken, and whether the policy stagnates.

    Args:
        value: returns the critics' value of an action in an observation.
    """

    def __init__(self, value: ActionValue) -> None:
        self._value = value
        self.values: deque[float] = deque(maxlen=_KEPT_STEPS)
        """Values of the last actions taken, the newest last."""
        self._step: Step | None = None
        self._begin()

    def _begin(self) -> None:
        self._recent: deque[float] = deque(maxlen=_MEAN_OF)
        self._best, self._steps_below = -math.inf, 0

    @property
    def stagnates(self) -> bool:
        """True if the policy drives and comes no nearer to success."""
        return self._steps_below > PATIENCE_STEPS

    @override
    def on_step(self, step: Step) -> None:
        before, self._step = self._step, step
        if step.is_reset or before is None:
            self._begin()
            return
        value = self._value(before.observation, step.action)
        self.values.append(value)
        if step.intervened:
            self._begin()
            return
        self._recent.append(value)
        mean = sum(self._recent) / len(self._recent)
        if mean > self._best + _NOTICEABLE * abs(self._best) or self._best == -math.inf:
            self._best, self._steps_below = mean, 0
        else:
            self._steps_below += 1
