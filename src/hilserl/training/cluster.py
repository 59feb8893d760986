"""Many actors and a learner on a Ray cluster. Ray places them and starts them again; what they say to each other goes
over the same network as without it.
"""

import contextlib
import importlib.util
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hilserl.errors import HilserlError
from hilserl.training.config import TrainConfig
from hilserl.training.credentials import Address, Credentials, load_credentials, make_credentials
from hilserl.training.interrupt import Interrupt
from hilserl.training.rundir import RunDir
from hilserl.training.wire import UnreachableError

LEARNER_CPUS, ACTOR_CPUS = 1.0, 0.25
"""What each asks the cluster for; an actor at 20 steps a second takes less than a quarter of a core."""
_GIVE_UP_S = 60.0
_POLL_S = 1.0
_PASSED_ON = ("MUJOCO_GL", "JAX_COMPILATION_CACHE_DIR", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "XLA_FLAGS")


def connect(address: str | None) -> Any:
    """Ray, connected to the cluster at an address, or to a local one of its own. Raises HilserlError without Ray."""
    if importlib.util.find_spec("ray") is None:
        raise HilserlError('This needs Ray, which is not installed: pip install "hilserl[ray]"')
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    if not ray.is_initialized():
        passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        # Bars that are drawn over and over are for a terminal of one's own.
        settings = {"runtime_env": {"env_vars": {**passed_on, "TQDM_DISABLE": "1"}}, "log_to_driver": True}
        try:
            if address is None:
                ray.init(include_dashboard=False, **settings)
            else:
                ray.init(address, **settings)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise HilserlError(f"Cannot use the Ray cluster at {address or 'this machine'}: {error}") from error
    return ray


@contextlib.contextmanager
def connected(address: str | None) -> Iterator[Any]:
    """Ray for a while."""
    ray = connect(address)
    try:
        yield ray
    finally:
        ray.shutdown()


class Board:
    """Where learner and actors of one run find each other, and learn that they are to stop; an actor of Ray's."""

    def __init__(self) -> None:
        self._learner: tuple[Address, Credentials] | None = None
        self._wish = ""

    def post(self, address: Address, credentials: Credentials) -> None:
        """The learner is there."""
        self._learner = (address, credentials)

    def learner(self) -> tuple[Address, Credentials] | None:
        """Where it is, once it is there."""
        return self._learner

    def wish(self, wish: str) -> None:
        """`interrupt` ends the run for now, `conclude` for good."""
        self._wish = wish

    def wished(self) -> str:
        return self._wish


def train_on_ray(
    config: TrainConfig,
    folder: RunDir,
    actors: int,
    ray: Any,
    *,
    resume: bool,
    interrupt: Interrupt | None = None,
) -> dict[str, Any] | None:
    """Trains with a learner and so many actors somewhere on the cluster; those that die are started again.

    Returns and raises as `train`; `interrupt` may be somebody else's. The run's folder is on the learner's machine, the
    actors' folders on theirs, in `actors/` of the same path.
    """
    from ray.util.placement_group import placement_group, remove_placement_group
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    folder = RunDir(folder.path.resolve())
    if not resume:
        folder.check_new()
    _check_room(ray, actors)
    gpus = {"GPU": 1.0} if ray.cluster_resources().get("GPU") else {}
    group = placement_group([{"CPU": LEARNER_CPUS, **gpus}, *({"CPU": ACTOR_CPUS} for _ in range(actors))])
    interrupt = interrupt or Interrupt()
    while not ray.wait([group.ready()], timeout=_POLL_S)[0]:
        if interrupt.requested:
            remove_placement_group(group)
            return None

    def placed(work: Callable[..., Any], bundle: int, **options: Any) -> Any:
        where = PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=bundle)
        return ray.remote(max_calls=1, max_retries=-1)(work).options(scheduling_strategy=where, **options)

    board = ray.remote(Board).options(num_cpus=0).remote()
    lone = len([node for node in ray.nodes() if node["Alive"]]) == 1
    try:
        learner = placed(_learn, 0, num_cpus=LEARNER_CPUS, num_gpus=gpus.get("GPU", 0)).remote(
            config, folder.path, board, lone, resume
        )
        # An accelerator is the learner's.
        on_cpu = {"env_vars": {"JAX_PLATFORMS": "cpu"}}
        acting = [
            placed(_act, 1 + number, num_cpus=ACTOR_CPUS, runtime_env=on_cpu).remote(
                folder.path / "actors" / str(number), board
            )
            for number in range(actors)
        ]
        return _attend(ray, learner, acting, board, interrupt)
    finally:
        remove_placement_group(group)


def _check_room(ray: Any, actors: int) -> None:
    needed, there = LEARNER_CPUS + actors * ACTOR_CPUS, ray.cluster_resources().get("CPU", 0)
    if needed > there:
        raise HilserlError(
            f"A learner and {actors} actors take {needed:g} CPUs; the cluster has {there:g}. Use fewer actors."
        )


def _attend(ray: Any, learner: Any, actors: list[Any], board: Any, interrupt: Interrupt) -> dict[str, Any] | None:
    """Waits for the learner's result; ends the run where an actor cannot go on, or where a person wishes it."""
    failure, told = None, False
    with interrupt.armed():
        while True:
            ready, _ = ray.wait([learner, *actors], timeout=_POLL_S)
            if interrupt.requested and not told:
                told = True
                ray.get(board.wish.remote("interrupt"))
            for done in ready:
                if done == learner:
                    result = outcome(ray, learner)
                    if failure is not None:
                        raise failure
                    return result
                actors.remove(done)
                try:
                    outcome(ray, done)
                except HilserlError as error:
                    failure = failure or error
                if not actors:
                    ray.get(board.wish.remote("interrupt" if failure else "conclude"))


def outcome(ray: Any, done: Any) -> Any:
    """What a task came to; its HilserlError is ours."""
    try:
        return ray.get(done)
    except ray.exceptions.RayTaskError as error:
        cause = error.cause
        if isinstance(cause, HilserlError):
            raise cause from None
        raise


def _learn(config: TrainConfig, path: Path, board: Any, lone: bool, resume: bool) -> dict[str, Any] | None:
    """The learner's task; begun a second time it goes on with what it has."""
    import ray

    from hilserl.training.learner_node import serve

    folder = RunDir(path)
    address, credentials = _listen_on(ray, folder, lone)
    interrupt, wishes = Interrupt(), _Wishes(ray, board)

    def look() -> bool:
        wish = wishes.newest()
        interrupt.requested = interrupt.requested or wish == "interrupt"
        return wish != "conclude"

    shown = Credentials(credentials.token, credentials.certificate)
    return serve(
        config,
        folder,
        address,
        credentials,
        resume=resume or folder.config.exists(),
        own_actors=True,
        listening=lambda found: ray.get(board.post.remote(found, shown)),
        wanted=look,
        interrupt=interrupt,
    )


def _listen_on(ray: Any, folder: RunDir, lone: bool) -> tuple[Address, Credentials]:
    """Loopback where the cluster is one machine; otherwise this machine's address, with all that this takes."""
    if lone:
        return Address("127.0.0.1", 0), Credentials(secrets.token_urlsafe(32))
    host = ray.util.get_node_ip_address()
    # Outside the run, which has to be a new one; a restarted learner may be somewhere else, under another name.
    own = folder.path.with_name(f".{folder.path.name}.credentials-{host}")
    if not own.exists():
        make_credentials(own, [host])
    return Address(host, 0), load_credentials(own)


class _Wishes:
    """What the board says, asked in a thread, so that nobody waits for it."""

    def __init__(self, ray: Any, board: Any) -> None:
        self._ray, self._board, self._wish = ray, board, ""
        threading.Thread(target=self._ask_on, name="wishes", daemon=True).start()

    def _ask_on(self) -> None:
        while True:
            self._wish = self._ray.get(self._board.wished.remote())
            time.sleep(_POLL_S)

    def newest(self) -> str:
        return self._wish


def _act(folder: Path, board: Any) -> str:
    """An actor's task: acts for the learner, wherever that is, until there is a reason to stop."""
    import ray

    from hilserl.training.actor_node import SILENCE, Place, act, learners_config

    while True:
        if (found := ray.get(board.learner.remote())) is None:
            time.sleep(_POLL_S)
            continue
        address, credentials = found
        place = Place(address, credentials, folder, give_up_s=_GIVE_UP_S)
        with contextlib.suppress(UnreachableError):
            reason = act(learners_config(place), place)
            if not reason.startswith(SILENCE):
                return reason
