"""A training run from its first demonstration to its result: actor and learner joined, watched and kept."""

import contextlib
import json
import time
from collections.abc import Sequence
from itertools import chain
from typing import Any

import jax
import numpy as np

from hilserl.agents.sac import act, value
from hilserl.errors import HilserlError
from hilserl.experience import Step, atomically
from hilserl.operators.operator import Nobody, Operator
from hilserl.operators.person import Role
from hilserl.operators.simulated import SimulatedOperator
from hilserl.sim.environment import ManipulationEnv
from hilserl.training.checkpoint import RunState, choose, load_checkpoint, prune, save_checkpoint, steps_in
from hilserl.training.config import CHANGEABLE_ON_RESUME, TrainConfig, differences, load_config, make_env, save_config
from hilserl.training.evaluation import Evaluation, Player, evaluate
from hilserl.training.interrupt import Interrupt
from hilserl.training.learner import Alongside, DivergenceError, FreeRunning, Learner, Link, Lockstep
from hilserl.training.metrics import MetricsLog, Progress, Tally, drop_torn_line, read_metrics
from hilserl.training.plots import plot_curve
from hilserl.training.record import record_demonstrations
from hilserl.training.report import Dashboard
from hilserl.training.rollout import EpisodeSummary, Observation, Rollout, seed_for, summarise
from hilserl.training.rundir import EpisodeWriter, RunDir, read_episodes
from hilserl.training.station import Station
from hilserl.training.video import FILMED_EPISODES, film

FINAL_EVAL_SEED = 10_000
_ACTING_KEYS = 2


def train(config: TrainConfig, run: RunDir, *, resume: bool = False) -> dict[str, Any] | None:
    """Trains until the task is solved or a limit is reached; returns what `result.json` holds.

    Interrupted by Ctrl-C it keeps everything and returns None. Raises HilserlError for anything a user can mend, and
    for divergence, naming the last good checkpoint.
    """
    if resume:
        _check_resumable(config, run)
    else:
        run.create()
    save_config(run.config, config)
    try:
        training = Training(config, run)
    except HilserlError:
        run.remove_untouched()
        raise
    with training:
        return training.run()


def _check_resumable(config: TrainConfig, run: RunDir) -> None:
    run.require()
    changed = {
        name: pair
        for name, pair in differences(load_config(run.config), config).items()
        if name not in CHANGEABLE_ON_RESUME
    }
    if changed:
        changes = "; ".join(f"{name} was {old!r}, not {new!r}" for name, (old, new) in changed.items())
        raise HilserlError(
            f"The run in {run.path} cannot go on with other settings: {changes}. "
            f"Only {', '.join(CHANGEABLE_ON_RESUME)} may change."
        )


class Training:
    """Everything of one run that is open while it goes on."""

    def __init__(self, config: TrainConfig, run: RunDir) -> None:
        self._config, self._dir = config, run
        dense = "dense" if config.reward == "dense" else "sparse"
        self._env = make_env(config, reward=dense)
        self._eval_env = make_env(config)
        self._spec = self._env.experience
        self._tally = Tally()
        self._interrupt = Interrupt()
        self._attendance = contextlib.ExitStack()
        self._started = time.monotonic()
        self._dashboard = Dashboard(self._tally, lambda: self._learner)
        self._station = self._open_station()
        self._learner = Learner(self._spec, config, list(chain.from_iterable(self._demonstrations())))
        self._operator = self._station.person if self._station else _unattended(config, self._env)
        self._earlier_seconds = 0.0
        self._solved = 0
        self._acting_key = jax.random.fold_in(jax.random.key(config.seed), _ACTING_KEYS)
        first_episode = self._restore()
        self._log = MetricsLog(run.metrics)
        self._link = self._open_link()
        self._next_eval = (self._tally.env_steps // config.eval_every + 1) * config.eval_every
        self._progress = Progress(config.task, self._tally, config.max_env_steps)
        subscribers = [self._tally, EpisodeWriter(run.episodes, self._spec), self]
        if self._station:
            self._progress.say(self._station.announcement)
            subscribers += [self._dashboard, self._station]
        self._rollout = Rollout(
            self._env,
            self._spec,
            self._operator,
            subscribers,
            config.seed,
            "train",
            first_episode,
            self._learner.frames.observe,
        )

    def _open_station(self) -> Station | None:
        """A place for a person, where one is to operate."""
        config = self._config
        if config.operator in ("scripted", "none"):
            return None
        return Station(
            self._env,
            Role(),
            seat=config.seat,
            device=config.operator,
            report=self._dashboard.report,
            value=self._value,
        )

    def _open_link(self) -> Link:
        if self._config.free_running:
            return FreeRunning(self._learner)
        return Alongside(self._learner, self._breathe) if self._station else Lockstep(self._learner)

    def _breathe(self) -> bool:
        """Keeps the console alive while the actor waits for the learner; False where nobody wants to wait."""
        assert self._station
        self._station.breathe()
        return not self._interrupt.requested

    def _value(self, observation: Observation, action: np.ndarray) -> float:
        return value(self._learner.snapshot[0], observation, action)

    def __enter__(self) -> "Training":
        if self._station:
            self._attendance.enter_context(self._station.attended())
        return self

    def __exit__(self, *exception: object) -> None:
        self._link.stop()
        self._progress.close()
        self._log.close()
        with contextlib.closing(self._env), contextlib.closing(self._eval_env):
            self._attendance.close()

    def _demonstrations(self) -> list[list[Step]]:
        """Given ones, or those this run recorded for itself when it began."""
        config, folder = self._config, self._dir.demonstrations
        if config.demos:
            return [episode for given in config.demos for episode in read_episodes(given, self._spec)]
        if not config.demonstrations:
            return []
        if not folder.exists():
            part = folder.with_name(".demonstrations.part")
            record_demonstrations(self._env, part, config.demonstrations, config.seed, config.person)
            part.rename(folder)
        return read_episodes(folder, self._spec)

    def _restore(self) -> int:
        """Brings back the newest checkpoint and every finished episode; returns the next episode's number."""
        first_episode = 0
        drop_torn_line(self._dir.metrics)
        if steps_in(self._dir.checkpoints):
            agent, state = load_checkpoint(choose(self._dir.checkpoints, "last"), self._learner.snapshot[0])
            self._learner.restore(agent, state.rounds)
            self._earlier_seconds = state.wall_seconds
            for record in read_metrics(self._dir.metrics, "evaluation"):
                self._solved = self._solved + 1 if record["success_rate"] == 1.0 else 0
        for record in read_metrics(self._dir.metrics, "discard") if self._dir.metrics.exists() else ():
            self._tally.count_discarded(record)
            self._learner.online_steps += record["steps"]
        if not self._dir.episodes.exists():
            return first_episode
        for steps in read_episodes(self._dir.episodes, self._spec):
            summary = summarise(steps)
            for step in steps:
                self._learner.receive(step)
                self._tally.on_step(step)
            self._tally.on_episode(steps, summary)
            self._operator.end_episode(summary.success, summary.intervened_steps > 0)
            first_episode = summary.episode + 1
        return first_episode

    def run(self) -> dict[str, Any] | None:
        """The main loop."""
        try:
            with self._interrupt.armed():
                while (reason := self._reason_to_stop()) is None:
                    self._rollout.step(self._policy)
                    if self._rollout.between_episodes and self._tally.env_steps >= self._next_eval:
                        self._evaluate()
                    self._pace()
                self._rollout.end_episode()
                self._link.close()
        except DivergenceError as error:
            raise DivergenceError(f"{error} {self._last_good()}") from error
        return self._finish(reason)

    def _reason_to_stop(self) -> str | None:
        config = self._config
        if self._interrupt.requested:
            return "interrupted"
        if self._operator.done:
            return "the operator's wish"
        if self._tally.env_steps >= config.max_env_steps:
            return "step limit"
        if self._wall_seconds() >= 60 * config.max_minutes:
            return "time limit"
        if config.solved_evaluations and self._solved >= config.solved_evaluations:
            return "solved"
        return None

    def _policy(self, observation: Observation) -> tuple[np.ndarray, int]:
        actor, version = self._link.weights()
        key = jax.random.fold_in(self._acting_key, self._tally.env_steps)
        return act(actor, observation, key, explore=True), version

    def _pace(self) -> None:
        """Keeps a free-running actor at a robot's pace; the learner uses the time."""
        if self._config.free_running and not (self._station and self._station.in_real_time):
            time.sleep(1.0 / self._config.actor_hz)

    def on_step(self, step: Step) -> None:
        self._link.send(step)

    def on_discard(self, episode: int) -> None:
        self._log.write("discard", self._tally.env_steps, self._tally.discarded)
        self._link.forget(episode)

    def on_episode(self, steps: Sequence[Step], summary: EpisodeSummary) -> None:
        del steps
        tally = self._tally
        self._log.write(
            "episode",
            tally.env_steps,
            {
                "human_steps": tally.human_steps,
                "episode": summary.episode,
                "steps": summary.steps,
                "episode_return": summary.episode_return,
                "success": summary.success,
                "intervened_steps": summary.intervened_steps,
                "interventions": summary.interventions,
                "human_seconds": summary.human_seconds,
                "autonomous_success_rate": tally.autonomous_success_rate,
                "intervention_rate": tally.intervention_rate,
                "wall_seconds": round(self._wall_seconds(), 2),
            },
        )
        if self._learner.metrics:
            self._log.write("learner", tally.env_steps, {"rounds": self._learner.rounds, **self._learner.metrics})
        self._progress.show(self._learner.rounds_per_s)

    def _evaluate(self) -> None:
        """Evaluates on seeds kept for this and writes a checkpoint with the outcome."""
        if self._station:
            self._station.say(f"Evaluating {self._config.eval_episodes} episodes; the arm here waits.")
        agent, rounds = self._learner.snapshot
        first_seed = seed_for(self._config.seed, "evaluation", 0)
        result = evaluate(
            self._eval_env,
            Player.of(agent),
            self._config.eval_episodes,
            first_seed,
            self._spec.control_dt_s,
        )
        self._solved = self._solved + 1 if result.successes == result.episodes else 0
        tally = self._tally
        self._log.write("evaluation", tally.env_steps, {"human_steps": tally.human_steps, **result.as_dict()})
        self._progress.say(f"{tally.env_steps:6d} steps, {tally.human_steps:4d} of them human: {result}")
        save_checkpoint(self._dir.checkpoints, agent, self._state(rounds, result))
        prune(self._dir.checkpoints, self._config.keep_checkpoints)
        self._next_eval = (tally.env_steps // self._config.eval_every + 1) * self._config.eval_every

    def _state(self, rounds: int, evaluation: Evaluation | None) -> RunState:
        return RunState(
            env_steps=self._tally.env_steps,
            episodes=self._tally.episodes,
            rounds=rounds,
            human_steps=self._tally.human_steps,
            interventions=self._tally.interventions,
            wall_seconds=self._wall_seconds(),
            evaluation=evaluation.as_dict() if evaluation else None,
        )

    def _finish(self, reason: str) -> dict[str, Any] | None:
        """The last checkpoint; then, unless interrupted, the final evaluation, the film and the result."""
        agent, rounds = self._learner.snapshot
        if self._tally.env_steps not in steps_in(self._dir.checkpoints):
            save_checkpoint(self._dir.checkpoints, agent, self._state(rounds, None))
        if self._tally.episodes:
            plot_curve(self._dir.metrics, self._dir.curve, f"{self._config.task}, seed {self._config.seed}")
        if reason == "interrupted":
            self._progress.say(
                f"Interrupted. Go on with: hilserl train {self._config.task} --resume --run-dir {self._dir.path}"
            )
            return None
        trained_seconds = self._wall_seconds()
        if self._station:
            self._station.say(f"The run has ended: {reason}. Evaluating {self._config.final_eval_episodes} episodes.")
        best, _ = load_checkpoint(choose(self._dir.checkpoints, "best"), agent)
        player = Player.of(best)
        evaluation = evaluate(
            self._eval_env, player, self._config.final_eval_episodes, FINAL_EVAL_SEED, self._spec.control_dt_s
        )
        self._film(player)
        result = {
            "task": self._config.task,
            "obs": self._config.obs,
            "seed": self._config.seed,
            "ended": reason,
            "env_steps": self._tally.env_steps,
            "updates": rounds * self._config.agent.utd_ratio,
            "wall_seconds": round(trained_seconds, 1),
            "human_steps": self._tally.human_steps,
            "human_seconds": round(self._tally.human_seconds, 1),
            "interventions": self._tally.interventions,
            "episodes": self._tally.episodes,
            "evaluation": evaluation.as_dict(),
        }
        atomically(self._dir.result, lambda part: part.write_text(json.dumps(result, indent=2) + "\n"))
        self._progress.say(f"Ended: {reason}. {evaluation}.")
        return result

    def _film(self, player: Player) -> None:
        try:
            film(self._dir.video, self._eval_env, player, range(FINAL_EVAL_SEED, FINAL_EVAL_SEED + FILMED_EPISODES))
        except HilserlError as error:
            self._progress.say(f"No film: {error}")

    def _wall_seconds(self) -> float:
        return self._earlier_seconds + time.monotonic() - self._started

    def _last_good(self) -> str:
        steps = steps_in(self._dir.checkpoints)
        last = f"The last good checkpoint is {self._dir.checkpoints / str(steps[-1])}." if steps else ""
        return last or "There is no checkpoint yet."


def _unattended(config: TrainConfig, env: ManipulationEnv) -> Operator:
    if config.operator == "none":
        return Nobody()
    return SimulatedOperator(env, env.experience.action, config.person, config.seed)
