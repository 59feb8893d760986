"""Bookkeeping of a run: counters, metrics, evaluations, checkpoints and the final result."""

import json
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from typing_extensions import override

from hilserl.agents.agent import Agent
from hilserl.data.episode_summary import EpisodeSummary, summarise
from hilserl.data.episodes import write_episode
from hilserl.data.step import Step
from hilserl.data.subscriber import Subscriber
from hilserl.envs.env import InteractiveEnv
from hilserl.envs.make import make_env
from hilserl.errors import HilserlError
from hilserl.files import atomically, tidy
from hilserl.rollout.evaluation import DeterministicPolicy, Evaluation, evaluate
from hilserl.rollout.rollout import seed_for
from hilserl.rollout.video import VIDEO_EPISODES, write_video
from hilserl.runs.checkpoint import RunState, choose, load_checkpoint, prune, read_state, save_checkpoint, steps_in
from hilserl.runs.counters import RunCounters
from hilserl.runs.effort import TRUSTED_RATE, attended_minutes, begins_trust, robot_minutes
from hilserl.runs.metrics import MetricsLog, drop_torn_line, read_metrics
from hilserl.runs.plots import plot_cloning, plot_curve
from hilserl.runs.progress import RunProgress
from hilserl.runs.provenance import provenance
from hilserl.runs.run_dir import RunDir, read_episodes
from hilserl.training.config import TrainConfig
from hilserl.training.learner import Learner

FINAL_EVAL_SEED = 10_000
"""First seed of the final evaluation; nothing else uses seeds near it."""

_log = logging.getLogger("hilserl.training")


class Evaluator:
    """Evaluations of a run's policies in an environment apart from the actor's.

    The environment is created by the thread that evaluates first, because OpenGL requires it.
    """

    def __init__(self, config: TrainConfig) -> None:
        self._config = config
        self._env: InteractiveEnv | None = None

    def _open(self) -> InteractiveEnv:
        if self._env is None:
            self._env = make_env(self._config.simulated_env)
        return self._env

    def evaluate(self, agent: Agent, first_seed: int) -> Evaluation:
        """Evaluate an agent's deterministic policy until it fails too often."""
        config = self._config
        policy = DeterministicPolicy.of(agent)
        return evaluate(self._open(), policy, config.eval_episodes, first_seed, max_failures=config.eval_max_failures)

    def evaluate_finally(self, agent: Agent) -> Evaluation:
        """Evaluate an agent's deterministic policy on the final seeds."""
        policy = DeterministicPolicy.of(agent)
        return evaluate(self._open(), policy, self._config.final_eval_episodes, FINAL_EVAL_SEED)

    def write_video(self, run_dir: RunDir, agent: Agent) -> None:
        """Write the video of an agent on seeds of the final evaluation."""
        seeds = range(FINAL_EVAL_SEED, FINAL_EVAL_SEED + VIDEO_EPISODES)
        write_video(run_dir.video, self._open(), DeterministicPolicy.of(agent), seeds)

    def close(self) -> None:
        """Close the environment, in the thread that evaluated."""
        if self._env is not None:
            self._env.close()


class Run(Subscriber):
    """A run in progress, with checkpoint and episodes restored."""

    def __init__(
        self, config: TrainConfig, run_dir: RunDir, learner: Learner, progress: RunProgress | None = None
    ) -> None:
        self.config, self.run_dir, self._learner = config, run_dir, learner
        self._clock = learner.algorithm.clock
        self._progress = progress or RunProgress()
        self.counters = RunCounters()
        self._started, self._earlier_seconds = time.monotonic(), 0.0
        self._solved = 0
        self._evaluator = Evaluator(config)
        self.restored: list[EpisodeSummary] = self._restore()
        """Episodes of the run before it was resumed."""
        self.metrics = MetricsLog(run_dir.metrics, self._clock)
        self._next_eval = self._eval_after(self.counters.env_steps)

    def close(self) -> None:
        """Close files and environment, in the thread that evaluated."""
        self._progress.close()
        self.metrics.close()
        self._evaluator.close()

    def _restore(self) -> list[EpisodeSummary]:
        run_dir, learner = self.run_dir, self._learner
        for directory in (run_dir.path, run_dir.checkpoints, run_dir.episodes):
            tidy(directory)
        drop_torn_line(run_dir.metrics)
        if steps_in(run_dir.checkpoints):
            agent, state = load_checkpoint(choose(run_dir.checkpoints, "last"), learner.snapshot[0])
            learner.restore(agent, state.update_steps)
            self._earlier_seconds = state.wall_seconds
            for record in read_metrics(run_dir.metrics, "evaluation"):
                self._solved = self._solved + 1 if record.get("solved", record["success_rate"] == 1.0) else 0
        for record in read_metrics(run_dir.metrics, "discard") if run_dir.metrics.exists() else ():
            self.counters.count_discarded(record)
            learner.online_steps += record["steps"]
        restored = []
        if run_dir.episodes.exists():
            for steps in read_episodes(run_dir.episodes, learner.spec):
                restored.append(summarise(steps))
                for step in steps:
                    learner.receive(step)
                    self.counters.on_step(step)
                self.counters.on_episode(steps, restored[-1])
        return restored

    def _eval_after(self, env_steps: int) -> int:
        return (env_steps // self.config.eval_every + 1) * self.config.eval_every

    @property
    def wall_seconds(self) -> float:
        """Seconds of the run so far, time before a resume included."""
        return self._earlier_seconds + time.monotonic() - self._started

    def limit_reached(self) -> str | None:
        """Return the limit that ends the run now, or None."""
        config, learner = self.config, self._learner
        if self.counters.env_steps >= config.max_env_steps:
            return "step limit"
        if self.wall_seconds >= 60 * config.max_minutes:
            return "time limit"
        if config.solved_evaluations and self._solved >= config.solved_evaluations:
            return "solved"
        if not learner.algorithm.acts and learner.update_steps >= learner.pretraining_update_steps:
            return "all updates done"
        return None

    def record_pretraining(self, losses: dict[str, float]) -> None:
        """Write the losses of the newest update step on demonstrations."""
        values = {"update_steps": self._learner.update_steps, **losses}
        self.metrics.write("cloning", self.counters.env_steps, values)

    def _now(self, state: RunState) -> int:
        return getattr(state, self._clock)

    @override
    def on_step(self, step: Step) -> None:
        self.counters.on_step(step)

    @override
    def on_discard(self, episode: int) -> None:
        self.counters.on_discard(episode)
        self.metrics.write("discard", self.counters.env_steps, self.counters.discarded)

    @override
    def on_episode(self, steps: Sequence[Step], summary: EpisodeSummary) -> None:
        counters = self.counters
        counters.on_episode(steps, summary)
        if any(step.claimed and not step.truth for step in steps):
            self._keep_false_success(steps)
        learned = {
            "staleness_update_steps": self._learner.update_steps - steps[-1].policy_version,
            "wall_seconds": round(self.wall_seconds, 2),
        }
        self.metrics.write("episode", counters.env_steps, {**_episode_values(counters, summary), **learned})
        facts = self._learner.facts
        if facts.losses:
            laps = self._learner.timers.medians_ms()
            self.metrics.write(
                "learner", counters.env_steps, {"update_steps": facts.update_steps, **facts.losses, **laps}
            )
        self._progress.on_training(counters, facts.update_steps_per_s)

    def _keep_false_success(self, steps: Sequence[Step]) -> None:
        """Keep an episode with a false success for the next classifier."""
        labelled = [replace(step, success=step.truth) for step in steps]
        spec = self.config.classifier_spec(self._learner.spec)
        write_episode(self.run_dir.mistakes / f"{steps[0].episode:06d}.parquet", labelled, spec, replace=True)

    @property
    def evaluation_is_due(self) -> bool:
        """True if enough environment steps were done since the last evaluation."""
        return self.counters.env_steps >= self._next_eval

    def state(self) -> tuple[Agent, RunState]:
        """Return the newest agent and the counters of the run."""
        agent, update_steps = self._learner.snapshot
        counters = self.counters
        return agent, RunState(
            env_steps=counters.env_steps,
            episodes=counters.episodes,
            update_steps=update_steps,
            human_steps=counters.human_steps,
            interventions=counters.interventions,
            wall_seconds=self.wall_seconds,
        )

    def evaluate(self, agent: Agent, state: RunState) -> None:
        """Evaluate an agent and write a checkpoint with the outcome.

        The seeds are the same for every evaluation of a run, and nothing else uses them.
        """
        self._next_eval = self._eval_after(state.env_steps)
        first_seed = seed_for(self.config.seed, "evaluation", 0)
        result = self._evaluator.evaluate(agent, first_seed)
        self._solved = self._solved + 1 if result.is_solved else 0
        outcome = result.as_dict()
        counts = {
            "update_steps": state.update_steps,
            "human_steps": state.human_steps,
            "human_seconds": round(self.counters.human_seconds, 2),
        }
        self.metrics.write("evaluation", state.env_steps, {**counts, **outcome})
        _log.info("%s: %s", state.describe(self._clock), result)
        if begins_trust(read_metrics(self.run_dir.metrics, "evaluation")):
            _log.info("Nobody needs to watch any more: two evaluations in a row reach %.0f %%.", 100 * TRUSTED_RATE)
        save_checkpoint(self.run_dir.checkpoints, agent, replace(state, evaluation=outcome), self._now(state))
        prune(self.run_dir.checkpoints, self.config.keep_checkpoints)

    def keep(self) -> None:
        """Write the last checkpoint and the curve, however the run ended."""
        agent, state = self.state()
        if (step := self._now(state)) not in steps_in(self.run_dir.checkpoints):
            save_checkpoint(self.run_dir.checkpoints, agent, state, step)
        title = f"{self.config.task}, seed {self.config.seed}"
        if self.counters.episodes:
            plot_curve(self.run_dir.metrics, self.run_dir.curve, title)
        elif not self._learner.algorithm.acts:
            plot_cloning(self.run_dir.metrics, self.run_dir.curve, title)

    def conclude(self, reason: str) -> dict[str, Any]:
        """Evaluate the best checkpoint, then write its video and the result.

        The last weights are evaluated first, if they have not been.

        Returns:
            The content of `result.json`.
        """
        agent, state = self.state()
        if read_state(choose(self.run_dir.checkpoints, "last")).evaluation is None:
            # The last steps may well have made the best weights.
            self.evaluate(agent, state)
            self.keep()
        best, _ = load_checkpoint(choose(self.run_dir.checkpoints, "best"), agent)
        evaluation = self._evaluator.evaluate_finally(best)
        if self.config.video:
            _write_video(self._evaluator, self.run_dir, best)
        attended = attended_minutes(read_metrics(self.run_dir.metrics, "evaluation"), self.counters.env_steps)
        result = {
            **_figures(self.config, self.counters, state, attended),
            "ended": reason,
            "demonstration_seconds": round(self._learner.demonstration_seconds, 1),
            "evaluation": evaluation.as_dict(),
        }
        atomically(self.run_dir.result, lambda part: part.write_text(json.dumps(result, indent=2) + "\n"))
        _log.info("Ended: %s. %s.\nMedian times: %s.", reason, evaluation, self._learner.timers)
        return result


def _figures(config: TrainConfig, counters: RunCounters, state: RunState, attended: float) -> dict[str, Any]:
    """Return the figures of a finished run.

    Args:
        config: its settings.
        counters: its counters.
        state: its state at the end.
        attended: minutes in which somebody had to watch.
    """
    return {
        "task": config.task,
        "algorithm": config.algorithm,
        "obs": config.env.obs,
        "seed": config.seed,
        "env_steps": counters.env_steps,
        "robot_minutes": round(robot_minutes(counters.env_steps), 2),
        "attended_minutes": round(attended, 2),
        "updates": state.update_steps * config.agent.utd_ratio,
        "wall_seconds": round(state.wall_seconds, 1),
        "human_steps": counters.human_steps,
        "human_seconds": round(counters.human_seconds, 1),
        "interventions": counters.interventions,
        "episodes": counters.episodes,
        "reward": _reward_values(config.reward, counters),
        "provenance": asdict(provenance()),
    }


def _write_video(evaluator: Evaluator, run_dir: RunDir, best: Agent) -> None:
    try:
        evaluator.write_video(run_dir, best)
    except HilserlError as error:
        _log.warning("No video: %s", error)


def _episode_values(counters: RunCounters, summary: EpisodeSummary) -> dict[str, Any]:
    return {
        "human_steps": counters.human_steps,
        "episode": summary.episode,
        "steps": summary.steps,
        "episode_return": summary.episode_return,
        "success": summary.success,
        "truth": summary.truth,
        "agreement": counters.agreement,
        "denied_steps": summary.denied_steps,
        "intervened_steps": summary.intervened_steps,
        "interventions": summary.interventions,
        "human_seconds": summary.human_seconds,
        "autonomous_success_rate": counters.autonomous_success_rate,
        "intervention_rate": counters.intervention_rate,
    }


def _reward_values(source: str, counters: RunCounters) -> dict[str, Any]:
    """Return the accuracy of the reward in training, compared with the environment."""
    return {
        "source": source,
        "called_successes": counters.called_successes,
        "fooled_episodes": counters.fooled,
        "denied_steps": counters.denied_steps,
        "agreement": round(counters.agreeing_steps / max(1, counters.judged_steps), 5),
    }
