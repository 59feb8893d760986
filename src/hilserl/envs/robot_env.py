"""The environment of an arm behind a robot server, in real time."""

import contextlib
import sys
import time
from typing import Any

import numpy as np
from typing_extensions import override

from hilserl.envs.env import SceneSetup, success_info
from hilserl.envs.options import EnvOptions
from hilserl.envs.robot_cameras import RobotCameras
from hilserl.envs.robot_measurements import StepTiming, in_world, measured, to_base
from hilserl.envs.robot_scene import RobotScene
from hilserl.envs.robot_supervision import RobotSupervision
from hilserl.errors import HilserlError
from hilserl.robot.client.client import RobotClient
from hilserl.robot.client.config import RobotConfig
from hilserl.robot.client.homing import Homing
from hilserl.robot.control.backend import halted_error
from hilserl.robot.control.poses import to_wxyz, to_xyzw
from hilserl.robot.control.timing import RateLimiter
from hilserl.sim.arm import GRIPPER_CLOSED, GRIPPER_OPEN
from hilserl.sim.cameras import checked_crops
from hilserl.sim.control import ArmSetup, PoseControl
from hilserl.sim.quaternions import rotate
from hilserl.sim.robot_models.model import TURNS, RobotModel
from hilserl.sim.task import Task
from hilserl.sim.task_env import CONTROL_DT_S, TaskEnv

_FRANKA = ("panda", "fr3")
"""Robots with the same joints, behind the same server."""
_SETTLE_S = 0.3
"""Pause between the arrival at home and the first observation."""


class RobotEnv(TaskEnv):
    """An arm in real time, the twin of a task's simulated environment.

    The arm moves on between steps. Making the environment does not contact the robot; `reset` does, by `connect`. If
    the server's arm is simulated, `supervision` knows the task as in the simulation. A real arm only measures and sees:
    `supervision` is None and `info["success"]` is always False, so that a reward classifier or an operator has to
    decide what a success is.

    `reset` and `step` raise `LostError` while the server does not answer, and `ArmStateError` while the arm is halted
    or another client controls it; a later `reset` tries again.

    Args:
        task: The task.
        robot: The robot and its use.
        options: Of observation, reward and limits; without cameras or a frame they are the task's own.
        scene_setup: The pause for a human to set a real scene up; by default it waits for Enter at the terminal.
        render_mode: As in `TaskEnv`.
        render_size: As in `TaskEnv`.
    """

    in_real_time = True

    def __init__(
        self,
        task: Task,
        robot: RobotConfig,
        options: EnvOptions | None = None,
        *,
        scene_setup: SceneSetup | None = None,
        render_mode: str | None = None,
        render_size: tuple[int, int] = (480, 640),
    ) -> None:
        options = options or EnvOptions()
        self._setup, self._control = _drivable(task)
        super().__init__(task, options, render_mode, render_size)
        self._config = robot
        self._scene_setup = scene_setup or SceneSetup(ask_at_the_terminal)
        self._needs_truth = self._dense or (options.obs == "state" and bool(task.state))
        crops = checked_crops(self._camera_names, options.crop)
        self._client = RobotClient(robot.server)
        self._homing = Homing(self._client, robot.reset_speed_m_per_s, turns=self._setup.robot.turns == TURNS)
        names = [name for name, _ in self.experience.images]
        self._cameras = RobotCameras(self._client, robot.camera_sources, names, options.image_size, crops)
        self._scene = RobotScene(task, self._client)
        self._home_m = self._scene.simulation.arm.tcp_position_m
        self._supervision = RobotSupervision(self.teleoperation)
        self._simulated_task: str | None = None
        self._connected, self._episodes = False, 0
        self._orientation = to_xyzw(np.array(self._setup.tool_wxyz))
        self._gripper_command, self._gripper_s = GRIPPER_OPEN, -np.inf
        self._state: dict[str, np.ndarray] = {}
        self._truth: dict[str, Any] | None = None
        self._pace = RateLimiter(1 / CONTROL_DT_S, sleep=self._scene.sleep)
        self._timing = StepTiming()

    def connect(self) -> None:
        """Connect to the server and the cameras.

        Raises:
            LostError: The server or a camera does not answer.
            ArmStateError: The arm is halted.
            HilserlError: The server simulates another task, or a real arm cannot give what is asked for.
        """
        health = _healthy(self._client, self.task.name, self._setup.robot)
        self._simulated_task = health["scene"]
        if self._simulated_task is None and self._needs_truth:
            raise HilserlError(
                "A real arm does not know where the objects are; choose obs='pixels' and a sparse reward."
            )
        self._cameras.open()
        if not self._connected:
            # All parameters, so that none keeps its value of the way home.
            self._compliance = {**self._client.get("limits")["compliance"], **self._config.compliance}
            self._connected = True
        if health["mode"] == "idle":
            self._client.post("startimp", patient=True)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Move the arm home and have the scene set up."""
        super().reset(seed=seed, options=options)
        self._begin()
        self.connect()
        if self._setup.has_gripper:
            self._client.post("open_gripper")
        self._gripper_command, self._gripper_s = GRIPPER_OPEN, -np.inf
        self._go_home()
        if self._simulated_task is None:
            self._scene_setup.wait()
        else:
            drawn = int(self.np_random.integers(2**31)) if seed is None else seed
            self._client.post("sim/reset", {"seed": drawn, "home": False})
        time.sleep(_SETTLE_S)
        self._pace.begin()
        return self._observe(), success_info(False)

    def _go_home(self) -> None:
        if self._config.precision:
            self._client.post("update_param", self._config.precision)
        try:
            self._travel_home()
        finally:
            # Also after an interrupted way, as the next client takes the present values for the arm's own.
            self._client.post("update_param", self._compliance)

    def _travel_home(self) -> None:
        if self._config.joint_reset_every and self._episodes % self._config.joint_reset_every == 0:
            self._client.post("jointreset", patient=True)
        self._episodes += 1
        # A generator beside the scene's, so that a seed places the objects as in the simulation.
        x, y, yaw = self.np_random.spawn(1)[0].uniform(-1, 1, 3) * self._config.start_range
        self._orientation = to_xyzw(rotate(np.array(self._setup.tool_wxyz), np.array([0.0, 0.0, yaw])))
        home = np.concatenate([self._home_m + np.array([x, y, 0.0]), self._orientation])
        self._homing.go(to_base(home, self._setup))

    @override
    def step(self, action: np.ndarray) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        ((move, gripper),) = self._moves(action)
        self._command(move, gripper)
        self._timing.late_s.append(self._pace.wait())
        observation = self._observe()
        success = self._truth is not None and self._supervision.succeeded()
        terminated, truncated = self._ends(success=success)
        reward = self._supervision.progress() if self._dense else float(success)
        return observation, reward, terminated, truncated, success_info(success)

    def _command(self, move: np.ndarray, gripper: float) -> None:
        begun_s = time.monotonic()
        # As in the simulation, an action is added to the pose of the last observation.
        seen = self._state["pose"]
        position, orientation = self._control.target(seen[:3], to_wxyz(seen[3:]), move, self._setup)
        kept = to_xyzw(orientation) if self._control.max_step_rad else self._orientation
        self._client.post("pose", {"arr": to_base(np.concatenate([position, kept]), self._setup).tolist()})
        wanted = GRIPPER_CLOSED if gripper < -0.5 else GRIPPER_OPEN if gripper > 0.5 else self._gripper_command
        if wanted != self._gripper_command and begun_s - self._gripper_s >= self._config.gripper_pause_s:
            self._client.post("open_gripper" if wanted == GRIPPER_OPEN else "close_gripper")
            self._gripper_command, self._gripper_s = wanted, begun_s
        self._timing.command_s.append(time.monotonic() - begun_s)

    def _observe(self) -> dict[str, np.ndarray]:
        begun_s = time.monotonic()
        truth = self._cameras.submit(self._client.get, "sim/truth") if self._simulated_task else None
        waiting = self._cameras.fetch()
        self._state = in_world(self._client.state(), self._setup)
        self._truth = self._supervision.truth = truth.result() if truth else None
        images = {name: image.result() for name, image in waiting.items()}
        self._scene.update(self._state, self._truth)
        self._timing.observe_s.append(time.monotonic() - begun_s)
        return {"state": self._packed(), **images}

    def _packed(self) -> np.ndarray:
        """Assemble the state vector, float32 [n]."""
        values = measured(self._state, self._gripper_command, self._setup)
        objects = self._truth["objects"] if self._truth else {}
        layout = self.experience.state
        seen = {e.name: np.array(objects[e.name]) for e in layout.entries if e.name in objects}
        return layout.pack(self._arms[0].observe(values) | seen)

    def _tcp_positions_m(self) -> dict[str, np.ndarray]:
        return {self._setup.name: self._state["pose"][:3] if self._state else self._home_m}

    @property
    def scene(self) -> RobotScene:
        """A drawing of the arm as it was measured last."""
        return self._scene

    @property
    def supervision(self) -> RobotSupervision | None:
        """Knowledge of a simulated scene; None after `connect` to a real arm."""
        return None if self._connected and self._simulated_task is None else self._supervision

    @property
    def scene_setup(self) -> SceneSetup:
        """The pause for a human to set up a real arm's scene."""
        return self._scene_setup

    @override
    def images(self) -> dict[str, np.ndarray]:
        return self._cameras.images()

    def render(self) -> np.ndarray:
        """Render the arm as it was measured last, uint8 [height, width, 3]."""
        return self._scene.image(*self._render_size)

    def timing(self) -> dict[str, float]:
        """Return percentiles of the last steps' times, in milliseconds."""
        return {"steps": len(self._timing.late_s), "late_steps": self._pace.late, **self._timing.percentiles()}

    def close(self) -> None:
        """Release the arm for other clients, and close the cameras."""
        if self._connected:
            # A server that is gone, or has given the arm to another client, needs no release.
            with contextlib.suppress(HilserlError):
                self._client.post("release")
        self._cameras.close()
        self._client.close()
        self._scene.close()
        self._connected = False


def _healthy(client: RobotClient, task: str, robot: RobotModel) -> dict[str, Any]:
    """Return the answer to /health of a ready server."""
    health = client.get("health")
    if not (isinstance(health, dict) and {"mode", "scene"} <= health.keys()):
        raise HilserlError(f"The server at {client.server} is not a robot server: it answers {health!r} to /health.")
    if health["mode"] == "halted":
        raise halted_error(health["halted_by"])
    if health["scene"] not in (None, task):
        raise HilserlError(f"The server at {client.server} simulates {health['scene']}, not {task}.")
    served = health.get("robot") or _FRANKA[0]
    if served != robot.name and not {served, robot.name} <= set(_FRANKA):
        raise HilserlError(
            f"The server at {client.server} drives {served}, and the policy is for {robot.name}. Add --robot {served}, "
            f"or start the server with --robot {robot.name}."
        )
    return health


def make_robot_env(
    task: type[Task], *, render_mode: str | None = None, width: int = 640, height: int = 480, **settings: Any
) -> RobotEnv:
    """Make a task's environment behind a robot server, for `gymnasium.make`.

    Args:
        task: The task's class.
        render_mode: "rgb_array" or None.
        width: Width of what `render` returns, in pixels.
        height: Height of what `render` returns, in pixels.
        settings: Those of `RobotConfig` and `EnvOptions`.
    """
    robot = {name: settings.pop(name) for name in RobotConfig.__dataclass_fields__ if name in settings}
    size = height, width
    return RobotEnv(task(), RobotConfig(**robot), EnvOptions(**settings), render_mode=render_mode, render_size=size)


def ask_at_the_terminal() -> None:
    """Wait for Enter at the terminal, if there is one."""
    if sys.stdin.isatty():
        # Ctrl-D counts as Enter.
        with contextlib.suppress(EOFError):
            input("The arm is home. Set the scene up, then press Enter. ")


def _drivable(task: Task) -> tuple[ArmSetup, PoseControl]:
    """The arm of a task that a robot server can drive. Raises HilserlError for any other."""
    setup = task.arms[0]
    if len(task.arms) > 1 or not isinstance(setup.control, PoseControl):
        raise HilserlError(
            f"A robot server drives one arm by poses; {task.name} is for {len(task.arms)} arm(s) under "
            f"{type(setup.control).__name__}."
        )
    return setup, setup.control
