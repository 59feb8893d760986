"""Runs with a reward classifier, and the settings that they refuse."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hilserl.agents.agent import AgentConfig
from hilserl.data.episodes import read_episode
from hilserl.data.spec import ExperienceSpec
from hilserl.errors import HilserlError
from hilserl.rewards.classifier import Prediction
from hilserl.runs.run_dir import RunDir, read_episodes
from hilserl.training.config import preset
from hilserl.training.trainer import train
from tests.support.configs import changed
from tests.support.runs import WRITE_VIDEO


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"reward": "classifier"}, "--classifier FILE"),
        ({"classifier": Path("x")}, "--classifier FILE"),
        ({"reward": "classifier", "classifier": Path("x"), "obs": "state"}, "--obs pixels"),
        ({"reward": "human", "operator": "none"}, "--operator none"),
    ],
)
def test_impossible_rewards_are_refused(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(HilserlError, match=complaint):
        changed(preset("pick_cube"), **changes)


class EveryFifth:
    """Classifier that predicts success for every fifth image."""

    def __init__(self) -> None:
        self.shown = 0

    @classmethod
    def load(cls, path: Path) -> "EveryFifth":
        assert path.name == "cube.safetensors"
        return cls()

    def predictor(self, spec: ExperienceSpec, encoded: object = None) -> Any:
        del encoded
        assert [name for name, _ in spec.images] == ["front", "wrist", "side"], "the policy's, and the classifier's"

        def predict(observation: dict[str, np.ndarray]) -> Prediction:
            assert observation["side"].shape == (32, 32, 3)
            self.shown += 1
            return Prediction(self.shown % 5 == 0, 0.5, 0)

        return predict


def test_run_learns_from_its_classifier_and_keeps_the_mistakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hilserl.rewards.reward_fn.RewardClassifier", EveryFifth)
    monkeypatch.setattr(WRITE_VIDEO, lambda *_: None)
    monkeypatch.setattr("hilserl.tasks.pick_cube.PickCube.max_episode_steps", 8)
    config = changed(
        preset("pick_cube"),
        reward="classifier",
        classifier=tmp_path / "cube.safetensors",
        image_size=32,
        demonstrations=2,
        operator="none",
        max_env_steps=12,
        training_starts=1,
        update_steps_per_env_step=0.2,
        eval_every=100,
        final_eval_episodes=1,
        agent=AgentConfig(hidden=(16,), num_critics=2, batch_size=8, utd_ratio=1),
    )
    run = RunDir(tmp_path / "run")
    result = train(config, run)
    assert result
    assert result["reward"]["called_successes"] == result["reward"]["fooled_episodes"] == 2
    assert result["reward"]["agreement"] < 1
    (_, spec) = read_episode(run.episodes / "000000.parquet")
    demonstrations = [*read_episodes(run.demonstrations, spec)]
    assert [len(steps) for steps in demonstrations] == [6, 6], "they, too, end when the classifier says so"
    episodes = [*read_episodes(run.episodes, spec)]
    assert [(steps[-1].success, steps[-1].reward, steps[-1].truth) for steps in episodes[:2]] == [
        (True, 1.0, False)
    ] * 2
    mistake, seen = read_episode(run.mistakes / "000000.parquet")
    assert not any(step.success for step in mistake), "labelled by the truth, for the next classifier"
    assert [name for name, _ in seen.images] == ["side", "wrist"]
    resumed = train(replace(config, max_env_steps=22), run, resume=True)
    assert resumed
    assert resumed["reward"]["called_successes"] == 4


def test_settings_that_change_the_classifiers_images_are_refused(tmp_path: Path) -> None:
    judged = replace(preset("pick_cube"), reward="classifier", classifier=tmp_path / "cube.safetensors")
    assert changed(judged, crop={"front": (0.0, 0.0, 0.5, 0.5)}).judged
    with pytest.raises(HilserlError, match=r"--env\.crop narrows wrist"):
        changed(judged, crop={"wrist": (0.0, 0.0, 0.5, 0.5)})
    with pytest.raises(HilserlError, match="--obs pixels"):
        changed(judged, obs="state")
    for changes in ({"reward": "success"}, {"classifier": None}):
        with pytest.raises(HilserlError, match="go together"):
            replace(judged, **changes)
