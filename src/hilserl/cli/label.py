"""Collect labelled images for a reward classifier."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tqdm import tqdm

from hilserl import tasks
from hilserl.cli.arguments import output_directory
from hilserl.cli.parsing import TaskName, parse, require_task
from hilserl.cli.session import attended
from hilserl.envs.config import BackendConfig, EnvConfig
from hilserl.envs.env import InteractiveEnv
from hilserl.envs.make import make_env
from hilserl.interrupt import Interrupt
from hilserl.operators.config import ConsoleConfig, DeviceName
from hilserl.operators.console.session import ConsoleSession, PanelReport
from hilserl.operators.human import Role
from hilserl.rollout.labelling import LabelRecorder, label, label_by_script, label_recorded
from hilserl.settings import AtLeastOne, Count
from hilserl.sim.task_env import steps_of


@dataclass(frozen=True)
class LabelArguments:
    """Collect labelled images for a reward classifier.

    With a device, drive the robot and hold Space while the image shows success. The scripted operator drives by itself
    to successes and near misses; the task's own success test labels its images.
    """

    task: TaskName
    out: Path
    """Directory of the labels: one Parquet file for each episode. The `success` of a step is its label."""
    successes: AtLeastOne = 200
    """Images of success to collect; all other images are the other class."""
    operator: Literal["scripted", "console", "gamepad", "spacemouse", "lerobot"] = "console"
    """Operator who drives. scripted is simulated, the others are devices of a human operator."""
    source: Annotated[Path | None, tyro.conf.arg(name="from")] = None
    """Label recorded episodes instead of driving. The labels are those of the environment's success test."""
    cameras: tuple[str, ...] = ()
    """Cameras to record; by default those that show success best."""
    resume: bool = False
    """Add to the labels in the directory."""
    seed: Count = 0
    """Seed of the scenes and of the simulated operator."""
    episode_seconds: float = 60.0
    """Longest episode."""
    backend: Annotated[BackendConfig, tyro.conf.arg(name="")] = field(default_factory=BackendConfig)
    """The simulation or a robot."""
    console: ConsoleConfig = field(default_factory=ConsoleConfig)
    """The human operator's console and input devices."""


def run(words: Sequence[str]) -> int:
    """Collect labelled images until enough show success."""
    arguments = parse("label", LabelArguments, require_task("label", words))
    task, limit = arguments.task, steps_of(arguments.episode_seconds)
    with (
        output_directory(arguments.out, resume=arguments.resume),
        tqdm(total=arguments.successes, desc="label", unit="success") as bar,
    ):

        def show(recorder: LabelRecorder) -> None:
            bar.update(min(recorder.positives, arguments.successes) - bar.n)

        recorder, interrupted = _collect(task, arguments, limit, show)
    print(f"{recorder.positives} images of success, {recorder.negatives} of everything else: {arguments.out}")
    return 130 if interrupted else 0


def _collect(
    task: str, arguments: LabelArguments, limit: int, show: Callable[[LabelRecorder], None]
) -> tuple[LabelRecorder, bool]:
    """Return the labels, and True if an interrupt ended the labelling."""
    if arguments.source:
        return label_recorded(arguments.source, task, arguments.out, show=show), False
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
    with contextlib.closing(env):
        recorder = LabelRecorder(arguments.out, env.experience, arguments.successes)
        if arguments.operator == "scripted":
            return recorder, _scripted(env, recorder, arguments, show)
        return recorder, _driven(env, recorder, arguments.operator, arguments, show)


def _scripted(
    env: InteractiveEnv, recorder: LabelRecorder, arguments: LabelArguments, show: Callable[[LabelRecorder], None]
) -> bool:
    interrupt = Interrupt()
    with interrupt.armed():

        def stop() -> bool:
            show(recorder)
            return interrupt.requested

        label_by_script(env, recorder, arguments.seed, stop)
    return interrupt.requested


def _driven(
    env: InteractiveEnv,
    recorder: LabelRecorder,
    device: DeviceName,
    arguments: LabelArguments,
    show: Callable[[LabelRecorder], None],
) -> bool:
    def report() -> PanelReport:
        success = f"{recorder.positives} of {arguments.successes}"
        return PanelReport((("success", success), ("everything else", str(recorder.negatives))))

    role = Role(drives=True, labels=True)
    session = ConsoleSession(env, role, console=arguments.console, device=device, report=report)
    with attended(session) as interrupt:

        def stop() -> bool:
            show(recorder)
            return interrupt.requested

        label(env, session.operator, recorder, arguments.seed, subscribers=[session], stop=stop)
        return interrupt.requested
