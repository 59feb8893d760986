"""Environments written to a file for another interpreter, and that interpreter."""

from pathlib import Path

PACKAGE = '''
import os
import sys
import threading
import time

import gymnasium
import numpy as np
from gymnasium import spaces

assert "pytest" in sys.modules or "hilserl" not in sys.modules, "it needs nothing of ours"


class Dot(gymnasium.Env):
    """A dot on a line; the goal is at 1."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}
    action_space = spaces.Box(np.array([-2.0, 0.0], np.float32), np.array([2.0, 2.0], np.float32))
    observation_space = spaces.Dict(
        {
            "pos": spaces.Box(-np.inf, np.inf, (2,), np.float64),
            "deep": spaces.Dict({"eye": spaces.Box(0, 255, (30, 40, 3), np.uint8)}),
            "word": spaces.Text(5),
        }
    )

    def __init__(self, render_mode=None, fault="", size=40):
        self.render_mode, self.fault, self.size = render_mode, fault, size
        self.at = self.grip = 0.0
        if fault == "make":
            raise KeyError("a file that is not there")

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        draw = np.random if self.fault == "global" else self.np_random
        self.at, self.grip, self.steps = float(draw.uniform(-1, 0)), 0.0, 0
        return self.seen(), {"odd": object(), "array": np.arange(3)}

    def seen(self):
        eye = np.full((30, 40, 3), int(100 * (self.at + 1)), np.uint8)
        return {"pos": np.array([self.at, self.grip]), "deep": {"eye": eye}, "word": "go"}

    def step(self, action):
        assert self.action_space.contains(action), action
        self.steps += 1
        self.at, self.grip = float(np.clip(self.at + 0.1 * action[0], -1, 1)), float(action[1])
        observation = self.seen()
        if self.fault == "print":
            print("{}" * 100, flush=True)
        if self.fault == "raise":
            raise ValueError("the dot fell off")
        if self.fault == "exit":
            sys.exit(3)
        if self.fault == "die":
            print("Segmentation fault, so to say", file=sys.stderr, flush=True)
            os._exit(7)
        if self.fault == "hang":
            time.sleep(60)
        if self.fault == "shape":
            observation["pos"] = np.zeros(3)
        if self.fault == "kind":
            observation["deep"]["eye"] = np.zeros((30, 40, 3))
        if self.fault == "nan" and self.steps > 3:
            observation["pos"][0] = np.nan
        if self.fault == "reward":
            return observation, "much", False, False, {}
        success = np.bool_(self.at > 0.9)
        return observation, np.float32(self.at - 1), False, False, {"success": success, "array": np.arange(3)}

    def render(self):
        if self.fault == "large":
            return np.zeros((27_000, 27_000, 3), np.uint8)
        if self.fault == "two":
            return [np.zeros((30, 40, 3), np.uint8), np.full((30, 40, 3), 9, np.uint8)]
        return np.full((30, self.size, 3), int(100 * (self.at + 1)), np.uint8)


gymnasium.register("Dot-v0", entry_point=Dot, max_episode_steps=20)
'''
EXPERT = '''
import numpy as np


def right(env, observation):
    """Go to the right, with the gripper closed."""
    return np.array([env.unwrapped.action_space.high[0], 2.0])


def odd(env, observation):
    return [1.0]
'''
TASK = "dot_package:Dot-v0"
"""Name of the environment in `PACKAGE`."""


def write_package(directory: Path) -> Path:
    """Write the package and its expert into a directory; return the expert's file."""
    (directory / "dot_package.py").write_text(PACKAGE)
    expert = directory / "dot_expert.py"
    expert.write_text(EXPERT)
    return expert
