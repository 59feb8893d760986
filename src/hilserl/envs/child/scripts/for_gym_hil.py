"""A script that picks up gym-hil's cube."""

import numpy as np

_STEP_M = 0.025
"""Motion of the tool's target for an action of 1."""
_GAIN = 2.0
"""The tool follows its target by less than half in one step."""
_ABOVE_M, _ALIGNED_M, _LOW_M, _HIGH_M = 0.1, 0.015, 0.012, 0.25
_OPENS, _CLOSES = 0.0, 2.0


def _positions(env):
    """Return tool and cube in metres, and the gripper's command."""
    base = env.unwrapped
    data = base._data
    grip = float(base.get_gripper_pose()[0]) / 255.0
    return data.sensor("2f85/pinch_pos").data.copy(), data.sensor("block_pos").data.copy(), grip


def expert(env, observation):
    """Return 3 motions in steps of 25 mm and the gripper's number."""
    del observation
    tool, cube, grip = _positions(env)
    aside = np.linalg.norm((tool - cube)[:2])
    goal, gripper = cube.copy(), _OPENS
    if aside < _ALIGNED_M and abs(tool[2] - cube[2]) < _LOW_M:
        gripper = _CLOSES
        if grip > 0.9:
            goal = np.array([cube[0], cube[1], _HIGH_M])
    elif aside > _ALIGNED_M:
        goal[2] += _ABOVE_M
    way = _GAIN * (goal - tool) / _STEP_M
    return np.append(way, gripper)


def progress(env, observation):
    """Return a third for each of coming near, gripping and lifting."""
    del observation
    tool, cube, grip = _positions(env)
    near = np.exp(-8 * np.linalg.norm(tool - cube))
    held = float(grip > 0.9 and np.linalg.norm(tool - cube) < 0.03)
    lifted = np.clip((cube[2] - env.unwrapped._z_init) / 0.1, 0, 1)
    return (near + held + lifted) / 3
