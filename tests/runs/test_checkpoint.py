"""Checkpoints are chosen by name and read under today's names."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load, save

from hilserl.agents.sac import create_sac_agent
from hilserl.data.spec import ExperienceSpec
from hilserl.errors import HilserlError
from hilserl.runs.checkpoint import RENAMED_ARRAYS, RunState, best_in, choose, load_checkpoint, prune, save_checkpoint
from tests.support.batches import SMALL, moved


def earlier_state(path: Path) -> dict[str, Any]:
    """Return a checkpoint's state as earlier versions wrote it, without a checksum of its numbers."""
    state = json.loads((path / "state.json").read_text())
    del state["state_sha256"]
    return state


def test_old_array_names_load(state_spec: ExperienceSpec, tmp_path: Path) -> None:
    one, other = (create_sac_agent(state_spec, SMALL, seed) for seed in (0, 1))
    path = save_checkpoint(tmp_path, one, RunState(env_steps=7), 7)
    old_names = {new: old for old, new in RENAMED_ARRAYS.items()}
    arrays = {}
    for name, array in load((path / "agent.safetensors").read_bytes()).items():
        first, dot, rest = name.partition(".")
        arrays[f"{old_names.get(first, first)}{dot}{rest}"] = array
    assert any(name.startswith("averaged.") for name in arrays)
    weights = save(arrays)
    (path / "agent.safetensors").write_bytes(weights)
    state = earlier_state(path) | {"sha256": hashlib.sha256(weights).hexdigest()}
    (path / "state.json").write_text(json.dumps(state))
    found, run_state = load_checkpoint(path, other)
    assert not moved(one, found)
    assert run_state.env_steps == 7


def test_old_state_keys_load(state_spec: ExperienceSpec, tmp_path: Path) -> None:
    agent = create_sac_agent(state_spec, SMALL, 0)
    path = save_checkpoint(tmp_path, agent, RunState(update_steps=5), 7)
    state = earlier_state(path)
    (path / "state.json").write_text(json.dumps({"rounds" if k == "update_steps" else k: v for k, v in state.items()}))
    assert load_checkpoint(path, agent)[1].update_steps == 5


def test_unknown_checkpoint_lists_the_others(state_spec: ExperienceSpec, tmp_path: Path) -> None:
    save_checkpoint(tmp_path, create_sac_agent(state_spec, SMALL, 0), RunState(), 6)
    with pytest.raises(HilserlError, match="available: best, last, 6"):
        choose(tmp_path, "7")
    assert choose(tmp_path, "6").name == "6"
    with pytest.raises(HilserlError, match="no checkpoint"):
        choose(tmp_path / "nowhere", "best")


def test_changed_number_of_the_state_is_found(state_spec: ExperienceSpec, tmp_path: Path) -> None:
    agent = create_sac_agent(state_spec, SMALL, 0)
    path = save_checkpoint(tmp_path, agent, RunState(env_steps=7), 7)
    text = (path / "state.json").read_text()
    for damaged in (text.replace('"env_steps": 7', '"env_steps": 3'), text.replace("env_steps", "env_stepz"), "[]"):
        (path / "state.json").write_text(damaged)
        with pytest.raises(HilserlError, match=r"state\.json"):
            load_checkpoint(path, agent)


def test_damaged_checkpoint_does_not_stop_the_others(
    state_spec: ExperienceSpec, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    agent = create_sac_agent(state_spec, SMALL, 0)
    for step, rate in ((1, 0.9), (2, 0.5), (3, 0.7)):
        save_checkpoint(tmp_path, agent, RunState(env_steps=step, evaluation={"success_rate": rate}), step)
    (tmp_path / "1" / "state.json").unlink()
    assert best_in(tmp_path) == 3
    assert "Passed over" in caplog.text
    prune(tmp_path, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["3"]
