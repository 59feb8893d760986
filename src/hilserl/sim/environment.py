"""The simulated environment of a task."""

import contextlib
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from hilserl.errors import HilserlError
from hilserl.sim.cameras import Cameras, checked_crops
from hilserl.sim.frames import FrameName
from hilserl.sim.interface import CONTROL_DT_S, TaskEnv, motion_towards
from hilserl.sim.randomisation import Randomiser
from hilserl.sim.scene import FRONT, OVERVIEW, TOOL_DOWN_WXYZ, WRIST, world
from hilserl.sim.simulation import Simulation
from hilserl.sim.task import Task


class ManipulationEnv(TaskEnv):
    """A simulated arm; time passes in `step` alone.

    `crop` narrows a camera's view to (top, left, height, width), in fractions of it. `randomise` draws looks, light,
    cameras and the objects' physics anew at each reset.
    """

    def __init__(
        self,
        task: Task,
        obs: Literal["state", "pixels"] = "state",
        reward: Literal["sparse", "dense"] = "sparse",
        image_size: int = 128,
        cameras: tuple[str, ...] = (FRONT.name, WRIST.name),
        crop: dict[str, tuple[float, float, float, float]] | None = None,
        randomise: bool = False,
        max_episode_steps: int | None = None,
        ends_on_success: bool = True,
        frame: FrameName = "world",
        render_mode: str | None = None,
        width: int = 640,
        height: int = 480,
    ) -> None:
        limits = {"max_episode_steps": max_episode_steps, "ends_on_success": ends_on_success}
        super().__init__(task, obs, image_size, cameras, frame, **limits)
        if reward not in ("sparse", "dense"):
            raise HilserlError(f"reward={reward!r} does not exist; there is 'sparse' and 'dense'.")
        self.render_mode = render_mode
        self._size, self._dense = (height, width), reward == "dense"
        spec = world()
        task.build(spec)
        self.simulation = Simulation(spec, CONTROL_DT_S)
        self._randomiser = Randomiser(self.simulation.model, task.randomisation) if randomise else None
        self._cameras = Cameras(self.simulation.model)
        model = self.simulation.model
        seen = {model.camera(number).name for number in range(model.ncam)} - {OVERVIEW.name}
        self._crops = checked_crops(cameras, crop or {}, seen)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self._begin()
        if self._randomiser:
            # From a generator beside the task's, so that the objects start where they do without.
            self._randomiser.draw(self.simulation.data, self.np_random.spawn(1)[0])
        self.simulation.restart()
        self.task.reset(self.simulation, self.np_random)
        self.simulation.settle()
        return self._observe(), {"success": False}

    def step(self, action: np.ndarray) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        self._act(self._in_world(action))
        self.simulation.advance()
        success = self.succeeded()
        terminated, truncated = self._ends(success=success)
        reward = self.task.dense_reward(self.simulation) if self._dense else float(success)
        return self._observe(), reward, terminated, truncated, {"success": success}

    def _act(self, action: np.ndarray) -> None:
        arm = self.simulation.arm
        target_m = self._target_m(arm.tcp_position_m, action)
        arm.command_gripper(action[3])
        arm.command(target_m, np.array(TOOL_DOWN_WXYZ))

    def _observe(self) -> dict[str, np.ndarray]:
        arm = self.simulation.arm
        linear, angular = arm.tcp_velocity
        force, torque = arm.wrist_wrench
        values = {
            "tcp_position_m": arm.tcp_position_m,
            "tcp_quaternion_wxyz": arm.tcp_quaternion_wxyz,
            "tcp_linear_velocity_m_per_s": linear,
            "tcp_angular_velocity_rad_per_s": angular,
            "gripper_width_m": np.array(arm.gripper_width_m),
            "gripper_command": np.array(arm.gripper_command),
            "wrist_force_n": force,
            "wrist_torque_nm": torque,
        }
        if not self.experience.images:
            values |= self.task.observe(self.simulation)
        return {"state": self._packed(values), **self.images()}

    def images(self) -> dict[str, np.ndarray]:
        return {
            name: self._cameras.render(self.simulation.data, name, height, width, crop=self._crops.get(name))
            for name, (height, width, _) in self.experience.images
        }

    def render(self) -> np.ndarray:
        """The scene for people, uint8 [height, width, 3]."""
        return self.picture(*self._size)

    def picture(self, height: int, width: int, camera: str = OVERVIEW.name) -> np.ndarray:
        """Any camera at any size up to 1920 x 1080, uint8 [height, width, 3]."""
        return self._cameras.render(self.simulation.data, camera, height, width, for_people=True)

    def close(self) -> None:
        self._cameras.close()

    def watched(self, on_frame: Callable[[], object], frames: int) -> contextlib.AbstractContextManager[None]:
        return self.simulation.watched(on_frame, frames)

    @property
    def tcp_position_m(self) -> np.ndarray:
        return self.simulation.arm.tcp_position_m

    def expert_action(self) -> np.ndarray:
        return self._own(self.task.expert(self.simulation))

    def progress(self) -> float:
        return self.task.progress(self.simulation)

    def succeeded(self) -> bool:
        return self.task.success(self.simulation)

    def harm(self) -> bool:
        return self.task.harm(self.simulation)


def towards(sim: Simulation, goal_m: np.ndarray, gripper: float) -> np.ndarray:
    """The action that moves the tool straight to a point, no faster than one full step, with a gripper action."""
    return np.append(motion_towards(sim.arm.tcp_position_m, goal_m), gripper)
