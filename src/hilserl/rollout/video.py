"""A film of the policy at work, and of what it sees."""

import itertools
from pathlib import Path

import av
import numpy as np

from hilserl.envs.env import InteractiveEnv
from hilserl.files import atomically
from hilserl.rollout.evaluation import Player, play_episode

FILMED_EPISODES = 6
_FRAMES_PER_STEP = 2
_LAST_PICTURE_S = 0.6
_BORDER_PX = 6
_MAX_FILM_S = 20.0
_GREEN, _RED = (42, 127, 79), (192, 57, 43)
_CAMERA_BORDER_PX = 2
_CAMERA_COLOURS = ((214, 158, 46), (49, 130, 206))


def film(path: Path, env: InteractiveEnv, player: Player, seeds: range, height: int = 480, width: int = 640) -> None:
    """Plays the deterministic policy and writes one MP4 in real time; a border at each episode's end tells its outcome,
    where there is such a thing.

    The scene is `height` x `width`, both even. What a policy from pixels sees stands in a column to its right: the
    first camera on top with an amber border, the second below with a blue one, and so on by turns.

    Ends after the last seed, or with the episode in which the film gets long, as it does where a policy fails.
    """
    fps = round(_FRAMES_PER_STEP / env.experience.control_dt_s)

    def write(part: Path) -> None:
        with av.open(str(part), "w", format="mp4") as container:
            stream = container.add_stream("libx264", rate=fps, options={"crf": "20"})
            stream.width, stream.height, stream.pix_fmt = width + _column_px(env, height), height, "yuv420p"

            shown = 0

            def show(picture: np.ndarray) -> None:
                nonlocal shown
                shown += 1
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))

            for seed in seeds:
                with env.scene.watched(lambda: show(_picture(env, height, width)), _FRAMES_PER_STEP):
                    success, *_ = play_episode(env, player, seed)
                last = _picture(env, height, width)
                if env.tells_success:
                    last = _framed(last, _GREEN if success else _RED)
                for _ in range(round(_LAST_PICTURE_S * fps)):
                    show(last)
                if shown > _MAX_FILM_S * fps:
                    break
            container.mux(stream.encode())

    atomically(path, write)


def _column_px(env: InteractiveEnv, height: int) -> int:
    """The width of the policy's pictures: as many as there are fill the height, at most half of it each; even."""
    cameras = len(env.experience.images)
    return height // max(2, cameras) // 2 * 2 if cameras else 0


def _picture(env: InteractiveEnv, height: int, width: int) -> np.ndarray:
    """The scene, and beside it what the policy's cameras see at this very moment.

    Between two control steps the policy sees nothing; there the cameras are drawn all the same, as a picture that
    stands still beside a scene that moves looks like a fault.
    """
    side = _column_px(env, height)
    column = np.zeros((height, side, 3), np.uint8)
    inside = slice(_CAMERA_BORDER_PX, -_CAMERA_BORDER_PX)
    for index, (image, colour) in enumerate(zip(env.images().values(), itertools.cycle(_CAMERA_COLOURS), strict=False)):
        tile = column[index * side : (index + 1) * side]
        tile[:] = colour
        tile[inside, inside] = _enlarged(image, side - 2 * _CAMERA_BORDER_PX)
    return np.hstack([env.scene.image(height, width), column])


def _enlarged(image: np.ndarray, side: int) -> np.ndarray:
    """uint8 [side, side, 3]; every pixel keeps its colour."""
    nearest = np.arange(side) * len(image) // side
    return image[nearest][:, nearest]


def _framed(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    framed = np.full_like(picture, colour)
    inside = slice(_BORDER_PX, -_BORDER_PX)
    framed[inside, inside] = picture[inside, inside]
    return framed
