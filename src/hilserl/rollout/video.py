"""Videos of a policy, beside the images that it sees."""

import itertools
from pathlib import Path

import av
import numpy as np

from hilserl.envs.env import InteractiveEnv
from hilserl.files import atomically
from hilserl.rollout.evaluation import DeterministicPolicy, play_episode

VIDEO_EPISODES = 6
"""Episodes in the video of a run, unless they take too long."""
_IMAGES_PER_STEP = 2
_LAST_IMAGE_S = 0.6
_BORDER_PX = 6
_MAX_VIDEO_S = 20.0
_GREEN, _RED = (42, 127, 79), (192, 57, 43)
_CAMERA_BORDER_PX = 2
_CAMERA_COLOURS = ((214, 158, 46), (49, 130, 206))


def write_video(
    path: Path, env: InteractiveEnv, policy: DeterministicPolicy, seeds: range, height: int = 480, width: int = 640
) -> None:
    """Run the deterministic policy and write one MP4 in real time.

    The images of a policy from pixels stand in a column to the right of the scene: the first camera on top with an
    amber border, the second below with a blue one, and so on by turns. Where the environment knows a success, a green
    or red border at each episode's end tells the outcome. The video ends after the last seed, or with the episode in
    which it becomes longer than 20 s, as it does for a policy that fails.

    Args:
        path: the MP4 file.
        env: the environment.
        policy: the policy.
        seeds: one seed an episode.
        height: of the scene in pixels, even.
        width: of the scene in pixels, even.
    """
    fps = round(_IMAGES_PER_STEP / env.experience.control_dt_s)

    def write(part: Path) -> None:
        with av.open(str(part), "w", format="mp4") as container:
            stream = container.add_stream("libx264", rate=fps, options={"crf": "20"})
            stream.width, stream.height, stream.pix_fmt = width + _column_px(env, height), height, "yuv420p"

            shown = 0

            def show(image: np.ndarray) -> None:
                nonlocal shown
                shown += 1
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))

            for seed in seeds:
                with env.scene.watched(lambda: show(_image(env, height, width)), _IMAGES_PER_STEP):
                    success, *_ = play_episode(env, policy, seed)
                last = _image(env, height, width)
                if env.tells_success:
                    last = _bordered(last, _GREEN if success else _RED)
                for _ in range(round(_LAST_IMAGE_S * fps)):
                    show(last)
                if shown > _MAX_VIDEO_S * fps:
                    break
            container.mux(stream.encode())

    atomically(path, write)


def _column_px(env: InteractiveEnv, height: int) -> int:
    """Return the column's even width. An image takes at most half the height."""
    cameras = len(env.experience.images)
    return height // max(2, cameras) // 2 * 2 if cameras else 0


def _image(env: InteractiveEnv, height: int, width: int) -> np.ndarray:
    """Draw the scene with the policy's camera images beside it.

    Between two control steps the policy sees nothing. The cameras are drawn there all the same, because an image that
    stands still beside a moving scene looks like a fault.
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
    """Enlarge to uint8 [side, side, 3]; every pixel keeps its colour."""
    nearest = np.arange(side) * len(image) // side
    return image[nearest][:, nearest]


def _bordered(image: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    bordered = np.full_like(image, colour)
    inside = slice(_BORDER_PX, -_BORDER_PX)
    bordered[inside, inside] = image[inside, inside]
    return bordered
