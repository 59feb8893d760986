"""What a foreign observation is made of: numbers, which become the state, and pictures, which become cameras."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from hilserl.data.spec import StateEntry
from hilserl.errors import HilserlError

_EPISODES, _STEPS, _SEED = 20, 50, 0
_LEAST_SPREAD = 1e-4


@dataclass(frozen=True)
class Leaf:
    """One Box of an observation space."""

    path: tuple[str, ...]
    """The keys that lead to it."""
    shape: tuple[int, ...]
    is_image: bool

    @property
    def name(self) -> str:
        """Its keys, or what it is where there are none."""
        return "_".join(self.path) or ("pixels" if self.is_image else "state")

    def of(self, observation: Any) -> np.ndarray:
        for key in self.path:
            observation = observation[key]
        return np.asarray(observation)


def leaves(env_name: str, space: spaces.Space[Any]) -> tuple[tuple[Leaf, ...], tuple[Leaf, ...]]:
    """The numbers and the pictures of an observation space, each in its own order.

    Dicts may stand in Dicts. Raises HilserlError naming the part that is neither, and where there are no numbers.
    """
    found = tuple(_walk(env_name, space, ()))
    numbers = tuple(leaf for leaf in found if not leaf.is_image)
    images = tuple(leaf for leaf in found if leaf.is_image)
    if not numbers:
        raise HilserlError(f"{env_name} shows pictures alone; a policy here needs some numbers beside them.")
    names = [leaf.name for leaf in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise HilserlError(f"Two parts of what {env_name} shows would both be called {', '.join(twice)}.")
    return numbers, images


def _walk(env_name: str, space: spaces.Space[Any], path: tuple[str, ...]) -> Iterator[Leaf]:
    if isinstance(space, spaces.Dict):
        for key, part in space.spaces.items():
            yield from _walk(env_name, part, (*path, key))
    elif isinstance(space, spaces.Box) and space.dtype == np.uint8 and len(space.shape) == 3 and space.shape[2] == 3:
        yield Leaf(path, space.shape, is_image=True)
    elif isinstance(space, spaces.Box) and len(space.shape) <= 1:
        yield Leaf(path, space.shape, is_image=False)
    else:
        part = f"the part {'.'.join(path)!r} of " if path else ""
        raise HilserlError(
            f"Of {env_name}, {part}the observation is {space}; expected a Box of numbers in a row, a Box of uint8 "
            "[height, width, 3], or a Dict of such."
        )


def explored(
    env: gymnasium.Env[Any, Any], numbers: tuple[Leaf, ...], act: Callable[[np.ndarray], Any], actions: int
) -> tuple[tuple[StateEntry, ...], set[str]]:
    """The state's entries, and all that a step's `info` was seen to tell.

    A foreign space does not say where its numbers are to be expected, and many are unbounded. Nominal ranges are
    mean and standard deviation over short episodes of random actions, whose seeds are always the same, to two digits,
    so that two machines agree on them. A number that stands still keeps its own unit.
    """
    random, seen, told = np.random.default_rng(_SEED), [], set()
    for episode in range(_EPISODES):
        observation, _ = env.reset(seed=_SEED + episode)
        seen.append(_row(observation, numbers))
        for _ in range(_STEPS):
            observation, _, terminated, truncated, info = env.step(act(random.uniform(-1, 1, actions)))
            seen.append(_row(observation, numbers))
            told |= set(info)
            if terminated or truncated:
                break
    mean, spread = np.mean(seen, axis=0), np.std(seen, axis=0)
    scale = np.where(spread > _LEAST_SPREAD, spread, 1.0)
    entries, start = [], 0
    for leaf in numbers:
        size = int(np.prod(leaf.shape))
        part = slice(start, start + size)
        entries.append(StateEntry(leaf.name, size, _rounded(mean[part]), _rounded(scale[part])))
        start += size
    return tuple(entries), told


def _row(observation: Any, numbers: tuple[Leaf, ...]) -> np.ndarray:
    return np.concatenate([leaf.of(observation).ravel().astype(np.float64) for leaf in numbers])


def _rounded(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(f"{value:.1e}") for value in values)
