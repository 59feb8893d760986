"""HIL-SERL's pickles become our episodes, whatever script wrote them."""

import itertools
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hilserl.data.episodes import read_episode
from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Step
from hilserl.datasets.convert import mapped
from hilserl.datasets.demonstrations import foreign_demonstrations
from hilserl.datasets.hil_serl import pickle_files, pickled_episodes
from hilserl.datasets.mapping import FILE_NAME, read_mapping, write_mapping
from hilserl.datasets.source import HilSerl
from hilserl.datasets.suggest import suggest_mapping
from hilserl.envs.config import EnvConfig
from hilserl.envs.make import make_env
from hilserl.errors import HilserlError
from hilserl.operators.simulated import SimulatedOperatorConfig
from hilserl.rollout.recording import EpisodeRecorder, record_demonstrations
from tests.support.hil_serl import transitions_of, write_demos


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[list[Step]], ExperienceSpec]:
    """Two demonstrations in the tool's frame, as HIL-SERL records."""
    directory = tmp_path_factory.mktemp("demos")
    env = make_env(EnvConfig(task="pick_cube", obs="pixels", frame="tool", image_size=32, cameras=("front", "wrist")))
    record_demonstrations(env, EpisodeRecorder(directory, env.experience, 2), 0, SimulatedOperatorConfig())
    env.close()
    return [read_episode(path)[0] for path in sorted(directory.glob("*.parquet"))], env.experience


def suggested(path: Path, spec: ExperienceSpec) -> Path:
    """Propose a mapping, write it beside the pickles and return it."""
    source = HilSerl(path)
    write_mapping(source.mapping_file, suggest_mapping(source, spec).mapping, [])
    return source.mapping_file


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_demonstrations_come_back_from_the_reference_layout(
    tmp_path: Path, recording: tuple[list[list[Step]], ExperienceSpec], protocol: int
) -> None:
    episodes, spec = recording
    write_demos(tmp_path / "demo_data" / "pick.pkl", episodes, spec, protocol)
    mapping = read_mapping(suggested(tmp_path / "demo_data", spec))
    assert mapping.spec == spec
    found = [episode.decoded() for episode in mapped(HilSerl(tmp_path / "demo_data"), mapping)]
    assert [len(steps) for steps in found] == [len(steps) for steps in episodes]
    for step, expected in zip(itertools.chain(*found), itertools.chain(*episodes), strict=True):
        assert np.allclose(step.observation["state"], expected.observation["state"], atol=1e-5)
        assert all(np.array_equal(step.observation[name], expected.observation[name]) for name, _ in spec.images)
        assert np.allclose(step.action, expected.action, atol=1e-7)
        assert (step.reward, step.terminated, step.success) == (float(expected.success),) + (expected.success,) * 2
        assert step.intervened == (step.index > 0)


def test_demonstrations_are_taken_directly_with_their_mapping(
    tmp_path: Path, recording: tuple[list[list[Step]], ExperienceSpec]
) -> None:
    episodes, spec = recording
    path = tmp_path / "demo.pkl"
    write_demos(path, episodes, spec)
    with pytest.raises(HilserlError, match=r"--map suggest --task pick_cube --obs pixels --out .*demo\.toml"):
        list(foreign_demonstrations(path, spec))
    assert suggested(path, spec) == tmp_path / "demo.toml"
    narrower = spec.only(["wrist"])
    found = list(foreign_demonstrations(path, narrower))
    assert [len(steps) for steps in found] == [len(steps) for steps in episodes]
    assert all(step.observation.keys() == {"state", "wrist"} for steps in found for step in steps)
    with pytest.raises(HilserlError, match=r"control step is 0\.1 s, expected 0\.05 s"):
        list(foreign_demonstrations(path, replace(spec, control_dt_s=0.05)))


def test_mapping_in_a_directory_has_a_fixed_name(
    tmp_path: Path, recording: tuple[list[list[Step]], ExperienceSpec]
) -> None:
    write_demos(tmp_path / "a.pkl", *recording)
    assert suggested(tmp_path, recording[1]) == tmp_path / FILE_NAME


def test_interventions_of_a_demo_buffer_are_cut_where_they_stop(
    tmp_path: Path, recording: tuple[list[list[Step]], ExperienceSpec]
) -> None:
    episodes, spec = recording
    rows = transitions_of(episodes[0], spec)
    for row in rows:
        del row["infos"]
        row["grasp_penalty"] = -0.02
    (tmp_path / "demo_buffer").mkdir()
    kept = [*rows[2:5], *rows[7:9]]  # in the middle of the episode, with a hole
    (tmp_path / "demo_buffer" / "transitions_1000.pkl").write_bytes(pickle.dumps(kept))
    found = list(pickled_episodes(tmp_path / "demo_buffer"))
    assert [frames.num_rows for frames in found] == [3, 2]
    assert set(found[0].columns["grasp_penalty"]) == {-0.02}
    mapping = read_mapping(suggested(tmp_path / "demo_buffer", spec))
    steps = [episode.decoded() for episode in mapped(HilSerl(tmp_path / "demo_buffer"), mapping)]
    assert [s[-1].truncated for s in steps] == [True, True]
    assert np.allclose(steps[0][-1].observation["state"][:7], episodes[0][5].observation["state"][:7], atol=1e-5)


def test_files_are_read_in_the_order_of_their_steps(tmp_path: Path) -> None:
    for step in (10000, 2000, 1000):
        (tmp_path / f"transitions_{step}.pkl").touch()
    assert [path.stem for path in pickle_files(tmp_path)] == [f"transitions_{step}" for step in (1000, 2000, 10000)]


@pytest.mark.parametrize(
    "content",
    [
        {},
        [],
        [1],
        [{"observations": {}}],
        [dict.fromkeys(("observations", "actions", "next_observations", "rewards", "dones"))],
        [
            {
                "observations": {"state": np.zeros((1, 19))},
                "next_observations": {},
                "actions": np.zeros(size),
                "rewards": 0,
                "dones": size == 6,
            }
            for size in (7, 6)
        ],
    ],
)
def test_pickles_of_another_content_are_refused(tmp_path: Path, content: Any) -> None:
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(content))
    with pytest.raises(HilserlError, match=r"x\.pkl"):
        list(pickled_episodes(tmp_path / "x.pkl"))
