"""Randomised resets: one seed decides them, nothing compounds, the physics stays consistent, the task can be done."""

import dataclasses

import gymnasium
import mujoco
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from hilserl.sim.environment import ManipulationEnv
from hilserl.sim.randomisation import Randomisation, Randomiser
from hilserl.sim.scene import FLOOR_GEOM, FRONT, OVERVIEW, WRIST, world
from hilserl.tasks import make_sim_env
from hilserl.tasks.pick_cube import CUBE, HALF_M, PickCube

STILL = Randomisation(
    size_factor=(1.0, 1.0),
    mass_factor=(1.0, 1.0),
    friction_factor=(1.0, 1.0),
    brightness_offset=0.0,
    tint_offset=0.0,
    light_factor=(1.0, 1.0),
    light_tilt_deg=0.0,
    standing_camera_m=0.0,
    standing_camera_deg=0.0,
    mounted_camera_m=0.0,
    mounted_camera_deg=0.0,
)
LOOKS = {"geom_rgba", "cam_pos", "cam_quat", "light_dir", "light_diffuse", "ambient", "headlight"}
LOOKS_DERIVED = {"cam_pos0", "cam_poscom0", "cam_mat0", "light_dir0"}


@pytest.fixture(scope="module")
def varied() -> ManipulationEnv:
    return make_sim_env("pick_cube", randomise=True)


def arrays(model: mujoco.MjModel) -> dict[str, np.ndarray]:
    """A copy of every number of a model."""
    found = {name: getattr(model, name) for name in dir(model) if not name.startswith("_")}
    copies = {name: value.copy() for name, value in found.items() if isinstance(value, np.ndarray)}
    light = model.vis.headlight
    return copies | {"ambient": light.ambient.copy(), "headlight": light.diffuse.copy()}


def differing(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> set[str]:
    return {name for name in a if not np.array_equal(a[name], b[name])}


def model_of(env: ManipulationEnv, seed: int) -> dict[str, np.ndarray]:
    env.reset(seed=seed)
    return arrays(env.simulation.model)


def states(env: ManipulationEnv, seed: int) -> np.ndarray:
    observation, _ = env.reset(seed=seed)
    seen = [observation["state"]]
    for _ in range(15):
        observation, *_ = env.step(env.supervision.expert_action())
        seen.append(observation["state"])
    return np.stack(seen)


def test_seed_decides_model_and_episode(varied: ManipulationEnv) -> None:
    other = make_sim_env("pick_cube", randomise=True)
    assert not differing(model_of(varied, 3), model_of(other, 3))
    assert np.array_equal(states(varied, 3), states(other, 3))
    changed = differing(model_of(varied, 3), model_of(varied, 4))
    assert {"geom_size", "body_mass", "geom_friction", *LOOKS, *LOOKS_DERIVED} <= changed
    assert not np.array_equal(states(varied, 3), states(varied, 4))


def test_resets_without_a_seed_go_on_from_it(varied: ManipulationEnv) -> None:
    sequences = []
    for _ in range(2):
        varied.reset(seed=5)
        sizes = [varied.simulation.half_size_m(CUBE)[0]]
        for _ in range(3):
            varied.reset()
            sizes.append(varied.simulation.half_size_m(CUBE)[0])
        sequences.append(sizes)
    assert sequences[0] == sequences[1]
    assert len(set(sequences[0])) == 4


def test_disabled_randomisation_leaves_the_compiled_model_alone(shared_env: ManipulationEnv) -> None:
    spec = world()
    PickCube().build(spec)
    states(shared_env, 0)
    assert not differing(arrays(spec.compile()), arrays(shared_env.simulation.model))
    assert shared_env.simulation.half_size_m(CUBE).tolist() == [HALF_M] * 3


def test_objects_start_where_they_do_without(varied: ManipulationEnv, shared_env: ManipulationEnv) -> None:
    for seed in range(5):
        varied.reset(seed=seed)
        shared_env.reset(seed=seed)
        here, there = varied.simulation, shared_env.simulation
        assert np.array_equal(here.position_m(CUBE)[:2], there.position_m(CUBE)[:2])
        assert np.array_equal(here.quaternion_wxyz(CUBE), there.quaternion_wxyz(CUBE))


def test_model_equals_one_compiled_from_the_drawn_numbers(varied: ManipulationEnv) -> None:
    """Mass, inertia, bounding volumes and all that MuJoCo derives from them."""
    for seed in range(5):
        drawn = model_of(varied, seed)
        spec = world()
        PickCube().build(spec)
        cube = spec.body(CUBE).geoms[0]
        cube.size, cube.mass = varied.simulation.half_size_m(CUBE), varied.simulation.model.body(CUBE).mass[0]
        compiled = arrays(spec.compile())
        for name in drawn.keys() - LOOKS - LOOKS_DERIVED - {"geom_friction"}:
            assert np.allclose(drawn[name], compiled[name], rtol=1e-9, atol=1e-12), name


def test_draws_do_not_compound_over_100_resets(varied: ManipulationEnv) -> None:
    for seed in range(100):
        varied.reset(seed=seed)
    assert not differing(model_of(varied, 7), model_of(make_sim_env("pick_cube", randomise=True), 7))


def test_draws_fill_their_ranges_and_stay_inside(varied: ManipulationEnv) -> None:
    nominal = arrays(make_sim_env("pick_cube").simulation.model)
    drawn = [model_of(varied, seed) for seed in range(200)]
    pad, floor = (varied.simulation.model.geom(name).id for name in ("robot/left_pad", FLOOR_GEOM))
    ranges = Randomisation()
    for field, row, (low, high) in (
        ("geom_size", -1, ranges.size_factor),
        ("body_mass", -1, ranges.mass_factor),
        ("geom_friction", pad, ranges.friction_factor),
        ("geom_friction", floor, ranges.friction_factor),
        ("light_diffuse", 0, ranges.light_factor),
        ("ambient", 0, ranges.light_factor),
        ("headlight", 0, ranges.light_factor),
    ):
        factors = np.array([model[field][row] / nominal[field][row] for model in drawn])
        margin = 0.1 * (high - low)
        assert low - 1e-6 <= factors.min() < low + margin, field
        assert high - margin < factors.max() <= high + 1e-6, field
    cameras = varied.simulation.model.camera
    for view, most_m, most_deg in ((FRONT, 0.02, 2.0), (WRIST, 0.003, 1.0), (OVERVIEW, 0.0, 0.0)):
        row = cameras(view.name).id
        shifts = np.abs([model["cam_pos"][row] - nominal["cam_pos"][row] for model in drawn])
        assert 0.9 * most_m <= shifts.max() <= most_m + 1e-9
        cosines = [abs(model["cam_quat"][row] @ nominal["cam_quat"][row]) for model in drawn]
        turn_deg = np.rad2deg(2 * np.arccos(np.clip(np.min(cosines), 0.0, 1.0)))
        assert most_deg <= turn_deg + 1e-6 <= np.sqrt(3) * most_deg + 2e-6
    for model in drawn:
        lamp = model["light_dir"][0]
        assert np.linalg.norm(lamp) == pytest.approx(1.0)
        assert model["geom_rgba"].min() >= 0
        assert model["geom_rgba"].max() <= 1
        red, green, blue, _ = model["geom_rgba"][-1]
        assert red > 2 * max(green, blue) - 0.2, "the cube is still the red one"


def test_cube_of_any_size_lies_still(varied: ManipulationEnv) -> None:
    for seed in range(10):
        varied.reset(seed=seed)
        start, half = varied.simulation.position_m(CUBE), varied.simulation.half_size_m(CUBE)[2]
        assert start[2] == pytest.approx(half, abs=1e-12)
        for _ in range(5):
            varied.step(np.zeros(4))
        assert np.allclose(varied.simulation.position_m(CUBE), start, atol=5e-4)


def test_drawn_friction_acts(varied: ManipulationEnv) -> None:
    model, data = varied.simulation.model, varied.simulation.data
    pads = {model.geom(f"robot/{side}_pad").id for side in ("left", "right")}
    floor = model.geom(FLOOR_GEOM).id
    varied.reset(seed=2)
    while not varied.simulation.held(CUBE):
        for contact in data.contact:
            assert contact.friction[0] == pytest.approx(model.geom_friction[floor, 0])
        varied.step(varied.supervision.expert_action())
    touching = {contact.friction[0] for contact in data.contact if pads & set(contact.geom)}
    assert touching == {model.geom_friction[min(pads), 0]}
    assert model.geom_friction[min(pads), 0] != model.geom_friction[floor, 0]


def test_expert_succeeds_in_45_of_50(varied: ManipulationEnv) -> None:
    successes = 0
    for seed in range(50):
        varied.reset(seed=seed)
        ended = success = False
        while not ended:
            _, _, success, truncated, _ = varied.step(varied.supervision.expert_action())
            ended = success or truncated
        successes += success
    assert successes >= 45


def test_randomised_env_keeps_gymnasiums_contract() -> None:
    env = make_sim_env("pick_cube", obs="pixels", randomise=True)
    check_env(env, skip_render_check=True)
    env.close()


def test_seed_decides_the_image() -> None:
    envs = [make_sim_env("pick_cube", obs="pixels", image_size=64, randomise=on) for on in (True, True, False)]
    first, second, plain = ([env.reset(seed=seed)[0] for seed in range(6)] for env in envs)
    for camera in ("front", "wrist"):
        assert all(np.array_equal(a[camera], b[camera]) for a, b in zip(first, second, strict=True))
        images = [o[camera].astype(float) for o in first]
        for index, image in enumerate(images):
            assert all(np.abs(image - other).mean() > 1 for other in [*images[:index], plain[index][camera]])
            assert 60 < image.mean() < 230, "neither black nor blown out"
            assert (image.min(-1) > 250).mean() < 0.3
    for env in envs:
        env.close()


@pytest.mark.parametrize(
    "ranges",
    [
        {"brightness_offset": 0.1},
        {"tint_offset": 0.06},
        {"light_factor": (0.75, 1.25)},
        {"light_tilt_deg": 12.0},
        {"standing_camera_m": 0.02},
        {"standing_camera_deg": 2.0},
        {"size_factor": (0.88, 1.12), "bodies": (CUBE,)},
        {},
    ],
)
def test_kinds_of_randomisation_reach_the_image(ranges: dict) -> None:
    env = make_sim_env("pick_cube", obs="pixels")
    before = env.reset(seed=0)[0]["front"]
    Randomiser(env.simulation.model, dataclasses.replace(STILL, **ranges)).draw(
        env.simulation.data, np.random.default_rng(1)
    )
    after = env.reset(seed=0)[0]["front"]
    assert np.array_equal(before, after) == (not ranges)
    env.close()


def test_gymnasium_passes_the_options_on() -> None:
    env = gymnasium.make("hilserl/PickCube-v0", randomise=True)
    env.reset(seed=0)
    assert isinstance(env.unwrapped, ManipulationEnv)
    assert env.unwrapped.simulation.half_size_m(CUBE)[0] != HALF_M
