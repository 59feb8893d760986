"""Options that every environment takes, whatever it acts in."""

from dataclasses import dataclass, field
from typing import Annotated, Literal, TypedDict, get_args

import tyro

from hilserl.errors import unknown

ObsName = Literal["state", "pixels"]
RewardName = Literal["sparse", "dense"]
FrameName = Literal["world", "tool"]
CropFractions = tuple[float, float, float, float]
"""Top, left, height and width of a part of a view, as fractions of the whole."""


@dataclass(frozen=True, kw_only=True)
class EnvOptions:
    """Observation, reward and limits of an environment."""

    obs: Annotated[ObsName, tyro.conf.arg(prefix_name=False)] = "state"
    """What the policy sees beside proprioception: the objects' true state, or camera images."""
    cameras: Annotated[tuple[str, ...], tyro.conf.arg(prefix_name=False)] = ()
    """Cameras of the policy; by default those of the task, or all of another package's environment."""
    image_size: int = 128
    """Height and width of a camera image, in pixels."""
    crop: dict[str, CropFractions] = field(default_factory=dict)
    """Narrower view by camera: top, left, height and width as fractions of the whole."""
    frame: FrameName | None = None
    """Axes along which the policy sees and moves the tool: the world's, or the tool's own at the episode's start; by
    default the task's choice."""
    randomise: Annotated[bool, tyro.conf.arg(prefix_name=False)] = False
    """Draw looks, light, camera poses and the objects' size, mass and friction for every episode."""
    max_episode_steps: int | None = None
    """Control steps after which an episode is truncated; by default the environment's own limit."""
    ends_on_success: Annotated[bool, tyro.conf.Suppress] = True
    """False if only the limit ends an episode, because something else decides what a success is."""
    reward: Annotated[RewardName | None, tyro.conf.Suppress] = None
    """`sparse` is 1 at a success and else 0, `dense` is shaped; by default a task is sparse, and the environment of
    another package has its own, dense reward."""

    def __post_init__(self) -> None:
        """Raise HilserlError for an observation or a reward that does not exist."""
        if self.obs not in get_args(ObsName):
            raise unknown("obs", self.obs, get_args(ObsName))
        if self.reward is not None and self.reward not in get_args(RewardName):
            raise unknown("reward", self.reward, get_args(RewardName))


class EnvOptionValues(TypedDict, total=False):
    """`EnvOptions` as keyword arguments, for `gymnasium.make`."""

    obs: ObsName
    cameras: tuple[str, ...]
    image_size: int
    crop: dict[str, CropFractions]
    frame: FrameName | None
    randomise: bool
    max_episode_steps: int | None
    ends_on_success: bool
    reward: RewardName | None
