"""A recorder of HIL-SERL's pickles, in the layout of its own scripts."""

import copy
import itertools
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Step
from hilserl.sim.robot_models.panda import FINGER_RANGE_M

_OPEN_GAP_M = 2 * FINGER_RANGE_M


def hil_serl_state(state: np.ndarray, spec: ExperienceSpec) -> np.ndarray:
    """Return the 19 numbers that HIL-SERL's wrappers make of an arm's measurements.

    They are gripper position, force, pose with angles, torque and velocity, in alphabetical order.
    """

    def part(name: str) -> np.ndarray:
        (entry,) = [each.name for each in spec.state.entries if each.name.startswith(name)]
        return state[spec.state.slice(entry)]

    turn = part("tcp_turn_from_start" if "tcp_turn_from_start_wxyz" in spec.state.names else "tcp_quaternion")
    position = part("tcp_from_start" if "tcp_from_start_m" in spec.state.names else "tcp_position")
    angles = Rotation.from_quat(turn[[1, 2, 3, 0]]).as_euler("xyz")
    numbers = [
        part("gripper_width") / _OPEN_GAP_M,
        part("wrist_force"),
        position,
        angles,
        part("wrist_torque"),
        part("tcp_linear_velocity"),
        part("tcp_angular_velocity"),
    ]
    return np.concatenate(numbers).astype(np.float32)


def transitions_of(steps: Sequence[Step], spec: ExperienceSpec) -> list[dict[str, Any]]:
    """Return the transitions of a demonstration, as `record_demos.py` collects them."""
    found = []
    for before, step in itertools.pairwise(steps):
        action = np.zeros(7)
        action[:3], action[6] = step.action[:3], step.action[-1]
        done = step.ends_episode
        transition = {
            "observations": _observation(before, spec),
            "actions": action,
            "next_observations": _observation(step, spec),
            "rewards": int(step.success),
            "masks": 1.0 - done,
            "dones": np.bool_(done),
            "infos": {
                "succeed": np.bool_(step.success),
                "grasp_penalty": 0.0,
                "left": False,
                "right": False,
                "intervene_action": action,
                "original_state_obs": {"tcp_pose": np.zeros(7), "gripper_pose": np.float64(1.0)},
            },
        }
        found.append(copy.deepcopy(transition))
    return found


def _observation(step: Step, spec: ExperienceSpec) -> dict[str, np.ndarray]:
    """Stack an observation as ChunkingWrapper does, with a history of one."""
    images = {name: step.observation[name][None] for name, _ in spec.images}
    return {"state": hil_serl_state(step.observation["state"], spec)[None], **images}


def write_demos(path: Path, episodes: Sequence[Sequence[Step]], spec: ExperienceSpec, protocol: int = 4) -> None:
    """Write demonstrations to one pickle."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        pickle.dump([each for steps in episodes for each in transitions_of(steps, spec)], file, protocol)
