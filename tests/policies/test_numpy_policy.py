"""Exported policies act alike in NumPy and in JAX."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hilserl.data.arrays import named_arrays
from hilserl.policies import numpy_policy
from hilserl.policies.built_in import built_in_policy, built_in_tasks
from hilserl.policies.exported import ExportedPolicy, export_policy, read_policy
from hilserl.policies.numpy_policy import NumpyPolicy
from hilserl.rollout.evaluation import DeterministicPolicy
from hilserl.vision.frame_encoder import VisionConfig
from tests.support.policies import CASES, TOLERANCE, drawn_observation, made_policy, random_policy
from tests.support.runs import config

MAX_LINES = 150


def largest_difference(policy: DeterministicPolicy, other: NumpyPolicy, state: int) -> float:
    """Compare actions of 50 observations."""
    found = 0.0
    for seed in range(50):
        observation = drawn_observation(policy.frame_encoder.inputs, state, seed)
        found = max(found, float(np.abs(policy.act(observation) - other.act(observation)).max()))
    return found


@pytest.mark.parametrize("case", CASES)
def test_actions_equal_those_of_the_jax_actor(tmp_path: Path, case: str) -> None:
    exported = made_policy(case)
    export_policy(tmp_path / "out", exported)
    other = NumpyPolicy(tmp_path / "out")
    assert largest_difference(exported.policy, other, exported.spec.state.size) < TOLERANCE
    sizes = {name: int(np.prod(shape)) for name, shape in exported.policy.frame_encoder.inputs.items()}
    assert other.inputs == {"state": 6, **sizes}


@pytest.mark.parametrize("task", built_in_tasks())
def test_actions_of_the_policies_in_the_package_are_equal(task: str) -> None:
    exported = read_policy(built_in_policy(task))
    other = NumpyPolicy(built_in_policy(task))
    assert largest_difference(exported.policy, other, exported.spec.state.size) < TOLERANCE


def test_grippers_take_every_choice(tmp_path: Path) -> None:
    exported = made_policy("grippers")
    export_policy(tmp_path / "out", exported)
    policy = NumpyPolicy(tmp_path / "out")
    actions = np.stack([policy.act(drawn_observation({}, 6, seed)) for seed in range(200)])
    assert set(np.unique(actions[:, [0, 3]])) <= {-1.0, 0.0, 1.0}
    assert len(np.unique(actions[:, [0, 3]], axis=0)) > 1
    assert (np.abs(actions[:, 1:3]) < 1).all()


@pytest.mark.parametrize("change", ["missing", "size"])
def test_wrong_input_is_named(tmp_path: Path, change: str) -> None:
    export_policy(tmp_path / "out", made_policy("frequencies"))
    policy = NumpyPolicy(tmp_path / "out")
    observation: dict[str, Any] = {"state": np.zeros(6), "side.features": np.zeros(policy.inputs["side.features"])}
    if change == "size":
        observation["front.features"] = np.zeros(3)
    with pytest.raises(ValueError, match=r"front\.features.*numbers, got"):
        policy.act(observation)


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    export_policy(tmp_path / "out", made_policy("state"))
    path = tmp_path / "out" / "policy.safetensors"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(ValueError, match="checksum"):
        NumpyPolicy(tmp_path / "out")
    with pytest.raises(ValueError, match="cannot be read"):
        numpy_policy.read_safetensors(path)


def test_trained_image_encoder_is_refused(tmp_path: Path) -> None:
    spec, _ = CASES["frequencies"]
    vision = VisionConfig(encoder="small_cnn", encode="every_update")
    settings = dataclasses.replace(config(), agent=dataclasses.replace(config().agent, vision=vision))
    policy = random_policy(spec, settings)
    export_policy(tmp_path / "out", ExportedPolicy(settings, spec, policy, {}))
    with pytest.raises(ValueError, match="trained itself"):
        NumpyPolicy(tmp_path / "out")


def test_file_runs_alone_with_numpy(tmp_path: Path) -> None:
    exported = made_policy("state")
    export_policy(tmp_path / "out", exported)
    source = Path(numpy_policy.__file__).read_text()
    assert len(source.splitlines()) <= MAX_LINES
    (tmp_path / "copied_policy.py").write_text(source)
    script = (
        "import sys, json, copied_policy, numpy as np\n"
        "action = copied_policy.NumpyPolicy(sys.argv[1]).act({'state': np.arange(6.0)})\n"
        "assert not {'jax', 'hilserl', 'safetensors', 'equinox'} & sys.modules.keys()\n"
        "print(json.dumps(action.tolist()))"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "out")]
    shown = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    expected = exported.policy.act({"state": np.arange(6, dtype=np.float32)})
    assert np.allclose(json.loads(shown), expected, atol=TOLERANCE)


def test_jax_reads_the_same_numbers(tmp_path: Path) -> None:
    exported = made_policy("proprio")
    export_policy(tmp_path / "out", exported)
    found = numpy_policy.read_safetensors(tmp_path / "out" / "policy.safetensors")
    for name, leaf in named_arrays(exported.policy.actor).items():
        assert jnp.array_equal(found[name], leaf)
    assert jax.tree.leaves(found)
