"""Preparation before the first environment step: demonstrations, cloning, another run's weights."""

import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from hilserl.data.episodes import episode_files, read_episode_spec
from hilserl.data.fingerprint import distinct
from hilserl.data.spec import ExperienceSpec, differences
from hilserl.data.step import Step
from hilserl.datasets.demonstrations import foreign_demonstrations, is_recording
from hilserl.envs.make import make_env
from hilserl.errors import HilserlError
from hilserl.files import new_directory
from hilserl.rewards.reward_fn import make_reward_fn
from hilserl.rollout.recording import EpisodeRecorder, record_demonstrations
from hilserl.runs.checkpoint import choose, load_checkpoint, steps_in
from hilserl.runs.progress import RunProgress
from hilserl.runs.run_dir import RunDir, read_episodes
from hilserl.training.algorithms import find_algorithm
from hilserl.training.config import TrainConfig
from hilserl.training.config_file import load_config
from hilserl.training.learner import Learner
from hilserl.training.run import Run

_EVALUATIONS = 4
"""Evaluations of a run that only clones."""
_UPDATE_STEPS_PER_RECORD = 25
_log = logging.getLogger("hilserl.training")


def load_demonstrations(config: TrainConfig, run_dir: RunDir, spec: ExperienceSpec) -> list[Step]:
    """Return the steps of the run's demonstrations, one after the other.

    Without recorded ones the simulated operator demonstrates first, and the run's own reward decides on success.

    Raises:
        HilserlError: the given directories have no episode, or one of another task.
    """
    if config.demos:
        given = (episode for path in config.demos for episode in _given_demonstrations(path, spec))
        recorded, where = list(distinct(given)), ", ".join(map(str, config.demos))
        if not recorded:
            raise HilserlError(f"There is no recorded episode in {where}.")
        if not any(episode[-1].success for episode in recorded):
            _log.warning("None of the %d recorded episodes in %s succeeds.", len(recorded), where)
    elif not find_algorithm(config.algorithm).takes_demonstrations:
        return []
    elif config.init_from and config.init_experience:
        return _demonstrations_of(RunDir(config.init_from), spec)
    elif not config.demonstrations:
        return []
    else:
        if not run_dir.demonstrations.exists():
            _record(config, run_dir, spec)
        recorded = read_episodes(run_dir.demonstrations, spec)
    return [step for episode in recorded for step in episode]


def _demonstrations_of(other: RunDir, spec: ExperienceSpec) -> list[Step]:
    """Return the steps of the demonstrations that another run learned from."""
    config = _settings_of(other)
    if other.demonstrations.exists():
        config = replace(config, demos=(other.demonstrations,))
    if not config.demos:
        return []
    return load_demonstrations(config, other, replace(spec, task=config.task))


def _settings_of(other: RunDir) -> TrainConfig:
    """Return the settings of the run to start from."""
    try:
        other.require()
    except HilserlError as error:
        raise HilserlError(f"Cannot start from --init-from {other.path}: {error}") from error
    return load_config(other.config)


def start_from_another_run(learner: Learner, config: TrainConfig, run_dir: RunDir) -> None:
    """Take weights, and experience if wanted, of the run to start from.

    Weights come from its best checkpoint, and only while this run has no checkpoint of its own.

    Raises:
        HilserlError: it does not exist, has no checkpoint, or learned with another algorithm or layout.
    """
    if config.init_from is None:
        return
    other = RunDir(config.init_from)
    theirs = _settings_of(other)
    if theirs.algorithm != config.algorithm:
        raise HilserlError(
            f"The run to start from, {other.path}, learned with {theirs.algorithm}, this one with {config.algorithm}; "
            "both must be the same."
        )
    spec = replace(learner.spec, task=theirs.task)
    kept = [path for path in (other.episodes, other.demonstrations) if path.exists()]
    for first in [path for directory in kept for path in episode_files(directory)][:1]:
        found = read_episode_spec(first).only([name for name, _ in spec.images])
        if found != spec:
            raise HilserlError(f"The run to start from, {other.path}, is of another robot: {differences(found, spec)}.")
    if not steps_in(run_dir.checkpoints):
        agent, _ = load_checkpoint(choose(other.checkpoints, "best"), learner.snapshot[0])
        learner.begin_with(agent)
    if config.init_experience and other.episodes in kept:
        for episode in read_episodes(other.episodes, spec, more_cameras=True):
            learner.recall(episode)


def _given_demonstrations(given: Path, spec: ExperienceSpec) -> Iterator[list[Step]]:
    if not given.exists() or is_recording(given):
        return read_episodes(given, spec, more_cameras=True)
    return foreign_demonstrations(given, spec)


def _record(config: TrainConfig, run_dir: RunDir, spec: ExperienceSpec) -> None:
    reward_fn = make_reward_fn(config.reward, config.classifier, spec) if config.reward == "classifier" else None
    with (
        contextlib.closing(make_env(replace(config.recorded_env, ends_on_success=reward_fn is None))) as env,
        new_directory(run_dir.demonstrations) as part,
    ):
        recorder = EpisodeRecorder(part, env.experience, config.demonstrations, reward_fn=reward_fn)
        record_demonstrations(env, recorder, config.seed, config.simulated_operator)


def pretrain(learner: Learner, run: Run, go_on: Callable[[], bool], progress: RunProgress) -> None:
    """Do the update steps on demonstrations that come first.

    A resumed run continues with the next one. An algorithm without pretraining returns at once.

    Args:
        learner: learns.
        run: keeps the losses and evaluates.
        go_on: asked before every update step; False ends pretraining for now.
        progress: shows how far it is.
    """
    total = learner.pretraining_update_steps
    every = -(-total // (1 if learner.algorithm.acts else _EVALUATIONS))
    while learner.update_steps < total and go_on() and not run.limit_reached():
        progress.on_pretraining(learner.update_steps, total)
        learner.learn()
        last = learner.update_steps == total
        if last or not learner.update_steps % _UPDATE_STEPS_PER_RECORD:
            run.record_pretraining({**learner.metrics, **learner.held_out_loss()})
        if last or not learner.update_steps % every:
            progress.on_pretraining(learner.update_steps, total)
            run.evaluate(*run.state())
