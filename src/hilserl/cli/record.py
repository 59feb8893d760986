"""Record demonstrations, one Parquet file for each episode."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import tyro
from tqdm import tqdm

from hilserl.cli.arguments import output_directory
from hilserl.cli.parsing import parse, require_task
from hilserl.envs.config import EnvConfig
from hilserl.envs.env import InteractiveEnv
from hilserl.envs.make import is_gymnasium_id, make_env
from hilserl.operators.config import ConsoleConfig, DeviceName
from hilserl.operators.human import Role
from hilserl.operators.profiles import ProfileOption
from hilserl.operators.simulated import SimulatedOperatorConfig
from hilserl.rollout.recording import EpisodeRecorder, record, record_demonstrations
from hilserl.settings import AtLeastOne, Count
from hilserl.sim.task_env import steps_of
from hilserl.training.config import preset


@dataclass(frozen=True)
class RecordArguments:
    """Record demonstrations: successful episodes, one file each."""

    env: EnvConfig
    """The environment; a reward classifier needs its cameras beside the policy's."""
    out: Path
    """Directory of the recording."""
    successes: AtLeastOne = 20
    """Successful episodes to record."""
    operator: Literal["scripted", DeviceName] = "scripted"
    """Operator who drives. scripted is simulated, the others are devices of a human operator."""
    resume: bool = False
    """Add to the recording in the directory, with the same settings."""
    keep_failures: bool = False
    """Keep failed episodes as well."""
    seed: Count = 0
    """Seed of the scenes and of the simulated operator."""
    episode_seconds: float = 60.0
    """Longest episode of a human operator. The simulated operator has the task's limit."""
    console: ConsoleConfig = field(default_factory=ConsoleConfig)
    """The human operator's console and input devices."""
    simulated_operator: ProfileOption = field(default_factory=SimulatedOperatorConfig)
    """The simulated operator."""


def run(words: Sequence[str]) -> int:
    """Record episodes until enough succeed."""
    defaults = RecordArguments(EnvConfig(task=tyro.MISSING, obs="pixels"), out=tyro.MISSING)
    arguments = parse("record", RecordArguments, require_task("record", words), defaults)
    env_config = _limited(arguments)
    with (
        output_directory(arguments.out, resume=arguments.resume),
        contextlib.closing(make_env(env_config)) as env,
        tqdm(total=arguments.successes, desc="record", unit="success") as bar,
    ):
        recorder = EpisodeRecorder(
            arguments.out, env.experience, arguments.successes, keep_failures=arguments.keep_failures
        )

        def show() -> None:
            bar.update(min(recorder.successes, arguments.successes) - bar.n)

        if arguments.operator == "scripted":
            record_demonstrations(env, recorder, arguments.seed, arguments.simulated_operator, show)
        else:
            _driven(env, recorder, arguments.operator, arguments, show)
    failed = f", {recorder.failed_seconds:.0f} s of it in failed attempts" if recorder.failed_seconds else ""
    print(
        f"{recorder.successes} demonstrations, {recorder.steps} steps, "
        f"{recorder.human_seconds:.0f} s of driving{failed}: {arguments.out}"
    )
    return 0 if recorder.is_complete else 130


def _limited(arguments: RecordArguments) -> EnvConfig:
    """Return the environment's settings with the limit of the operator who drives.

    Another package's environment has the reward that it is trained with by default.
    """
    env = arguments.env
    if is_gymnasium_id(env.task) and preset(env.task).reward == "success":
        env = replace(env, reward="sparse")
    if arguments.operator == "scripted" or env.max_episode_steps is not None:
        return env
    return replace(env, max_episode_steps=steps_of(arguments.episode_seconds))


def _driven(
    env: InteractiveEnv,
    recorder: EpisodeRecorder,
    device: DeviceName,
    arguments: RecordArguments,
    show: Callable[[], None],
) -> None:
    from hilserl.cli.session import attended
    from hilserl.operators.console.session import ConsoleSession, PanelReport

    show()

    def report() -> PanelReport:
        return PanelReport(
            (
                ("successes", f"{recorder.successes} of {arguments.successes}"),
                ("of driving", f"{recorder.human_seconds:.0f} s"),
            )
        )

    session = ConsoleSession(env, Role(drives=True), console=arguments.console, device=device, report=report)
    with attended(session) as interrupt:

        def stop(episode: int) -> bool:
            del episode
            show()
            return interrupt.requested

        record(env, session.operator, recorder, arguments.seed, subscribers=[session], stop=stop)
