"""A Gymnasium environment in a process of another interpreter."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from typing_extensions import override

from hilserl.envs.child.host import view
from hilserl.envs.child.memory import SharedMemory
from hilserl.envs.child.process import ChildError, ChildProcess

MAX_STEP_BYTES = 64 * 2**20
"""Largest observation or image; containers have so much shared memory by default."""
_SLOWER = 2.0
"""Time of making and resetting, in times of a step's."""
_SPARE_S = 60.0


class OpaqueSpace(spaces.Space[Any]):
    """A space that is neither Box nor Dict, known by its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def __repr__(self) -> str:
        return self._text


class ChildEnv(gymnasium.Env[Any, np.ndarray]):
    """A Gymnasium environment in a process of another interpreter.

    Args:
        name: `PACKAGE:ENV_ID`; the other interpreter has the package.
        python: The other interpreter.
        timeout_s: Longest time of a step; making and resetting may take twice as long.
        making: Arguments of `host.Host.make` beside the name.

    Raises:
        HilserlError: The interpreter, the package or the environment does not exist, or a step is too large.
    """

    def __init__(self, name: str, python: Path, timeout_s: float, making: Mapping[str, Any]) -> None:
        self._name, self._timeout_s = name, timeout_s
        self._process = ChildProcess(name, python, _SLOWER * timeout_s + _SPARE_S)
        try:
            made = self._ask("make", _SLOWER, name=name, **making)
            self.render_mode = made["render_mode"]
            self.metadata = {"render_fps": made["fps"], "render_modes": [self.render_mode] if self.render_mode else []}
            self.spec = EnvSpec(
                name.partition(":")[2],
                reward_threshold=made["reward_threshold"],
                max_episode_steps=made["max_episode_steps"],
            )
            self.tells_progress: bool = made["tells_progress"]
            self._check_size(made["bytes"], "step")
            self._memory = self._share("step", made["bytes"])
            self._image: SharedMemory | None = None
            self.observation_space = _space(made["observation"])
            self.action_space = _space(made["action"])
            self._observation = self._views(made["observation"])
            self._action = self._views(made["action"])
            shape = self.action_space.shape or ()
            self._advice = view(self._memory.buffer, made["advice"], shape, np.dtype(np.float64))
        except BaseException:
            self._process.close()
            raise

    @property
    def process_id(self) -> int:
        """Number of the other process."""
        return self._process.process_id

    def _ask(self, call: str, times: float = 1.0, **values: Any) -> dict[str, Any]:
        return self._process.ask(call, times * self._timeout_s, **values)

    def _share(self, region: str, size: int) -> SharedMemory:
        memory = SharedMemory(size)
        try:
            self._ask("map", region=region, path=str(memory.path), size=size)
        finally:
            memory.hide()
        return memory

    def _check_size(self, size: int, what: str) -> None:
        if size > MAX_STEP_BYTES:
            raise ChildError(
                f"{self._name}: its {what} has {size / 1e6:,.0f} MB; expected at most {MAX_STEP_BYTES / 1e6:.0f} MB. "
                "Make its images smaller: --env.kwargs."
            )

    def _views(self, space: dict[str, Any]) -> Any:
        """Return the arrays of a space, as nested as it is."""
        if space["kind"] == "dict":
            return {key: self._views(part) for key, part in space["parts"].items()}
        if space["kind"] == "other":
            return None
        return view(self._memory.buffer, space["offset"], tuple(space["shape"]), np.dtype(space["dtype"]))

    @override
    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        answer = self._ask("reset", _SLOWER, seed=seed, options=options)
        return _copied(self._observation), answer["info"]

    @override
    def step(self, action: np.ndarray) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self._action[...] = action
        answer = self._ask("step")
        observation = _copied(self._observation)
        return observation, answer["reward"], answer["terminated"], answer["truncated"], answer["info"]

    @override
    def render(self) -> np.ndarray:  # pyright: ignore[reportIncompatibleMethodOverride]
        answer = self._ask("render")
        height, width, channels = answer["shape"]
        if not answer["shared"]:
            size = height * width * channels
            self._check_size(size, "image")
            self._image = self._share("image", size)
            self._ask("share_image")
        assert self._image
        return view(self._image.buffer, 0, (height, width, channels), np.dtype(np.uint8)).copy()

    def expert_action(self) -> np.ndarray:
        """Ask the expert script for an action, float64 in the environment's units."""
        self._ask("advise")
        return self._advice.copy()

    def expert_progress(self) -> float:
        """Ask the expert script for the progress, from 0 to 1."""
        return self._ask("progress")["progress"]

    @override
    def close(self) -> None:
        self._process.close()


def _space(described: dict[str, Any]) -> spaces.Space[Any]:
    """Make the space of a description."""
    if described["kind"] == "dict":
        return spaces.Dict({key: _space(part) for key, part in described["parts"].items()})
    if described["kind"] == "other":
        return OpaqueSpace(described["text"])
    shape, dtype = tuple(described["shape"]), np.dtype(described["dtype"])
    low, high = (_bounds(described[end], shape, dtype) for end in ("low", "high"))
    return spaces.Box(low, high, shape, dtype.type)


def _bounds(numbers: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    """Return the bounds of a Box; one number bounds all."""
    values = np.array(numbers, dtype)
    return np.full(shape, values) if values.ndim == 0 else values.reshape(shape)


def _copied(views: Any) -> Any:
    """Copy arrays out of the memory, as the next step changes it."""
    if isinstance(views, dict):
        return {key: _copied(view) for key, view in views.items()}
    return None if views is None else views.copy()
