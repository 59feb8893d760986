"""The simulated environment of a task."""

from typing import Any

import numpy as np
from typing_extensions import override

from hilserl.envs.env import success_info
from hilserl.envs.options import EnvOptions
from hilserl.sim.arm import Arm
from hilserl.sim.cameras import Cameras, checked_crops
from hilserl.sim.randomisation import Randomiser
from hilserl.sim.scene import OVERVIEW
from hilserl.sim.scene_view import SimulatedScene
from hilserl.sim.simulation import Simulation
from hilserl.sim.task import Task, scene_of
from hilserl.sim.task_env import CONTROL_DT_S, TaskEnv
from hilserl.sim.teleoperation import ArmTeleoperation, way_towards


class ManipulationEnv(TaskEnv):
    """The simulated environment of a task; time passes only in `step`.

    With `options.randomise` every reset draws looks, light, cameras and the objects' physics.
    """

    def __init__(
        self,
        task: Task,
        options: EnvOptions | None = None,
        *,
        render_mode: str | None = None,
        render_size: tuple[int, int] = (480, 640),
    ) -> None:
        options = options or EnvOptions()
        super().__init__(task, options, render_mode, render_size)
        self.simulation = Simulation(scene_of(task), CONTROL_DT_S, task.arms)
        model = self.simulation.model
        self._randomiser = Randomiser(model, task.randomisation, task.arms) if options.randomise else None
        self._cameras = Cameras(model)
        self._scene = SimulatedScene(self.simulation)
        self._supervision = TaskSupervision(task, self.simulation, self.teleoperation)
        seen = {model.camera(number).name for number in range(model.ncam)} - {OVERVIEW.name}
        self._crops = checked_crops(self._camera_names, options.crop, seen)

    @override
    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self._begin()
        if self._randomiser:
            # A generator beside the task's, so that the objects start as they do without randomisation.
            self._randomiser.draw(self.simulation.data, self.np_random.spawn(1)[0])
        self.simulation.restart()
        self.task.reset(self.simulation, self.np_random)
        self.simulation.settle()
        return self._observe(), success_info(False)

    @override
    def step(self, action: np.ndarray) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        for arm, (move, gripper) in zip(self.simulation.arms, self._moves(action), strict=True):
            arm.command_gripper(gripper)
            arm.act(move)
        self.simulation.advance()
        success = self._supervision.succeeded()
        terminated, truncated = self._ends(success=success)
        reward = self.task.dense_reward(self.simulation) if self._dense else float(success)
        return self._observe(), reward, terminated, truncated, success_info(success)

    def _observe(self) -> dict[str, np.ndarray]:
        values: dict[str, np.ndarray] = {}
        for view, arm in zip(self._arms, self.simulation.arms, strict=True):
            values |= view.observe(_measured(arm))
        if not self.experience.images:
            values |= self.task.observe(self.simulation)
        return {"state": self.experience.state.pack(values), **self.images()}

    @override
    def images(self) -> dict[str, np.ndarray]:
        return {
            name: self._cameras.render(self.simulation.data, name, height, width, crop=self._crops.get(name))
            for name, (height, width, _) in self.experience.images
        }

    @property
    def scene(self) -> SimulatedScene:
        """The simulated scene as people see it."""
        return self._scene

    @property
    def supervision(self) -> "TaskSupervision":
        """The task's own knowledge of the simulation."""
        return self._supervision

    def _tcp_positions_m(self) -> dict[str, np.ndarray]:
        return {arm.setup.name: arm.tcp_position_m for arm in self.simulation.arms}

    def render(self) -> np.ndarray:
        """Render the scene for people, uint8 [height, width, 3]."""
        return self._scene.image(*self._render_size)

    def close(self) -> None:
        """Release the cameras' OpenGL contexts."""
        self._cameras.close()
        self._scene.close()


class TaskSupervision:
    """A task's knowledge of its simulation."""

    def __init__(self, task: Task, simulation: Simulation, teleoperation: ArmTeleoperation) -> None:
        self._task, self._simulation, self._teleoperation = task, simulation, teleoperation

    def expert_way(self) -> np.ndarray:
        """Compute the task script's way, float64 [n] in full steps."""
        return np.asarray(self._task.expert(self._simulation), np.float64)

    def expert_action(self) -> np.ndarray:
        """Compute the task script's action, float64 [n] in [-1, 1]."""
        return self.to_action(self.expert_way())

    def to_action(self, way: np.ndarray) -> np.ndarray:
        """Convert a way along the world's axes to an action.

        Both are float64 [n]. The action is at most one full step.
        """
        return self._teleoperation.full_action(way)

    def progress(self) -> float:
        """Estimate how far the task has come, from 0 to 1."""
        return self._task.progress(self._simulation)

    def succeeded(self) -> bool:
        """True if the task is done now."""
        return self._task.success(self._simulation)

    def harm(self) -> bool:
        """True if an operator would stop the robot now."""
        return self._task.harm(self._simulation)


def _measured(arm: Arm) -> dict[str, np.ndarray]:
    """Collect an arm's measurements, named as in `reference_frame.World`."""
    linear, angular = arm.tcp_velocity
    values = {
        "tcp_position_m": arm.tcp_position_m,
        "tcp_quaternion_wxyz": arm.tcp_quaternion_wxyz,
        "tcp_linear_velocity_m_per_s": linear,
        "tcp_angular_velocity_rad_per_s": angular,
        "gripper_width_m": np.array(arm.gripper_width_m),
        "gripper_command": np.array(arm.gripper_command),
    }
    if arm.setup.robot.senses_wrench:
        values["wrist_force_n"], values["wrist_torque_nm"] = arm.wrist_wrench
    return values


def towards(
    arm: Arm, goal_m: np.ndarray, gripper: float | None = None, goal_wxyz: np.ndarray | None = None
) -> np.ndarray:
    """Compute an arm's part of a script's way to a goal.

    Args:
        arm: The arm.
        goal_m: The goal's position (world frame), [3].
        gripper: The gripper's action; None for an arm whose gripper is not commanded.
        goal_wxyz: The goal's orientation; None to keep the present one.

    Returns:
        The straight way in full steps along the world's axes, however long.
    """
    way = way_towards(arm.setup, arm.tcp_position_m, goal_m, arm.tcp_quaternion_wxyz, goal_wxyz)[arm.setup.axes]
    return way if gripper is None else np.append(way, gripper)
