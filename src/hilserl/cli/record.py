"""Record demonstrations, one Parquet file for each episode."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import tyro
from tqdm import tqdm

from hilserl.cli.arguments import check_directory
from hilserl.cli.parsing import parse, require_task
from hilserl.envs.config import EnvConfig
from hilserl.envs.env import InteractiveEnv
from hilserl.envs.make import make_env
from hilserl.errors import HilserlError
from hilserl.operators.config import ConsoleConfig, DeviceName
from hilserl.operators.human import Role
from hilserl.operators.simulated import SimulatedOperatorConfig
from hilserl.rollout.recording import Keeper, record, record_demonstrations
from hilserl.sim.task_env import steps_of


@dataclass(frozen=True)
class RecordArguments:
    """Record demonstrations: successful episodes, one file each."""

    env: EnvConfig
    """The environment; a reward classifier needs its cameras beside the policy's."""
    out: Path
    """Directory of the recording."""
    successes: int = 20
    """Successful episodes to record."""
    operator: Literal["scripted", "console", "gamepad", "spacemouse"] = "scripted"
    """Operator who drives. scripted is simulated, the others are devices of a human operator."""
    resume: bool = False
    """Add to the recording in the directory, with the same settings."""
    keep_failures: bool = False
    """Keep failed episodes as well."""
    seed: int = 0
    """Seed of the scenes and of the simulated operator."""
    episode_seconds: float = 60.0
    """Longest episode of a human operator. The simulated operator has the task's limit."""
    console: ConsoleConfig = field(default_factory=ConsoleConfig)
    """The human operator's console and input devices."""
    simulated_operator: SimulatedOperatorConfig = field(default_factory=SimulatedOperatorConfig)
    """The simulated operator."""


def run(words: Sequence[str]) -> int:
    """Record episodes until enough succeed."""
    defaults = RecordArguments(EnvConfig(task=tyro.MISSING, obs="pixels"), out=tyro.MISSING)
    arguments = parse("record", RecordArguments, require_task("record", words), defaults)
    if arguments.successes < 1:
        raise HilserlError(f"Invalid --successes {arguments.successes}: expected at least 1.")
    check_directory(arguments.out, resume=arguments.resume)
    with (
        contextlib.closing(make_env(_limited(arguments))) as env,
        tqdm(total=arguments.successes, desc="record", unit="success") as bar,
    ):

        def show(keeper: Keeper) -> None:
            bar.update(min(keeper.successes, arguments.successes) - bar.n)

        if arguments.operator == "scripted":
            keeper = _scripted(env, arguments, show)
        else:
            keeper = _driven(env, arguments.operator, arguments, show)
    print(
        f"{keeper.successes} demonstrations, {keeper.steps} steps, {keeper.human_seconds:.0f} s of driving: "
        f"{arguments.out}"
    )
    return 0 if keeper.successes >= arguments.successes else 130


def _limited(arguments: RecordArguments) -> EnvConfig:
    """Return the environment's settings with the limit of the operator who drives."""
    if arguments.operator == "scripted" or arguments.env.max_episode_steps is not None:
        return arguments.env
    return replace(arguments.env, max_episode_steps=steps_of(arguments.episode_seconds))


def _scripted(env: InteractiveEnv, arguments: RecordArguments, show: Callable[[Keeper], None]) -> Keeper:
    return record_demonstrations(
        env,
        arguments.out,
        arguments.successes,
        arguments.seed,
        arguments.simulated_operator,
        keep_failures=arguments.keep_failures,
        show=show,
    )


def _driven(
    env: InteractiveEnv, device: DeviceName, arguments: RecordArguments, show: Callable[[Keeper], None]
) -> Keeper:
    from hilserl.cli.session import attended
    from hilserl.operators.console.session import ConsoleSession, PanelReport

    keeper = Keeper(arguments.out, env.experience, failures=arguments.keep_failures)
    show(keeper)

    def report() -> PanelReport:
        return PanelReport(
            (
                ("successes", f"{keeper.successes} of {arguments.successes}"),
                ("of driving", f"{keeper.human_seconds:.0f} s"),
            )
        )

    station = ConsoleSession(env, Role(drives=True), console=arguments.console, device=device, report=report)
    with attended(station) as interrupt:

        def stop(keeper: Keeper, episodes: int) -> bool:
            del episodes
            show(keeper)
            return interrupt.requested

        wanted, seed = arguments.successes, arguments.seed
        record(env, station.operator, keeper, wanted, seed, subscribers=[station], stop=stop)
    return keeper
