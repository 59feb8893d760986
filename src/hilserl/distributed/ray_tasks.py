"""Tasks of a run on Ray, and the registry that joins them.

They import slow modules in their own processes, because the process that starts them does not need these.
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
"""Address and credentials of a learner."""


class RunRegistry:
    """Registry in which a run's tasks find each other; a Ray actor.

    Learners report every second, so the registry may die and be started again.
    """

    def __init__(self) -> None:
        self._learners: dict[str, Found | None] = {}
        self._wishes: dict[str, str] = {}

    def begin(self, run: str) -> tuple[bool, Found | None]:
        """Begin a run; return its earlier beginning and learner address."""
        before = run in self._learners
        return before, self._learners.setdefault(run, None)

    def report(self, run: str, found: Found | None) -> str:
        """Note a learner's place; return the wish for its run."""
        self._learners[run] = found or self._learners.get(run)
        return self._wishes.get(run, "")

    def learner(self, run: str) -> Found | None:
        """Return a learner's place for its actors; None before it listens."""
        if (found := self._learners.get(run)) is None:
            return None
        address, credentials = found
        return address, Credentials(credentials.token, credentials.certificate)

    def wish(self, run: str, wish: str) -> None:
        """Wish that a run ends: `interrupt` for now, `conclude` for good."""
        self._wishes[run] = wish


class RunHeartbeat:
    """Reports of a run's main task to the registry, in another thread."""

    def __init__(self, run: Path, registry: Any) -> None:
        import ray

        self._ray, self._run, self._registry = ray, str(run), registry
        self.begun, self.was = ray.get(registry.begin.remote(self._run))
        """True after the first try, and the place of the learner then."""
        self.found: Found | None = None
        self.interrupt, self.concluded = Interrupt(), False
        threading.Thread(target=self._run_on, name="heartbeat", daemon=True).start()

    def _run_on(self) -> None:
        while True:
            wish = self._ray.get(self._registry.report.remote(self._run, self.found))
            self.interrupt.requested |= wish == "interrupt"
            self.concluded = wish == "conclude"
            time.sleep(_POLL_S)


def _show_log() -> None:
    """Print the log; Ray passes it on to the starting command."""
    logger = logging.getLogger("hilserl")
    if not logger.handlers:
        logger.addHandler(logging.StreamHandler(sys.stdout))
        logger.setLevel(logging.INFO)


def train(config: TrainConfig, path: Path, registry: Any, resume: bool) -> dict[str, Any] | None:
    """Train in lockstep; a second start resumes the run."""
    from hilserl.training import trainer as lockstep

    _show_log()
    run_dir, heartbeat = RunDir(path), RunHeartbeat(path, registry)
    resume = resume or (heartbeat.begun and run_dir.config.exists())
    return lockstep.train(config, run_dir, resume=resume, interrupt=heartbeat.interrupt)


def learn(config: TrainConfig, path: Path, registry: Any, resume: bool) -> dict[str, Any] | None:
    """Run the learner; a second start resumes the run."""
    from hilserl.distributed.learner_node import LearnerNodeConfig, RunControl, serve

    _show_log()
    run_dir, heartbeat = RunDir(path), RunHeartbeat(path, registry)
    address, credentials = _listen_on(heartbeat.was)

    def listening(found: Address) -> None:
        heartbeat.found = (found, credentials)

    resume = resume or (heartbeat.begun and run_dir.config.exists())
    node_config = LearnerNodeConfig(address, credentials, resume=resume, own_actors=True)
    control = RunControl(listening, lambda: not heartbeat.concluded, heartbeat.interrupt)
    return serve(config, run_dir, node_config, control)


def _listen_on(before: Found | None) -> Found:
    """Choose address and credentials of a learner.

    The address is loopback if the run is on one machine. A learner that is started again on the same machine takes its
    old address, which its actors know.
    """
    host = "127.0.0.1" if _alone() else _host()
    if before and before[0].host == host:
        return before[0] if _is_free(before[0]) else Address(host, 0), before[1]
    if host == "127.0.0.1":
        return Address(host, 0), Credentials(secrets.token_urlsafe(32))
    with tempfile.TemporaryDirectory() as directory:
        return Address(host, 0), make_credentials(Path(directory), [host])


def _alone() -> bool:
    """Return True if all tasks of this run are on this machine."""
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


def act(run: str, directory: Path, registry: Any) -> str:
    """Act for a run's learner until there is a reason to stop."""
    import ray

    from hilserl.distributed import actor_node

    _show_log()
    while True:
        if (found := ray.get(registry.learner.remote(run))) is None:
            time.sleep(_POLL_S)
            continue
        address, credentials = found
        node_config = actor_node.ActorNodeConfig(address, credentials, directory, give_up_s=_GIVE_UP_S)
        with contextlib.suppress(UnreachableError):
            reason = actor_node.act(actor_node.fetch_run_config(node_config), node_config)
            if not reason.startswith(actor_node.SILENCE):
                return reason
