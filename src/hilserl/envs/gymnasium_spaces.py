"""The spaces of another package's observations and actions."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from hilserl.data.spec import UNNAMED_ARMS, ActionLayout, StateEntry
from hilserl.errors import HilserlError, unknown

_EPISODES, _STEPS, _SEED = 20, 50, 0
_WHOLE_EPISODES, _LONGEST = 2, 2000
"""Whole episodes to look for late keys, and their longest length."""
_LEAST_SPREAD = 1e-4
_LEAST_SIDE_PX = 8
"""Shortest side of an image without channels; a smaller matrix is numbers."""
_CHANNELS = (1, 3, 4)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Leaf:
    """One Box of an observation space."""

    path: tuple[str, ...]
    """Keys that lead to it."""
    shape: tuple[int, ...]
    """Its shape without leading axes of one."""
    is_image: bool
    is_unit: bool = False
    """True if an image's numbers are from 0 to 1."""

    @property
    def name(self) -> str:
        """Its keys, joined; without keys, its kind."""
        return "_".join(self.path) or ("pixels" if self.is_image else "state")

    def of(self, observation: Any) -> np.ndarray:
        """Return this part of an observation."""
        for key in self.path:
            observation = observation[key]
        return np.asarray(observation)

    def image_of(self, observation: Any) -> np.ndarray:
        """Return this part as a colour image, uint8 [height, width, 3].

        Grey becomes colour, and transparency is dropped.
        """
        values = self.of(observation).reshape(*self.shape[:2], -1)
        if self.is_unit:
            values = (255 * np.clip(values, 0.0, 1.0)).round().astype(np.uint8)
        return np.repeat(values, 3, axis=2) if values.shape[2] == 1 else values[:, :, :3]


def leaves(env_name: str, space: spaces.Space[Any]) -> tuple[tuple[Leaf, ...], tuple[Leaf, ...]]:
    """Split an observation space into numbers and images, in its order.

    A part of a Dict that is neither, such as text or a depth image in metres, is left out with a warning.

    Args:
        env_name: The environment's name, for errors and warnings.
        space: The space; Dicts may contain Dicts.

    Raises:
        HilserlError: The observation is neither, two parts have one name, or there are no numbers.
    """
    found = tuple(_walk(env_name, space, ()))
    numbers = tuple(leaf for leaf in found if not leaf.is_image)
    images = tuple(leaf for leaf in found if leaf.is_image)
    if not numbers:
        what = "shows images alone" if images else "observes nothing that can be used"
        raise HilserlError(f"{env_name} {what}; a policy needs numbers.")
    names = [leaf.name for leaf in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise HilserlError(f"Two parts of the observation of {env_name} would both be called {', '.join(twice)}.")
    return numbers, images


def _walk(env_name: str, space: spaces.Space[Any], path: tuple[str, ...]) -> Iterator[Leaf]:
    if isinstance(space, spaces.Dict):
        for key, part in space.spaces.items():
            yield from _walk(env_name, part, (*path, key))
    elif (leaf := _leaf(space, path)) is not None:
        yield leaf
    elif path:
        _log.warning(
            "The part %r of the observation of %s is left out: it is %s, neither numbers nor an image of uint8 or of "
            "floats from 0 to 1.",
            ".".join(path),
            env_name,
            space,
        )
    else:
        raise HilserlError(
            f"The observation of {env_name} is {space}; expected a Box of numbers, a Box of uint8 [height, width, 3], "
            "or a Dict of such."
        )


def _leaf(space: spaces.Space[Any], path: tuple[str, ...]) -> Leaf | None:
    """Make the leaf of numbers or of an image; None for others."""
    if not isinstance(space, spaces.Box):
        return None
    shape = space.shape
    while len(shape) > 1 and shape[0] == 1:
        # Wrappers that stack a history of one add such axes.
        shape = shape[1:]
    has_channels = len(shape) == 3 and shape[2] in _CHANNELS
    if has_channels or (len(shape) == 2 and min(shape) >= _LEAST_SIDE_PX):
        is_unit = bool(np.issubdtype(space.dtype, np.floating) and space.low.min() >= 0 and space.high.max() <= 1)
        is_seen = is_unit or space.dtype == np.uint8
        return Leaf(path, shape, is_image=True, is_unit=is_unit) if is_seen else None
    return Leaf(path, shape, is_image=False) if len(shape) <= 2 else None


@dataclass(frozen=True)
class ActionMap:
    """Conversion between actions in [-1, 1] and those of another package's Box.

    A gripper has a command as on hilserl's own arms: -1 closes, +1 opens, and 0 keeps the command that it has.
    """

    box: spaces.Box
    closes_at: tuple[tuple[int, float], ...] = ()
    """Index of each gripper, and the value that closes it."""

    def with_grippers(self, name: str, closes_at: Mapping[str, float]) -> "ActionMap":
        """Return the map with grippers by the names of their numbers.

        Raises:
            HilserlError: The action has no such number, or a value is neither -1 nor 1.
        """
        numbers = {f"action_{index}": index for index in range(self.size)}
        for number, value in closes_at.items():
            if number not in numbers:
                raise unknown(f"number of the action of {name}", number, numbers)
            if value not in (-1.0, 1.0):
                raise HilserlError(f"Invalid --env.closes-at {number} {value:g}: expected -1 or 1.")
        return ActionMap(self.box, tuple(sorted((numbers[number], value) for number, value in closes_at.items())))

    @property
    def size(self) -> int:
        """Size of an action."""
        return int(np.prod(self.box.shape))

    @property
    def layout(self) -> ActionLayout:
        """Names of the numbers; grippers have those of grippers."""
        names = [f"action_{index}" for index in range(self.size)]
        for order, (index, _) in enumerate(self.closes_at):
            names[index] = "_".join((*UNNAMED_ARMS[order : order + 1], "gripper")).lstrip("_")
        return ActionLayout(tuple(names), tuple(index for index, _ in self.closes_at))

    def its_own(self, action: np.ndarray) -> np.ndarray:
        """Convert numbers in [-1, 1] to the range of the Box."""
        low, high = self.box.low.ravel(), self.box.high.ravel()
        own = low + (action + 1) / 2 * (high - low)
        return np.clip(own, low, high).astype(self.box.dtype).reshape(self.box.shape)

    def obeyed(self, action: np.ndarray, commands: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Convert an action to the Box's, with the grippers' next commands.

        Args:
            action: In [-1, 1], float64 [n].
            commands: Each gripper's command, +1 open and -1 closed.
        """
        action, commands = action.copy(), commands.copy()
        for order, (index, closing) in enumerate(self.closes_at):
            if abs(action[index]) > 0.5:
                commands[order] = np.sign(action[index])
            action[index] = -closing * commands[order]
        return self.its_own(action), commands

    def way(self, own: np.ndarray) -> np.ndarray:
        """Convert an expert's action to a way in full steps, float64 [n].

        A gripper's number is its command.
        """
        low, high = self.box.low.ravel().astype(np.float64), self.box.high.ravel().astype(np.float64)
        way = 2 * (own.ravel() - low) / (high - low) - 1
        for index, closing in self.closes_at:
            way[index] = -np.sign(closing * way[index])
        return way


def explored(
    env: gymnasium.Env[Any, Any],
    numbers: tuple[Leaf, ...],
    act: Callable[[np.ndarray], Any],
    actions: int,
    demonstrated: Sequence[np.ndarray] = (),
) -> tuple[tuple[StateEntry, ...], set[str]]:
    """Measure nominal ranges of the numbers in short episodes of random actions.

    Another package's space does not tell the usual range of its numbers, and many are unbounded. Nominal ranges are
    mean and standard deviation, rounded to two digits so that two machines agree on them. The seeds are always the
    same. A number that never changes keeps its unit.

    Args:
        env: The environment.
        numbers: The numbers of its observation.
        act: Converts an action in [-1, 1] to the environment's.
        actions: Size of an action.
        demonstrated: Further rows of numbers (`row_of`), from where random actions do not lead.

    Returns:
        The state's entries, and all keys that were seen in `info`.
    """
    random, seen, told = np.random.default_rng(_SEED), [*demonstrated], set()
    for episode in range(_EPISODES):
        observation, _ = env.reset(seed=_SEED + episode)
        seen.append(row_of(observation, numbers))
        for _ in range(_STEPS):
            observation, _, terminated, truncated, info = env.step(act(random.uniform(-1, 1, actions)))
            seen.append(row_of(observation, numbers))
            told |= set(info)
            if terminated or truncated:
                break
    if not np.isfinite(seen).all():
        names = np.repeat([leaf.name for leaf in numbers], [int(np.prod(leaf.shape)) for leaf in numbers])
        wrong = sorted(set(names[~np.isfinite(seen).all(axis=0)]))
        raise HilserlError(f"Its observation has numbers that are not finite, in {', '.join(wrong)}.")
    mean, spread = np.mean(seen, axis=0), np.std(seen, axis=0)
    scale = np.where(spread > _LEAST_SPREAD, spread, 1.0)
    entries, start = [], 0
    for leaf in numbers:
        size = int(np.prod(leaf.shape))
        part = slice(start, start + size)
        entries.append(StateEntry(leaf.name, size, _rounded(mean[part]), _rounded(scale[part])))
        start += size
    return tuple(entries), told


def told_at_ends(env: gymnasium.Env[Any, Any], act: Callable[[np.ndarray], Any], actions: int) -> tuple[set[str], bool]:
    """Look at whole episodes of random actions.

    Args:
        env: The environment.
        act: Converts an action in [-1, 1] to the environment's.
        actions: Size of an action.

    Returns:
        All keys that were seen in `info`, and True if every episode ended within 2,000 steps.
    """
    random, told, ended = np.random.default_rng(_SEED), set(), 0
    for episode in range(_WHOLE_EPISODES):
        env.reset(seed=_SEED + episode)
        for _ in range(_LONGEST):
            _, _, terminated, truncated, info = env.step(act(random.uniform(-1, 1, actions)))
            told |= set(info)
            if terminated or truncated:
                ended += 1
                break
    return told, ended == _WHOLE_EPISODES


def row_of(observation: Any, numbers: tuple[Leaf, ...]) -> np.ndarray:
    """Return all numbers of an observation, float64 [n]."""
    return np.concatenate([leaf.of(observation).ravel().astype(np.float64) for leaf in numbers])


def _rounded(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(f"{value:.1e}") for value in values)
