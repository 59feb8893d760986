"""Videos show the scene, and beside it what the policy sees."""

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from hilserl.rollout import video
from hilserl.sim.environment import ManipulationEnv
from hilserl.tasks import make_sim_env

STEPS = 3
NO_POLICY: Any = None
"""The script acts instead."""


@pytest.fixture(autouse=True)
def short_episodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three steps of the script instead of a policy's episode."""

    def play_episode(env: ManipulationEnv, policy: None, seed: int) -> tuple[bool, int]:
        del policy
        env.reset(seed=seed)
        for _ in range(STEPS):
            env.step(env.supervision.expert_action())
        return True, STEPS

    monkeypatch.setattr(video, "play_episode", play_episode)


def frames_of(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_video_from_the_state_is_the_scene_alone(tmp_path: Path) -> None:
    env = make_sim_env("pick_cube")
    video.write_video(tmp_path / "video.mp4", env, NO_POLICY, range(1), 96, 128)
    frames = frames_of(tmp_path / "video.mp4")
    assert {frame.shape for frame in frames} == {(96, 128, 3)}
    scene = env.scene.image(96, 128)
    inside = slice(12, -12)
    assert np.abs(frames[-1][inside, inside].astype(int) - scene[inside, inside]).mean() < 8
    env.close()


def test_video_from_pixels_shows_what_the_policy_sees_beside_the_scene(tmp_path: Path) -> None:
    env = make_sim_env("pick_cube", obs="pixels", image_size=64)
    video.write_video(tmp_path / "video.mp4", env, NO_POLICY, range(2), 240, 320)
    frames = frames_of(tmp_path / "video.mp4")
    last = round(video._LAST_IMAGE_S * video._IMAGES_PER_STEP / env.experience.control_dt_s)
    assert len(frames) == 2 * (STEPS * video._IMAGES_PER_STEP + last)
    assert {frame.shape for frame in frames} == {(240, 320 + 120, 3)}
    final = frames[-last - 1].astype(int)
    inside = slice(12, -12)
    assert np.abs(final[:, :320][inside, inside] - env.scene.image(240, 320)[inside, inside]).mean() < 8
    rows = np.arange(116) * 64 // 116
    for top, image in zip((0, 120), env.images().values(), strict=True):
        seen = final[top + 2 : top + 118, 322:438]
        assert np.abs(seen - image[rows][:, rows]).mean() < 8
    env.close()


@pytest.mark.parametrize(
    ("cameras", "height", "width"),
    [((), 480, 640), (("front",), 480, 880), (("front", "wrist"), 480, 880), (("front", "wrist"), 90, 684)],
)
def test_video_sides_are_even_whatever_the_cameras(cameras: tuple[str, ...], height: int, width: int) -> None:
    env = (
        make_sim_env("pick_cube", obs="pixels", image_size=32, cameras=cameras)
        if cameras
        else make_sim_env("pick_cube")
    )
    env.reset(seed=0)
    image = video._image(env, height, 640)
    assert image.shape == (height, width, 3)
    assert width % 2 == 0
    assert width == 640 + video._column_px(env, height)
    env.close()


def test_camera_image_keeps_its_colours_when_enlarged() -> None:
    image = np.random.default_rng(0).integers(0, 256, (5, 5, 3), np.uint8)
    assert np.array_equal(video._enlarged(image, 15), image.repeat(3, 0).repeat(3, 1))
