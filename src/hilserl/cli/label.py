"""hilserl label TASK: images of success and of everything else, for the reward classifier."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro
from tqdm import tqdm

from hilserl import tasks
from hilserl.cli.arguments import check_folder, split_task
from hilserl.cli.seated import seated
from hilserl.errors import HilserlError
from hilserl.operators.person import Role
from hilserl.operators.seat import Device, Seat
from hilserl.sim.environment import steps_of
from hilserl.training.labels import LabelKeeper, label
from hilserl.training.station import Report, Station


@dataclass(frozen=True)
class Arguments:
    """Drive the robot and say what success looks like: hold Space while you see it."""

    out: Path
    """The directory to write to: one Parquet file an episode, in which every step's `success` is your label."""
    successes: int = 200
    """How many images of success to collect; everything else that is seen meanwhile is the other class."""
    operator: Device = "console"
    """What you drive with."""
    resume: bool = False
    """Go on with the labels that are in the directory."""
    seed: int = 0
    episode_seconds: float = 60.0
    seat: Annotated[Seat, tyro.conf.arg(name="")] = field(default_factory=Seat)


def run(words: Sequence[str]) -> int:
    task, rest = split_task("label", words)
    arguments = tyro.cli(Arguments, args=rest, prog=f"hilserl label {task}")
    if arguments.successes < 1:
        raise HilserlError(f"--successes must be at least 1, got {arguments.successes}.")
    check_folder(arguments.out, resume=arguments.resume)
    limit = steps_of(arguments.episode_seconds)
    env = tasks.make_env(task, obs="pixels", max_episode_steps=limit, ends_on_success=False)
    keeper = LabelKeeper(arguments.out, env.experience)

    def report() -> Report:
        return Report(
            (("success", f"{keeper.positives} of {arguments.successes}"), ("everything else", str(keeper.negatives)))
        )

    role = Role(drives=True, labels=True)
    station = Station(env, role, seat=arguments.seat, device=arguments.operator, report=report)
    with seated(station) as interrupt, tqdm(total=arguments.successes, desc="label", unit="success") as bar:

        def stop(keeper: LabelKeeper) -> bool:
            bar.update(min(keeper.positives, arguments.successes) - bar.n)
            return interrupt.requested

        wanted, seed = arguments.successes, arguments.seed
        label(env, station.person, keeper, wanted, seed, subscribers=[station], stop=stop)
    env.close()
    print(f"{keeper.positives} images of success, {keeper.negatives} of everything else: {arguments.out}")
    return 130 if interrupt.requested else 0
