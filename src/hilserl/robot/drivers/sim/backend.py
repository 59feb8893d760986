"""Backend of the simulated arm, with its cameras and its scene."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from typing_extensions import override

from hilserl.errors import unknown
from hilserl.robot.control.driver import ArmSettings
from hilserl.robot.control.loop_process import LoopProcess
from hilserl.robot.control.process_backend import LoopBackend
from hilserl.robot.drivers.sim.driver import SimArm
from hilserl.robot.drivers.sim.world import SimWorld, make_scene
from hilserl.sim.cameras import Cameras
from hilserl.sim.task import Task


@dataclass(frozen=True)
class SimSettings(ArmSettings):
    """Settings of a simulated arm. The loop's process imports the task's class again."""

    task: Task
    """Task whose objects lie before the arm."""
    beside: "tuple[SimSettings, ...]" = ()
    """Settings of the world's further arms, in the task's order."""

    @property
    @override
    def together(self) -> "tuple[SimSettings, ...]":
        return self, *self.beside

    @property
    @override
    def extra_measurements(self) -> Mapping[str, int]:
        return {"qpos": make_scene(self.task).model.nq}

    @override
    def make(self) -> SimArm:
        world = SimWorld(self.task)
        for each in self.together:
            SimArm(world, each.box, each.limits, each.gripper, each.reset_joints_rad)
        return world.arms[0]


def sim_backends(settings: SimSettings) -> "list[SimBackend]":
    """Start the backends of all arms of one world. They end together."""
    process = LoopProcess(settings)
    return [SimBackend(each, process, number) for number, each in enumerate(settings.together)]


class SimBackend(LoopBackend):
    """Simulated arm, started at once. Raises HilserlError for invalid settings."""

    def __init__(self, settings: SimSettings, process: LoopProcess | None = None, number: int = 0) -> None:
        # The same scene as the loop's: this process renders it at the positions that the loop shows.
        self._view = make_scene(settings.task)
        self._renderer = Cameras(self._view.model)
        self._render_thread = ThreadPoolExecutor(1, "images")
        self.scene = settings.task.name
        """Name of the task whose objects lie before the arm."""
        super().__init__(settings, process, number)

    @property
    @override
    def cameras(self) -> tuple[str, ...]:
        model = self._view.model
        return tuple(model.camera(number).name for number in range(model.ncam))

    @override
    def image(self, camera: str, height: int, width: int) -> tuple[np.ndarray, float]:
        if camera not in self.cameras:
            raise unknown("camera", camera, self.cameras)
        return self._render_thread.submit(self._render, camera, height, width).result()

    def _render(self, camera: str, height: int, width: int) -> tuple[np.ndarray, float]:
        """Render in the one thread that owns the OpenGL contexts."""
        state = self.read_state()
        self._view.data.qpos[:] = state["qpos"]
        self._view.settle()
        return self._renderer.render(self._view.data, camera, height, width), float(state["time_s"][0])

    def reset_scene(self, seed: int, *, home: bool) -> None:
        """Place the task's objects as its environment's `reset(seed=seed)` does.

        Args:
            seed: seed of the environment's reset.
            home: also put the robot home, at once.
        """
        self.call("reset_scene", seed=seed, home=home)

    def truth(self) -> dict[str, Any]:
        """Return the task's verdicts and its script's way."""
        return self.call("truth")

    @override
    def close(self) -> None:
        self._render_thread.submit(self._renderer.close)
        self._render_thread.shutdown()
        super().close()
