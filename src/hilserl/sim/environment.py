"""The Gymnasium environment of a task."""

import math
from typing import Any, Literal

import gymnasium
import mujoco
import numpy as np

from hilserl.errors import HilserlError, unknown
from hilserl.experience import ActionLayout, ExperienceSpec, StateLayout, entry
from hilserl.sim.cameras import Cameras, Crop
from hilserl.sim.randomisation import Randomiser
from hilserl.sim.scene import FRONT, OVERVIEW, TOOL_DOWN_WXYZ, WRIST, world
from hilserl.sim.simulation import Simulation
from hilserl.sim.task import Task

CONTROL_DT_S = 0.1
MAX_STEP_M = 0.035
"""How far a full action moves the target: the hand crosses the workspace's 0.6 m in under two seconds."""

_STATE_BOUND = 1000.0
"""The state's declared bounds, in nominal ranges: beyond anything physical, yet finite as Gymnasium wants them."""

ACTION = ActionLayout(("tcp_dx", "tcp_dy", "tcp_dz", "gripper"), grippers=(3,))


def steps_of(seconds: float) -> int:
    """The nearest number of control steps. Raises HilserlError where that is none, or no number."""
    if not math.isfinite(seconds) or round(seconds / CONTROL_DT_S) < 1:
        raise HilserlError(f"{seconds} s: expected a number of seconds of at least a control step, {CONTROL_DT_S} s.")
    return round(seconds / CONTROL_DT_S)


def proprioception(task: type[Task] | Task) -> StateLayout:
    """What the robot knows of itself; every number is measured, and positions are in the world frame."""
    low, high = np.array(task.workspace_low_m), np.array(task.workspace_high_m)
    return StateLayout(
        (
            entry("tcp_position_m", 3, (low + high) / 2, (high - low) / 2),
            entry("tcp_quaternion_wxyz", 4, TOOL_DOWN_WXYZ, 0.1),
            entry("tcp_linear_velocity_m_per_s", 3, scale=0.3),
            entry("tcp_angular_velocity_rad_per_s", 3, scale=0.5),
            entry("gripper_width_m", 1, 0.04, 0.04),
            entry("gripper_command", 1),
            entry("wrist_force_n", 3, scale=10.0),
            entry("wrist_torque_nm", 3, scale=1.0),
        )
    )


class ManipulationEnv(gymnasium.Env[Any, np.ndarray]):
    """One arm, one task. Actions are [dx, dy, dz, gripper] in [-1, 1]; the gripper closes at -1 and opens at +1.

    Each step moves the target from the *measured* tool position by the scaled action, keeps it in the workspace, and
    lets 0.1 s pass. An episode is terminated by success and truncated by the task's time limit.

    `obs="state"` adds the objects' true state to the state vector; `obs="pixels"` shows `cameras` instead, each
    `image_size` pixels high and wide. `crop` narrows a camera's view to (top, left, height, width), in fractions of it.
    `randomise` draws looks, light, cameras and the objects' physics anew at each reset.
    `max_episode_steps` replaces the task's time limit; with `ends_on_success=False` only that limit ends an episode.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": round(1 / CONTROL_DT_S)}  # noqa: RUF012 (Gymnasium's own)

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
        render_mode: str | None = None,
        width: int = 640,
        height: int = 480,
    ) -> None:
        for name, value, choices in (("obs", obs, ("state", "pixels")), ("reward", reward, ("sparse", "dense"))):
            if value not in choices:
                raise HilserlError(f"{name}={value!r} does not exist; there is {' and '.join(map(repr, choices))}.")
        self.task = task
        self._max_steps = task.max_episode_steps if max_episode_steps is None else max_episode_steps
        self._ends_on_success = ends_on_success
        self.render_mode = render_mode
        self._size, self._dense = (height, width), reward == "dense"
        spec = world()
        task.build(spec)
        self.simulation = Simulation(spec, CONTROL_DT_S)
        self._randomiser = Randomiser(self.simulation.model, task.randomisation) if randomise else None
        self._cameras = Cameras(self.simulation.model)
        self._crops = _checked_crops(self.simulation.model, cameras, crop or {})
        self._low, self._high = np.array(task.workspace_low_m), np.array(task.workspace_high_m)
        self._steps = 0

        layout = proprioception(task)
        if obs == "state":
            layout = StateLayout(layout.entries + task.state)
        shape = (image_size, image_size, 3)
        images = tuple((name, shape) for name in cameras) if obs == "pixels" else ()
        self.experience = ExperienceSpec(task.name, layout, ACTION, images, CONTROL_DT_S)
        bound = _STATE_BOUND * layout.scale
        spaces: dict[str, gymnasium.Space[Any]] = {
            "state": gymnasium.spaces.Box(layout.centre - bound, layout.centre + bound, dtype=np.float32)
        }
        spaces |= {name: gymnasium.spaces.Box(0, 255, shape, np.uint8) for name, shape in images}
        self.observation_space = gymnasium.spaces.Dict(spaces)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (ACTION.size,), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self._steps = 0
        if self._randomiser:
            # From a generator beside the task's, so that the objects start where they do without.
            self._randomiser.draw(self.simulation.data, self.np_random.spawn(1)[0])
        self.simulation.restart()
        self.task.reset(self.simulation, self.np_random)
        self.simulation.settle()
        return self._observe(), {"success": False}

    def step(self, action: np.ndarray) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        self._act(self._checked(action))
        self.simulation.advance()
        self._steps += 1
        success = self.task.success(self.simulation)
        terminated = success and self._ends_on_success
        truncated = not terminated and self._steps >= self._max_steps
        reward = self.task.dense_reward(self.simulation) if self._dense else float(success)
        return self._observe(), reward, terminated, truncated, {"success": success}

    def _checked(self, action: np.ndarray) -> np.ndarray:
        action = np.asarray(action, dtype=np.float64)
        if action.shape != (ACTION.size,) or not np.isfinite(action).all():
            raise HilserlError(f"An action is {ACTION.size} finite numbers {ACTION.names}, got {action}.")
        return np.clip(action, -1.0, 1.0)

    def _act(self, action: np.ndarray) -> None:
        arm = self.simulation.arm
        target = np.clip(arm.tcp_position_m + MAX_STEP_M * action[:3], self._low, self._high)
        arm.command_gripper(action[3])
        arm.command(target, np.array(TOOL_DOWN_WXYZ))

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
        return {"state": self.experience.state.pack(values), **self.images()}

    def images(self) -> dict[str, np.ndarray]:
        """What the policy's cameras see now, each uint8 [image_size, image_size, 3]; none where `obs="state"`."""
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

    def motion_towards(self, goal_m: tuple[float, float, float]) -> tuple[float, ...]:
        """What of an action leads the tool straight to a point of the world, no faster than one full step."""
        return tuple(towards(self.simulation, np.array(goal_m), 0.0)[list(ACTION.continuous)])

    @property
    def tcp_position_m(self) -> np.ndarray:
        """Where the tool is (world frame), float64 [3]."""
        return self.simulation.arm.tcp_position_m

    def expert_action(self) -> np.ndarray:
        """What the task's script would do now, float64 [4] in [-1, 1]."""
        return np.clip(self.task.expert(self.simulation), -1.0, 1.0)

    def progress(self) -> float:
        """How far the task has come, 0 to 1."""
        return self.task.progress(self.simulation)

    def succeeded(self) -> bool:
        """Whether the task is done now."""
        return self.task.success(self.simulation)

    def harm(self) -> bool:
        """Whether a person would stop the robot now."""
        return self.task.harm(self.simulation)


def _checked_crops(
    model: mujoco.MjModel, cameras: tuple[str, ...], crops: dict[str, tuple[float, float, float, float]]
) -> dict[str, Crop]:
    """The crops, where cameras and crops make sense; else raises HilserlError."""
    existing = {model.camera(camera).name for camera in range(model.ncam)} - {OVERVIEW.name}
    for name in cameras:
        if name not in existing:
            raise unknown("camera", name, existing)
    if not cameras or len(set(cameras)) < len(cameras):
        raise HilserlError(f"cameras={cameras!r}: expected one or more of {sorted(existing)}, each once.")
    for name, crop in crops.items():
        if name not in cameras:
            raise unknown("camera to crop", name, cameras)
        if len(crop) != 4 or not Crop(*crop).is_inside:
            raise HilserlError(
                f"crop[{name!r}]={crop!r}: expected (top, left, height, width) in fractions of the view, height and "
                "width above 0, top + height and left + width at most 1."
            )
    return {name: Crop(*crop) for name, crop in crops.items()}


def towards(sim: Simulation, goal_m: np.ndarray, gripper: float) -> np.ndarray:
    """The action that moves the tool straight to a point, no faster than one full step, with a gripper action."""
    motion = (goal_m - sim.arm.tcp_position_m) / MAX_STEP_M
    return np.append(motion / max(1.0, np.abs(motion).max()), gripper)
