"""Camera images beside the scene, without a page."""

import time

import mujoco
import numpy as np
from mujoco.studio import messages

from hilserl.data.step import Step
from hilserl.operators.console.console import Console, ConsoleScene
from hilserl.operators.console.messages import CameraImages
from tests.support.layouts import ACTION
from tests.support.steps import make_episode


class SilentConsole(Console):
    """A console without a viewer that keeps the images that it shows."""

    def __init__(self) -> None:
        model = mujoco.MjSpec().compile()
        data = mujoco.MjData(model)
        self._scene = ConsoleScene(lambda: (model, data), ACTION, lambda _: np.zeros(3), np.zeros(3))
        self._unsent, self._images_sent_s, self._open, self._tick_s = None, time.monotonic() + 1e6, True, 0.0
        self.shown: list[dict[str, np.ndarray]] = []

    def send(self, message: messages.Message) -> None:
        assert isinstance(message, CameraImages)
        self.shown.append(message.images)

    def _sync(self) -> None:
        """Nothing is drawn."""


def shows(console: SilentConsole, step: Step) -> bool:
    """Return True if the images of a step are those that are seen."""
    images = {name: image for name, image in step.observation.items() if image.dtype == np.uint8}
    return bool(console.shown) and all(np.array_equal(console.shown[-1][name], images[name]) for name in images)


def test_images_of_a_new_episode_are_shown_at_once() -> None:
    """However soon it follows the images before."""
    console, episode = SilentConsole(), make_episode(1, 3)
    for step in make_episode(0, 3)[1:]:
        console.on_step(step)
    assert not console.shown, "these came too soon"
    console.on_step(episode[0])
    assert shows(console, episode[0])
    console.on_step(episode[1])
    assert not shows(console, episode[1])


def test_images_before_time_stands_still_are_the_last_ones() -> None:
    console, episode = SilentConsole(), make_episode(0, 4)
    for step in episode:
        console.on_step(step)
    console.idle()
    assert shows(console, episode[-1])
    count = len(console.shown)
    console.idle()
    assert len(console.shown) == count, "once"
