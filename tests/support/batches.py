"""Random batches and small specs for tests of agents."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from hilserl.agents.agent import AgentConfig
from hilserl.data.spec import ActionLayout, ExperienceSpec, entry
from hilserl.data.step import Transitions

SMALL = AgentConfig(hidden=(16, 16), num_critics=3, num_target_critics=2, utd_ratio=2, batch_size=8)
"""Settings of an agent that compiles and learns quickly."""


def random_batches(spec: ExperienceSpec, batches: int, size: int, seed: int = 0) -> Transitions:
    """Make random transitions with leading axes [batches, size], without images."""
    rng = np.random.default_rng(seed)

    def observation() -> dict[str, np.ndarray]:
        state = rng.normal(size=(batches, size, spec.state.size)).astype(np.float32)
        state[..., spec.gripper_state] = np.sign(state[..., spec.gripper_state])
        return {"state": state}

    action = rng.uniform(-1, 1, (batches, size, spec.action.size)).astype(np.float32)
    action[..., list(spec.action.grippers)] = np.round(action[..., list(spec.action.grippers)])
    return transitions(
        observation(),
        action,
        rng.integers(0, 2, (batches, size)).astype(np.float32),
        observation(),
        rng.integers(0, 2, (batches, size)).astype(np.float32),
        rng.integers(0, 2, (batches, size)).astype(bool),
    )


def transitions(
    observation: Any, action: Any, reward: Any, next_observation: Any, bootstrap: Any, demonstrated: Any
) -> Transitions:
    """Make transitions of episodes without an end and without a gripper's change."""
    still, unknown = np.zeros_like(reward), np.full_like(reward, -np.inf)
    return Transitions(
        observation,
        action,
        action,
        reward,
        next_observation,
        bootstrap,
        demonstrated,
        taken_over=np.zeros_like(demonstrated),
        gripper_changes=still,
        return_to_go=unknown,
        changes_to_go=still,
        succeeds=np.zeros_like(demonstrated),
        final_state=np.zeros_like(observation["state"]),
    )


def doing(batches: Transitions, action: Any) -> Transitions:
    """Return transitions in which other actions were done, and are to be imitated."""
    return batches._replace(action=action, imitated=action)


def with_grippers(spec: ExperienceSpec, count: int) -> ExperienceSpec:
    """Make a spec with three continuous actions and `count` grippers."""
    grippers = tuple(f"arm{i}_gripper" for i in range(count))
    commands = tuple(entry(f"{name}_command", 1) for name in grippers)
    state = dataclasses.replace(spec.state, entries=(spec.state.entries[0], *commands))
    return ExperienceSpec("toy", state, ActionLayout(("x", "y", "z", *grippers), tuple(range(3, 3 + count))))


def arrays(tree: Any) -> list[np.ndarray]:
    """List the arrays of a pytree."""
    return [np.asarray(leaf) for leaf in jax.tree.leaves(eqx.filter(tree, eqx.is_array))]


def moved(before: Any, after: Any) -> bool:
    """Return True if any array differs."""
    return any(not np.array_equal(a, b) for a, b in zip(arrays(before), arrays(after), strict=True))


def with_camera(spec: ExperienceSpec) -> ExperienceSpec:
    """Replace the cameras of a spec by one, `eye`."""
    return dataclasses.replace(spec, images=(("eye", (32, 48, 3)),))


def camera_batches(spec: ExperienceSpec, seed: int = 0) -> Transitions:
    """Make two random batches of 8 transitions with features of `eye`."""
    batches, rng = random_batches(spec, 2, 8, seed), np.random.default_rng(seed)
    for observation in (batches.observation, batches.next_observation):
        observation["eye.features"] = rng.normal(size=(2, 8, 80, 6)).astype(np.float16)
    return batches


def first(batches: Transitions) -> Transitions:
    """Return the first batch in JAX's arrays, as inside an update step."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), batches)
