"""The simulated arm behind the server: its loop, its cameras, and what only a simulation can do and knows."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from hilserl.errors import unknown
from hilserl.robot.control.driver import ArmSettings
from hilserl.robot.control.process_backend import LoopBackend
from hilserl.robot.drivers.sim.driver import SimArm, scene
from hilserl.sim.cameras import Cameras
from hilserl.sim.task import Task


@dataclass(frozen=True)
class SimSettings(ArmSettings):
    """A simulated arm. Its task's class is imported again in the loop's process."""

    task: Task

    @property
    def more(self) -> Mapping[str, int]:
        return {"qpos": scene(self.task).model.nq}

    def make(self) -> SimArm:
        return SimArm(self.task, self.box, self.limits, self.gripper, self.reset_joints_rad)


class SimBackend(LoopBackend):
    """Starts the loop at once. Raises HilserlError where the settings make no arm."""

    def __init__(self, settings: SimSettings) -> None:
        # The same scene as the loop's: pictures are drawn of it here, at the positions that the loop shows.
        self._view = scene(settings.task)
        self._pictures = Cameras(self._view.model)
        self._painter = ThreadPoolExecutor(1, "pictures")
        self.scene = settings.task.name
        """Whose objects lie before the arm."""
        super().__init__(settings)

    @property
    def cameras(self) -> tuple[str, ...]:
        model = self._view.model
        return tuple(model.camera(number).name for number in range(model.ncam))

    def picture(self, camera: str, height: int, width: int) -> tuple[np.ndarray, float]:
        if camera not in self.cameras:
            raise unknown("camera", camera, self.cameras)
        return self._painter.submit(self._paint, camera, height, width).result()

    def _paint(self, camera: str, height: int, width: int) -> tuple[np.ndarray, float]:
        """In the one thread that OpenGL's contexts belong to."""
        seen = self.seen()
        self._view.data.qpos[:] = seen["qpos"]
        self._view.settle()
        return self._pictures.render(self._view.data, camera, height, width), float(seen["time_s"][0])

    def reset_scene(self, seed: int, *, home: bool) -> None:
        """As the task's environment does with that seed; `home` puts the robot home, too, at once."""
        self.ask("reset_scene", seed=seed, home=home)

    def truth(self) -> dict[str, Any]:
        """The task's verdicts on the present moment, and what its script would do."""
        return self.ask("truth")

    def close(self) -> None:
        self._painter.submit(self._pictures.close)
        self._painter.shutdown()
        super().close()
