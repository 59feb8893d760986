"""Training in one process, which holds actor and learner."""

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
from typing_extensions import override

from hilserl.data.step import Observation
from hilserl.interrupt import Interrupt
from hilserl.rollout.timers import LapTimers
from hilserl.runs.progress import RunProgress
from hilserl.runs.run_dir import EpisodeWriter, RunDir
from hilserl.training.actor import ActorLoop, ActorSetup, ExplorationKeys, open_actor
from hilserl.training.algorithms import find_algorithm
from hilserl.training.config import TrainConfig
from hilserl.training.dashboard import Dashboard
from hilserl.training.divergence import DivergenceError, way_on
from hilserl.training.learner import Learner
from hilserl.training.lifecycle import INTERRUPTED, Process, open_run, resume_command, stop_reason
from hilserl.training.local_learner import LearnerEndpoint, LockstepLearner, StepSender, ThreadedLearner
from hilserl.training.pretraining import load_demonstrations, pretrain, start_from_another_run
from hilserl.training.run import Run

_log = logging.getLogger("hilserl.training")


def train(
    config: TrainConfig,
    run_dir: RunDir,
    *,
    resume: bool = False,
    interrupt: Interrupt | None = None,
    progress: RunProgress | None = None,
) -> dict[str, Any] | None:
    """Train until the task is solved or a limit is reached.

    Args:
        config: settings of the run.
        run_dir: where the run is kept.
        resume: continue the run that is there.
        interrupt: ends the run, as Ctrl-C does; everything is kept.
        progress: shows the progress of the run.

    Returns:
        The content of `result.json`, or None after an interrupt.

    Raises:
        HilserlError: something that the user can repair.
        DivergenceError: a loss is not finite; the message names the last good checkpoint.
    """
    with open_run(config, run_dir, resume=resume), Trainer(config, run_dir, interrupt, progress) as trainer:
        return trainer.run()


class Trainer(Process):
    """Actor, learner and books of one run.

    Args:
        config: settings of the run.
        run_dir: where the run is kept.
        interrupt: ends the run.
        progress: shows the progress of the run.
        connect: connects the actor to the learner; by default the learner has its own thread if a human operates, and
            works in lockstep otherwise.
    """

    def __init__(
        self,
        config: TrainConfig,
        run_dir: RunDir,
        interrupt: Interrupt | None = None,
        progress: RunProgress | None = None,
        connect: Callable[[Learner], LearnerEndpoint] | None = None,
    ) -> None:
        super().__init__()
        self._config, self._interrupt = config, interrupt or Interrupt()
        self._progress = progress or RunProgress()
        timers, value = LapTimers(), self._value if find_algorithm(config.algorithm).value else None
        with self._opening() as stack:
            self._setup = open_actor(config, lambda: self._dashboard.report(), value, timers)
            stack.callback(self._setup.close)
            spec = self._setup.env.experience
            self._learner = Learner(spec, config, load_demonstrations(config, run_dir, spec), timers=timers)
            start_from_another_run(self._learner, config, run_dir)
            self._run = Run(config, run_dir, self._learner, self._progress)
            stack.callback(self._run.close)
            self._endpoint = (connect or self._connect)(self._learner)
            stack.callback(self._endpoint.stop)
        restored = self._run.restored
        self._setup.recall((episode.success, episode.intervened_steps > 0) for episode in restored)
        self._dashboard = Dashboard(config, self._run.counters, lambda: self._learner.facts, lambda: "in this process")
        self._actor = ActorLoop(
            self._setup,
            self._endpoint,
            [
                self._run,
                EpisodeWriter(run_dir.episodes, spec),
                StepSender(self._endpoint),
                *([self._dashboard] if self._setup.session else []),
            ],
            self._learner.frame_encoder.encode,
            ExplorationKeys(config.seed, lambda: self._run.counters.env_steps),
            restored[-1].episode + 1 if restored else 0,
        )

    @property
    def actor(self) -> ActorLoop:
        """Acting half of the run."""
        return self._actor

    @property
    def setup(self) -> ActorSetup:
        """Environment and operator of the run."""
        return self._setup

    @property
    def learner(self) -> Learner:
        """Learning half of the run."""
        return self._learner

    def _value(self, observation: Observation, action: np.ndarray) -> float:
        assert self._learner.value
        return self._learner.value(observation, action)

    def _connect(self, learner: Learner) -> LearnerEndpoint:
        return ThreadedLearner(learner, self._breathe) if self._setup.session else LockstepLearner(learner)

    def _breathe(self) -> bool:
        """Keep the console alive while nothing acts; False after an interrupt."""
        self._setup.breathe()
        return not self._interrupt.requested

    @override
    def __enter__(self) -> "Trainer":
        if session := self._setup.session:
            _log.info(session.announcement)
            self._open.enter_context(session.active(self._interrupt))
        return self

    def run(self) -> dict[str, Any] | None:
        """Train to the end.

        Returns:
            The content of `result.json`, or None after an interrupt.
        """
        run, config = self._run, self._config
        try:
            with self._interrupt.armed():
                pretrain(self._learner, run, self._breathe, self._progress)
                while (reason := self._stop_reason()) is None:
                    if trouble := self._actor.step():
                        _log.warning(trouble)
                    if self._actor.rollout.between_episodes and run.evaluation_is_due:
                        self._setup.say(f"Evaluating up to {config.eval_episodes} episodes; the arm here waits.")
                        run.evaluate(*run.state())
                self._actor.rollout.end_episode()
                self._endpoint.close()
        except DivergenceError as error:
            raise DivergenceError(f"{error} {way_on(run.run_dir)}") from error
        run.keep()
        if reason == INTERRUPTED:
            _log.info("Interrupted. Resume with: %s", resume_command("train", config.task, run.run_dir.path))
            return None
        self._setup.say(f"The run has ended: {reason}. Evaluating {config.final_eval_episodes} episodes.")
        return run.conclude(reason)

    def _stop_reason(self) -> str | None:
        return stop_reason(self._interrupt, stopped=lambda: self._setup.operator.done, others=self._run.limit_reached)
