"""Act in panda-gym's PandaReach as an operator would: `--expert examples/reach_expert.py:expert`.

Such a script runs in the interpreter of `--env.python`, so it imports nothing of hilserl.
"""

from typing import Any

import numpy as np

_STEP_M = 0.05
"""Motion of the tool for an action of 1."""
_FAR_M = 0.3


def _way_m(observation: dict[str, np.ndarray]) -> np.ndarray:
    return observation["desired_goal"] - observation["achieved_goal"]


def expert(env: Any, observation: dict[str, np.ndarray]) -> np.ndarray:
    """Return the action towards the goal, float64 [3].

    A way longer than one step may be returned whole.
    """
    del env
    return _way_m(observation) / _STEP_M


def progress(env: Any, observation: dict[str, np.ndarray]) -> float:
    """Return 1 at the goal, and 0 far from it."""
    del env
    return 1 - float(np.linalg.norm(_way_m(observation))) / _FAR_M


if __name__ == "__main__":
    there, here = np.array([0.1, 0.0, 0.2]), np.array([0.0, 0.0, 0.2])
    print(expert(None, {"desired_goal": there, "achieved_goal": here}))
