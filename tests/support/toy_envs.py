"""Toy environments of another package; importing this module registers them with Gymnasium."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

LIMIT = 8
"""Time limit of an episode in steps."""


class Slide(gymnasium.Env[Any, Any]):
    """Bead on a line from -1 to 1.

    The action is a speed from -2 to +4. It is a success to be near 1, which does not end the episode.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012
    action_space = spaces.Box(np.array([-2.0], np.float32), np.array([4.0], np.float32))
    observation_space: spaces.Space[Any] = spaces.Dict(
        {
            "agent_pos": spaces.Box(-np.inf, np.inf, (2,), np.float64),
            "goal": spaces.Box(-10, 10, (), np.float32),
            "pixels": spaces.Dict({"top": spaces.Box(0, 255, (30, 40, 3), np.uint8)}),
        }
    )

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self.at, self.speeds = 0.0, []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        del options
        super().reset(seed=seed)
        self.at, self.speeds = float(self.np_random.uniform(-1, 0)), []
        return self._observe(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action), action
        self.speeds.append(float(action[0]))
        self.at = float(np.clip(self.at + 0.1 * action[0], -1, 1))
        return self._observe(), self.at - 1, False, False, {"is_success": self.at > 0.9}

    def _observe(self) -> Any:
        return {"agent_pos": np.array([self.at, 100 * self.at]), "goal": np.float32(1), "pixels": {"top": self.draw()}}

    def draw(self) -> np.ndarray:
        """Draw the position as the width of a red bar."""
        image = np.zeros((30, 40, 3), np.uint8)
        image[:, : round(20 * (self.at + 1)), 0] = 255
        return image

    def render(self) -> Any:
        return self.draw()


class Bare(Slide):
    """Slide with a row of numbers and without success.

    The position -1 ends the episode.
    """

    observation_space = spaces.Box(-np.inf, np.inf, (1,), np.float64)

    def _observe(self) -> Any:
        return np.array([self.at])

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        observation, reward, _, _, _ = super().step(action)
        return observation, reward, self.at <= -1, False, {}


class Blind(Bare):
    """Environment that cannot render."""

    metadata: dict[str, Any] = {"render_modes": [], "render_fps": 20}  # noqa: RUF012


class Discrete(Bare):
    """Environment with discrete actions."""

    action_space = spaces.Discrete(3)


class Unbounded(Bare):
    """Environment with unbounded actions."""

    action_space = spaces.Box(-np.inf, np.inf, (1,), np.float32)


class ImagesAlone(Bare):
    """Environment whose observation is only an image."""

    observation_space = spaces.Box(0, 255, (30, 40, 3), np.uint8)


class Words(Bare):
    """Environment with text in its observation."""

    observation_space = spaces.Text(5)


class Cameras(Slide):
    """Slide behind a wrapper that stacks a history of one, with cameras of every kind."""

    observation_space = spaces.Dict(
        {
            "state": spaces.Box(-np.inf, np.inf, (1, 2), np.float64),
            "turn": spaces.Box(-1, 1, (3, 3), np.float64),
            "colour": spaces.Box(0, 255, (1, 30, 40, 3), np.uint8),
            "clear": spaces.Box(0, 255, (30, 40, 4), np.uint8),
            "grey": spaces.Box(0, 255, (30, 40, 1), np.uint8),
            "plain": spaces.Box(0, 255, (30, 40), np.uint8),
            "unit": spaces.Box(0, 1, (1, 30, 40, 3), np.float32),
            "depth": spaces.Box(0, np.inf, (30, 40, 1), np.float32),
            "past": spaces.Box(0, 255, (3, 30, 40, 3), np.uint8),
            "said": spaces.Text(5),
            "phase": spaces.Dict({"number": spaces.Discrete(3)}),
        }
    )

    def _observe(self) -> Any:
        image = self.draw()
        red = image[:, :, :1]
        return {
            "state": np.array([[self.at, 100 * self.at]]),
            "turn": np.eye(3),
            "colour": image[None],
            "clear": np.concatenate([image, red], axis=2),
            "grey": red,
            "plain": red[:, :, 0],
            "unit": (image / 255).astype(np.float32)[None],
            "depth": red.astype(np.float32),
            "past": np.repeat(image[None], 3, axis=0),
            "said": "go",
            "phase": {"number": 1},
        }


class Twins(Bare):
    """Environment with two keys that flatten to the same name."""

    observation_space = spaces.Dict({"a_b": spaces.Box(0, 1, (1,)), "a": spaces.Dict({"b": spaces.Box(0, 1, (1,))})})


class Broken(Bare):
    """Environment whose reset fails."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        del seed, options
        assert not LIMIT
        return {}, {}


class Unmakeable(Bare):
    """Environment whose constructor fails."""

    def __init__(self, render_mode: str | None = None) -> None:
        del render_mode
        raise KeyError("a file that is not there")


class Endless(Bare):
    """Environment whose episodes never end."""

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        observation, reward, _, _, _ = super().step(action)
        return observation, reward, False, False, {}


class Late(Bare):
    """Environment that tells a success at the end of an episode alone, under a key that only it uses."""

    steps = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self.steps = 0
        return super().reset(seed=seed, options=options)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        observation, reward, _, _, _ = super().step(action)
        self.steps += 1
        ends = self.steps == 70
        return observation, reward, ends, False, {"is_success": True, "stacked": True} if ends else {}


for kind in (Endless, Late):
    gymnasium.register(f"toys/{kind.__name__}-v0", entry_point=f"{__name__}:{kind.__name__}")
for kind in (Slide, Cameras, Bare, Blind, Discrete, Unbounded, ImagesAlone, Words, Twins, Broken, Unmakeable):
    gymnasium.register(
        f"toys/{kind.__name__}-v0",
        entry_point=f"{__name__}:{kind.__name__}",
        max_episode_steps=LIMIT,
        reward_threshold=-2.1 * LIMIT,
    )
