"""The scene of an arm behind a robot server."""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import mujoco
import numpy as np

from hilserl.envs.env import SceneView
from hilserl.robot.client.client import RobotClient
from hilserl.sim.scene import OVERVIEW
from hilserl.sim.simulation import Simulation
from hilserl.sim.stage.stage import Stage
from hilserl.sim.task import Task, scene_of
from hilserl.sim.task_env import CONTROL_DT_S


class RobotScene(SceneView):
    """A drawing of the scene with the arm's last measurements.

    Nothing in it moves by itself.

    Args:
        task: The task whose scene is drawn.
        client: Where the arm's state is read from while a step lasts.
    """

    def __init__(self, task: Task, client: RobotClient) -> None:
        self._client = client
        self.simulation = Simulation(scene_of(task), CONTROL_DT_S, task.arms)
        self.simulation.restart()
        self._stage = Stage(self.simulation)
        model = self.simulation.model
        arm = task.arms[0]
        self._gripper = arm.robot.gripper
        self._joints, self._fingers = (
            np.array([model.joint(arm.prefix + name).qposadr[0] for name in names])
            for names in (arm.robot.joints, self._gripper.joints)
        )
        self._objects_qpos: np.ndarray | None = None
        self._on_frame: Callable[[], object] | None = None
        self._frame_s = CONTROL_DT_S

    @property
    def model_and_data(self) -> tuple[mujoco.MjModel, mujoco.MjData]:
        """Decorated model and its present state."""
        return self._stage.present()

    @property
    def centre_m(self) -> np.ndarray:
        """Mean centre of the arms' workspaces (world frame), float64 [3]."""
        return self.simulation.workspace_centre_m

    def image(self, height: int, width: int) -> np.ndarray:
        """Render the arm as it was measured last, uint8 [height, width, 3]."""
        return self._stage.image(OVERVIEW.name, height, width)

    def update(self, state: dict[str, np.ndarray], truth: dict[str, Any] | None) -> None:
        """Draw the arm's state (/getstate) and a simulated scene's truth (/sim/truth)."""
        self._objects_qpos = np.array(truth["qpos"]) if truth else None
        self._redraw(state)

    def _redraw(self, state: dict[str, np.ndarray]) -> None:
        data = self.simulation.data
        if self._objects_qpos is not None:
            data.qpos[:] = self._objects_qpos
        data.qpos[self._joints] = state["q"]
        data.qpos[self._fingers] = self._gripper.position(self._gripper.opening_m * float(state["gripper_pos"]))
        mujoco.mj_forward(self.simulation.model, data)

    @contextlib.contextmanager
    def watched(self, on_frame: Callable[[], object], frames: int) -> Iterator[None]:
        """Call `on_frame` up to `frames` times a step, while `sleep` waits."""
        self._on_frame, self._frame_s = on_frame, CONTROL_DT_S / frames
        try:
            yield
        finally:
            self._on_frame = None

    def sleep(self, seconds: float) -> None:
        """Wait for a step's end; a watched drawing follows the arm."""
        until_s = time.monotonic() + seconds
        while (left_s := until_s - time.monotonic()) > 0:
            if self._on_frame is None or left_s < self._frame_s:
                time.sleep(left_s)
                return
            time.sleep(self._frame_s)
            self._redraw(self._client.state())
            self._on_frame()

    def close(self) -> None:
        """Release the OpenGL contexts."""
        self._stage.close()
