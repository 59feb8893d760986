"""Program: a verb of hilserl that notes its actor's steps.

    python noting_node.py RECORD SPOOL_BYTES VERB ...

does the same as `hilserl VERB ...` without videos, and appends each entry of an actor's log to the file RECORD as soon
as it is stored. The log takes at most SPOOL_BYTES; 0 stands for the usual limit.
"""

import hashlib
import signal
import sys
from pathlib import Path

import numpy as np

from hilserl.data.step import Step

OTHER_TASK = "pick_other"
"""A task that the program knows beside the real ones."""


def fingerprint(step: Step) -> str:
    """Return a text that is equal for equal steps only."""
    flags = (step.terminated, step.truncated, step.success, step.intervened, step.policy_version, step.seed)
    digest = hashlib.sha1(repr(flags).encode(), usedforsecurity=False)
    digest.update(np.array([step.reward, *step.action], np.float32).tobytes())
    for name in sorted(step.observation):
        # What an actor computed of its frames stays with it.
        if name == "state" or step.observation[name].dtype == np.uint8:
            digest.update(np.ascontiguousarray(step.observation[name]).tobytes())
    return digest.hexdigest()


def _note(record: Path, spool_bytes: int) -> None:
    """Make this process, or the actor that it starts, note its steps; no videos."""
    import faulthandler
    import functools

    from hilserl import tasks
    from hilserl.distributed import actor_node, actor_process
    from hilserl.distributed.durable_log import DurableLog
    from hilserl.tasks.pick_cube import PickCube
    from hilserl.training import run

    faulthandler.register(signal.SIGUSR1)
    tasks.register(type("PickOther", (PickCube,), {"name": OTHER_TASK}))
    run.write_video = lambda *_: None
    if spool_bytes:
        actor_node.ActorNodeConfig = functools.partial(actor_node.ActorNodeConfig, max_spool_bytes=spool_bytes)
    put_step, put_discard, command_of = DurableLog.put_step, DurableLog.put_discard, actor_process.actor_command

    def write(*words: object) -> None:
        # One write: a killed process has written all of the line or nothing.
        with record.open("ab", buffering=0) as file:
            file.write(" ".join(map(str, words)).encode() + b"\n")

    def noting_step(log: DurableLog, step: Step) -> None:
        put_step(log, step)
        write(log.last, step.episode, step.index, fingerprint(step))

    def noting_discard(log: DurableLog, episode: int) -> None:
        put_discard(log, episode)
        write(log.last, episode, -1, "-")

    def noting_command(task: str, learner: str, directory: Path, give_up_s: float) -> list[str]:
        python, _, _, *words = command_of(task, learner, directory, give_up_s)
        return [python, __file__, str(record), str(spool_bytes), *words]

    setattr(DurableLog, "put_step", noting_step)  # noqa: B010 - pyright does not let a method be replaced
    setattr(DurableLog, "put_discard", noting_discard)  # noqa: B010
    actor_process.actor_command = noting_command


if __name__ == "__main__":
    from hilserl.cli.main import main
    from hilserl.interrupt import leave, listen

    listen()
    _note(Path(sys.argv[1]), int(sys.argv[2]))
    leave(main(sys.argv[3:]))
