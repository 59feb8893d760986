"""Evaluate a trained policy without an operator."""

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
from hilserl.settings import AtLeastOne, Count


@dataclass(frozen=True)
class EvalArguments:
    """Evaluate a policy alone, and count its successes.

    The policy is deterministic, no operator intervenes, and the seeds are kept for evaluation.
    """

    run_dir: Annotated[Path, tyro.conf.Positional]
    """Run directory of the policy, or directory of an exported one."""
    episodes: AtLeastOne = 100
    """Episodes to run."""
    seed: Count = 10_000
    """Seed of the first episode; the others follow."""
    checkpoint: str = "best"
    """Checkpoint: best, last, or its step."""
    randomise: Literal["as-trained", "on", "off"] = "as-trained"
    """Draw looks, light, camera poses and the objects' physics for every episode."""
    backend: Annotated[BackendConfig, tyro.conf.arg(name="")] = field(default_factory=BackendConfig)
    """The simulation or a robot."""
    video: Path | None = None
    """Write a video of the first episodes to this MP4 file."""
    json: Path | None = None
    """Write the figures to this JSON file."""


def run(words: Sequence[str]) -> int:
    """Evaluate the policy and print its success rate."""
    arguments = parse("eval", EvalArguments, words)
    if arguments.video and arguments.backend.backend == "robot":
        raise HilserlError("Rendering a video takes longer than a control step in real time: --video needs --env sim.")
    from hilserl.envs.robot_env import RobotEnv
    from hilserl.policies.loading import load_policy
    from hilserl.rollout.evaluation import evaluate
    from hilserl.rollout.video import VIDEO_EPISODES, write_video

    randomise = {"as-trained": None, "on": True, "off": False}[arguments.randomise]
    trained = load_policy(arguments.run_dir, arguments.checkpoint, arguments.backend, randomise=randomise)
    with contextlib.closing(trained.env):
        with tqdm(total=arguments.episodes, desc="eval", unit="episode") as bar:
            result = evaluate(
                trained.env,
                trained.policy,
                arguments.episodes,
                arguments.seed,
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
            shown = min(VIDEO_EPISODES, arguments.episodes)
            write_video(arguments.video, trained.env, trained.policy, range(arguments.seed, arguments.seed + shown))
            print(f"Video: {arguments.video}")
    return 0


def _sentence(timing: dict[str, float]) -> str:
    """Return a sentence on the timing of the control steps."""
    return (
        f"{timing['steps']:.0f} steps, {timing['late_steps']:.0f} of them late by a step or more; jitter "
        f"{timing['jitter_p50_ms']:.2f} ms (99th percentile {timing['jitter_p99_ms']:.2f}); observing took "
        f"{timing['observe_p50_ms']:.1f} ms ({timing['observe_p99_ms']:.1f}), commanding "
        f"{timing['command_p50_ms']:.1f} ms ({timing['command_p99_ms']:.1f})."
    )
