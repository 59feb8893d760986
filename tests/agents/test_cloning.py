"""Behaviour cloning does what was demonstrated, and every algorithm learns from its own data and from no other."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hilserl.agents.agent import act, update_step
from hilserl.agents.cloning import cloning_loss, create_cloning_agent, negative_log_likelihood
from hilserl.agents.networks import PolicyOutput, sample_squashed, squashed_log_prob
from hilserl.cli.main import main
from hilserl.data.episodes import write_episode
from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Step, Transitions
from hilserl.errors import HilserlError
from hilserl.interrupt import Interrupt
from hilserl.runs.checkpoint import steps_in
from hilserl.runs.metrics import read_metrics
from hilserl.runs.run_dir import RunDir
from hilserl.tasks import make_sim_env, pick_cube
from hilserl.training import learner as learner_module
from hilserl.training.algorithms import ALGORITHMS, AlgorithmName
from hilserl.training.baselines import baseline_configs
from hilserl.training.config import TrainConfig, preset
from hilserl.training.config_file import from_json, to_json
from hilserl.training.learner import Learner
from hilserl.training.policy_loading import load_policy
from hilserl.training.trainer import train
from tests.agents.test_sac import SMALL, camera_batches, moved, random_batches, with_camera, with_grippers
from tests.support.configs import changed
from tests.support.steps import make_episode
from tests.training.test_trainer import SMALL_AGENT, config, same_weights, weights

CLONING: tuple[AlgorithmName, ...] = ("bc", "hg-dagger")


@pytest.fixture(autouse=True)
def no_film(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hilserl.training.run.film", lambda *_: None)


def first(batches: Transitions) -> Transitions:
    return jax.tree.map(lambda leaf: leaf[0], batches)


def test_the_density_of_an_action_is_that_of_its_sample() -> None:
    output = PolicyOutput(jnp.array([[0.3, -0.8]]), jnp.array([[-1.0, -2.0]]))
    action, log_prob = sample_squashed(output, jax.random.key(0))
    np.testing.assert_allclose(squashed_log_prob(output, action), log_prob, rtol=1e-4)


@pytest.mark.parametrize("demonstrated", [-0.9, -0.2, 0.0, 0.6])
def test_no_mean_makes_a_demonstrated_action_likelier_than_its_own(demonstrated: float) -> None:
    means = jnp.append(jnp.linspace(-3, 3, 60), jnp.arctanh(demonstrated))[:, None]
    density = squashed_log_prob(PolicyOutput(means, jnp.full_like(means, -1.0)), jnp.full_like(means, demonstrated))
    assert int(density.argmax()) == len(means) - 1


@pytest.mark.parametrize("action", [-1.0, 1.0])
def test_an_action_at_the_limit_has_a_density(action: float) -> None:
    output = PolicyOutput(jnp.zeros((1, 1)), jnp.full((1, 1), -5.0))
    gradient = jax.grad(lambda mean: squashed_log_prob(output._replace(mean=mean), jnp.array([[action]])).sum())
    assert np.isfinite(gradient(output.mean)).all()
    assert np.sign(gradient(output.mean)) == np.sign(action)


@pytest.mark.parametrize("grippers", [0, 1, 2])
def test_what_is_always_demonstrated_is_done(state_spec: ExperienceSpec, grippers: int) -> None:
    spec = with_grippers(state_spec, grippers)
    batches = random_batches(spec, 2, 8)
    shown = np.array([0.5, -0.3, 0.0, 1.0, -1.0][: 3 + grippers], np.float32)
    batches = batches._replace(action=np.broadcast_to(shown, batches.action.shape))
    agent = create_cloning_agent(spec, dataclasses.replace(SMALL, learning_rate=3e-3, ema_rate=0.1), 0)
    for index in range(150):
        agent, metrics = update_step(agent, batches, jax.random.key(index))
    assert ("gripper_agreement" in metrics) == (grippers > 0)
    assert metrics.get("gripper_agreement", 1.0) == 1.0
    seen = {"state": batches.observation["state"][0, 0]}
    for actor in (agent.actor, agent.ema_actor):
        done = act(actor, seen, jax.random.key(0), explore=False)
        np.testing.assert_allclose(done, shown, atol=0.1)
        assert np.array_equal(done[3:], shown[3:])
    before = negative_log_likelihood(create_cloning_agent(spec, SMALL, 0), first(batches))
    assert negative_log_likelihood(agent, first(batches))["cloning_loss"] < before["cloning_loss"]


def test_the_gripper_does_not_move_the_motion(state_spec: ExperienceSpec) -> None:
    """It is asked beside the policy's own motion, and must not bend that to make its answer likelier."""
    agent, batch = create_cloning_agent(state_spec, SMALL, 0), first(random_batches(state_spec, 1, 8))
    other = batch._replace(action=np.stack([batch.action[:, 0], -batch.action[:, 1]], -1))
    gradients = [eqx.filter_grad(lambda actor, b=b: cloning_loss(actor, b)[0])(agent.actor) for b in (batch, other)]
    assert not moved(gradients[0].policy, gradients[1].policy)
    assert moved(gradients[0].gripper, gradients[1].gripper)


def test_camera_heads_are_trained(state_spec: ExperienceSpec) -> None:
    """The reference's behaviour cloning leaves them as they were drawn (defect D9)."""
    spec = with_camera(state_spec)
    agent = create_cloning_agent(spec, SMALL, 0)
    after, _ = update_step(agent, camera_batches(spec), jax.random.key(0))
    head, learned = agent.actor.encoder.heads["eye.features"], after.actor.encoder.heads["eye.features"]
    assert moved(head.kernel, learned.kernel)
    assert moved(head.bottleneck, learned.bottleneck)
    assert not moved(agent.actor.encoder.scale, after.actor.encoder.scale)


def drawn(monkeypatch: pytest.MonkeyPatch, settings: TrainConfig, spec: ExperienceSpec, rounds: int = 80) -> set[float]:
    """What a learner's batches hold, as the first number of each action: of demonstrations 10 to 19, and of the online
    episodes 1 and 2, in the first of which a person chose the third and the fourth step."""
    demonstrations = [step for k in range(10, 20) for step in make_episode(k, 3, terminated=True, camera=False)]
    learner, seen = Learner(spec, settings, demonstrations), set()

    def spy(agent: Any, batches: Transitions, _: Any) -> Any:
        seen.update(np.round(1000 * np.asarray(batches.action)[..., 0].ravel()).tolist())
        return agent, {}

    monkeypatch.setattr(learner_module, "update_step", spy)
    for step in make_episode(1, 4, intervened=(3, 4), camera=False) + make_episode(2, 3, camera=False):
        learner.receive(step)
    for _ in range(rounds):
        learner.learn()
    return seen


DEMONSTRATED = {100.0 * number + index for number in range(10, 20) for index in (1, 2, 3)}
LEARNED_FROM = {value for value in DEMONSTRATED if value < 1900}
"""The tenth demonstration is held out."""
HELPED, ALONE = {103.0, 104.0}, {101.0, 102.0, 201.0, 202.0, 203.0}


@pytest.mark.parametrize(
    ("algorithm", "data"),
    [
        ("rlpd", DEMONSTRATED | HELPED | ALONE),
        ("sac", HELPED | ALONE),
        ("hg-dagger", LEARNED_FROM | HELPED),
    ],
)
def test_each_algorithm_learns_from_its_own_data(
    monkeypatch: pytest.MonkeyPatch, state_spec: ExperienceSpec, algorithm: AlgorithmName, data: set[float]
) -> None:
    assert drawn(monkeypatch, config(algorithm=algorithm), state_spec) == data


def test_sac_waits_for_experience_whatever_was_demonstrated(state_spec: ExperienceSpec) -> None:
    learner = Learner(state_spec, config(algorithm="sac"), make_episode(10, 3, camera=False))
    learner.online_steps = 50
    assert not learner.ready


def test_demonstrations_that_were_kept_out_are_judged_by(state_spec: ExperienceSpec) -> None:
    demonstrations = [step for number in range(10) for step in make_episode(number, 3, camera=False)]
    learner = Learner(state_spec, config(algorithm="bc"), demonstrations)
    assert np.isfinite(learner.held_out_loss()["held_out_cloning_loss"])
    few = Learner(state_spec, config(algorithm="bc"), demonstrations[:4])
    assert few.held_out_loss() == {}


@pytest.fixture
def short_episodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pick_cube.PickCube, "max_episode_steps", 2)


@pytest.fixture(scope="module")
def demos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recorded demonstrations of pick_cube from state."""
    folder = tmp_path_factory.mktemp("demos") / "state"
    assert main(["record", "pick_cube", "--obs", "state", "--successes", "2", "--out", str(folder)]) == 0
    return folder


@pytest.mark.usefixtures("short_episodes")
@pytest.mark.parametrize("algorithm", ["hg-dagger", "sac"])
def test_two_steps_and_a_resume_are_four_steps(tmp_path: Path, demos: Path, algorithm: AlgorithmName) -> None:
    settings = config(algorithm=algorithm, cloning_updates=6, demos=() if algorithm == "sac" else (demos,))
    whole, halves = RunDir(tmp_path / "whole"), RunDir(tmp_path / "halves")
    train(settings, whole)
    train(dataclasses.replace(settings, max_env_steps=2), halves)
    train(settings, halves, resume=True)
    assert same_weights(weights(whole, 4), weights(halves, 4))
    assert not same_weights(weights(halves, 2), weights(halves, 4))
    state = json.loads((halves.checkpoints / "4" / "state.json").read_text())
    assert (state["env_steps"], state["update_steps"]) == (4, 4 if algorithm == "sac" else 3 + 4)


class AfterRounds(Interrupt):
    """Asks for an end once it has been asked so often whether there is to be one."""

    def __init__(self, times: int) -> None:
        self._left = times

    @property
    def requested(self) -> bool:
        self._left -= 1
        return self._left < 0

    @requested.setter
    def requested(self, value: bool) -> None:
        del value


@pytest.mark.usefixtures("short_episodes")
def test_cloning_that_was_interrupted_goes_on(tmp_path: Path, demos: Path) -> None:
    settings = config(algorithm="bc", cloning_updates=12, demos=(demos,))
    whole, halves = RunDir(tmp_path / "whole"), RunDir(tmp_path / "halves")
    result = train(settings, whole)
    assert train(settings, halves, interrupt=AfterRounds(3)) is None
    assert 0 < steps_in(halves.checkpoints)[-1] < 6
    assert train(settings, halves, resume=True) is not None
    assert same_weights(weights(whole, 6), weights(halves, 6))
    assert result is not None
    assert (result["env_steps"], result["human_steps"], result["updates"]) == (0, 0, 12)
    seconds = sum(step.human_seconds for path in (demos,) for step in steps_of(path))
    assert result["demonstration_seconds"] == pytest.approx(seconds, abs=0.1)
    assert seconds > 2


def steps_of(folder: Path) -> Sequence[Step]:
    from hilserl.runs.run_dir import read_episodes

    env = make_sim_env("pick_cube", obs="state")
    return [step for episode in read_episodes(folder, env.experience) for step in episode]


@pytest.mark.usefixtures("short_episodes")
def test_the_verb_leaves_what_a_run_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = config(agent=SMALL_AGENT)
    monkeypatch.setattr("hilserl.cli.bc.preset", lambda _: usual)
    monkeypatch.setattr(pick_cube.PickCube, "max_episode_steps", 40)
    words = ["bc", "pick_cube", "--obs", "state", "--demonstrations", "10", "--updates", "16"]
    assert main([*words, "--run-dir", str(tmp_path / "run")]) == 0
    run = RunDir(tmp_path / "run")
    assert run.read_result()["algorithm"] == "bc"
    assert run.curve.stat().st_size > 10_000
    assert [record["update_steps"] for record in read_metrics(run.metrics, "evaluation")] == [2, 4, 6, 8]
    assert "held_out_motion_error" in read_metrics(run.metrics, "cloning")[-1]
    assert load_policy(run).checkpoint.name in {"2", "4", "6", "8"}


def test_cloning_nothing_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for algorithm in CLONING:
        with pytest.raises(HilserlError, match=f"{algorithm} clones demonstrations, and there is none"):
            config(algorithm=algorithm, demonstrations=0)
    assert main(["bc", "pick_cube", "--demonstrations", "0"]) == 1
    assert "got 0" in capsys.readouterr().err


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_algorithm_survives_the_configurations_file(algorithm: AlgorithmName) -> None:
    assert from_json(to_json(config(algorithm=algorithm))).algorithm == algorithm


def test_what_an_algorithm_cannot_use_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HilserlError, match="sac learns from no demonstrations"):
        config(algorithm="sac", demos=(tmp_path,))
    for changes in ({"free_running": True}, {"operator": "gamepad"}):
        with pytest.raises(HilserlError, match="bc does not act"):
            config(algorithm="bc", **changes)
    with pytest.raises(HilserlError, match=r"algorithm 'magic'.*rlpd"):
        from_json(to_json(config()).replace('"rlpd"', '"magic"'))


def test_demonstrations_without_images_are_no_use_from_pixels(tmp_path: Path, demos: Path) -> None:
    run = RunDir(tmp_path / "run")
    with pytest.raises(HilserlError, match=r"cameras \[\]; this run .* cameras \['front', 'wrist'\]"):
        train(config(algorithm="bc", obs="pixels", demos=(demos,)), run)
    assert not run.path.exists()


def test_an_empty_directory_of_demonstrations_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for algorithm in CLONING:
        with pytest.raises(HilserlError, match="empty"):
            train(config(algorithm=algorithm, demos=(tmp_path / "empty",)), RunDir(tmp_path / algorithm))


def test_demonstrations_of_one_step_are_enough(tmp_path: Path) -> None:
    env = make_sim_env("pick_cube", obs="state")
    write_episode(tmp_path / "demos" / "000000.parquet", list(steps_of_one(env)), env.experience)
    settings = config(algorithm="bc", cloning_updates=2, demos=(tmp_path / "demos",))
    learner = Learner(env.experience, settings, list(steps_of_one(env)))
    learner.learn()
    assert learner.update_steps == 1


def steps_of_one(env: Any) -> Sequence[Step]:
    observation, _ = env.reset(seed=0)
    nothing = np.zeros(env.experience.action.size, np.float32)
    return [
        Step(0, 0, observation, nothing),
        Step(0, 1, observation, nothing, reward=1.0, terminated=True, success=True, intervened=True),
    ]


def test_a_comparison_varies_who_learns_and_nothing_else() -> None:
    usual = preset("pick_cube")
    base = changed(usual, obs="state", max_env_steps=77)
    found = dict(baseline_configs(base, usual))
    assert {label: (c.algorithm, c.operator, c.demonstrations) for label, c in found.items()} == {
        "BC, 20 demonstrations": ("bc", "scripted", 20),
        "BC, 100 demonstrations": ("bc", "scripted", 100),
        "HG-DAgger": ("hg-dagger", "scripted", 20),
        "SAC, no prior data": ("sac", "none", 20),
        "RLPD, demonstrations only": ("rlpd", "none", 20),
        "HIL-SERL": ("rlpd", "scripted", 20),
    }
    for each in found.values():
        alike = dataclasses.replace(each, algorithm="rlpd", operator="scripted", demonstrations=20)
        assert alike == base


@pytest.mark.parametrize(
    "flags", [["--algorithm", "bc"], ["--operator", "none"], ["--demonstrations", "3"], ["--seed", "1"]]
)
def test_what_a_comparison_varies_cannot_be_fixed(
    tmp_path: Path, flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", "pick_cube", "--out", str(tmp_path / "out"), *flags]) == 1
    assert f"varies {flags[0].strip('-')}" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
