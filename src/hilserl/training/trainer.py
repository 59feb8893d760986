"""Training in one process: actor and learner joined, watched and kept."""

import contextlib
from typing import Any

import numpy as np

from hilserl.data.step import Observation
from hilserl.interrupt import Interrupt
from hilserl.runs.run_dir import EpisodeWriter, RunDir
from hilserl.training.actor import ActorLoop
from hilserl.training.algorithms import ALGORITHMS
from hilserl.training.config import TrainConfig
from hilserl.training.dashboard import Dashboard
from hilserl.training.learner import DivergenceError, Learner
from hilserl.training.local_learner import LearnerEndpoint, LockstepLearner, StepSender, ThreadedLearner
from hilserl.training.run import Run, demonstrations, open_run


def train(
    config: TrainConfig, folder: RunDir, *, resume: bool = False, interrupt: Interrupt | None = None
) -> dict[str, Any] | None:
    """Trains until the task is solved or a limit is reached; returns what `result.json` holds.

    Interrupted by Ctrl-C, or through `interrupt`, it keeps everything and returns None. Raises HilserlError for
    anything a user can mend, and for divergence, naming the last good checkpoint.
    """
    with open_run(config, folder, resume=resume), Training(config, folder, interrupt) as training:
        return training.run()


class Training:
    """Everything of one run that is open while it goes on."""

    def __init__(self, config: TrainConfig, folder: RunDir, interrupt: Interrupt | None = None) -> None:
        self._config = config
        self._interrupt = interrupt or Interrupt()
        self._open = contextlib.ExitStack()
        with contextlib.ExitStack() as unless_opened:
            value = self._value if ALGORITHMS[config.algorithm].value else None
            self._actor = ActorLoop(config, lambda: self._dashboard.report(), value)
            unless_opened.callback(self._actor.close)
            spec = self._actor.env.experience
            self._learner = Learner(spec, config, demonstrations(config, folder, spec))
            self._run = Run(config, folder, self._learner)
            unless_opened.callback(self._run.close)
            self._link = self._open_link()
            unless_opened.callback(self._link.stop)
            self._open = unless_opened.pop_all()
        self._actor.remember((episode.success, episode.intervened_steps > 0) for episode in self._run.restored)
        self._dashboard = Dashboard(self._run.tally, lambda: self._learner.facts, lambda: "in this process", config)
        watching = [self._dashboard] if self._actor.station else []
        self._actor.begin(
            self._link,
            [self._run, EpisodeWriter(folder.episodes, spec), StepSender(self._link), *watching],
            self._learner.frames.encode,
            lambda: self._run.tally.env_steps,
            stopwatch=self._learner.stopwatch,
            first_episode=self._run.restored[-1].episode + 1 if self._run.restored else 0,
        )

    def _value(self, observation: Observation, action: np.ndarray) -> float:
        assert self._learner.value
        return self._learner.value(observation, action)

    def _open_link(self) -> LearnerEndpoint:
        return ThreadedLearner(self._learner, self._breathe) if self._actor.station else LockstepLearner(self._learner)

    def _breathe(self) -> bool:
        """Keeps the console alive, if there is one, while there is no acting; False where nobody wants to wait."""
        if self._actor.station:
            self._actor.station.keep_alive()
        return not self._interrupt.requested

    def __enter__(self) -> "Training":
        if self._actor.station:
            self._run.progress.say(self._actor.station.announcement)
            self._open.enter_context(self._actor.station.active(self._interrupt))
        return self

    def __exit__(self, *exception: object) -> None:
        self._open.close()

    def run(self) -> dict[str, Any] | None:
        """The main loop."""
        run = self._run
        try:
            with self._interrupt.armed():
                run.clone(self._breathe)
                while (reason := self._reason_to_stop()) is None:
                    if news := self._actor.step():
                        self._run.progress.say(news)
                    if self._actor.rollout.between_episodes and run.evaluation_is_due:
                        self._actor.say(f"Evaluating {self._config.eval_episodes} episodes; the arm here waits.")
                        run.evaluate(*run.state())
                self._actor.rollout.end_episode()
                self._link.close()
        except DivergenceError as error:
            raise DivergenceError(f"{error} {run.last_good()}") from error
        run.keep()
        if reason == "interrupted":
            run.progress.say(
                f"Interrupted. Go on with: hilserl train {self._config.task} --resume --run-dir {run.dir.path}"
            )
            return None
        self._actor.say(f"The run has ended: {reason}. Evaluating {self._config.final_eval_episodes} episodes.")
        return run.conclude(reason)

    def _reason_to_stop(self) -> str | None:
        if self._interrupt.requested:
            return "interrupted"
        if self._actor.operator.done:
            return "the operator's wish"
        return self._run.limit_reached()
