"""Exported policies: the same actions, small files, and errors that say what is wrong."""

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hilserl.data.spec import ExperienceSpec
from hilserl.envs.env import InteractiveEnv
from hilserl.envs.make import make_env
from hilserl.errors import HilserlError
from hilserl.policies.exported import ExportedPolicy, export_policy, read_policy
from hilserl.policies.loading import load_policy
from hilserl.rollout.evaluation import DeterministicPolicy
from hilserl.training.algorithms import ALGORITHMS
from tests.support.runs import config


@pytest.fixture(scope="module")
def env() -> Iterator[InteractiveEnv]:
    made = make_env(config(obs="pixels").env)
    yield made
    made.close()


@pytest.fixture(scope="module")
def exported(env: InteractiveEnv) -> ExportedPolicy:
    """A random policy that sees two cameras."""
    settings = config(obs="pixels")
    agent = ALGORITHMS["rlpd"].create(env.experience, settings.agent, 0)
    return ExportedPolicy(settings, env.experience, DeterministicPolicy.of(agent), {"env_steps": 7})


def changed_description(directory: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = directory / "policy.json"
    description = json.loads(path.read_text())
    change(description)
    path.write_text(json.dumps(description))


def test_exported_policy_acts_as_the_original(exported: ExportedPolicy, env: InteractiveEnv, tmp_path: Path) -> None:
    observation, _ = env.reset(seed=3)
    expected = exported.policy.act(observation)
    export_policy(tmp_path / "exact", exported)
    export_policy(tmp_path / "half", exported, "float16")
    assert np.array_equal(read_policy(tmp_path / "exact").policy.act(observation), expected)
    np.testing.assert_allclose(read_policy(tmp_path / "half").policy.act(observation), expected, atol=0.01)
    sizes = [(tmp_path / name / "policy.safetensors").stat().st_size for name in ("half", "exact")]
    assert sizes[0] < 0.6 * sizes[1]


def test_loaded_policy_has_an_environment_of_its_task(exported: ExportedPolicy, tmp_path: Path) -> None:
    export_policy(tmp_path / "out", exported)
    loaded = load_policy(tmp_path / "out", max_episode_steps=3)
    assert loaded.env.experience == exported.spec
    assert loaded.config == exported.config
    loaded.env.close()


def test_description_says_what_goes_in_and_out(exported: ExportedPolicy, tmp_path: Path) -> None:
    export_policy(tmp_path / "out", exported)
    description = json.loads((tmp_path / "out" / "policy.json").read_text())
    assert description["inputs"]["front"] == {"dtype": "uint8", "shape": [128, 128, 3]}
    assert description["inputs"]["state"]["entries"]["tcp_position_m"] == [0, 3]
    assert description["output"]["names"] == list(exported.spec.action.names)
    assert description["figures"] == {"env_steps": 7}


def test_existing_directory_is_kept(exported: ExportedPolicy, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    with pytest.raises(HilserlError, match="exists already"):
        export_policy(tmp_path / "out", exported)
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "mine"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda description: description.update(format_version=99), "has format version 99; this program reads 1"),
        (lambda description: description.pop("spec"), "policy.json has no 'spec'"),
        (lambda description: description["weights"].update(sha256="0"), "policy.safetensors is damaged"),
        (lambda description: description["config"].update(seed="x"), "Invalid seed 'x'"),
        (lambda description: description["config"]["agent"].update(hidden=[8]), "more arrays differ"),
    ],
)
def test_damaged_description_is_refused(
    exported: ExportedPolicy, tmp_path: Path, change: Callable[[dict[str, Any]], object], expected: str
) -> None:
    export_policy(tmp_path / "out", exported)
    changed_description(tmp_path / "out", change)
    with pytest.raises(HilserlError, match=expected):
        read_policy(tmp_path / "out")


@pytest.mark.parametrize("name", ["policy.json", "policy.safetensors"])
def test_cut_file_is_refused(exported: ExportedPolicy, tmp_path: Path, name: str) -> None:
    export_policy(tmp_path / "out", exported)
    path = tmp_path / "out" / name
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(HilserlError, match="Cannot read the policy"):
        read_policy(tmp_path / "out")


def test_policy_of_a_changed_task_is_refused(exported: ExportedPolicy, tmp_path: Path) -> None:
    action = dataclasses.replace(exported.spec.action, names=("dx", "dy", "dz", "grip"))
    spec = dataclasses.replace(exported.spec, action=action)
    export_policy(tmp_path / "out", dataclasses.replace(exported, spec=spec))
    with pytest.raises(HilserlError, match="another version of the task"):
        load_policy(tmp_path / "out")


def test_exported_policy_has_no_checkpoints(exported: ExportedPolicy, tmp_path: Path) -> None:
    export_policy(tmp_path / "out", exported)
    with pytest.raises(HilserlError, match="has no checkpoint '500'"):
        load_policy(tmp_path / "out", "500")


def test_description_keeps_the_spec(exported: ExportedPolicy, tmp_path: Path) -> None:
    export_policy(tmp_path / "out", exported)
    description = json.loads((tmp_path / "out" / "policy.json").read_text())
    assert ExperienceSpec.from_json(json.dumps(description["spec"])) == exported.spec
