"""What Ray places: the processes of runs, and the board where they find each other.

They import what takes its time where they run, because whoever starts them needs nothing of it.
"""

import contextlib
import logging
import secrets
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from hilserl.address import Address
from hilserl.distributed.credentials import Credentials, make_credentials
from hilserl.distributed.protocol import UnreachableError
from hilserl.interrupt import Interrupt
from hilserl.runs.run_dir import RunDir
from hilserl.training.config import TrainConfig

_GIVE_UP_S = 60.0
_POLL_S = 1.0

Found = tuple[Address, Credentials]
"""Where a learner is, and what it wants to see."""


class RunBoard:
    """Where learners and actors find each other, and learn that they are to stop; an actor of Ray's.

    What it knows is told again every second, so that it may die as well.
    """

    def __init__(self) -> None:
        self._learners: dict[str, Found | None] = {}
        self._wishes: dict[str, str] = {}

    def begin(self, run: str) -> tuple[bool, Found | None]:
        """Whether a run has been begun before, and where its learner was."""
        before = run in self._learners
        return before, self._learners.setdefault(run, None)

    def report(self, run: str, found: Found | None) -> str:
        """A learner says where it is, and is told what is wished of it."""
        self._learners[run] = found or self._learners.get(run)
        return self._wishes.get(run, "")

    def learner(self, run: str) -> Found | None:
        """Where an actor finds its learner, once that is there."""
        if (found := self._learners.get(run)) is None:
            return None
        address, credentials = found
        return address, Credentials(credentials.token, credentials.certificate)

    def wish(self, run: str, wish: str) -> None:
        """`interrupt` ends a run for now, `conclude` for good."""
        self._wishes[run] = wish


class _RunHeartbeat:
    """What a run's main task has to do with the board, done in a thread, so that nobody waits for it."""

    def __init__(self, run: Path, board: Any) -> None:
        import ray

        self._ray, self._run, self._board = ray, str(run), board
        self.begun, self.was = ray.get(board.begin.remote(self._run))
        """Whether this is not the first try, and where the one before listened."""
        self.found: Found | None = None
        self.interrupt, self.concluded = Interrupt(), False
        threading.Thread(target=self._run_on, name="errand", daemon=True).start()

    def _run_on(self) -> None:
        while True:
            wish = self._ray.get(self._board.report.remote(self._run, self.found))
            self.interrupt.requested |= wish == "interrupt"
            self.concluded = wish == "conclude"
            time.sleep(_POLL_S)


def _show_log() -> None:
    """Write the log to standard output, which Ray shows where the run was started."""
    logging.basicConfig(stream=sys.stdout, format="%(message)s")
    logging.getLogger("hilserl").setLevel(logging.INFO)


def train(config: TrainConfig, path: Path, board: Any, resume: bool) -> dict[str, Any] | None:
    """The task of a run in lockstep; begun a second time it goes on with what it has."""
    from hilserl.training import trainer as lockstep

    _show_log()
    folder, errand = RunDir(path), _RunHeartbeat(path, board)
    resume = resume or (errand.begun and folder.config.exists())
    return lockstep.train(config, folder, resume=resume, interrupt=errand.interrupt)


def learn(config: TrainConfig, path: Path, board: Any, resume: bool) -> dict[str, Any] | None:
    """The learner's task; begun a second time it goes on with what it has."""
    from hilserl.distributed.learner_node import serve

    _show_log()
    folder, errand = RunDir(path), _RunHeartbeat(path, board)
    address, credentials = _listen_on(errand.was)

    def listening(found: Address) -> None:
        errand.found = (found, credentials)

    return serve(
        config,
        folder,
        address,
        credentials,
        resume=resume or (errand.begun and folder.config.exists()),
        own_actors=True,
        listening=listening,
        wanted=lambda: not errand.concluded,
        interrupt=errand.interrupt,
    )


def _listen_on(before: Found | None) -> Found:
    """Loopback where the run is on one machine; otherwise this machine's address, with all that this takes.

    A learner that is started again on the same machine is where its actors look for it.
    """
    host = "127.0.0.1" if _alone() else _host()
    if before and before[0].host == host:
        return before[0] if _is_free(before[0]) else Address(host, 0), before[1]
    if host == "127.0.0.1":
        return Address(host, 0), Credentials(secrets.token_urlsafe(32))
    with tempfile.TemporaryDirectory() as folder:
        return Address(host, 0), make_credentials(Path(folder), [host])


def _alone() -> bool:
    """Whether everything that belongs to this task's run is on this machine."""
    from ray.util import get_current_placement_group, placement_group_table

    group = get_current_placement_group()
    assert group is not None
    return len(set(placement_group_table(group)["bundles_to_node_id"].values())) == 1


def _host() -> str:
    import ray

    return ray.util.get_node_ip_address()


def _is_free(address: Address) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError:
            return False
        return True


def act(run: str, folder: Path, board: Any) -> str:
    """An actor's task: acts for the learner, wherever that is, until there is a reason to stop."""
    import ray

    from hilserl.distributed import actor_node

    _show_log()
    while True:
        if (found := ray.get(board.learner.remote(run))) is None:
            time.sleep(_POLL_S)
            continue
        address, credentials = found
        place = actor_node.Place(address, credentials, folder, give_up_s=_GIVE_UP_S)
        with contextlib.suppress(UnreachableError):
            reason = actor_node.act(actor_node.fetch_run_config(place), place)
            if not reason.startswith(actor_node.SILENCE):
                return reason
