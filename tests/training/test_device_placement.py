"""Placement does not change what a learner learns.

JAX takes one CPU for several devices here.
"""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import equinox as eqx
import jax
import numpy as np
import pytest

from hilserl.agents.agent import Agent, AgentConfig, act
from hilserl.data.replay import HostStorage, Replay
from hilserl.data.spec import ActionLayout, ExperienceSpec, StateLayout, entry
from hilserl.errors import HilserlError
from hilserl.runs.checkpoint import RunState, load_checkpoint, save_checkpoint
from hilserl.training.config import TrainConfig
from hilserl.training.device_placement import DeviceStorage, Placement
from hilserl.training.learner import Learner
from hilserl.vision.frame_encoder import VisionConfig
from tests.support.batches import random_batches
from tests.support.configs import train_config
from tests.support.steps import make_episode

SIZE, ROUNDS = 8, 3


@dataclass(frozen=True)
class FakeDevice:
    """An accelerator, or not, with so much memory."""

    platform: str
    stats: dict[str, int] | None

    def memory_stats(self) -> dict[str, int] | None:
        return self.stats


FREE_800 = {"bytes_limit": 1000, "bytes_in_use": 200, "largest_alloc_size": 7}


@pytest.mark.parametrize(
    ("platform", "stats", "nbytes", "kept"),
    [
        ("gpu", FREE_800, 400, True),
        ("gpu", FREE_800, 401, False),
        ("tpu", FREE_800, 400, True),
        ("cpu", FREE_800, 1, False),
        ("gpu", None, 1, False),
        ("gpu", {"num_allocs": 3}, 1, False),
    ],
)
def test_replay_may_take_half_of_the_free_memory(
    platform: str, stats: dict[str, int] | None, nbytes: int, kept: bool
) -> None:
    device = FakeDevice(platform, stats)
    assert Placement([device], SIZE).keeps_replay_on_device(nbytes) == kept
    for forced in (True, False):
        assert Placement([device], SIZE, replay_on_device=forced).keeps_replay_on_device(nbytes) == forced


def test_batch_that_does_not_divide_is_refused() -> None:
    devices = [FakeDevice("gpu", FREE_800)] * 3
    with pytest.raises(HilserlError, match=r"batch of 128 .* 3 devices"):
        Placement(devices, 128)


def test_single_cpu_moves_nothing(state_spec: ExperienceSpec) -> None:
    placement = Placement(jax.devices()[:1], 7)
    agent = taught(state_spec, placement, 0).snapshot[0]
    batches = random_batches(state_spec, 2, 7)
    assert placement.agent(agent) is agent
    assert placement.batches(batches) is batches
    assert isinstance(Replay(state_spec, 50, make_storage=placement.store)._storage, HostStorage)


def test_steps_are_written_in_place(spec: ExperienceSpec) -> None:
    """A copy of the whole storage for each step would be gigabytes a second."""
    replay = Replay(spec, 50, make_episode(9, 5), make_storage=DeviceStorage)

    def memory() -> list[int]:
        return [column.unsafe_buffer_pointer() for column in jax.tree.leaves(cast("Any", replay._storage)._columns)]

    before = memory()
    for step in make_episode(0, 5):
        replay.add(step)
    assert memory() == before


def test_replay_on_the_device_learns_the_very_same(state_spec: ExperienceSpec) -> None:
    host, device = (
        taught(state_spec, Placement(jax.devices()[:1], SIZE, replay_on_device=on_device), ROUNDS)
        for on_device in (False, True)
    )
    assert host.metrics == device.metrics
    pairs = zip(arrays(host.snapshot[0]), arrays(device.snapshot[0]), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)


@pytest.mark.slow
@pytest.mark.parametrize("camera", [False, True], ids=["state", "camera"])
def test_devices_learn_together_as_one_does(camera: bool) -> None:
    """In a process of its own, because how many devices there are is settled when JAX begins."""
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-c",
            f"from tests.training import test_device_placement as t; t.on_two_devices({camera})",
        ],
        env=os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_PLATFORMS": "cpu"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def on_two_devices(camera: bool) -> None:
    """The whole of it: a round, then more rounds, acting, and going on from a checkpoint."""
    state = StateLayout((entry("position_m", 2), entry("gripper_command", 1)))
    images = (("eye", (2, 3, 3)),) if camera else ()
    spec = ExperienceSpec("toy", state, ActionLayout(("dx", "gripper"), grippers=(1,)), images)
    assert len(jax.devices()) == 2
    placements = [Placement(jax.devices()[:1], SIZE)]
    placements += [Placement(jax.devices(), SIZE, replay_on_device=on_device) for on_device in (False, True)]
    alone, *others = (taught(spec, placement, 1) for placement in placements)
    for learner in others:
        same(learner, alone)
    observation = make_episode(5, 1, camera=camera)[1].observation
    for learner in others:
        while learner.update_steps < ROUNDS:
            learner.learn()
        split = learner._placement.batches(learner._replay.sample(np.random.default_rng(0), 2, SIZE))
        assert {part.data.shape for part in split.reward.addressable_shards} == {(2, SIZE // 2)}
        agent = learner.snapshot[0]
        assert act(agent.actor, observation, jax.random.key(0), explore=True).shape == (2,)
        with TemporaryDirectory() as directory:
            path = save_checkpoint(Path(directory), agent, RunState(), 0)
            resumed = taught(spec, learner._placement, 0)
            resumed.restore(load_checkpoint(path, resumed.snapshot[0])[0], ROUNDS)
        learner.learn()
        resumed.learn()
        same(resumed, learner)


def same(learner: Learner, other: Learner) -> None:
    """All of one agent is on both devices, and is the other one but for rounding."""
    agent = learner.snapshot[0]
    assert all(leaf.sharding.is_fully_replicated for leaf in leaves(agent))
    assert all(len(leaf.sharding.device_set) == 2 for leaf in leaves(agent))
    assert learner.metrics.keys() == other.metrics.keys()
    for name, value in learner.metrics.items():
        np.testing.assert_allclose(value, other.metrics[name], rtol=1e-4, err_msg=name)
    for a, b in zip(arrays(agent), arrays(other.snapshot[0]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def config(camera: bool) -> TrainConfig:
    vision = VisionConfig("small_cnn", width=8)
    agent = AgentConfig(
        hidden=(16, 16), num_critics=2, num_target_critics=2, utd_ratio=2, batch_size=SIZE, vision=vision
    )
    return train_config("toy", obs="pixels" if camera else "state", training_starts=1, replay_capacity=12, agent=agent)


def taught(spec: ExperienceSpec, placement: Placement, rounds: int) -> Learner:
    """A learner of one demonstration and three episodes, the first of them overwritten."""
    camera = bool(spec.images)
    learner = Learner(spec, config(camera), make_episode(9, 4, terminated=True, camera=camera), placement)
    for episode in range(3):
        for step in make_episode(episode, 5, intervened=(2, 3), camera=camera):
            learner.receive(step)
    for _ in range(rounds):
        learner.learn()
    return learner


def leaves(agent: Agent) -> list[jax.Array]:
    return jax.tree.leaves(eqx.filter(agent, eqx.is_array))


def arrays(agent: Agent) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in leaves(agent)]
