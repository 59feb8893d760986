"""The configuration `--env.type=hilserl`."""

from dataclasses import dataclass, field
from typing import Any

from lerobot.configs.types import FeatureType, PolicyFeature
from lerobot.envs.configs import EnvConfig

from hilserl.envs.config import EnvConfig as TaskConfig
from hilserl.envs.make import make_env
from lerobot_env_hilserl.environment import task_names


@EnvConfig.register_subclass("hilserl")
@dataclass
class HilserlEnv(EnvConfig):
    """A task of hilserl in simulation."""

    task: str | None = "PickCube-v0"
    """Name of the task, as in `PickCube-v0`."""
    fps: int = 10
    """Control steps a second."""
    obs: str = "pixels"
    """`pixels` or `state`."""
    image_size: int = 128
    """Side of the images in pixels."""
    gripper: str = "signed"
    """`signed` or `classes`."""
    features: dict[str, PolicyFeature] = field(default_factory=dict)
    features_map: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Fill in the features of the task."""
        names = task_names()
        if self.task not in names:
            raise ValueError(f"Unknown task {self.task!r}. Available: {', '.join(names)}.")
        env = make_env(TaskConfig(task=names[self.task], obs=self.obs, image_size=self.image_size))
        spec = env.experience
        env.close()
        self.features = {
            "action": PolicyFeature(type=FeatureType.ACTION, shape=(spec.action.size,)),
            "agent_pos": PolicyFeature(type=FeatureType.STATE, shape=(spec.state.size,)),
        }
        self.features_map = {"action": "action", "agent_pos": "observation.state"}
        for camera, shape in spec.images:
            self.features[f"pixels/{camera}"] = PolicyFeature(type=FeatureType.VISUAL, shape=shape)
            self.features_map[f"pixels/{camera}"] = f"observation.images.{camera}"

    @property
    def package_name(self) -> str:
        """Name of the package that registers the environments."""
        return "lerobot_env_hilserl"

    @property
    def gym_kwargs(self) -> dict[str, Any]:
        """Arguments of the environment."""
        return {"obs": self.obs, "image_size": self.image_size, "gripper": self.gripper}
