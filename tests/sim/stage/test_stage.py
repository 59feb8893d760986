"""The decorated scene: it follows the simulation, and leaves it and the policy's cameras alone."""

import contextlib

import mujoco
import numpy as np
import pytest

from hilserl import tasks
from hilserl.sim.environment import ManipulationEnv
from hilserl.sim.stage.decoration import PREFIX
from hilserl.sim.stage.stage import Stage

STATE = mujoco.mjtState.mjSTATE_INTEGRATION


def state_of(model: mujoco.MjModel, data: mujoco.MjData) -> np.ndarray:
    state = np.empty(mujoco.mj_stateSize(model, STATE))
    mujoco.mj_getState(model, data, state, STATE)
    return state


@pytest.mark.parametrize("name", tasks.names())
def test_stage_shows_the_simulation_and_all_of_its_shapes(name: str) -> None:
    with contextlib.closing(tasks.make_sim_env(name, obs="state")) as env:
        env.reset(seed=0)
        env.step(env.supervision.expert_action())
        model, data = env.scene.model_and_data
        plain = env.simulation.model
        assert np.array_equal(state_of(model, data), state_of(plain, env.simulation.data))
        bodies = [model.body(number).name for number in range(model.nbody)]
        assert bodies == [plain.body(number).name for number in range(plain.nbody)]
        own = [not model.geom(number).name.startswith(PREFIX) for number in range(model.ngeom)]
        assert sum(own) == plain.ngeom
        assert np.array_equal(data.geom_xpos[own], env.simulation.data.geom_xpos)
        assert np.array_equal(model.geom_type[own], plain.geom_type)


def test_stage_leaves_the_simulation_and_the_policys_images_alone() -> None:
    seen = []
    for looks in (False, True):
        with contextlib.closing(tasks.make_sim_env("pick_cube", obs="pixels", image_size=64)) as env:
            observations = [env.reset(seed=0)[0]]
            for _ in range(3):
                if looks:
                    env.scene.image(48, 64)
                observations.append(env.step(env.supervision.expert_action())[0])
            seen.append((observations, state_of(env.simulation.model, env.simulation.data)))
    (plain, plain_state), (watched, watched_state) = seen
    assert np.array_equal(plain_state, watched_state)
    for before, after in zip(plain, watched, strict=True):
        assert all(np.array_equal(before[name], after[name]) for name in before)


def test_policys_model_has_no_decoration(shared_env: ManipulationEnv) -> None:
    model = shared_env.simulation.model
    assert (model.ntex, model.nmat, model.nlight) == (0, 0, 1)


def test_stage_follows_the_sizes_and_colours_of_randomisation() -> None:
    with contextlib.closing(tasks.make_sim_env("pick_cube", obs="state", randomise=True)) as env:
        env.reset(seed=0)
        env.scene.image(48, 64)
        env.reset(seed=1)
        model, _ = env.scene.model_and_data
        cube, plain = model.body("cube").geomadr[0], env.simulation.model.body("cube").geomadr[0]
        for field in ("geom_size", "geom_rgba"):
            assert np.array_equal(getattr(model, field)[cube], getattr(env.simulation.model, field)[plain])


def test_table_touches_nothing_and_ends_at_the_floors_height(shared_env: ManipulationEnv) -> None:
    stage = Stage(shared_env.simulation)
    table = stage.model.geom(PREFIX + "table")
    assert not table.contype
    assert not table.conaffinity
    assert table.pos[2] + table.size[2] == pytest.approx(0.0)
    assert np.array_equal(stage.model.body_mass, shared_env.simulation.model.body_mass)


def test_box_shows_its_edges() -> None:
    """Its edges are darker than its faces: seen from above, a cube has at least three reds."""
    with contextlib.closing(tasks.make_sim_env("pick_cube", obs="state")) as env:
        env.reset(seed=0)
        image = env.scene.image(480, 640).astype(int)
        red, green, blue = np.moveaxis(image, -1, 0)
        cube = (red > 2 * green) & (red > 2 * blue) & (red > 40)
        bright, dark = np.percentile(red[cube], (95, 2))
        assert dark < 0.6 * bright


def test_stage_is_built_when_it_is_first_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise AssertionError("built")

    monkeypatch.setattr(Stage, "model", property(fail))
    with contextlib.closing(tasks.make_sim_env("pick_cube", obs="state")) as env:
        env.reset(seed=0)
        env.step(env.action_space.sample())
