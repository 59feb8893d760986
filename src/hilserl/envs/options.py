"""Options of every environment."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict, get_args

import tyro
from tyro.constructors import PrimitiveConstructorSpec

from hilserl.errors import HilserlError, unknown
from hilserl.settings import AtLeastOne, Positive

ObsName = Literal["state", "pixels"]
RewardName = Literal["sparse", "dense"]
FrameName = Literal["world", "tool"]
EnvKwargs = Annotated[
    dict[str, Any],
    PrimitiveConstructorSpec(
        nargs=1,
        metavar="JSON",
        instance_from_str=lambda words: _json_object(words[0]),
        is_instance=lambda value: isinstance(value, dict),
        str_from_instance=lambda value: [json.dumps(value)],
    ),
]
"""Keyword arguments, an object of JSON on the command line."""
CropFractions = tuple[float, float, float, float]
"""Top, left, height and width, as fractions of the whole view."""


def _json_object(text: str) -> dict[str, Any]:
    """Read an object of JSON."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise HilserlError(f"Invalid JSON {text!r}: {error}. Quote it: '{{\"image_obs\": true}}'.") from error
    if not isinstance(value, dict):
        raise HilserlError(f"Invalid JSON {text!r}: expected an object, such as '{{\"image_obs\": true}}'.")
    return value


@dataclass(frozen=True, kw_only=True)
class EnvOptions:
    """Observation, reward and limits of an environment."""

    obs: Annotated[ObsName, tyro.conf.arg(prefix_name=False)] = "state"
    """Observation beside proprioception: true object state, or camera images."""
    arm: Annotated[str, tyro.conf.arg(name="robot", metavar="ROBOT", prefix_name=False)] = "panda"
    """Simulated robot: a name that `hilserl robots` lists, or a file.

    A file is MJCF or URDF, with a TOML file beside it.
    """
    scene: Annotated[str, tyro.conf.arg(metavar="FILE.xml", prefix_name=False)] = ""
    """Scene instead of the one that a task's TOML file names."""
    cameras: Annotated[tuple[str, ...], tyro.conf.arg(prefix_name=False)] = ()
    """Cameras of the policy; by default the task's.

    Of another package's environment they are by default all.
    """
    image_size: int = 128
    """Height and width of a camera image, in pixels."""
    crop: dict[str, CropFractions] = field(default_factory=dict)
    """Narrower views by camera: top, left, height, width as fractions."""
    frame: FrameName | None = None
    """Reference frame of poses and actions; by default the task's.

    In the tool frame they are along the tool's axes and relative to the episode's start.
    """
    randomise: Annotated[bool, tyro.conf.arg(prefix_name=False)] = False
    """Randomise looks, light, cameras and the objects' physics at every reset."""
    max_episode_steps: int | None = None
    """Limit of an episode in control steps; by default the task's."""
    success_key: str | None = None
    """Key of another package's `info` that tells a success.

    By default is_success or success.
    """
    python: str | None = None
    """Interpreter of another package's environment.

    It is a file, or a package that `hilserl env list` shows. By default the environment is in this process.
    """
    kwargs: EnvKwargs = field(default_factory=dict)
    """Keyword arguments of another package's environment, as JSON."""
    timeout_s: Positive = 60.0
    """Longest time of a step in another interpreter.

    Making and resetting may take twice as long.
    """
    action_repeat: AtLeastOne = 1
    """Steps of another package's environment in a control step.

    An operator acts every 0.1 s; an environment with shorter steps repeats the action, and its rewards add up.
    """
    closes_at: dict[str, float] | None = None
    """Grippers in another package's action, with their closing values.

    A number's name, such as action_3, and -1 or 1, the value that closes it. By default those of packages that
    `hilserl env list` shows.
    """
    expert: Annotated[str | None, tyro.conf.arg(metavar="FILE.py:FUNCTION", prefix_name=False)] = None
    """Script that acts in another package's environment as an operator would.

    By default the one of a package that `hilserl env list` shows.
    """
    ends_on_success: Annotated[bool, tyro.conf.Suppress] = True
    """False if only the limit ends an episode.

    Then a classifier or an operator decides what a success is.
    """
    reward: Annotated[RewardName | None, tyro.conf.Suppress] = None
    """Sparse reward (1 at a success, else 0) or dense reward (shaped).

    By default a task is sparse, and another package's environment has its own reward, which counts as dense.
    """

    def __post_init__(self) -> None:
        """Raise HilserlError for an observation or a reward that does not exist."""
        for name in ("arm", "scene"):
            if Path(value := getattr(self, name)).suffix:
                # A run that is resumed elsewhere finds its files.
                object.__setattr__(self, name, str(Path(value).resolve()))
        if self.python is not None and Path(self.python).parent.name:
            # Not resolved: the interpreter of a virtual environment is a link to another one.
            object.__setattr__(self, "python", str(Path(self.python).absolute()))
        if self.expert and ":" in self.expert:
            path, _, function = self.expert.rpartition(":")
            object.__setattr__(self, "expert", f"{Path(path).resolve()}:{function}")
        if self.obs not in get_args(ObsName):
            raise unknown("obs", self.obs, get_args(ObsName))
        if self.reward is not None and self.reward not in get_args(RewardName):
            raise unknown("reward", self.reward, get_args(RewardName))


class EnvOptionValues(TypedDict, total=False):
    """The part of `EnvOptions` that tasks have, as keyword arguments for `gymnasium.make`."""

    obs: ObsName
    arm: str
    scene: str
    cameras: tuple[str, ...]
    image_size: int
    crop: dict[str, CropFractions]
    frame: FrameName | None
    randomise: bool
    max_episode_steps: int | None
    success_key: str | None
    ends_on_success: bool
    reward: RewardName | None
