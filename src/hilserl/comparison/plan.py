"""Plan of a benchmark: every task with every method, operator and seed."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hilserl import tasks
from hilserl.comparison.methods import Method, find_method
from hilserl.distributed.sweep import Member, Settings, members, with_setting
from hilserl.envs.child.packages import PACKAGES, package_of
from hilserl.envs.make import is_gymnasium_id
from hilserl.envs.options import ObsName
from hilserl.errors import HilserlError, unknown
from hilserl.operators.profiles import find_profile
from hilserl.training.config import TrainConfig, preset, with_settings
from hilserl.training.config_file import RENAMED_SETTINGS

FOREIGN_TASKS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "gym-hil-pick-cube": (
        "gym_hil:gym_hil/PandaPickCube-v0",
        {"env.kwargs": {"random_block_position": True, "reset_delay_seconds": 0.0}},
    ),
    "robosuite-lift": ("robosuite:Lift", {}),
}
"""Short names of other packages' environments, with their settings."""
_META_WORLD = "metaworld-"
"""First part of the names of Meta-World's tasks, as in metaworld-reach."""
_META_WORLD_ID = "metaworld:Meta-World/MT1"
_META_WORLD_REPEAT = 8
"""Steps of 12.5 ms in a control step of 0.1 s."""


@dataclass(frozen=True)
class Case:
    """One run of a benchmark."""

    task: str
    """Name of the task as it was given."""
    method: str
    people: str
    """Profile of the simulated operator."""
    member: Member


def task_config(name: str, obs: ObsName) -> TrainConfig:
    """Return the settings of a task in the benchmark.

    Args:
        name: A task, a short name of another package's environment, or `PACKAGE:ENV_ID`. A known package runs in the
            interpreter that `hilserl env install` made for it.
        obs: Observation of the policy.

    Raises:
        HilserlError: There is no such task, or no expert for it.
    """
    task, settings = FOREIGN_TASKS.get(name, (name, {}))
    if name.startswith(_META_WORLD):
        kwargs = {"env_name": f"{name.removeprefix(_META_WORLD)}-v3"}
        task, settings = _META_WORLD_ID, {"env.kwargs": kwargs, "env.action_repeat": _META_WORLD_REPEAT}
    if not is_gymnasium_id(task) and not tasks.is_task_file(task) and task.replace("-", "_") not in tasks.names():
        raise _unknown_task(name)
    config = preset(task)
    if config.operator != "scripted":
        raise HilserlError(f"{name} has no expert, so nobody can be simulated in it. `hilserl env list` shows experts.")
    known = package_of(task) if is_gymnasium_id(task) else None
    python = next((each for each, package in PACKAGES.items() if package is known), None)
    chosen = {"env.obs": obs, "video": False, **({"env.python": python} if python else {}), **settings}
    return with_settings(config, chosen)


def _unknown_task(name: str) -> HilserlError:
    return unknown("task", name, [*tasks.names(), *FOREIGN_TASKS, f"{_META_WORLD}NAME", "PACKAGE:ENV_ID"])


def plan(
    directory: Path,
    configs: Mapping[str, TrainConfig],
    methods: Sequence[str],
    people: Sequence[str],
    seeds: Sequence[int],
) -> list[Case]:
    """Combine tasks, methods, operators and seeds; each run has its own directory.

    Args:
        directory: Directory of the benchmark.
        configs: Settings by task.
        methods: Names of methods, or `FILE.py:CLASS`.
        people: Profiles of simulated operators.
        seeds: Seeds of the runs.

    Raises:
        HilserlError: A name does not exist, is given twice, or a directory holds a run with other settings.
    """
    found = [find_method(name) for name in methods]
    cases = []
    for (task, config), profile, method in itertools.product(configs.items(), people, found):
        label = f"{task} {method.name} {profile}"
        settings = _settings(config, method, profile)
        runs = members(directory, [(label, settings)], seeds)
        cases += [Case(task, method.name, profile, member) for member in runs]
    if len({case.member.run.path for case in cases}) < len(cases):
        names = ", ".join((*configs, *(method.name for method in found), *people))
        raise HilserlError(f"Each task, method and operator is named once, got {names}.")
    return cases


def _settings(config: TrainConfig, method: Method, profile: str) -> TrainConfig:
    attended = dataclasses.replace(config, simulated_operator=find_profile(profile))
    return with_settings(attended, method.settings)


def with_common(config: TrainConfig, settings: Settings) -> TrainConfig:
    """Return settings with those that all methods share, such as `max_env_steps`.

    Raises:
        HilserlError: A setting does not exist, or has several values.
    """
    for name, (value, *more) in settings:
        if more:
            raise HilserlError(f"{name} has several values, {', '.join((value, *more))}; a benchmark takes one.")
        config = with_setting(config, RENAMED_SETTINGS.get(name, name), value)
    return config
