"""Operators that follow a script, and the files of a recording."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from hilserl.operators.operator import Operator
from hilserl.operators.takeover import GripperRequest, Intent, Verdict

PUSH = Intent(True, (0.6, -0.4, -0.2), (GripperRequest.HOLD,))


YES, NO = replace(PUSH, success=True), replace(PUSH, success=False)


SUCCESS, FAILURE, RESET, DISCARD = (replace(PUSH, verdict=verdict, success=False) for verdict in Verdict)


class ScriptedOperator(Operator):
    """An operator who follows a list of intents and then is done."""

    def __init__(self, intents: Sequence[Intent]) -> None:
        self.intents = list(intents)

    @property
    def done(self) -> bool:
        return not self.intents

    def intent(self) -> Intent:
        return self.intents.pop(0)


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir())} if directory.exists() else {}


def flail(seed: int, steps: int) -> list[Intent]:
    """Full motions down into the table and the cube, with the gripper at work."""
    rng = np.random.default_rng(seed)
    requests = rng.choice([GripperRequest.HOLD] * 4 + [GripperRequest.TOGGLE], steps)
    return [Intent(True, tuple(rng.uniform(-1, [1, 1, 0.6])), (GripperRequest(r),)) for r in requests] + [FAILURE]
