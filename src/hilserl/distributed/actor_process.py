"""Actors as processes of this machine, started anew when they die."""

import os
import secrets
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from hilserl.address import Address
from hilserl.distributed.credentials import TOKEN_VARIABLE, Credentials
from hilserl.distributed.learner_node import serve
from hilserl.errors import HilserlError
from hilserl.runs.progress import RunProgress
from hilserl.runs.run_dir import RunDir
from hilserl.training.config import TrainConfig

MAX_RESTARTS = 5
"""Of one actor; a crew whose actors die more often than this has something to mend."""
GIVE_UP_S = 60.0
_LEAVING_S = 30.0
_STILLBORN_S = 3.0
"""An actor that ends sooner would end so again."""


def train_async(
    config: TrainConfig, folder: RunDir, *, resume: bool = False, progress: RunProgress | None = None
) -> dict[str, Any] | None:
    """Trains with the learner in this process and the actor in another one, joined as over any network.

    Returns and raises as `train`.
    """
    credentials = Credentials(secrets.token_urlsafe(32))
    crew = ActorProcess(config, folder, credentials)
    try:
        return serve(
            config,
            folder,
            Address("127.0.0.1", 0),
            credentials,
            resume=resume,
            own_actors=True,
            listening=crew.start,
            wanted=crew.wanted,
            progress=progress,
        )
    finally:
        crew.stop()


class ActorProcess:
    """An actor's process and its successors. It takes its settings from the learner."""

    def __init__(self, config: TrainConfig, folder: RunDir, credentials: Credentials) -> None:
        self._task, self._run, self._credentials = config.task, folder.path, credentials
        self._address: Address | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._restarts, self._began = 0, 0.0

    def start(self, address: Address) -> None:
        """Begins to act for the learner at an address."""
        self._address = address
        self._spawn()

    def _spawn(self) -> None:
        command = actor_command(self._task, str(self._address), self._run / "actors" / "0", GIVE_UP_S)
        # An accelerator is the learner's: two processes would quarrel over its memory, and acting needs little.
        environment = {"JAX_PLATFORMS": "cpu", **os.environ, TOKEN_VARIABLE: self._credentials.token or ""}
        self._began = time.monotonic()
        self._process = subprocess.Popen(command, env=environment)  # noqa: S603 - ourselves

    def wanted(self) -> bool:
        """Whether there is more to do: False once the actor has left by itself. Starts a dead one again.

        Raises HilserlError where that does not help.
        """
        assert self._process
        status = self._process.poll()
        if status is None:
            return True
        if status == 0:
            return False
        if self._restarts == MAX_RESTARTS or time.monotonic() - self._began < _STILLBORN_S:
            raise HilserlError(
                f"The actor ended with status {status}; it was started {self._restarts + 1} times. Everything is kept: "
                f"go on with hilserl train {self._task} --resume --run-dir {self._run}"
            )
        self._restarts += 1
        self._spawn()
        return True

    def stop(self) -> None:
        """Waits for the actor to end, and ends it where it does not."""
        if self._process is None:
            return
        try:
            self._process.wait(_LEAVING_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def actor_command(task: str, learner: str, folder: Path, give_up_s: float) -> list[str]:
    """The command line of an actor, which goes on with what is in its folder."""
    command = [sys.executable, "-m", "hilserl", "actor", task, "--learner", learner, "--run-dir", str(folder)]
    command += ["--give-up-after-s", str(give_up_s), "--parent", str(os.getpid())]
    return [*command, "--resume"] if folder.exists() else command
