"""Actor in another process of this machine, started again if it dies."""

import os
import secrets
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from hilserl.address import Address
from hilserl.distributed.credentials import TOKEN_VARIABLE, Credentials
from hilserl.distributed.learner_node import LearnerNodeConfig, RunControl, serve
from hilserl.errors import HilserlError
from hilserl.runs.progress import RunProgress
from hilserl.runs.run_dir import RunDir
from hilserl.training.config import TrainConfig
from hilserl.training.lifecycle import resume_command

MAX_RESTARTS = 5
"""Restarts of one actor before its run ends with an error."""
GIVE_UP_S = 60.0
_LEAVING_S = 30.0
_STILLBORN_S = 3.0
"""Lifetime, in seconds, below which a restart would not help."""


def train_async(
    config: TrainConfig, run_dir: RunDir, *, resume: bool = False, progress: RunProgress | None = None
) -> dict[str, Any] | None:
    """Train with the learner here and the actor in another process.

    They talk as over any network.

    Returns:
        Content of `result.json`; None after an interrupt.

    Raises:
        HilserlError: A user can mend the cause, as with `train`.
    """
    credentials = Credentials(secrets.token_urlsafe(32))
    actor = ActorProcess(config, run_dir, credentials)
    node_config = LearnerNodeConfig(Address("127.0.0.1", 0), credentials, resume=resume, own_actors=True)
    control = RunControl(actor.start, actor.wanted, progress=progress or RunProgress())
    try:
        return serve(config, run_dir, node_config, control)
    finally:
        actor.stop()


class ActorProcess:
    """An actor's process and its successors, which ask the learner for settings."""

    def __init__(self, config: TrainConfig, run_dir: RunDir, credentials: Credentials) -> None:
        self._task, self._run, self._credentials = config.task, run_dir.path, credentials
        self._address: Address | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._restarts, self._began = 0, 0.0

    def start(self, address: Address) -> None:
        """Begin to act for the learner at an address."""
        self._address = address
        self._spawn()

    def _spawn(self) -> None:
        command = actor_command(self._task, str(self._address), self._run / "actors" / "0", GIVE_UP_S)
        # The learner needs the accelerator: two processes would compete for its memory, and acting needs little.
        environment = {"JAX_PLATFORMS": "cpu", **os.environ, TOKEN_VARIABLE: self._credentials.token or ""}
        self._began = time.monotonic()
        self._process = subprocess.Popen(command, env=environment)  # noqa: S603 - ourselves

    def wanted(self) -> bool:
        """Return False once the actor has left; start a dead one again.

        Raises:
            HilserlError: The actor dies again and again.
        """
        assert self._process
        status = self._process.poll()
        if status is None:
            return True
        if status == 0:
            return False
        if self._restarts == MAX_RESTARTS or time.monotonic() - self._began < _STILLBORN_S:
            raise HilserlError(
                f"The actor ended with status {status}; it was started {self._restarts + 1} times. Everything is kept. "
                f"Resume with: {resume_command('train', self._task, self._run)}"
            )
        self._restarts += 1
        self._spawn()
        return True

    def stop(self) -> None:
        """Wait until the actor ends; kill it if it does not."""
        if self._process is None:
            return
        try:
            self._process.wait(_LEAVING_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def actor_command(task: str, learner: str, directory: Path, give_up_s: float) -> list[str]:
    """Return an actor's command line; it resumes what is in the directory."""
    command = [sys.executable, "-m", "hilserl", "actor", task, "--learner", learner, "--run-dir", str(directory)]
    command += ["--give-up-after-s", str(give_up_s), "--parent", str(os.getpid())]
    return [*command, "--resume"] if directory.exists() else command
