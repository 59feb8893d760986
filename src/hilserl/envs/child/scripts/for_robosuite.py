"""Robosuite's tasks as Gymnasium environments, and a script that lifts its cube."""

import gymnasium
import numpy as np
import robosuite  # pyright: ignore[reportMissingImports]
from gymnasium import spaces

_FPS = 20
_IMAGE_PX = 256
_STEP_M = 0.05
"""Motion of the tool's target for an action of 1."""
_GAIN = 2.0
_ABOVE_M, _ALIGNED_M, _LOW_M, _HIGH_M = 0.1, 0.015, 0.012, 1.0


class RobosuiteEnv(gymnasium.Env):
    """A task of robosuite with the states of robot and objects.

    Args:
        task: The task's name in robosuite.
        render_mode: "rgb_array" or None.
        robots: The robots' names in robosuite.
        options: Further arguments of `robosuite.make`.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": _FPS}  # noqa: RUF012 (Gymnasium's own)

    def __init__(self, task, render_mode=None, robots="Panda", **options):
        self.render_mode = render_mode
        settings = {"has_renderer": False, "use_camera_obs": False, "reward_shaping": True, "control_freq": _FPS}
        settings |= {"has_offscreen_renderer": render_mode is not None, "ignore_done": True, "hard_reset": False}
        self.suite = robosuite.make(task, robots=robots, **{**settings, **options})
        low, high = self.suite.action_spec
        self.action_space = spaces.Box(low.astype(np.float32), high.astype(np.float32))
        seen = self._seen(self.suite.reset())
        parts: dict[str, spaces.Space] = {
            name: spaces.Box(-np.inf, np.inf, value.shape, np.float64) for name, value in seen.items()
        }
        self.observation_space = spaces.Dict(parts)

    def reset(self, *, seed=None, options=None):
        """Begin an episode."""
        super().reset(seed=seed, options=options)
        if seed is not None:
            # Robosuite takes a seed when it is made alone.
            self.suite.rng = self.np_random
            if placement := getattr(self.suite, "placement_initializer", None):
                for sampler in (placement, *getattr(placement, "samplers", {}).values()):
                    sampler.rng = self.np_random
        return self._seen(self.suite.reset()), {}

    def step(self, action):
        """Do a control step."""
        observation, reward, _, info = self.suite.step(action)
        info["success"] = bool(self.suite._check_success())
        return self._seen(observation), reward, False, False, info

    def render(self):
        """Render the scene as people see it, uint8 [h, w, 3]."""
        image = self.suite.sim.render(width=_IMAGE_PX, height=_IMAGE_PX, camera_name="frontview")
        return np.ascontiguousarray(image[::-1])

    def close(self):
        """Release the renderer."""
        self.suite.close()

    @staticmethod
    def _seen(observation):
        return {
            name: np.asarray(value, np.float64)
            for name, value in observation.items()
            if name.endswith(("proprio-state", "object-state"))
        }


def register():
    """Register all tasks of robosuite under their own names."""
    for task in robosuite.ALL_ENVIRONMENTS:
        if task not in gymnasium.registry:
            gymnasium.register(task, entry_point=RobosuiteEnv, kwargs={"task": task}, max_episode_steps=200)


def expert(env, observation):
    """Return an action that lifts the cube of Lift, float [7]."""
    del observation
    suite = env.unwrapped.suite
    if not hasattr(suite, "cube_body_id"):
        raise LookupError(f"There is a script for Lift alone, not for {type(suite).__name__}.")
    tool, cube, closed = _positions(suite)
    aside = np.linalg.norm((tool - cube)[:2])
    goal, gripper = cube.copy(), -1.0
    if aside < _ALIGNED_M and abs(tool[2] - cube[2]) < _LOW_M:
        gripper = 1.0
        if closed:
            goal = np.array([*cube[:2], _HIGH_M])
    elif aside > _ALIGNED_M:
        goal[2] += _ABOVE_M
    return np.concatenate([_GAIN * (goal - tool) / _STEP_M, np.zeros(3), [gripper]])


def _positions(suite):
    """Return tool and cube in metres, and True if it is gripped."""
    tool = np.array(suite.sim.data.site_xpos[suite.robots[0].eef_site_id["right"]])
    cube = np.array(suite.sim.data.body_xpos[suite.cube_body_id])
    return tool, cube, bool(suite._check_grasp(gripper=suite.robots[0].gripper, object_geoms=suite.cube))
