"""Labelled images for tests of the reward classifier."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from hilserl import tasks
from hilserl.data.episodes import write_episode
from hilserl.data.spec import ExperienceSpec, StateLayout
from hilserl.data.step import Step
from hilserl.rewards.dataset import LabelledImages
from hilserl.rewards.network import ClassifierConfig
from hilserl.sim.reference_frame import World
from hilserl.vision.frame_encoder import FrameEncoder
from tests.support.layouts import ACTION

SIZE = 32

TINY = {"encoder": "small_cnn", "width": 8, "hidden": 16, "batch_size": 16, "max_updates": 60, "check_every": 20,
        "shift_px": 1, "embeddings": 1, "proprioception": 1.0, "false_positive_rate": 0.05}  # fmt: skip

SMALL = ClassifierConfig(**(TINY | {"encoder": "efficientnet_lite0", "max_updates": 200, "learning_rate": 3e-3}))

FLAGS = [word for name, value in TINY.items() for word in (f"--{name.replace('_', '-')}", str(value))]


def spec_of(task: str = "pick_cube", size: int = SIZE, cameras: tuple[str, ...] = ("front",)) -> ExperienceSpec:
    """Make the spec of the labelled images."""
    images = tuple((camera, (size, size, 3)) for camera in cameras)
    return ExperienceSpec(task, StateLayout(World().entries(tasks.find("pick_cube").arms[0])), ACTION, images)


def labels_of(
    seed: int = 0, episodes: int = 30, signal: float = 4.0, config: ClassifierConfig = SMALL
) -> LabelledImages:
    """Make features that show success, if there is a signal; the classes are the same with and without one."""
    rng = np.random.default_rng(seed)
    spec, n = spec_of(), 12 * episodes
    frames = FrameEncoder(spec, config.vision)
    classes = (np.arange(n) % 12 >= 8).astype(int)
    features = rng.standard_normal((n, *frames.inputs["front.features"]))
    features[:, :4] += signal * classes[:, None, None, None]
    measured = rng.standard_normal((n, spec.state.size)).astype(np.float32)
    where = np.arange(n) // 12
    inputs = {"front.features": features.astype(np.float16)}
    files = tuple(Path(f"{e}.parquet") for e in range(episodes))
    return LabelledImages(spec, frames, inputs, measured, classes, where, np.arange(n) % 12 + 1, files)


def write_labels(
    directory: Path,
    label: Callable[[int, int], bool],
    *,
    spec: ExperienceSpec | None = None,
    episodes: int = 12,
    told: Callable[[int, int], bool] | None = None,
) -> Path:
    """Write episodes of ten images with labels.

    Images are bright where `told`, or else `label`, is True; `label` gives the labels.
    """
    spec = spec or spec_of()
    for episode in range(episodes):
        steps = []
        for index in range(11):
            success = index > 0 and label(episode, index)
            bright = index > 0 and (told or label)(episode, index)
            rng = np.random.default_rng([episode, index])
            frame = rng.integers(0, 60, spec.images[0][1]) if spec.images else np.zeros((1, 1, 3))
            observation = {"state": np.zeros(spec.state.size, np.float32)}
            observation |= {name: (frame + 150 * bright).astype(np.uint8) for name, _ in spec.images}
            steps.append(Step(episode, index, observation, np.zeros(4, np.float32), float(success), success=success))
        write_episode(directory / f"{episode:06d}.parquet", steps, spec)
    return directory


def late(episode: int, index: int) -> bool:
    """Return True in the last images of an episode."""
    del episode
    return index > 6


def drawn(episode: int, index: int) -> bool:
    """Return a random label that does not depend on the image."""
    return bool(np.random.default_rng([7, episode, index]).random() < 0.4)
