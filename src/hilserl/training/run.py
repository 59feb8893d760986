"""What every run does with what happens, wherever its actors are: count, log, judge, keep, and bring to a result."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from tqdm import tqdm

from hilserl.agents.agent import Agent
from hilserl.data.episode_summary import EpisodeSummary, summarise
from hilserl.data.episodes import write_episode
from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Step
from hilserl.envs.env import InteractiveEnv
from hilserl.envs.make import is_gymnasium_id, make_env
from hilserl.errors import HilserlError
from hilserl.files import atomically
from hilserl.rewards.reward_fn import make_reward_fn
from hilserl.rollout.evaluation import Player, evaluate
from hilserl.rollout.recording import record_demonstrations
from hilserl.rollout.rollout import seed_for
from hilserl.rollout.video import FILMED_EPISODES, film
from hilserl.runs.checkpoint import RunState, choose, load_checkpoint, prune, save_checkpoint, steps_in
from hilserl.runs.metrics import MetricsLog, Progress, RunCounters, drop_torn_line, read_metrics
from hilserl.runs.plots import plot_cloning, plot_curve
from hilserl.runs.run_dir import RunDir, read_episodes
from hilserl.training.algorithms import ALGORITHMS
from hilserl.training.config import CHANGEABLE_ON_RESUME, TrainConfig
from hilserl.training.config_file import differences, load_config, save_config
from hilserl.training.learner import Learner

FINAL_EVAL_SEED = 10_000
_CLONING_EVALUATIONS = 4
"""Of a run that does nothing but clone."""
_CLONING_LOG_ROUNDS = 25


@contextlib.contextmanager
def open_run(config: TrainConfig, folder: RunDir, *, resume: bool) -> Iterator[None]:
    """Makes a run's folder, or finds it, for nobody else to use meanwhile.

    A run that comes to nothing, because of a HilserlError before its first demonstration, is removed again. Raises
    HilserlError where a run is already, where there is none to go on with, or with other settings than these.
    """
    if resume:
        _check_resumable(config, folder)
    else:
        folder.create()
    with folder.locked():
        save_config(folder.config, config)
        try:
            yield
        except HilserlError:
            folder.remove_untouched()
            raise


def _check_resumable(config: TrainConfig, folder: RunDir) -> None:
    folder.require()
    changed = {
        name: pair
        for name, pair in differences(load_config(folder.config), config).items()
        if name not in CHANGEABLE_ON_RESUME
    }
    if changed:
        changes = "; ".join(f"{name} was {old!r}, not {new!r}" for name, (old, new) in changed.items())
        raise HilserlError(
            f"The run in {folder.path} cannot go on with other settings: {changes}. "
            f"Only {', '.join(CHANGEABLE_ON_RESUME)} may change."
        )


def demonstrations(config: TrainConfig, folder: RunDir, spec: ExperienceSpec) -> list[Step]:
    """The steps of the given demonstrations, or of those that this run recorded for itself when it began.

    What is recorded here is judged by the run's own reward.
    """
    if config.demos:
        recorded = [episode for given in config.demos for episode in read_episodes(given, spec, more_cameras=True)]
        if not recorded:
            raise HilserlError(f"There is no recorded episode in {', '.join(map(str, config.demos))}.")
    elif not config.demonstrations or not ALGORITHMS[config.algorithm].takes_demonstrations:
        return []
    else:
        if not folder.demonstrations.exists():
            part = folder.demonstrations.with_name(".demonstrations.part")
            judge = make_reward_fn(config.reward, config.classifier, spec) if config.reward == "classifier" else None
            with contextlib.closing(make_env(replace(config.recorded_env, ends_on_success=judge is None))) as env:
                record_demonstrations(
                    env, part, config.demonstrations, config.seed, config.simulated_operator, judge=judge
                )
            part.rename(folder.demonstrations)
        recorded = read_episodes(folder.demonstrations, spec)
    return [step for episode in recorded for step in episode]


class Run:
    """A run in progress: its counters, its log and its checkpoints; a subscriber of whatever acts.

    Opening it brings back the newest checkpoint and every finished episode, `restored`, into the learner.
    """

    def __init__(self, config: TrainConfig, folder: RunDir, learner: Learner) -> None:
        self.config, self.dir, self._learner = config, folder, learner
        self._acts = ALGORITHMS[config.algorithm].acts
        self.tally = RunCounters()
        self._started, self._earlier_seconds = time.monotonic(), 0.0
        self._solved = 0
        self._env: InteractiveEnv | None = None
        self.restored: list[EpisodeSummary] = self._restore()
        self.log = MetricsLog(folder.metrics)
        self._next_eval = self._eval_after(self.tally.env_steps)
        self.progress = Progress(config.task, self.tally, config.max_env_steps, by_return=is_gymnasium_id(config.task))

    def close(self) -> None:
        """Lets everything go; by the thread that evaluated."""
        self.progress.close()
        self.log.close()
        if self._env is not None:
            self._env.close()

    def _restore(self) -> list[EpisodeSummary]:
        drop_torn_line(self.dir.metrics)
        if steps_in(self.dir.checkpoints):
            agent, state = load_checkpoint(choose(self.dir.checkpoints, "last"), self._learner.snapshot[0])
            self._learner.restore(agent, state.update_steps)
            self._earlier_seconds = state.wall_seconds
            for record in read_metrics(self.dir.metrics, "evaluation"):
                self._solved = self._solved + 1 if record.get("solved", record["success_rate"] == 1.0) else 0
        for record in read_metrics(self.dir.metrics, "discard") if self.dir.metrics.exists() else ():
            self.tally.count_discarded(record)
            self._learner.online_steps += record["steps"]
        restored = []
        if self.dir.episodes.exists():
            for steps in read_episodes(self.dir.episodes, self._learner.spec):
                restored.append(summarise(steps))
                for step in steps:
                    self._learner.receive(step)
                    self.tally.on_step(step)
                self.tally.on_episode(steps, restored[-1])
        return restored

    def _eval_after(self, env_steps: int) -> int:
        return (env_steps // self.config.eval_every + 1) * self.config.eval_every

    @property
    def wall_seconds(self) -> float:
        return self._earlier_seconds + time.monotonic() - self._started

    def limit_reached(self) -> str | None:
        """Why the run has come to its end, if it has."""
        config = self.config
        if self.tally.env_steps >= config.max_env_steps:
            return "step limit"
        if self.wall_seconds >= 60 * config.max_minutes:
            return "time limit"
        if config.solved_evaluations and self._solved >= config.solved_evaluations:
            return "solved"
        if not self._acts and self._learner.update_steps >= self._learner.pretraining_update_steps:
            return "all updates done"
        return None

    def clone(self, wanted: Callable[[], bool]) -> None:
        """Behaviour cloning's rounds that come before anything else, while they are wanted, and what comes of them.

        Of an algorithm that has none it is nothing; a run that goes on takes up where it was.
        """
        learner, every = (
            self._learner,
            -(-self._learner.pretraining_update_steps // (1 if self._acts else _CLONING_EVALUATIONS)),
        )
        if learner.update_steps >= learner.pretraining_update_steps:
            return
        with tqdm(
            total=learner.pretraining_update_steps, initial=learner.update_steps, desc="cloning", unit="update"
        ) as bar:
            while learner.update_steps < learner.pretraining_update_steps and wanted() and not self.limit_reached():
                learner.learn()
                bar.update()
                last = learner.update_steps == learner.pretraining_update_steps
                if last or not learner.update_steps % _CLONING_LOG_ROUNDS:
                    losses = {**learner.metrics, **learner.held_out_loss()}
                    self._note("cloning", self.tally.env_steps, {"update_steps": learner.update_steps, **losses})
                if last or not learner.update_steps % every:
                    self.evaluate(*self.state())

    def _note(self, kind: str, env_steps: int, values: dict[str, Any]) -> None:
        """A record of learning, which of a run that does not act goes on while its environment steps stay at 0."""
        self.log.write(kind, env_steps, values, at=None if self._acts else self._learner.update_steps)

    def on_step(self, step: Step) -> None:
        self.tally.on_step(step)

    def on_discard(self, episode: int) -> None:
        self.tally.on_discard(episode)
        self.log.write("discard", self.tally.env_steps, self.tally.discarded)

    def on_episode(self, steps: Sequence[Step], summary: EpisodeSummary) -> None:
        tally = self.tally
        tally.on_episode(steps, summary)
        if any(step.claimed and not step.truth for step in steps):
            self._keep_mistake(steps)
        self.log.write(
            "episode",
            tally.env_steps,
            {
                "human_steps": tally.human_steps,
                "episode": summary.episode,
                "steps": summary.steps,
                "episode_return": summary.episode_return,
                "success": summary.success,
                "truth": summary.truth,
                "agreement": tally.agreement,
                "denied_steps": summary.denied_steps,
                "intervened_steps": summary.intervened_steps,
                "interventions": summary.interventions,
                "human_seconds": summary.human_seconds,
                "autonomous_success_rate": tally.autonomous_success_rate,
                "intervention_rate": tally.intervention_rate,
                "staleness_update_steps": self._learner.update_steps - steps[-1].policy_version,
                "wall_seconds": round(self.wall_seconds, 2),
            },
        )
        facts = self._learner.facts
        if facts.losses:
            laps = self._learner.stopwatch.milliseconds()
            self.log.write("learner", tally.env_steps, {"update_steps": facts.update_steps, **facts.losses, **laps})
        self.progress.show(facts.update_steps_per_s)

    def _keep_mistake(self, steps: Sequence[Step]) -> None:
        """What fooled the reward teaches the next classifier: an episode with labels, as `hilserl label` makes them."""
        labelled = [replace(step, success=step.truth) for step in steps]
        spec = self.config.classifier_spec(self._learner.spec)
        write_episode(self.dir.mistakes / f"{steps[0].episode:06d}.parquet", labelled, spec)

    @property
    def evaluation_is_due(self) -> bool:
        return self.tally.env_steps >= self._next_eval

    def state(self) -> tuple[Agent, RunState]:
        """The agent and where the run stands now."""
        agent, update_steps = self._learner.snapshot
        tally = self.tally
        return agent, RunState(
            env_steps=tally.env_steps,
            episodes=tally.episodes,
            update_steps=update_steps,
            human_steps=tally.human_steps,
            interventions=tally.interventions,
            wall_seconds=self.wall_seconds,
        )

    def evaluate(self, agent: Agent, state: RunState) -> None:
        """Evaluates on seeds kept for this and writes a checkpoint with the outcome."""
        self._next_eval = self._eval_after(state.env_steps)
        first_seed = seed_for(self.config.seed, "evaluation", 0)
        result = evaluate(self._judging(), Player.of(agent), self.config.eval_episodes, first_seed, self._control_dt_s)
        self._solved = self._solved + 1 if result.is_solved else 0
        outcome = result.as_dict()
        self._note(
            "evaluation",
            state.env_steps,
            {"update_steps": state.update_steps, "human_steps": state.human_steps, **outcome},
        )
        done = (
            f"{state.env_steps:6d} steps, {state.human_steps:4d} of them human"
            if self._acts
            else f"{state.update_steps:6d} update steps"
        )
        self.progress.say(f"{done}: {result}")
        save_checkpoint(self.dir.checkpoints, agent, state.judged(outcome), self._step(state))
        prune(self.dir.checkpoints, self.config.keep_checkpoints)

    def _step(self, state: RunState) -> int:
        """What a checkpoint is called by: environment steps or, of a run that does none, rounds."""
        return state.env_steps if self._acts else state.update_steps

    @property
    def _control_dt_s(self) -> float:
        return self._learner.spec.control_dt_s

    def _judging(self) -> InteractiveEnv:
        """The environment of evaluations, made by the thread that evaluates: OpenGL wants it so."""
        if self._env is None:
            self._env = make_env(self.config.simulated_env)
        return self._env

    def keep(self) -> None:
        """The last checkpoint and the curve, however the run ended."""
        agent, state = self.state()
        if (step := self._step(state)) not in steps_in(self.dir.checkpoints):
            save_checkpoint(self.dir.checkpoints, agent, state, step)
        title = f"{self.config.task}, seed {self.config.seed}"
        if self.tally.episodes:
            plot_curve(self.dir.metrics, self.dir.curve, title)
        elif not self._acts:
            plot_cloning(self.dir.metrics, self.dir.curve, title)

    def conclude(self, reason: str) -> dict[str, Any]:
        """The final evaluation of the best checkpoint, the film and the result, which it returns."""
        config, tally = self.config, self.tally
        agent, state = self.state()
        best, _ = load_checkpoint(choose(self.dir.checkpoints, "best"), agent)
        player = Player.of(best)
        env = self._judging()
        evaluation = evaluate(env, player, config.final_eval_episodes, FINAL_EVAL_SEED, self._control_dt_s)
        try:
            film(self.dir.video, env, player, range(FINAL_EVAL_SEED, FINAL_EVAL_SEED + FILMED_EPISODES))
        except HilserlError as error:
            self.progress.say(f"No film: {error}")
        result = {
            "task": config.task,
            "algorithm": config.algorithm,
            "obs": config.env.obs,
            "seed": config.seed,
            "ended": reason,
            "env_steps": tally.env_steps,
            "updates": state.update_steps * config.agent.utd_ratio,
            "wall_seconds": round(state.wall_seconds, 1),
            "human_steps": tally.human_steps,
            "human_seconds": round(tally.human_seconds, 1),
            "demonstration_seconds": round(self._learner.demonstration_seconds, 1),
            "interventions": tally.interventions,
            "episodes": tally.episodes,
            "reward": self._rewarded(),
            "evaluation": evaluation.as_dict(),
        }
        atomically(self.dir.result, lambda part: part.write_text(json.dumps(result, indent=2) + "\n"))
        self.progress.say(f"Ended: {reason}. {evaluation}.\nIn the middle: {self._learner.stopwatch}.")
        return result

    def _rewarded(self) -> dict[str, Any]:
        """What the reward was worth in training, beside what the environment knows."""
        tally = self.tally
        return {
            "source": self.config.reward,
            "called_successes": tally.called_successes,
            "fooled_episodes": tally.fooled,
            "denied_steps": tally.denied_steps,
            "agreement": round(tally.agreeing_steps / max(1, tally.judged_steps), 5),
        }

    def last_good(self) -> str:
        """Where to go back to when training diverged, as a sentence."""
        steps = steps_in(self.dir.checkpoints)
        if not steps:
            return "There is no checkpoint yet."
        return f"The last good checkpoint is {self.dir.checkpoints / str(steps[-1])}."
