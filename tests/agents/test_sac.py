"""The agent's parts do what their equations say, and no loss moves what is not its own."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hilserl.agents.agent import Agent, AgentConfig, act, update_step
from hilserl.agents.gripper import choice_index, count_changes, gripper_choices
from hilserl.agents.networks import PolicyOutput, sample_squashed
from hilserl.agents.sac import create_sac_agent
from hilserl.data.spec import ActionLayout, ExperienceSpec, entry
from hilserl.data.step import Transitions
from hilserl.errors import HilserlError

SMALL = AgentConfig(hidden=(16, 16), num_critics=3, num_target_critics=2, utd_ratio=2, batch_size=8)


def random_batches(spec: ExperienceSpec, batches: int, size: int, seed: int = 0) -> Transitions:
    rng = np.random.default_rng(seed)

    def observation() -> dict[str, np.ndarray]:
        state = rng.normal(size=(batches, size, spec.state.size)).astype(np.float32)
        state[..., spec.gripper_state] = np.sign(state[..., spec.gripper_state])
        return {"state": state}

    action = rng.uniform(-1, 1, (batches, size, spec.action.size)).astype(np.float32)
    action[..., list(spec.action.grippers)] = np.round(action[..., list(spec.action.grippers)])
    return Transitions(
        observation(),
        action,
        rng.integers(0, 2, (batches, size)).astype(np.float32),
        observation(),
        rng.integers(0, 2, (batches, size)).astype(np.float32),
        rng.integers(0, 2, (batches, size)).astype(bool),
    )


def with_grippers(spec: ExperienceSpec, count: int) -> ExperienceSpec:
    """A spec with three motions and `count` grippers, interleaved as two arms are."""
    grippers = tuple(f"arm{i}_gripper" for i in range(count))
    commands = tuple(entry(f"{name}_command", 1) for name in grippers)
    state = dataclasses.replace(spec.state, entries=(spec.state.entries[0], *commands))
    return ExperienceSpec("toy", state, ActionLayout(("x", "y", "z", *grippers), tuple(range(3, 3 + count))))


def arrays(tree) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(eqx.filter(tree, eqx.is_array))]


def moved(before, after) -> bool:
    return any(not np.array_equal(a, b) for a, b in zip(arrays(before), arrays(after), strict=True))


@pytest.mark.parametrize("grippers", [0, 1, 2])
def test_one_class_for_no_gripper_one_and_two(state_spec: ExperienceSpec, grippers: int) -> None:
    spec = with_grippers(state_spec, grippers)
    agent = create_sac_agent(spec, SMALL, seed=0)
    after, metrics = update_step(agent, random_batches(spec, 2, 8), jax.random.key(0))
    assert all(np.isfinite(value) for value in metrics.values())
    assert ("gripper_loss" in metrics) == (grippers > 0)
    action = act(after.actor, {"state": np.zeros(spec.state.size, np.float32)}, jax.random.key(1), explore=True)
    assert action.shape == (3 + grippers,)
    assert np.abs(action).max() <= 1
    assert set(action[3:]) <= {-1.0, 0.0, 1.0}


def test_an_update_leaves_the_old_agent_alone_and_repeats(state_spec: ExperienceSpec) -> None:
    agent = create_sac_agent(state_spec, SMALL, seed=0)
    before = [leaf.copy() for leaf in arrays(agent)]
    batches = random_batches(state_spec, 2, 8)
    first, _ = update_step(agent, batches, jax.random.key(5))
    second, _ = update_step(agent, batches, jax.random.key(5))
    assert all(np.array_equal(a, b) for a, b in zip(before, arrays(agent), strict=True))
    assert not moved(first, second)
    assert moved(agent, first)
    assert moved(first, update_step(agent, batches, jax.random.key(6))[0])


def test_seeds_decide_the_weights(state_spec: ExperienceSpec) -> None:
    assert not moved(create_sac_agent(state_spec, SMALL, 0), create_sac_agent(state_spec, SMALL, 0))
    one, other = (create_sac_agent(state_spec, SMALL, seed).actor.policy for seed in (0, 1))
    assert moved(one, other)


def test_critics_are_independent_down_to_the_output_layer(state_spec: ExperienceSpec) -> None:
    critics = create_sac_agent(state_spec, SMALL, 0).critics
    for leaf in (critics.value.weight, critics.trunk.layers[0].weight):
        assert leaf.shape[0] == 3
        assert not np.array_equal(leaf[0], leaf[1])


def test_the_encoder_is_never_trained(state_spec: ExperienceSpec) -> None:
    agent = create_sac_agent(state_spec, SMALL, 0)
    after, _ = update_step(agent, random_batches(state_spec, 2, 8), jax.random.key(0))
    assert not moved(agent.actor.encoder, after.actor.encoder)


def test_target_networks_trail_at_the_target_rate(state_spec: ExperienceSpec) -> None:
    config = dataclasses.replace(SMALL, utd_ratio=1, tau=0.1)
    agent = create_sac_agent(state_spec, config, 0)
    after, _ = update_step(agent, random_batches(state_spec, 1, 8), jax.random.key(0))
    for old, new, target in zip(
        arrays(agent.targets.critics), arrays(after.critics), arrays(after.targets.critics), strict=True
    ):
        assert np.allclose(target, old + 0.1 * (new - old), atol=1e-6)


@pytest.mark.parametrize("bootstrap", [0.0, 1.0])
def test_values_converge_to_the_known_ones(state_spec: ExperienceSpec, bootstrap: float) -> None:
    """One state, reward 1: with termination Q is 1; going on for ever at discount 0.5 it is 2."""
    config = dataclasses.replace(SMALL, discount=0.5, tau=0.2, learning_rate=3e-3, gripper_penalty=0.0)
    agent = create_sac_agent(state_spec, config, 0)
    state = {"state": np.ones((2, 8, 3), np.float32)}
    rng = np.random.default_rng(0)
    for index in range(150):
        action = rng.uniform(-1, 1, (2, 8, 2)).astype(np.float32)
        action[..., 1] = rng.integers(-1, 2, (2, 8))
        bootstraps = np.full((2, 8), bootstrap, np.float32)
        batch = Transitions(state, action, np.ones((2, 8), np.float32), state, bootstraps, np.zeros((2, 8), bool))
        agent, metrics = update_step(agent, batch, jax.random.key(index))
    expected = 1.0 + bootstrap
    assert metrics["q"] == pytest.approx(expected, abs=0.1)
    assert metrics["gripper_q"] == pytest.approx(expected, abs=0.1)


def test_the_penalty_is_for_changing_the_gripper_seen_before_the_action() -> None:
    commands = jnp.array([[1.0], [1.0], [1.0], [-1.0], [-1.0], [-1.0]])
    actions = jnp.array([[-1.0], [0.0], [1.0], [-1.0], [0.0], [1.0]])
    assert count_changes(commands, actions).tolist() == [1, 0, 0, 0, 0, 1]
    assert count_changes(jnp.array([[1.0, -1.0]]), jnp.array([[-1.0, 1.0]])).tolist() == [2]


def test_the_penalty_reaches_the_gripper_alone(state_spec: ExperienceSpec) -> None:
    batches = random_batches(state_spec, 2, 8)
    free, _ = update_step(
        create_sac_agent(state_spec, dataclasses.replace(SMALL, gripper_penalty=0.0), 0), batches, jax.random.key(0)
    )
    dear, _ = update_step(
        create_sac_agent(state_spec, dataclasses.replace(SMALL, gripper_penalty=0.5), 0), batches, jax.random.key(0)
    )
    assert moved(free.actor.gripper, dear.actor.gripper)


@pytest.mark.parametrize("grippers", [1, 2])
def test_choices_and_actions_are_one_to_one(grippers: int) -> None:
    table = gripper_choices(grippers)
    assert table.shape == (3**grippers, grippers)
    assert choice_index(jnp.array(table)).tolist() == list(range(3**grippers))


@pytest.mark.parametrize(("action", "choice"), [(0.95, 2), (-0.95, 0), (0.6, 2), (-0.6, 0), (0.3, 1), (-0.3, 1)])
def test_a_persons_nearly_closed_is_closed(action: float, choice: int) -> None:
    assert choice_index(jnp.array([[action]])).tolist() == [choice]


def test_the_squashed_density_integrates_to_one() -> None:
    output = PolicyOutput(jnp.full((200_000, 1), 0.4), jnp.full((200_000, 1), -0.3))
    action, log_prob = sample_squashed(output, jax.random.key(0))
    assert float(jnp.abs(action).max()) <= 1.0
    assert float(jnp.mean(jnp.exp(-log_prob))) == pytest.approx(2.0, rel=0.05), "E[1/p] is the measure of (-1, 1)"


def test_the_density_is_finite_at_the_edge() -> None:
    action, log_prob = sample_squashed(PolicyOutput(jnp.array([[40.0]]), jnp.array([[0.0]])), jax.random.key(0))
    assert np.isfinite(log_prob).all()
    assert float(action[0, 0]) <= 1.0


def test_the_deterministic_policy_ignores_the_key(state_spec: ExperienceSpec) -> None:
    actor = create_sac_agent(state_spec, SMALL, 0).actor
    observation = {"state": np.ones(3, np.float32)}
    quiet = [act(actor, observation, jax.random.key(i), explore=False) for i in range(3)]
    noisy = [act(actor, observation, jax.random.key(i), explore=True) for i in range(3)]
    assert np.array_equal(quiet[0], quiet[1])
    assert not np.array_equal(noisy[0], noisy[1])
    assert quiet[0].dtype == np.float32


def test_huge_inputs_do_not_break_the_networks(state_spec: ExperienceSpec) -> None:
    actor = create_sac_agent(state_spec, SMALL, 0).actor
    assert np.isfinite(act(actor, {"state": np.full(3, 1e9, np.float32)}, jax.random.key(0), explore=True)).all()


@pytest.mark.parametrize(
    "settings",
    [
        {"num_target_critics": 9},
        {"discount": 1.5},
        {"utd_ratio": 0},
        {"batch_size": 0},
        {"hidden": ()},
        {"tau": 0.0},
        {"ema_rate": 1.5},
        {"cloning_weight": -0.1},
        {"cloning_half_life": 0},
    ],
)
def test_impossible_settings_are_refused(settings: dict) -> None:
    with pytest.raises(HilserlError, match=next(iter(settings))):
        AgentConfig(**settings)


def with_camera(spec: ExperienceSpec) -> ExperienceSpec:
    return dataclasses.replace(spec, images=(("eye", (32, 48, 3)),))


def camera_batches(spec: ExperienceSpec, seed: int = 0) -> Transitions:
    batches, rng = random_batches(spec, 2, 8, seed), np.random.default_rng(seed)
    for observation in (batches.observation, batches.next_observation):
        observation["eye.features"] = rng.normal(size=(2, 8, 80, 2, 3)).astype(np.float16)
    return batches


def test_camera_heads_learn_from_the_values_and_not_from_the_policy(state_spec: ExperienceSpec) -> None:
    spec = with_camera(state_spec)
    agent, batches = create_sac_agent(spec, SMALL, 0), camera_batches(spec)
    after, metrics = update_step(agent, batches, jax.random.key(0))
    assert all(np.isfinite(value) for value in metrics.values())
    assert moved(agent.actor.encoder.heads, after.actor.encoder.heads)
    # Another temperature changes the policy's loss and nothing of the first value update.
    one = jax.tree.map(lambda leaf: leaf[:1], batches)
    warmer = eqx.tree_at(lambda a: a.log_temperature, agent, agent.log_temperature + 1.0)
    plain, warm = (update_step(a, one, jax.random.key(0))[0] for a in (agent, warmer))
    assert moved(plain.actor.policy, warm.actor.policy)
    assert not moved(plain.actor.encoder, warm.actor.encoder)
    assert not moved(plain.critics, warm.critics)


def test_what_the_camera_shows_matters(state_spec: ExperienceSpec) -> None:
    spec = with_camera(state_spec)
    actor = create_sac_agent(spec, SMALL, 0).actor
    dark = {"state": np.zeros(3, np.float32), "eye.features": np.zeros((80, 2, 3), np.float16)}
    bright = dark | {"eye.features": np.random.default_rng(0).normal(size=(80, 2, 3)).astype(np.float16)}
    actions = [act(actor, observation, jax.random.key(0), explore=False) for observation in (dark, bright)]
    assert not np.array_equal(*actions)


def test_the_averaged_actor_follows_the_actor(state_spec: ExperienceSpec) -> None:
    rate, rounds = 0.1, 5
    agent = create_sac_agent(state_spec, dataclasses.replace(SMALL, ema_rate=rate), 0)
    expected = jax.tree.leaves(agent.actor)
    for number in range(rounds):
        agent, _ = update_step(agent, random_batches(state_spec, 2, 8, number), jax.random.key(number))
        expected = [(1 - rate) * e + rate * a for e, a in zip(expected, jax.tree.leaves(agent.actor), strict=True)]
    assert moved(agent.actor, agent.ema_actor)
    for found, wanted in zip(jax.tree.leaves(agent.ema_actor), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_an_agent_is_a_pytree(state_spec: ExperienceSpec) -> None:
    agent = create_sac_agent(state_spec, SMALL, 0)
    doubled = jax.tree.map(lambda leaf: 2 * leaf if eqx.is_inexact_array(leaf) else leaf, agent)
    assert isinstance(doubled, Agent)
    assert moved(agent, doubled)
