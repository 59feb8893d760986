"""A policy's cameras: names, crops and OpenGL contexts."""

import mujoco
import numpy as np
import pytest
from gymnasium import spaces

from hilserl.errors import HilserlError
from hilserl.sim.environment import ManipulationEnv, towards
from hilserl.tasks import make_sim_env
from hilserl.tasks.pick_cube import CUBE

CUBE_ABOVE_M = 0.1


def reddish(image: np.ndarray) -> int:
    """Number of pixels of the cube."""
    red, green, blue = np.moveaxis(image.astype(int), -1, 0)
    return int(((red > 80) & (red > 2 * green) & (red > 2 * blue)).sum())


@pytest.mark.parametrize("cameras", [("front",), ("wrist",), ("wrist", "front")])
def test_cameras_are_observed_in_their_order(cameras: tuple[str, ...]) -> None:
    env = make_sim_env("pick_cube", obs="pixels", image_size=32, cameras=cameras)
    both = make_sim_env("pick_cube", obs="pixels", image_size=32)
    assert env.experience.images == tuple((name, (32, 32, 3)) for name in cameras)
    assert isinstance(env.observation_space, spaces.Dict)
    assert set(env.observation_space.spaces) == {"state", *cameras}
    observation, _ = env.reset(seed=0)
    everything, _ = both.reset(seed=0)
    assert env.observation_space.contains(observation)
    assert list(env.images()) == list(cameras)
    assert all(np.array_equal(observation[key], everything[key]) for key in observation)
    env.close()
    both.close()


def test_state_observation_has_no_images(shared_env: ManipulationEnv) -> None:
    assert shared_env.images() == {}


@pytest.mark.parametrize("crop", [(0.25, 0.25, 0.5, 0.5), (0.0, 0.5, 0.5, 0.5), (0.5, 0.0, 0.5, 0.5)])
def test_crop_equals_a_cut_from_a_larger_image(crop: tuple[float, float, float, float]) -> None:
    small = make_sim_env("pick_cube", obs="pixels", image_size=64, crop={"front": crop, "wrist": crop})
    large = make_sim_env("pick_cube", obs="pixels", image_size=128)
    cropped, whole = small.reset(seed=3)[0], large.reset(seed=3)[0]
    top, left = (int(128 * start) for start in crop[:2])
    for camera in ("front", "wrist"):
        assert cropped[camera].shape == (64, 64, 3)
        differ = (cropped[camera] != whole[camera][top : top + 64, left : left + 64]).any(-1)
        assert differ.mean() < 0.01
    small.close()
    large.close()


def test_crop_that_is_not_square_is_stretched() -> None:
    narrow = make_sim_env("pick_cube", obs="pixels", image_size=64, crop={"front": (0.5, 0.25, 0.25, 0.5)})
    large = make_sim_env("pick_cube", obs="pixels", image_size=256)
    cropped, whole = narrow.reset(seed=3)[0], large.reset(seed=3)[0]
    part = whole["front"][128:192, 64:192:2].astype(int)
    assert (np.abs(cropped["front"] - part).max(-1) > 10).mean() < 0.03
    wrist_alone = make_sim_env("pick_cube", obs="pixels", image_size=64).reset(seed=3)[0]["wrist"]
    assert np.array_equal(cropped["wrist"], wrist_alone), "the other camera keeps its view"
    narrow.close()
    large.close()


def test_crop_of_the_whole_view_changes_nothing() -> None:
    drawn = []
    for env in (
        make_sim_env("pick_cube", obs="pixels", image_size=64),
        make_sim_env("pick_cube", obs="pixels", image_size=64, crop={}),
        make_sim_env("pick_cube", obs="pixels", image_size=64, crop={"front": (0.0, 0.0, 1.0, 1.0)}),
    ):
        drawn.append(env.reset(seed=0)[0]["front"])
        env.close()
    assert np.array_equal(drawn[0], drawn[1])
    assert np.array_equal(drawn[0], drawn[2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cameras": ("frnt",)}, r"Unknown camera 'frnt'. Did you mean 'front'\? Available: front, side, wrist"),
        ({"cameras": ("overview",)}, "Unknown camera 'overview'. Available: front, side, wrist"),
        ({"cameras": ("front", "front")}, "each once"),
        ({"crop": {"top": (0, 0, 1, 1)}}, "Unknown camera to crop 'top'. Available: front, wrist"),
        ({"cameras": ("wrist",), "crop": {"front": (0, 0, 1, 1)}}, "Available: wrist"),
        ({"crop": {"front": (0.5, 0, 0.6, 1)}}, r"crop\['front'\]=\(0.5, 0, 0.6, 1\): expected \(top, left, height"),
        ({"crop": {"front": (0, 0.2, 1, 1)}}, "left \\+ width at most 1"),
        ({"crop": {"front": (-0.1, 0, 0.5, 0.5)}}, "in fractions of the view"),
        ({"crop": {"front": (0, 0, 0, 1)}}, "height and width above 0"),
        ({"crop": {"front": (0, 0, float("nan"), 1)}}, "expected"),
        ({"crop": {"front": (0, 0, 1)}}, r"\(0, 0, 1\): expected \(top, left, height, width\)"),
        ({"crop": {"front": (10, 10, 100, 100)}}, "in fractions of the view"),
    ],
)
def test_unknown_cameras_and_crops_are_refused(options: dict, message: str) -> None:
    with pytest.raises(HilserlError, match=message):
        make_sim_env("pick_cube", obs="pixels", **options)


def test_image_too_large_or_empty_is_refused() -> None:
    env = make_sim_env("pick_cube")
    env.reset(seed=0)
    for height, width in ((1081, 100), (100, 1921), (0, 10)):
        with pytest.raises(HilserlError, match=f"{width}x{height}: expected 1x1 to 1920x1080"):
            env.scene.image(height, width)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[mujoco.Renderer]:
    """Every renderer, and so every OpenGL context, that the test opens."""
    renderers = []

    class Recorded(mujoco.Renderer):
        def __init__(self, *arguments) -> None:
            super().__init__(*arguments)
            renderers.append(self)

    monkeypatch.setattr(mujoco, "Renderer", Recorded)
    return renderers


def assert_freed(renderers: list[mujoco.Renderer]) -> None:
    for renderer in renderers:
        with pytest.raises(RuntimeError, match="after close"):
            renderer.render()


def test_environments_in_sequence_free_their_contexts(opened: list[mujoco.Renderer]) -> None:
    first = None
    for index in range(20):
        env = make_sim_env("pick_cube", obs="pixels", image_size=32)
        image = env.reset(seed=0)[0]["front"]
        first = image if first is None else first
        assert np.array_equal(image, first)
        assert len(opened) == index + 1, "the cameras of one environment share a context"
        env.close()
        assert_freed(opened[index:])


def test_environments_at_once_do_not_see_each_others_scene(opened: list[mujoco.Renderer]) -> None:
    envs = [make_sim_env("pick_cube", obs="pixels", image_size=32) for _ in range(4)]
    at_once = [env.reset(seed=seed)[0]["front"] for seed, env in enumerate(envs)]
    envs[1].close()
    again = [env.images()["front"] for env in envs[2:]]
    assert all(np.array_equal(a, b) for a, b in zip(at_once[2:], again, strict=True))
    for seed, image in enumerate(at_once):
        assert np.array_equal(envs[0].reset(seed=seed)[0]["front"], image)
    for env in envs:
        env.close()
    assert_freed(opened)


def test_closing_twice_is_fine_and_a_closed_environment_can_be_looked_at_again(opened: list[mujoco.Renderer]) -> None:
    env = make_sim_env("pick_cube", obs="pixels", image_size=32, render_mode="rgb_array", width=64, height=48)
    before, _ = env.reset(seed=0)
    scene = env.render()
    env.close()
    env.close()
    after, _ = env.reset(seed=0)
    assert np.array_equal(before["wrist"], after["wrist"])
    assert np.array_equal(scene, env.render())
    env.close()
    assert len(opened) == 4
    assert_freed(opened)


@pytest.mark.parametrize("randomise", [False, True])
def test_wrist_camera_sees_the_cube_before_a_grasp(randomise: bool) -> None:
    """With the hand 10 cm above it: docs/images/wrist_before_grasp.png is the first of these moments."""
    env = make_sim_env("pick_cube", obs="pixels", randomise=randomise)
    for seed in range(4):
        env.reset(seed=seed)
        above = env.simulation.position_m(CUBE) + np.array([0.0, 0.0, CUBE_ABOVE_M])
        observation = {}
        for _ in range(20):
            observation, *_ = env.step(towards(env.simulation.arm, above, 0.0))
        assert np.allclose(env.simulation.arm.tcp_position_m, above, atol=0.01)
        assert reddish(observation["wrist"]) > 250
        assert reddish(observation["front"]) > 10
    env.close()
