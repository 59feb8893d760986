"""Runs on a Ray cluster, seen from the command that starts them.

Ray places their processes and starts them again; these talk to each other as they do without Ray.
"""

import contextlib
import dataclasses
import importlib.util
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hilserl.distributed.ray_tasks import RunRegistry, act, learn, train
from hilserl.errors import HilserlError
from hilserl.interrupt import Interrupt
from hilserl.runs.run_dir import RunDir
from hilserl.training.config import TrainConfig

LEARNER_CPUS, ACTOR_CPUS = 1.0, 0.25
"""CPUs of a learner and of an actor at 20 Hz."""
MAX_RESTARTS = 20
"""Restarts of each task before its run ends with an error."""
_ENDING_S = 180.0
"""Time, in seconds, for a run's last evaluation, steps and checkpoint."""
_POLL_S = 1.0
_log = logging.getLogger(__name__)
_PASSED_ON = ("MUJOCO_GL", "JAX_COMPILATION_CACHE_DIR", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "XLA_FLAGS")
_OBJECT_STORE_BYTES = 100 * 2**20
"""Object store of a local cluster; no run uses it.

By default it takes a third of the memory.
"""


def _connect(address: str | None) -> Any:
    """Connect Ray to a cluster; without an address to a local one.

    Raises:
        HilserlError: Ray is not installed, or the cluster does not answer.
    """
    if importlib.util.find_spec("ray") is None:
        raise HilserlError('This needs Ray, which is not installed: pip install "hilserl[ray]"')
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # Runs that wait for room are as they should be; Ray would warn of them again and again.
    os.environ.setdefault("RAY_SCHEDULER_EVENTS", "0")
    if address is None:
        # So Ray listens on loopback only, as it always does on the systems in the variable's name.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    import ray

    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    # Bars that are drawn over and over are for a terminal of one's own.
    settings = {"runtime_env": {"env_vars": {**passed_on, "TQDM_DISABLE": "1"}}, "log_to_driver": True}
    try:
        if address is None:
            ray.init("local", include_dashboard=False, object_store_memory=_OBJECT_STORE_BYTES, **settings)
        else:
            ray.init(address, **settings)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise HilserlError(f"Cannot use the Ray cluster at {address or 'this machine'}: {error}") from error
    return ray


def absolute(config: TrainConfig) -> TrainConfig:
    """Make the paths in a configuration absolute, for processes started elsewhere."""
    return dataclasses.replace(config, demos=tuple(path.resolve() for path in config.demos))


class Cluster:
    """Ray, and the registry that the runs of one command share."""

    def __init__(self, ray: Any) -> None:
        self.ray = ray
        options = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1}
        self.registry = ray.remote(RunRegistry).options(name="registry", **options).remote()
        self.learners = {"CPU": LEARNER_CPUS, **({"GPU": 1.0} if ray.cluster_resources().get("GPU") else {})}
        """Resources of a learner: a whole GPU if the cluster has any."""

    def check_room(self, actors: int) -> None:
        """Raise HilserlError if the whole cluster is too small for one run."""
        needed, there = LEARNER_CPUS + actors * ACTOR_CPUS, self.ray.cluster_resources().get("CPU", 0)
        if needed > there:
            raise HilserlError(
                f"A learner and {actors} actors take {needed:g} CPUs; the cluster has {there:g}. Use fewer actors."
            )


@contextlib.contextmanager
def connected(address: str | None) -> Iterator[Cluster]:
    """Connect to a cluster; its runs end with the context."""
    ray = _connect(address)
    try:
        yield Cluster(ray)
    finally:
        ray.shutdown()


class RunOnRay:
    """Tasks of one run on the cluster.

    They are a learner and its actors or, without actors, one process in lockstep. They are placed together or not at
    all, so that several runs never wait for each other with half of their resources.

    Args:
        cluster: Cluster of the run.
        config: Settings of the run.
        run_dir: Run directory on the learner's machine; actors use `actors/` of the same path on theirs.
        actors: Number of actors.
        resume: True to resume the run in the directory.
        name: Text before the output of each process.
    """

    def __init__(
        self, cluster: Cluster, config: TrainConfig, run_dir: RunDir, actors: int, *, resume: bool, name: str = ""
    ) -> None:
        from ray.util.placement_group import placement_group

        config, run_dir = absolute(config), RunDir(run_dir.path.resolve())
        if not resume:
            run_dir.check_new()
        cluster.check_room(actors)
        self._cluster, self._run = cluster, str(run_dir.path)
        self._group = placement_group([cluster.learners, *({"CPU": ACTOR_CPUS} for _ in range(actors))])
        self._ready = self._group.ready()
        self._wish, self._deadline = "", float("inf")
        self.over = False
        self.result: dict[str, Any] | None = None
        self.failure: Exception | None = None
        """Error that kept the run from its result."""
        arguments = (config, run_dir.path, cluster.registry, resume)
        gpus = cluster.learners.get("GPU", 0)
        self._main = self._placed(
            learn if actors else train, 0, f"{name} learner", num_cpus=LEARNER_CPUS, num_gpus=gpus
        ).remote(*arguments)
        # An accelerator is the learner's.
        options = {"num_cpus": ACTOR_CPUS, "runtime_env": {"env_vars": {"JAX_PLATFORMS": "cpu"}}}
        self._actors = [
            self._placed(act, 1 + k, f"{name} actor {k}", **options).remote(
                self._run, run_dir.path / "actors" / str(k), cluster.registry
            )
            for k in range(actors)
        ]

    def _placed(self, work: Callable[..., Any], bundle: int, name: str, **options: Any) -> Any:
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        where = PlacementGroupSchedulingStrategy(self._group, placement_group_bundle_index=bundle)
        task = self._cluster.ray.remote(max_calls=1, max_retries=MAX_RESTARTS)(work)
        return task.options(scheduling_strategy=where, name=name.strip(), **options)

    @property
    def tasks(self) -> list[Any]:
        """Tasks that have not ended."""
        return [] if self.over else [self._main, *self._actors]

    def take(self, task: Any) -> None:
        """Handle an ended task; the run ends with its last actor."""
        ray, value = self._cluster.ray, None
        try:
            value = ray.get(task)
        except ray.exceptions.RayTaskError as error:
            self.failure = error.cause if isinstance(error.cause, HilserlError) else error
        except ray.exceptions.RayError as error:
            self.failure = HilserlError(
                f"A process of the run in {self._run} died, more than {MAX_RESTARTS} times or with its machine; what "
                f"it stored is kept, and --resume goes on: {error}"
            )
        if task == self._main:
            self.over, self.result = True, value
            return
        self._actors.remove(task)
        if self.failure:
            _log.error("An actor of the run in %s cannot go on: %s", self._run, self.failure)
        if not self._actors:
            self._tell("interrupt" if self.failure else "conclude")

    def interrupt(self) -> None:
        """Ask the run to end for now; later calls enforce it."""
        if not self._cluster.ray.wait([self._ready], timeout=0)[0]:
            self.over = True
        elif time.monotonic() > self._deadline:
            self.over = True
            self.failure = HilserlError(f"The run in {self._run} did not end within {_ENDING_S:.0f} s; it was stopped.")
        else:
            self._tell("interrupt")

    def _tell(self, wish: str) -> None:
        if not self._wish:
            self._deadline = time.monotonic() + _ENDING_S
        self._wish = wish
        self._cluster.registry.wish.remote(self._run, wish)

    def close(self) -> None:
        """Give back the resources, which ends the remaining tasks."""
        from ray.util.placement_group import remove_placement_group

        remove_placement_group(self._group)


def attended(cluster: Cluster, runs: Sequence[RunOnRay], interrupt: Interrupt) -> Iterator[RunOnRay]:
    """Yield runs as they end; an interrupt ends all of them.

    Runs that had not begun are left out then.
    """
    going = list(runs)
    try:
        while going:
            if interrupt.requested:
                for run in going:
                    run.interrupt()
            tasks = {task: run for run in going for task in run.tasks}
            ready = cluster.ray.wait(list(tasks), timeout=_POLL_S)[0] if tasks else []
            for task in ready:
                tasks[task].take(task)
            for run in [run for run in going if run.over]:
                going.remove(run)
                run.close()
                yield run
    finally:
        for run in going:
            run.close()


def train_on_ray(
    cluster: Cluster, config: TrainConfig, run_dir: RunDir, actors: int, *, resume: bool
) -> dict[str, Any] | None:
    """Train with a learner and actors on the cluster.

    Processes that die are started again.

    Returns:
        Content of `result.json`; None after an interrupt.

    Raises:
        HilserlError: A user can mend the cause, as with `train`.
    """
    interrupt = Interrupt()
    run = RunOnRay(cluster, config, run_dir, actors, resume=resume)
    with interrupt.armed():
        for _ in attended(cluster, [run], interrupt):
            pass
    if run.result is None and run.failure is not None:
        raise run.failure
    return run.result
