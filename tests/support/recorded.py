"""Small recordings with moving images."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from hilserl.data.arrow import to_table
from hilserl.data.episodes import write_episode
from hilserl.data.spec import ActionLayout, ExperienceSpec, StateLayout, entry
from hilserl.data.step import Step
from hilserl.data.stored_episode import StoredEpisode

STATE = StateLayout((entry("tcp_position_m", 3), entry("gripper_command", 1)))
ACTION = ActionLayout(("tcp_dx", "tcp_dy", "gripper"), (2,))
SPEC = ExperienceSpec("toy", STATE, ACTION, (("front", (64, 64, 3)), ("left/wrist", (64, 96, 3))))


def recorded_episode(number: int, length: int, spec: ExperienceSpec = SPEC, *, success: bool = True) -> list[Step]:
    """Make an episode whose every number is its own, with smooth images that move."""
    draw = np.random.default_rng(number)
    command, steps = 1.0, []
    for index in range(length + 1):
        action = np.zeros(3, np.float32) if index == 0 else draw.uniform(-1, 1, 3).astype(np.float32)
        command = float(np.sign(action[2])) if abs(action[2]) > 0.5 else command
        state = np.array([*draw.normal(size=3), command], np.float32)
        last = index == length
        step = Step(
            number,
            index,
            {"state": state, **{name: image(shape, number, index) for name, shape in spec.images}},
            action,
            reward=float(np.float32(0.1 * index)),
            terminated=last and success,
            truncated=last and not success,
            success=last and success,
            claimed=bool(draw.integers(2)),
            truth=bool(draw.integers(2)),
            intervened=index > 0 and bool(draw.integers(2)),
            policy_version=index * 7,
            human_seconds=float(np.float32(draw.uniform())),
            seed=1000 + number,
        )
        steps.append(step)
    return steps


def image(shape: tuple[int, ...], number: int, index: int) -> np.ndarray:
    """Draw a bright disk on a ramp, at a place of its own."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    ramp = (rows + columns) * 200 // sum(shape[:2])
    disk = np.hypot(rows - 10 - 2 * (index % 20), columns - 20 - number % 30) < 12
    return np.where(disk[..., None], 230, ramp[..., None] + np.array([0, 10, 20])).astype(np.uint8)


def write_recording(directory: Path, lengths: Sequence[int], spec: ExperienceSpec = SPEC) -> list[list[Step]]:
    """Write a recording with one episode of each length."""
    episodes = [recorded_episode(number, length, spec) for number, length in enumerate(lengths)]
    for steps in episodes:
        write_episode(directory / f"{steps[0].episode:06d}.parquet", steps, spec)
    return episodes


def stored(episodes: Sequence[Sequence[Step]], spec: ExperienceSpec = SPEC) -> list[StoredEpisode]:
    """Wrap episodes as the converters take them."""
    return [StoredEpisode.of_steps(steps, spec) for steps in episodes]


def same_episodes(one: Sequence[Sequence[Step]], other: Sequence[Sequence[Step]], spec: ExperienceSpec) -> bool:
    """Compare episodes bit for bit, in the columns that a spec has."""
    pairs = zip(one, other, strict=True)
    return all(to_table(_only(a, spec), spec).equals(to_table(_only(b, spec), spec)) for a, b in pairs)


def _only(steps: Sequence[Step], spec: ExperienceSpec) -> list[Step]:
    names = ("state", *(name for name, _ in spec.images))
    return [replace(step, observation={name: step.observation[name] for name in names}) for step in steps]
