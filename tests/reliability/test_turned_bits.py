"""A turned bit in a file of a run is found, or changes nothing that is read.

`HILSERL_CASES=10000` turns as many bits in each kind of file.
"""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hilserl.agents.sac import create_sac_agent
from hilserl.data.arrays import named_arrays
from hilserl.data.episodes import read_episode, write_episode
from hilserl.data.spec import ExperienceSpec
from hilserl.errors import HilserlError
from hilserl.runs.checkpoint import RunState, load_checkpoint, save_checkpoint
from hilserl.training.config_file import load_config, save_config
from tests.support.batches import SMALL
from tests.support.configs import train_config
from tests.support.steps import make_episode

CASES = int(os.environ.get("HILSERL_CASES", "250"))
Reader = Callable[[], Any]


def of_episode(directory: Path, spec: ExperienceSpec) -> tuple[list[Path], Reader]:
    path = directory / "000001.parquet"
    write_episode(path, make_episode(1, 6), spec)

    def read() -> Any:
        steps, found = read_episode(path)
        values = [(s.action.tobytes(), *(s.observation[n].tobytes() for n in sorted(s.observation))) for s in steps]
        plain = [{k: v for k, v in vars(s).items() if k not in ("observation", "action")} for s in steps]
        return values, plain, found

    return [path], read


def of_checkpoint(directory: Path, spec: ExperienceSpec) -> tuple[list[Path], Reader]:
    agent = create_sac_agent(spec.only(()), SMALL, 0)
    path = save_checkpoint(directory, agent, RunState(env_steps=7, evaluation={"success_rate": 0.5}), 7)

    def read() -> Any:
        found, state = load_checkpoint(path, agent)
        return {name: np.asarray(leaf).tobytes() for name, leaf in named_arrays(found).items()}, state

    return [path / "agent.safetensors", path / "state.json"], read


def of_config(directory: Path, spec: ExperienceSpec) -> tuple[list[Path], Reader]:
    del spec
    path = directory / "config.json"
    save_config(path, train_config("pick_cube", seed=5))
    return [path], lambda: load_config(path)


@pytest.mark.parametrize("kind", [of_episode, of_checkpoint, of_config])
def test_turned_bit_is_found_or_harmless(
    tmp_path: Path, spec: ExperienceSpec, kind: Callable[[Path, ExperienceSpec], tuple[list[Path], Reader]]
) -> None:
    paths, read = kind(tmp_path, spec)
    whole, found = read(), 0
    rng = np.random.default_rng(0)
    for path in paths:
        data = path.read_bytes()
        for bit in rng.integers(8 * len(data), size=CASES):
            turned = bytearray(data)
            turned[bit // 8] ^= 1 << int(bit % 8)
            path.write_bytes(turned)
            try:
                assert read() == whole, f"bit {bit} of {path.name} was read as something else"
            except HilserlError:
                found += 1
        path.write_bytes(data)
    assert found > CASES * len(paths) / 4


def test_turned_bit_in_the_footer_of_an_episode_is_found_or_harmless(tmp_path: Path, spec: ExperienceSpec) -> None:
    # The pages have checksums of their own; the footer says how to read them.
    (path,), read = of_episode(tmp_path, spec)
    whole, data = read(), path.read_bytes()
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    bits = np.random.default_rng(1).integers(8 * footer, 8 * len(data), size=CASES)
    for bit in bits:
        turned = bytearray(data)
        turned[bit // 8] ^= 1 << int(bit % 8)
        path.write_bytes(turned)
        with contextlib.suppress(HilserlError):
            assert read() == whole, f"bit {bit} of the footer was read as something else"
