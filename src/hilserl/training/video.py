"""A film of the policy at work."""

from pathlib import Path

import av
import numpy as np

from hilserl.experience import atomically
from hilserl.sim.environment import CONTROL_DT_S, ManipulationEnv
from hilserl.training.evaluation import Player, play_episode

FILMED_EPISODES = 6
_FRAMES_PER_STEP = 2
_LAST_PICTURE_S = 0.6
_BORDER_PX = 6
_MAX_FILM_S = 20.0
_GREEN, _RED = (42, 127, 79), (192, 57, 43)


def film(path: Path, env: ManipulationEnv, player: Player, seeds: range, height: int = 480, width: int = 640) -> None:
    """Plays the deterministic policy and writes one MP4 in real time; a border at each episode's end tells its outcome.

    Ends after the last seed, or with the episode in which the film gets long, as it does where a policy fails.
    """
    fps = round(_FRAMES_PER_STEP / CONTROL_DT_S)

    def write(part: Path) -> None:
        with av.open(str(part), "w", format="mp4") as container:
            stream = container.add_stream("libx264", rate=fps, options={"crf": "20"})
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"

            shown = 0

            def show(picture: np.ndarray) -> None:
                nonlocal shown
                shown += 1
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))

            env.simulation.watch(lambda: show(env.picture(height, width)), _FRAMES_PER_STEP)
            for seed in seeds:
                success, _ = play_episode(env, player, seed)
                last = _framed(env.picture(height, width), _GREEN if success else _RED)
                for _ in range(round(_LAST_PICTURE_S * fps)):
                    show(last)
                if shown > _MAX_FILM_S * fps:
                    break
            container.mux(stream.encode())

    atomically(path, write)


def _framed(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    framed = np.full_like(picture, colour)
    inside = slice(_BORDER_PX, -_BORDER_PX)
    framed[inside, inside] = picture[inside, inside]
    return framed
