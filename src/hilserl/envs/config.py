"""Where acting is done: in the simulation, or at an arm behind a robot server."""

from dataclasses import dataclass, field
from typing import Any, Literal

from hilserl import tasks
from hilserl.envs import make as world
from hilserl.envs.env import InteractiveEnv
from hilserl.envs.robot_env import RobotEnv
from hilserl.errors import HilserlError
from hilserl.robot.client.config import RobotConfig


@dataclass(frozen=True)
class Where:
    """What is acted in."""

    env: Literal["sim", "robot"] = "sim"
    """The simulation, or an arm behind a robot server, simulated or real, in real time."""
    robot: RobotConfig = field(default_factory=RobotConfig)

    def open(self, task: str, *, randomise: bool = False, **options: Any) -> InteractiveEnv:
        """The environment of a task; the options are those that `ManipulationEnv` and `RobotEnv` share.

        Raises HilserlError for randomisation where there is nothing to randomise, and for an arm in a foreign task.
        """
        if self.env == "sim":
            return world.make_env(task, randomise=randomise, **options)
        if world.is_gymnasium_id(task):
            raise HilserlError(f"{task} has no arm behind a robot server; take --env sim.")
        if randomise:
            raise HilserlError("An arm behind a robot server cannot be drawn anew: --randomise needs --env sim.")
        return RobotEnv(tasks.find(task)(), self.robot, **options)
