"""Describe, check and convert recordings of hilserl, LeRobot and HIL-SERL."""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import tyro
from tqdm import tqdm

from hilserl.cli.help import wants_help
from hilserl.cli.parsing import UsageError, parse
from hilserl.data.spec import ExperienceSpec
from hilserl.datasets.check import check_source
from hilserl.datasets.convert import mapped, told, write_episodes, write_lerobot
from hilserl.datasets.lerobot.format import GripperForm
from hilserl.datasets.lerobot.prepared import EpisodePreparer
from hilserl.datasets.mapping import DatasetMapping, read_mapping, write_mapping
from hilserl.datasets.overview import overview
from hilserl.datasets.preparing import prepared_files
from hilserl.datasets.sheet import MAX_EPISODES, ContactSheet
from hilserl.datasets.source import EpisodeView, Exported, Foreign, Recording, open_source
from hilserl.datasets.suggest import suggest_mapping
from hilserl.errors import HilserlError, unknown

_SUGGEST = "suggest"
Source = Annotated[Path, tyro.conf.Positional]
"""A recording: episodes, a run, a LeRobotDataset, HIL-SERL's pickles."""


@dataclass(frozen=True)
class InfoArguments:
    """Describe a recording.

    It says kind, task, episodes, steps, length, successes, who acted, state, action and cameras.
    """

    path: Source
    """Directory of episodes, run directory, LeRobotDataset (v2.1 or v3.0), or HIL-SERL's pickles."""


@dataclass(frozen=True)
class CheckArguments:
    """Find what hurts training, episode by episode.

    The exit status is 1 if something was found.
    """

    path: Source
    """Directory of episodes, run directory, LeRobotDataset, or HIL-SERL's pickles."""
    image: Path | None = None
    """PNG file of every episode's first and last image."""
    camera: str | None = None
    """Camera of --image; by default the first."""


@dataclass(frozen=True)
class ConvertArguments:
    """Convert a recording.

    hilserl's episodes become a LeRobotDataset v3.0, every other recording becomes hilserl's episodes.
    """

    path: Source
    """Directory of episodes, run directory, LeRobotDataset, or HIL-SERL's pickles."""
    out: Path
    """New directory; with --map suggest a new TOML file."""
    images: Literal["png", "video"] = "png"
    """Cameras of a LeRobotDataset.
    png is exact, video is smaller and loses a little."""
    gripper: GripperForm = "signed"
    """Gripper actions of a LeRobotDataset. signed: -1 closes, +1 opens; classes: 0, 1 and 2, as its RL code expects."""
    description: str | None = None
    """Task in words for a LeRobotDataset; by default the task's summary."""
    map: str | None = None
    """Mapping file of another program's dataset.
    `suggest` proposes one for --task."""
    task: str | None = None
    """Task of --map suggest."""
    obs: Literal["state", "pixels"] = "pixels"
    """Observation of --map suggest."""
    frame: Literal["world", "tool"] | None = None
    """Reference frame of --map suggest; by default the task's."""


_VERBS: dict[str, type[Any]] = {"info": InfoArguments, "check": CheckArguments, "convert": ConvertArguments}


def run(words: Sequence[str]) -> int:
    """Run `dataset info`, `dataset check` or `dataset convert`."""
    if not words or (words[0] not in _VERBS and not wants_help(words)):
        if words:
            raise unknown("command of hilserl dataset", words[0], _VERBS)
        raise UsageError("usage: hilserl dataset info|check|convert PATH [OPTIONS]")
    if words[0] not in _VERBS:
        _show_help()
    arguments = parse(f"dataset {words[0]}", _VERBS[words[0]], words[1:])
    match arguments:
        case InfoArguments():
            return _info(arguments)
        case CheckArguments():
            return _check(arguments)
        case _:
            return _convert(arguments)


def _show_help() -> NoReturn:
    """Print the help of all three, then exit with status 0."""
    for verb, form in _VERBS.items():
        try:
            parse(f"dataset {verb}", form, ["--help"])
        except SystemExit as end:
            if end.code:
                raise
    raise SystemExit(0)


def _info(arguments: InfoArguments) -> int:
    found = overview(open_source(arguments.path))
    width = max(len(label) for label, _ in found.lines())
    for label, value in found.lines():
        print(f"{label:<{width}}  {value}")
    return 0


def _check(arguments: CheckArguments) -> int:
    source, sheet = open_source(arguments.path), ContactSheet(arguments.camera)
    counts: Counter[str] = Counter()
    with tqdm(total=source.length, desc="check", unit="episode") as bar:

        def on_episode(view: EpisodeView) -> None:
            bar.update()
            if arguments.image:
                sheet.add(view)

        for finding in check_source(source, on_episode):
            counts[finding.kind] += 1
            bar.write(str(finding), file=sys.stdout)
        episodes = bar.n
    if arguments.image:
        sheet.write(arguments.image)
        left_out = f", of {episodes}" if sheet.num_episodes == MAX_EPISODES else ""
        print(f"First and last images of {sheet.num_episodes} episodes{left_out}: {arguments.image}")
    found = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    print(f"{episodes} episodes: {found or 'nothing found'}.")
    return 1 if counts else 0


def _convert(arguments: ConvertArguments) -> int:
    source = open_source(arguments.path)
    if arguments.map == _SUGGEST:
        return _suggest(arguments)
    if isinstance(source, Foreign):
        mapping = _mapping(source, arguments)
        episodes, spec = mapped(source, mapping), mapping.spec
    elif isinstance(source, Recording | Exported):
        if arguments.map:
            raise HilserlError(f"{arguments.path} is {source.kind}, which needs no --map.")
        episodes, spec = source.stored(), source.spec
    else:
        raise HilserlError(f"{arguments.path} is {source.kind}, which cannot be converted.")
    with tqdm(total=source.length, desc="convert", unit="episode") as bar:
        counted = told(episodes, lambda _: bar.update())
        if not isinstance(source, Recording):
            write_episodes(arguments.out, counted)
        else:
            task = arguments.description or _summary(spec.task)
            preparer = EpisodePreparer(spec, arguments.images == "video", arguments.gripper)
            prepared = told(prepared_files(source.files, preparer), lambda some: bar.update(len(some.lengths)))
            write_lerobot(arguments.out, counted if preparer.video else prepared, preparer, task)
        done = bar.n
    print(f"{done} episodes: {arguments.out}")
    return 0


def _mapping(source: Foreign, arguments: ConvertArguments) -> DatasetMapping:
    """Return the mapping that is given, or the one in the dataset."""
    if arguments.map:
        return read_mapping(Path(arguments.map))
    if source.mapping_file.is_file():
        return read_mapping(source.mapping_file)
    raise HilserlError(
        f"{source.path} is a dataset of another program ({source.kind}); --map FILE has to say which of its columns "
        f"is which of ours. Propose one: hilserl dataset convert {source.path} --map suggest --task TASK --out map.toml"
    )


def _suggest(arguments: ConvertArguments) -> int:
    source = open_source(arguments.path)
    if not isinstance(source, Foreign):
        raise HilserlError(f"{arguments.path} is {source.kind}, which needs no mapping.")
    if arguments.task is None:
        raise HilserlError("--map suggest needs the task that the dataset is for: --task pick_cube.")
    proposal = suggest_mapping(source, _spec_of_task(arguments.task, arguments))
    write_mapping(arguments.out, proposal.mapping, proposal.notes)
    print("\n".join(proposal.notes))
    print(f"\nMapping: {arguments.out}")
    return 0


def _spec_of_task(task: str, arguments: ConvertArguments) -> ExperienceSpec:
    """Return the layout of a task's episodes."""
    # Tasks need a simulator, whose import the other commands need not wait for.
    from hilserl.envs.make import make_env
    from hilserl.training.config import preset

    config = preset(task).env
    env = make_env(replace(config, obs=arguments.obs, frame=arguments.frame or config.frame))
    try:
        return env.experience
    finally:
        env.close()


def _summary(task: str) -> str:
    """Describe a task in words."""
    from hilserl import tasks
    from hilserl.envs.make import is_gymnasium_id

    if is_gymnasium_id(task) or task not in tasks.names():
        return task
    return tasks.find(task).summary
