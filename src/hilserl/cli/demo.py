"""Show a trained policy at work, and let the user take over."""

import contextlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from hilserl.cli.help import wants_help
from hilserl.cli.parsing import parse, require_task
from hilserl.cli.play import drive
from hilserl.operators.config import ConsoleConfig
from hilserl.operators.console.viewers import has_display
from hilserl.operators.devices.key_map import bound_keys, keys_for, takeover_hint
from hilserl.operators.human import Role
from hilserl.policies.built_in import built_in_policy
from hilserl.settings import Count
from hilserl.sim.task_env import steps_of

_DEFAULT_TASK = "pick_cube"
_EPISODE_SECONDS = 60.0


@dataclass(frozen=True)
class DemoArguments:
    """Watch a trained policy at work, and take over.

    The package has a trained policy for each built-in task. A machine without a display and without a terminal gets a
    video instead.
    """

    task: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="[TASK]")] = _DEFAULT_TASK
    """Task of the policy: flip_object, handover, insert_ram, insert_usb or pick_cube."""
    video: Path | None = None
    """Write a video to this MP4 file instead of opening the console."""
    seed: Count = 0
    """Seed of the scenes."""
    console: ConsoleConfig = field(default_factory=ConsoleConfig)
    """The console and input devices."""


def run(words: Sequence[str]) -> int:
    """Open the console with a policy that drives, or write a video."""
    named = words if wants_help(words) or (words and not words[0].startswith("-")) else [_DEFAULT_TASK, *words]
    arguments = parse("demo", DemoArguments, require_task("demo", named))
    policy_dir, video = built_in_policy(arguments.task), arguments.video
    if video is None and not _can_show(arguments.console):
        video = Path(f"demo-{arguments.task}.mp4")
        print("The demo becomes a video, as this machine has no display and no terminal to announce a page on.")
    from hilserl.policies.loading import load_policy

    trained = load_policy(policy_dir, max_episode_steps=None if video else steps_of(_EPISODE_SECONDS))
    with contextlib.closing(trained.env):
        if video is None:
            keys = bound_keys(arguments.console.keys)
            print(takeover_hint(keys_for(trained.env.experience.action, keys=keys)))
            drive(trained.env, trained.propose, Role(real_time=True), arguments.console, "console", arguments.seed)
        else:
            from hilserl.rollout.video import VIDEO_EPISODES, write_video

            first = arguments.seed
            write_video(video, trained.env, trained.policy, range(first, first + VIDEO_EPISODES))
            print(f"Video: {video}")
    return 0


def _can_show(console: ConsoleConfig) -> bool:
    """Return True if someone can see the console, or asks for it."""
    return console.view != "auto" or has_display() or sys.stdout.isatty()
