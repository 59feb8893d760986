"""hilserl eval RUN_DIR: what a trained policy does alone."""

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tqdm import tqdm

from hilserl.cli.parsing import parse
from hilserl.envs.config import BackendConfig
from hilserl.errors import HilserlError
from hilserl.files import atomically


@dataclass(frozen=True)
class EvalArguments:
    """Evaluate a policy alone, and count its successes.

    The policy is deterministic, no operator intervenes, and the seeds are kept for evaluation.
    """

    run_dir: Annotated[Path, tyro.conf.Positional]
    """The directory of a run."""
    episodes: int = 100
    seed: int = 10_000
    """The first episode's seed; the others follow."""
    checkpoint: str = "best"
    """best, last, or the step of a checkpoint."""
    randomise: Literal["as-trained", "on", "off"] = "as-trained"
    """Looks, light, cameras and the objects' physics drawn anew for every episode."""
    backend: Annotated[BackendConfig, tyro.conf.arg(name="")] = field(default_factory=BackendConfig)
    video: Path | None = None
    """Film the first episodes into this MP4 file."""
    json: Path | None = None
    """Write the figures into this file."""


def run(words: Sequence[str]) -> int:
    arguments = parse("eval", EvalArguments, words)
    if arguments.episodes < 1:
        raise HilserlError(f"--episodes must be at least 1, got {arguments.episodes}.")
    if arguments.video and arguments.backend.backend == "robot":
        raise HilserlError("Drawing a film takes longer than a step in real time: --video needs --env sim.")
    from hilserl.envs.robot_env import RobotEnv
    from hilserl.rollout.evaluation import evaluate
    from hilserl.rollout.video import FILMED_EPISODES, film
    from hilserl.runs.run_dir import RunDir
    from hilserl.training.policy_loading import load_policy

    randomise = {"as-trained": None, "on": True, "off": False}[arguments.randomise]
    trained = load_policy(RunDir(arguments.run_dir), arguments.checkpoint, arguments.backend, randomise=randomise)
    with contextlib.closing(trained.env):
        with tqdm(total=arguments.episodes, desc="eval", unit="episode") as bar:
            result = evaluate(
                trained.env,
                trained.player,
                arguments.episodes,
                arguments.seed,
                trained.env.experience.control_dt_s,
                lambda *_: bar.update(),
            )
        print(f"{trained.checkpoint}: {result}.")
        figures = result.as_dict()
        if isinstance(trained.env, RobotEnv):
            figures["timing"] = trained.env.timing()
            print(_sentence(figures["timing"]))
        if arguments.json:
            atomically(arguments.json, lambda part: part.write_text(json.dumps(figures, indent=2) + "\n"))
        if arguments.video:
            filmed = min(FILMED_EPISODES, arguments.episodes)
            film(arguments.video, trained.env, trained.player, range(arguments.seed, arguments.seed + filmed))
            print(f"Film: {arguments.video}")
    return 0


def _sentence(timing: dict[str, float]) -> str:
    """How well real time was kept."""
    return (
        f"{timing['steps']:.0f} steps, {timing['late_steps']:.0f} of them late by a step or more; beat missed by "
        f"{timing['jitter_p50_ms']:.2f} ms (99th percentile {timing['jitter_p99_ms']:.2f}); observing took "
        f"{timing['observe_p50_ms']:.1f} ms ({timing['observe_p99_ms']:.1f}), commanding "
        f"{timing['command_p50_ms']:.1f} ms ({timing['command_p99_ms']:.1f})."
    )
