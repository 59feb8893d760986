"""The environment of an arm behind a robot server, simulated or real: the simulated task's twin in real time."""

import contextlib
import sys
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from hilserl.envs.env import SceneSetup
from hilserl.envs.options import EnvOptions
from hilserl.envs.robot_scene import RobotScene
from hilserl.errors import HilserlError
from hilserl.robot.client.cameras import Camera, open_camera
from hilserl.robot.client.client import RobotClient
from hilserl.robot.client.config import RobotConfig
from hilserl.robot.client.homing import Homing
from hilserl.robot.control.backend import halted_error
from hilserl.robot.control.poses import Pose, cross, rotation_matrix, to_wxyz, to_xyzw
from hilserl.robot.control.timing import WINDOW, RateLimiter, percentiles_ms
from hilserl.sim.arm import GRIPPER_CLOSED, GRIPPER_OPEN
from hilserl.sim.cameras import checked_crops
from hilserl.sim.control import TOOL_DOWN_WXYZ, ArmSetup, PoseControl
from hilserl.sim.panda import FINGER_RANGE_M, TCP_FROM_WRIST_M
from hilserl.sim.quaternions import rotate, with_sign_of
from hilserl.sim.task import Task
from hilserl.sim.task_env import CONTROL_DT_S, TaskEnv
from hilserl.sim.teleoperation import ArmTeleoperation

_SETTLE_S = 0.3
"""Between the arm's arrival at home and the first observation."""
_LARGE_GAP_M = 2 * FINGER_RANGE_M


class RobotEnv(TaskEnv):
    """An arm that moves whether somebody steps it or not; `step` and `reset` keep the time, 0.1 s a step.

    Making it asks nothing of the robot; `connect`, which `reset` calls, does. Where the server's arm is simulated the
    task's own verdicts are known as they are in the simulation; of a real arm nothing but what it measures and sees is,
    so that `info["success"]` is False, progress 0, and there is no script: a reward classifier or a person has to say
    what a success is.

    `reset` and `step` raise `LostError` while the server does not answer and `RefusedError` while the arm is halted
    or somebody else's; the next `reset` tries anew.
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
        self._crops = checked_crops(self._camera_names, options.crop)
        self._client = RobotClient(robot.server)
        self._homing = Homing(self._client, robot.reset_speed_m_per_s)
        self._cameras: dict[str, Camera] = {}
        self._fetchers = ThreadPoolExecutor(len(self._camera_names) + 1, "robot")
        self._scene = RobotScene(task, self._client)
        self._home_m = self._scene.simulation.arm.tcp_position_m
        self._supervision = RobotSupervision(self.teleoperation)
        self._simulated_task: str | None = None
        self._connected = False
        self._episodes = 0
        self._orientation = to_xyzw(np.array(TOOL_DOWN_WXYZ))
        self._gripper_command, self._gripper_s = GRIPPER_OPEN, -np.inf
        self._state: dict[str, np.ndarray] = {}
        self._truth: dict[str, Any] | None = None
        self._pace = RateLimiter(1 / CONTROL_DT_S, sleep=self._scene.sleep)
        self._late_s: deque[float] = deque(maxlen=WINDOW)
        self._observe_s: deque[float] = deque(maxlen=WINDOW)
        self._command_s: deque[float] = deque(maxlen=WINDOW)

    def connect(self) -> None:
        """Finds the server and the cameras. Raises as `reset` does, and HilserlError where the scene is another one."""
        health = self._client.get("health")
        if not (isinstance(health, dict) and {"mode", "scene"} <= health.keys()):
            raise HilserlError(
                f"The server at {self._client.server} is not a robot server: it answers {health!r} to /health."
            )
        if health["mode"] == "halted":
            raise halted_error(health["halted_by"])
        self._simulated_task = health["scene"]
        if self._simulated_task not in (None, self.task.name):
            raise HilserlError(
                f"The server at {self._client.server} simulates {self._simulated_task}, not {self.task.name}."
            )
        if self._simulated_task is None and self._needs_truth:
            raise HilserlError("A real arm does not know where the objects are; take obs='pixels' and a sparse reward.")
        for name, _ in self.experience.images:
            if name not in self._cameras:
                source = self._config.camera_sources.get(name, "server")
                self._cameras[name] = open_camera(name, source, self._client)
                # The first picture of all takes its time.
                self._picture(name)
        if not self._connected:
            # All of them, so that none stays as the way home has it.
            self._compliance = {**self._client.get("limits")["compliance"], **self._config.compliance}
            self._connected = True
        if health["mode"] == "idle":
            self._client.post("startimp", patient=True)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """The arm goes home and the scene is set: a simulated one by the seed, a real one by a person."""
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
        return self._observe(), {"success": False}

    def _go_home(self) -> None:
        if self._config.precision:
            self._client.post("update_param", self._config.precision)
        try:
            self._travel_home()
        finally:
            # Also after a way that was not gone to its end: whoever comes next takes what is there for the arm's own.
            self._client.post("update_param", self._compliance)

    def _travel_home(self) -> None:
        if self._config.joint_reset_every and self._episodes % self._config.joint_reset_every == 0:
            self._client.post("jointreset", patient=True)
        self._episodes += 1
        spread, turn = self._config.reset_spread_m, self._config.reset_turn_rad
        # Beside the scene's own generator, so that a seed places the objects as it does in simulation.
        x, y, yaw = self.np_random.spawn(1)[0].uniform(-1, 1, 3) * (spread, spread, turn)
        self._orientation = _turned(yaw)
        self._homing.go(np.concatenate([self._home_m + np.array([x, y, 0.0]), self._orientation]))

    def step(self, action: np.ndarray) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        ((move, gripper),) = self._moves(action)
        self._command(move, gripper)
        self._late_s.append(self._pace.wait())
        observation = self._observe()
        success = self._truth is not None and self._supervision.succeeded()
        terminated, truncated = self._ends(success=success)
        reward = self._supervision.progress() if self._dense else float(success)
        return observation, reward, terminated, truncated, {"success": success}

    def _command(self, move: np.ndarray, gripper: float) -> None:
        begun_s = time.monotonic()
        # From where the tool was seen: the simulated task, too, adds an action to the observation's pose.
        seen = self._state["pose"]
        position, orientation = self._control.target(seen[:3], to_wxyz(seen[3:]), move, self._setup)
        kept = to_xyzw(orientation) if self._control.max_step_rad else self._orientation
        self._client.post("pose", {"arr": [*position.tolist(), *kept.tolist()]})
        wanted = GRIPPER_CLOSED if gripper < -0.5 else GRIPPER_OPEN if gripper > 0.5 else self._gripper_command
        if wanted != self._gripper_command and begun_s - self._gripper_s >= self._config.gripper_pause_s:
            self._client.post("open_gripper" if wanted == GRIPPER_OPEN else "close_gripper")
            self._gripper_command, self._gripper_s = wanted, begun_s
        self._command_s.append(time.monotonic() - begun_s)

    def _observe(self) -> dict[str, np.ndarray]:
        begun_s = time.monotonic()
        truth = self._fetchers.submit(self._client.get, "sim/truth") if self._simulated_task else None
        pictures = {name: self._fetchers.submit(self._picture, name) for name, _ in self.experience.images}
        self._state = self._client.state()
        self._truth = self._supervision.truth = truth.result() if truth else None
        images = {name: picture.result() for name, picture in pictures.items()}
        self._scene.update(self._state, self._truth)
        self._observe_s.append(time.monotonic() - begun_s)
        return {"state": self._packed(), **images}

    def _picture(self, name: str) -> np.ndarray:
        return self._cameras[name].read(self.options.image_size, self._crops.get(name))

    def _packed(self) -> np.ndarray:
        """The state vector."""
        state = self._state
        force, torque = wrist_wrench(state["pose"], state["force"], state["torque"])
        objects = self._truth["objects"] if self._truth else {}
        measured = {
            "tcp_position_m": state["pose"][:3],
            "tcp_quaternion_wxyz": with_sign_of(to_wxyz(state["pose"][3:]), TOOL_DOWN_WXYZ),
            "tcp_linear_velocity_m_per_s": state["vel"][:3],
            "tcp_angular_velocity_rad_per_s": state["vel"][3:],
            "gripper_width_m": _LARGE_GAP_M * state["gripper_pos"],
            "gripper_command": np.array(self._gripper_command),
            "wrist_force_n": force,
            "wrist_torque_nm": torque,
        }
        layout = self.experience.state
        seen = {e.name: np.array(objects[e.name]) for e in layout.entries if e.name in objects}
        return layout.pack(self._arms[0].observe(measured) | seen)

    def _tcp_positions_m(self) -> dict[str, np.ndarray]:
        return {self._setup.name: self._state["pose"][:3] if self._state else self._home_m}

    @property
    def scene(self) -> RobotScene:
        """A drawing of the arm as it was measured last."""
        return self._scene

    @property
    def supervision(self) -> "RobotSupervision | None":
        """The simulated scene's knowledge of the task; None once the server has said that its arm is real."""
        return None if self._connected and self._simulated_task is None else self._supervision

    @property
    def scene_setup(self) -> SceneSetup:
        """The pause in which a human sets up the scene of a real arm."""
        return self._scene_setup

    def images(self) -> dict[str, np.ndarray]:
        return {name: self._picture(name) for name, _ in self.experience.images}

    def render(self) -> np.ndarray:
        """Render the arm as it was measured last, uint8 [height, width, 3]."""
        return self._scene.image(*self._render_size)

    def timing(self) -> dict[str, float]:
        """How well the last steps kept time, in milliseconds, and how many were late by a whole step."""
        return {
            "steps": len(self._late_s),
            "late_steps": self._pace.late,
            **percentiles_ms("jitter", np.array(self._late_s)),
            **percentiles_ms("observe", np.array(self._observe_s)),
            **percentiles_ms("command", np.array(self._command_s)),
        }

    def close(self) -> None:
        """Lets the arm go, for another client to use, and the cameras."""
        if self._connected:
            # A server that is gone, or gives the arm to another one by now, has nothing to be released from.
            with contextlib.suppress(HilserlError):
                self._client.post("release")
        for camera in self._cameras.values():
            camera.close()
        self._cameras.clear()
        self._fetchers.shutdown()
        self._client.close()
        self._scene.close()
        self._connected = False


class RobotSupervision:
    """The task's knowledge of a scene that the robot server simulates."""

    def __init__(self, teleoperation: ArmTeleoperation) -> None:
        self._teleoperation = teleoperation
        self.truth: dict[str, Any] | None = None
        """The server's last answer to /sim/truth."""

    def _known(self) -> dict[str, Any]:
        if self.truth is None:
            raise HilserlError("A real arm has no script to drive it; choose a human operator, as --operator console.")
        return self.truth

    def expert_action(self) -> np.ndarray:
        """Return the script's action in the last observation, float64 [n] in [-1, 1]."""
        return self._teleoperation.full_action(np.array(self._known()["expert_action"]))

    def progress(self) -> float:
        """Return how far the task had come at the last observation, from 0 to 1."""
        return self._known()["progress"]

    def succeeded(self) -> bool:
        """True if the task was done at the last observation."""
        return bool(self._known()["success"])

    def harm(self) -> bool:
        """True if an operator would have stopped the robot at the last observation."""
        return bool(self._known()["harm"])


def make_robot_env(
    task: type[Task], *, render_mode: str | None = None, width: int = 640, height: int = 480, **settings: Any
) -> RobotEnv:
    """Make the environment of a task behind a robot server, as `gymnasium.make` does.

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
    """Where there is one; a run without goes on by itself."""
    if sys.stdin.isatty():
        # Ctrl-D says as much as Enter.
        with contextlib.suppress(EOFError):
            input("The arm is home. Set the scene up, then press Enter. ")


def wrist_wrench(pose: Pose, force_N: np.ndarray, torque_Nm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # noqa: N803
    """The server's force and torque, in the tool's frame about its point, in the world's and about the wrist.

    float64 [3] each, N and N m.
    """
    rotation = rotation_matrix(pose[3:])
    force = rotation @ force_N
    return force, rotation @ torque_Nm + cross(rotation @ np.array([0.0, 0.0, TCP_FROM_WRIST_M]), force)


def _turned(yaw_rad: float) -> np.ndarray:
    """Pointing down, turned about the vertical; xyzw."""
    return to_xyzw(rotate(np.array(TOOL_DOWN_WXYZ), np.array([0.0, 0.0, yaw_rad])))


def _drivable(task: Task) -> tuple[ArmSetup, PoseControl]:
    """The arm of a task that a robot server can drive. Raises HilserlError for any other."""
    setup = task.arms[0]
    if len(task.arms) > 1 or not isinstance(setup.control, PoseControl):
        raise HilserlError(
            f"A robot server drives one arm by poses; {task.name} is for {len(task.arms)} arm(s) under "
            f"{type(setup.control).__name__}."
        )
    return setup, setup.control
