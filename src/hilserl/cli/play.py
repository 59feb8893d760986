"""Drive the robot, or watch a policy and take over."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import tyro

from hilserl.cli.parsing import parse, require_task
from hilserl.cli.session import attended
from hilserl.envs.config import EnvConfig
from hilserl.envs.env import InteractiveEnv
from hilserl.envs.make import make_env
from hilserl.errors import HilserlError
from hilserl.operators.config import ConsoleConfig, DeviceName
from hilserl.operators.console.session import ConsoleSession, PanelReport
from hilserl.operators.human import Role
from hilserl.rollout.recording import hold_still
from hilserl.rollout.rollout import EpisodeSeeds, Policy, Rollout
from hilserl.runs.counters import RunCounters
from hilserl.settings import Count
from hilserl.sim.task_env import steps_of


@dataclass(frozen=True)
class PlayArguments:
    """Drive the robot, or watch a policy and take over."""

    env: EnvConfig
    """The environment."""
    operator: DeviceName = "console"
    """Input device; the console's keys always work."""
    policy: Path | None = None
    """Run directory or exported policy that drives. By default the robot holds still until you drive."""
    checkpoint: str = "best"
    """Checkpoint of that run: best, last, or its step."""
    seed: Count = 0
    """Seed of the scenes."""
    episode_seconds: float = 60.0
    """Longest episode."""
    console: ConsoleConfig = field(default_factory=ConsoleConfig)
    """The console and input devices."""


def run(words: Sequence[str]) -> int:
    """Open the console and act until it is closed."""
    defaults = PlayArguments(EnvConfig(task=tyro.MISSING, obs="pixels"))
    arguments = parse("play", PlayArguments, require_task("play", words), defaults)
    task = arguments.env.task
    limit = arguments.env.max_episode_steps or steps_of(arguments.episode_seconds)
    if arguments.policy is None:
        env = make_env(replace(arguments.env, max_episode_steps=limit))
        policy = hold_still(env.experience.action.size)
    else:
        env, policy = _trained(task, arguments, arguments.policy, limit)
    role = Role(drives=arguments.policy is None, real_time=True)
    with contextlib.closing(env):
        drive(env, policy, role, arguments.console, arguments.operator, arguments.seed)
    return 0


def drive(
    env: InteractiveEnv, policy: Policy, role: Role, console: ConsoleConfig, device: DeviceName, seed: int
) -> None:
    """Open the console and act until it is closed.

    Args:
        env: the environment.
        policy: acts while the operator does not drive.
        role: task of the operator.
        console: settings of the console and the devices.
        device: input device beside the console.
        seed: seed of the scenes.
    """
    counters = RunCounters()

    def report() -> PanelReport:
        return PanelReport((("episodes", str(counters.episodes)), ("driven", f"{counters.human_seconds:.0f} s")))

    session = ConsoleSession(env, role, console=console, device=device, report=report)
    rollout = Rollout(env, session.operator, [counters, session], EpisodeSeeds(seed, "play"))
    with attended(session) as interrupt:
        while not session.operator.done and not interrupt.requested and session.is_open:
            rollout.step(policy)


def _trained(task: str, arguments: PlayArguments, run: Path, limit: int) -> tuple[InteractiveEnv, Policy]:
    from hilserl.policies.loading import load_policy

    trained = load_policy(run, arguments.checkpoint, arguments.env, max_episode_steps=limit)
    if trained.config.task != task:
        raise HilserlError(f"The policy in {run} learned {trained.config.task!r}, not {task!r}.")
    return trained.env, trained.propose
