"""Checks of a user's task: overlaps and tries of the script."""

from typing import NamedTuple

import mujoco

from hilserl.sim.environment import ManipulationEnv
from hilserl.tasks.scenes.scene_task import SCENE_PREFIX

_DEEP_M = 0.001


class Tries(NamedTuple):
    """Outcomes of a script."""

    successes: int
    """Episodes that succeeded."""
    episodes: int
    """Episodes that were tried."""
    mean_steps: float
    """Mean length of the successful ones; 0 without any."""


def overlaps(env: ManipulationEnv) -> list[str]:
    """Name the parts of the scene that overlap at the start.

    Args:
        env: The environment, just reset.
    """
    model, data = env.simulation.model, env.simulation.data
    found: dict[tuple[str, str], float] = {}
    for number in range(data.ncon):
        contact = data.contact[number]
        bodies = [model.body(model.geom_bodyid[geom]).name for geom in contact.geom]
        if contact.dist < -_DEEP_M and any(body.startswith(SCENE_PREFIX) for body in bodies):
            first, second = sorted(body.removeprefix(SCENE_PREFIX) for body in bodies)
            found[first, second] = min(found.get((first, second), 0.0), float(contact.dist))
    return [
        f"{first} and {second} overlap by {-1000 * depth:.0f} mm at the start: move one, or take one out of contact "
        "(contype=\"0\" conaffinity=\"0\", or <exclude body1='...' body2='...'/>)."
        for (first, second), depth in found.items()
    ]


def try_script(env: ManipulationEnv, episodes: int) -> Tries:
    """Let the script try the task.

    Args:
        env: The environment.
        episodes: Number of episodes; their seeds are 0, 1, 2, ...
    """
    lengths: list[int] = []
    for seed in range(episodes):
        env.reset(seed=seed)
        terminated, truncated, steps = False, False, 0
        while not (terminated or truncated):
            _, _, terminated, truncated, _ = env.step(env.supervision.expert_action())
            steps += 1
        lengths += [steps] if terminated else []
    return Tries(len(lengths), episodes, sum(lengths) / len(lengths) if lengths else 0.0)


def moving_bodies(model: mujoco.MjModel) -> list[str]:
    """Return the names of the scene's bodies that can move."""
    names = [model.body(number).name for number in range(model.nbody) if model.body_weldid[number]]
    return [name.removeprefix(SCENE_PREFIX) for name in names if name.startswith(SCENE_PREFIX)]
