"""Program that runs a Gymnasium environment for a process with another interpreter.

`python host.py` reads one JSON object a line from standard input and answers each on standard output. Observations,
actions and images are in memory that both processes map. The interpreter needs NumPy, Gymnasium and the environment's
package alone, so this file imports nothing else.
"""

import faulthandler
import importlib
import importlib.util
import inspect
import json
import mmap
import os
import random
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

# The directory of this file, which Python puts first, must not hide packages of the same names.
if __name__ == "__main__" and Path(sys.path[0]) == Path(__file__).parent:
    del sys.path[0]

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import load_env_creator
from gymnasium.utils import seeding

_WATCH_S = 0.5
"""Seconds between two looks at the parent process."""
_ALIGNMENT = 64
_MAX_TEXT = 1000
"""Longest text of a value in `info`, in characters."""


class EnvRefusal(Exception):  # noqa: N818
    """A sentence that says why an environment cannot be used."""


def make(name, kwargs, max_episode_steps=None, adapter=None):
    """Make the environment `PACKAGE:ENV_ID`, with `render_mode` "rgb_array" if it draws.

    Args:
        name: Importing PACKAGE registers ENV_ID.
        kwargs: Keyword arguments of the environment.
        max_episode_steps: Limit instead of the registered one.
        adapter: File that registers the environments of a package that does not.

    Raises:
        EnvRefusal: The package cannot be imported, or the id has no entry point.
    """
    package, _, env_id = name.partition(":")
    try:
        importlib.import_module(package)
    except ImportError as error:
        raise EnvRefusal(f"the package {package!r} cannot be imported: {error}.") from error
    if adapter:
        load_file(adapter).register()
    spec = gymnasium.spec(env_id)
    if spec.entry_point is None:
        raise EnvRefusal(f"{env_id} is registered without an entry point.")
    maker = spec.entry_point if callable(spec.entry_point) else load_env_creator(spec.entry_point)
    # Gymnasium's checker warns about style, which is the package's own business.
    options = {"disable_env_checker": True, **kwargs}
    if max_episode_steps is not None:
        options["max_episode_steps"] = max_episode_steps
    if "render_mode" in kwargs or not _draws(maker):
        return gymnasium.make(spec, **options)
    try:
        return gymnasium.make(spec, render_mode="rgb_array", **options)
    except TypeError:
        # A function that takes any keyword may hand it to an environment that does not.
        return gymnasium.make(spec, **options)


def _draws(maker):
    """Return True if a maker can be asked for `render_mode` "rgb_array"."""
    modes = maker.metadata.get("render_modes", ()) if hasattr(maker, "metadata") else ("rgb_array",)
    given = inspect.signature(maker).parameters.values()
    takes = any(each.name == "render_mode" or each.kind is each.VAR_KEYWORD for each in given)
    return takes and "rgb_array" in modes


def load_file(path):
    """Import a Python file under its own name."""
    spec = importlib.util.spec_from_file_location(f"_hilserl_{Path(path).stem}", path)
    if spec is None or spec.loader is None or not Path(path).is_file():
        raise EnvRefusal(f"there is no Python file {path}.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class ExpertScript:
    """A function that acts in an environment, with its progress.

    Args:
        place: `FILE.py:FUNCTION`. FUNCTION takes the environment and its last observation and returns an action in the
            environment's own units; `progress` in the same file takes the same and returns a number from 0 to 1.
    """

    def __init__(self, place):
        path, _, name = place.rpartition(":")
        module = load_file(path)
        functions = [each for each, value in vars(module).items() if callable(value) and not each.startswith("_")]
        if name not in functions:
            raise EnvRefusal(f"{path} has no function {name!r}. Available: {', '.join(sorted(functions)) or 'none'}.")
        self._place, self._act = place, getattr(module, name)
        self._progress: Any = getattr(module, "progress", None)
        self.tells_progress = self._progress is not None

    def action(self, env, observation):
        """Return the action in the environment's own units, float64."""
        action, shape = np.asarray(self._act(env, observation), np.float64), env.action_space.shape
        if action.shape != shape or not np.isfinite(action).all():
            raise EnvRefusal(f"the expert {self._place} returned {action}; expected {shape} finite numbers.")
        return action

    def progress(self, env, observation):
        """Return the progress, from 0 to 1."""
        return float(np.clip(self._progress(env, observation), 0.0, 1.0))


def rendered(env):
    """Render an environment, uint8 [h, w, 3], several views side by side."""
    image = env.render()
    if isinstance(image, (list, tuple)) and image:
        image = np.concatenate([np.asarray(each) for each in image], axis=1)
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise EnvRefusal(f"its rendering is {image.dtype} {image.shape}; expected uint8 [height, width, 3].")
    return image


def described(error):
    """Describe another package's error; one without text by its line."""
    if isinstance(error, EnvRefusal):
        return str(error)
    said, frames = " ".join(str(error).split()), traceback.extract_tb(error.__traceback__)
    if not said and frames:
        said = f"at {frames[-1].filename}:{frames[-1].lineno}: {frames[-1].line}"
    return f"{type(error).__name__}: {said}"


class Layout:
    """Places of arrays in the shared memory."""

    def __init__(self):
        self.size = 0
        """Bytes so far."""
        self.leaves: dict[tuple[str, ...], Any] = {}
        """Places of the observation's boxes, by their keys."""

    def place(self, shape, dtype):
        """Reserve the memory of an array; return its offset, shape and dtype."""
        offset, dtype = self.size, np.dtype(dtype)
        end = offset + int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        self.size = -(-end // _ALIGNMENT) * _ALIGNMENT
        return offset, shape, dtype

    def describe(self, space, path=()):
        """Describe a space as JSON, reserving the memory of its boxes."""
        if isinstance(space, spaces.Dict):
            parts = {key: self.describe(part, (*path, key)) for key, part in space.spaces.items()}
            return {"kind": "dict", "parts": parts}
        if not isinstance(space, spaces.Box):
            return {"kind": "other", "text": str(space)}
        self.leaves[path] = self.place(space.shape, space.dtype)
        return box(space, self.leaves[path][0])


def box(space, offset):
    """Describe a Box as JSON."""
    return {
        "kind": "box",
        "shape": space.shape,
        "dtype": space.dtype.str,
        "low": _bounds(space.low),
        "high": _bounds(space.high),
        "offset": offset,
    }


def _bounds(values):
    """Return bounds as one number if all are the same."""
    same = values.size and (values == values.flat[0]).all()
    return values.flat[0].item() if same else values.ravel().tolist()


def view(memory, offset, shape, dtype):
    """Return the array at a place of the memory."""
    return np.frombuffer(memory, dtype, int(np.prod(shape)), offset).reshape(shape)


def _plain(value):
    """Return a value of `info` that JSON has; None for all others."""
    if isinstance(value, (np.generic, np.ndarray)) and value.size == 1:
        value = value.item()
    if isinstance(value, str):
        return value[:_MAX_TEXT]
    return value if value is None or isinstance(value, (bool, int, float)) else None


class Host:
    """The environment and the memory that it shares."""

    def __init__(self):
        self._layout = Layout()
        self._memory: dict[str, mmap.mmap] = {}
        self._env: Any = None
        self._expert: Any = None
        self._seen: Any = None
        self._image: Any = None

    def make(self, name, kwargs, max_episode_steps, adapter, expert):
        """Make the environment and describe it."""
        self._env = env = make(name, kwargs, max_episode_steps, adapter)
        self._expert = ExpertScript(expert) if expert else None
        spec, layout, action = env.spec, self._layout, {"kind": "other", "text": str(env.action_space)}
        observation = layout.describe(env.observation_space)
        self._action_place = self._advice_place = layout.place((), np.float64)
        if isinstance(env.action_space, spaces.Box):
            self._action_place = layout.place(env.action_space.shape, env.action_space.dtype)
            self._advice_place = layout.place(env.action_space.shape, np.float64)
            action = box(env.action_space, self._action_place[0])
        return {
            "observation": observation,
            "action": action,
            "advice": self._advice_place[0],
            "bytes": layout.size,
            "render_mode": env.render_mode,
            "fps": _plain(env.metadata.get("render_fps")),
            "max_episode_steps": spec and spec.max_episode_steps,
            "reward_threshold": spec and spec.reward_threshold,
            "tells_progress": bool(self._expert and self._expert.tells_progress),
        }

    def map(self, region, path, size):
        """Map a file that the other process has made: "step" or "image"."""
        with Path(path).open("r+b") as file:
            self._memory[region] = memory = mmap.mmap(file.fileno(), size)
        if region == "step":
            self._leaves = {path: view(memory, *place) for path, place in self._layout.leaves.items()}
            self._action, self._advice = view(memory, *self._action_place), view(memory, *self._advice_place)
        return {}

    def reset(self, seed, options):
        """Begin an episode that the seed decides, whatever draws in it."""
        if seed is not None:
            # Some packages draw from the global generators, some wrappers before they take the seed.
            random.seed(seed)
            np.random.seed(seed % 2**32)  # noqa: NPY002
            self._env.unwrapped.np_random = seeding.np_random(seed)[0]
        observation, info = self._env.reset(seed=seed, options=options)
        return self._observed(observation, info)

    def step(self):
        """Do the action in the shared memory."""
        observation, reward, terminated, truncated, info = self._env.step(self._action.copy())
        reply = self._observed(observation, info)
        reward = np.asarray(reward)
        if reward.size != 1 or not np.can_cast(reward.dtype, np.float64, "same_kind"):
            raise EnvRefusal(f"its reward is {reward.dtype} {reward.shape}; expected a number.")
        return {**reply, "reward": float(reward.item()), "terminated": bool(terminated), "truncated": bool(truncated)}

    def _observed(self, observation, info):
        self._seen = observation
        for path, view in self._leaves.items():
            value = observation
            for key in path:
                value = value[key]
            value = np.asarray(value)
            if value.shape != view.shape or not np.can_cast(value.dtype, view.dtype, "same_kind"):
                raise EnvRefusal(
                    f"its observation {'.'.join(path)} is {value.dtype} {value.shape}; its space says "
                    f"{view.dtype} {view.shape}."
                )
            np.copyto(view, value, casting="same_kind")
        return {"info": {str(key): _plain(value) for key, value in info.items()}}

    def advise(self):
        """Put the expert's action into the shared memory."""
        np.copyto(self._advice, self._expert.action(self._env, self._seen))
        return {}

    def progress(self):
        """Return the progress that the expert tells."""
        return {"progress": self._expert.progress(self._env, self._seen)}

    def render(self):
        """Render the environment; share the image if it fits."""
        self._image = rendered(self._env)
        return {"shape": self._image.shape, **self.share_image()}

    def share_image(self):
        """Put the last image into the shared memory, if it fits."""
        memory, image = self._memory.get("image"), self._image
        if memory is None or len(memory) < image.nbytes:
            return {"shared": False}
        np.copyto(view(memory, 0, image.shape, np.uint8), image)
        return {"shared": True}

    def close(self):
        """Close the environment."""
        if self._env is not None:
            self._env.close()
        return {}


def _watch(parent, limit_s):
    """End this process with its parent, also while the environment hangs.

    An environment that hangs may hold Python's lock, and this thread then waits. The timer of faulthandler does not.
    """
    while os.name == "nt" or os.getppid() == parent:
        if limit_s:
            faulthandler.dump_traceback_later(limit_s, exit=True)
        time.sleep(_WATCH_S)
    os._exit(1)


def main():
    """Answer requests until standard input ends."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    # What the package prints is for people, and it must not read the requests.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    threading.Thread(target=_watch, args=(int(sys.argv[1]), float(sys.argv[2])), daemon=True).start()
    host = Host()
    for line in requests:
        request = json.loads(line)
        call = request.pop("call")
        try:
            reply = getattr(host, call)(**request)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the other process says it in a sentence
            reply = {"error": described(error)}
        answers.write(json.dumps(reply).encode() + b"\n")
        answers.flush()
        if call == "close":
            break
    os._exit(0)  # threads of the package must not keep the process


if __name__ == "__main__":
    main()
