"""Recorded episodes are simulated again as they were."""

from collections.abc import Iterator
from dataclasses import replace

import mujoco
import pytest

from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Step
from hilserl.operators.console.console import TICKS_PER_STEP
from hilserl.operators.simulated import SimulatedOperatorConfig
from hilserl.rollout.playback import reenact
from hilserl.rollout.recording import EpisodeRecorder, record, record_demonstrations
from hilserl.runs.run_dir import read_episodes
from hilserl.sim.environment import ManipulationEnv
from hilserl.tasks import make_sim_env
from tests.support.recordings import ScriptedOperator, flail

HANDS = SimulatedOperatorConfig()


@pytest.fixture(scope="module")
def envs() -> list[ManipulationEnv]:
    """In which recorded episodes are seen again: without and with randomisation."""
    options = {"max_episode_steps": 10**9, "ends_on_success": False}
    return [make_sim_env("pick_cube", randomise=randomise, **options) for randomise in (False, True)]


@pytest.fixture(
    scope="module", params=[("state", False), ("state", True), ("pixels", False), ("pixels", True)], ids=str
)
def seen(request, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[list[Step]], ExperienceSpec, bool]]:
    """Demonstrations and wild driving, read back from disk, and whether their world was randomised."""
    obs, randomise = request.param
    env, directory = (
        make_sim_env("pick_cube", obs=obs, randomise=randomise, image_size=16),
        tmp_path_factory.mktemp("seen"),
    )
    record_demonstrations(env, EpisodeRecorder(directory, env.experience, 2), 3, HANDS)
    for seed in range(2):
        record(
            env, ScriptedOperator(flail(seed, 40)), EpisodeRecorder(directory, env.experience, keep_failures=True), seed
        )
    yield list(read_episodes(directory, env.experience)), env.experience, randomise
    env.close()


def test_reenacted_episode_is_the_same(seen, envs: list[ManipulationEnv]) -> None:
    episodes, _spec, randomise = seen
    assert len(episodes) == 4
    for steps in reversed(episodes):
        enacted = [reenact(world, steps) for world in envs]
        assert enacted[randomise].deviation_m < 1e-6
        assert [len(one.states) for one in enacted] == [1 + TICKS_PER_STEP * (len(steps) - 1)] * 2
        if steps[-1].success:
            assert enacted[not randomise].deviation_m > 1e-5, "who touched something can tell the other world"


def test_reenacted_cube_is_where_it_was(seen, envs: list[ManipulationEnv]) -> None:
    """The cube too, frame by frame, though only the hand is compared."""
    episodes, spec, randomise = seen
    if spec.images:
        return
    model = envs[randomise].simulation.model
    data, where = mujoco.MjData(model), spec.state.slice("cube_position_m")
    for steps in episodes:
        states = reenact(envs[randomise], steps).states
        for step, state in zip(steps, states[::TICKS_PER_STEP], strict=True):
            mujoco.mj_setState(model, data, state, mujoco.mjtState.mjSTATE_INTEGRATION)
            mujoco.mj_forward(model, data)
            assert data.body("cube").xpos == pytest.approx(step.observation["state"][where], abs=1e-6)


def test_reenactment_with_another_seed_deviates(seen, envs: list[ManipulationEnv]) -> None:
    episodes, _spec, _ = seen
    for steps in episodes[:2]:
        wrong = [replace(step, seed=step.seed + 1) for step in steps]
        assert min(reenact(world, wrong).deviation_m for world in envs) > 1e-5
