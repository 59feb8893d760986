"""hilserl label TASK: images of success and of everything else, for the reward classifier."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tqdm import tqdm

from hilserl import tasks
from hilserl.cli.arguments import check_directory
from hilserl.cli.parsing import TaskName, parse, require_task
from hilserl.cli.session import attended
from hilserl.envs.config import BackendConfig, EnvConfig
from hilserl.envs.env import InteractiveEnv
from hilserl.envs.make import make_env
from hilserl.errors import HilserlError
from hilserl.interrupt import Interrupt
from hilserl.operators.config import ConsoleConfig, DeviceName
from hilserl.operators.console.session import ConsoleSession, PanelReport
from hilserl.operators.human import Role
from hilserl.rollout.labelling import LabelKeeper, label, label_by_script, label_recorded
from hilserl.sim.task_env import steps_of


@dataclass(frozen=True)
class LabelArguments:
    """Collect labelled images for a reward classifier.

    With a device, drive the robot and hold Space while the image shows success. The scripted operator drives by itself
    to successes and near misses; the task's own success test labels its images.
    """

    task: TaskName
    out: Path
    """The directory to write to: one Parquet file an episode, in which every step's `success` is your label."""
    successes: int = 200
    """How many images of success to collect; everything else that is seen meanwhile is the other class."""
    operator: Literal["scripted", "console", "gamepad", "spacemouse"] = "console"
    """Who drives: a simulated person, or you."""
    source: Annotated[Path | None, tyro.conf.arg(name="from")] = None
    """Drive nothing: take over the episodes of a recording or a run, labelled by what the environment knew of them."""
    cameras: tuple[str, ...] = ()
    """Which cameras; by default those in which the task's success is best seen."""
    resume: bool = False
    """Go on with the labels that are in the directory."""
    seed: int = 0
    episode_seconds: float = 60.0
    backend: Annotated[BackendConfig, tyro.conf.arg(name="")] = field(default_factory=BackendConfig)
    console: ConsoleConfig = field(default_factory=ConsoleConfig)


def run(words: Sequence[str]) -> int:
    arguments = parse("label", LabelArguments, require_task("label", words))
    task = arguments.task
    if arguments.successes < 1:
        raise HilserlError(f"--successes must be at least 1, got {arguments.successes}.")
    check_directory(arguments.out, resume=arguments.resume)
    with tqdm(total=arguments.successes, desc="label", unit="success") as bar:

        def show(keeper: LabelKeeper) -> None:
            bar.update(min(keeper.positives, arguments.successes) - bar.n)

        keeper, interrupted = _collect(task, arguments, show)
    print(f"{keeper.positives} images of success, {keeper.negatives} of everything else: {arguments.out}")
    return 130 if interrupted else 0


def _collect(task: str, arguments: LabelArguments, show: Callable[[LabelKeeper], None]) -> tuple[LabelKeeper, bool]:
    """The labels, and whether somebody had enough before they were all there."""
    if arguments.source:
        return label_recorded(arguments.source, task, arguments.out, show=show), False
    limit = steps_of(arguments.episode_seconds)
    cameras = arguments.cameras or tasks.find(task).reward_cameras
    env = make_env(
        EnvConfig(
            task=task,
            backend=arguments.backend.backend,
            robot=arguments.backend.robot,
            obs="pixels",
            cameras=cameras,
            max_episode_steps=limit,
            ends_on_success=False,
        )
    )
    keeper = LabelKeeper(arguments.out, env.experience)
    try:
        if arguments.operator == "scripted":
            return keeper, _scripted(env, keeper, arguments, show)
        return keeper, _driven(env, keeper, arguments.operator, arguments, show)
    finally:
        env.close()


def _scripted(
    env: InteractiveEnv, keeper: LabelKeeper, arguments: LabelArguments, show: Callable[[LabelKeeper], None]
) -> bool:
    interrupt = Interrupt()
    with interrupt.armed():

        def stop(keeper: LabelKeeper) -> bool:
            show(keeper)
            return interrupt.requested

        label_by_script(env, keeper, arguments.successes, arguments.seed, stop=stop)
    return interrupt.requested


def _driven(
    env: InteractiveEnv,
    keeper: LabelKeeper,
    device: DeviceName,
    arguments: LabelArguments,
    show: Callable[[LabelKeeper], None],
) -> bool:
    def report() -> PanelReport:
        return PanelReport(
            (("success", f"{keeper.positives} of {arguments.successes}"), ("everything else", str(keeper.negatives)))
        )

    role = Role(drives=True, labels=True)
    station = ConsoleSession(env, role, console=arguments.console, device=device, report=report)
    with attended(station) as interrupt:

        def stop(keeper: LabelKeeper) -> bool:
            show(keeper)
            return interrupt.requested

        wanted, seed = arguments.successes, arguments.seed
        label(env, station.operator, keeper, wanted, seed, subscribers=[station], stop=stop)
        return interrupt.requested
