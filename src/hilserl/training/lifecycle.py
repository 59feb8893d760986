"""Opening, stopping and resuming, the same for every process of a run."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

from hilserl.errors import HilserlError
from hilserl.interrupt import Interrupt
from hilserl.runs.run_dir import RunDir
from hilserl.training.config import CHANGEABLE_ON_RESUME, TrainConfig
from hilserl.training.config_file import differences, load_config, save_config

INTERRUPTED = "interrupted"
"""Reason to stop after a signal. The run has no result and can be resumed."""
OPERATOR_STOPPED = "the operator's wish"
"""Reason to stop after the operator ended the run at the console."""


class Process:
    """Base class of the parts of a run that one process holds.

    It closes what it opened in reverse order.
    """

    def __init__(self) -> None:
        self._open = contextlib.ExitStack()

    @contextlib.contextmanager
    def _opening(self) -> Iterator[contextlib.ExitStack]:
        """Collect parts to close at the end or after a failure."""
        with contextlib.ExitStack() as stack:
            yield stack
            self._open = stack.pop_all()

    def __enter__(self) -> Self:
        """Begin to use the parts."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close all parts."""
        self._open.close()


def stop_reason(interrupt: Interrupt, *, stopped: Callable[[], bool], others: Callable[[], str | None]) -> str | None:
    """Return the reason to stop now, or None.

    Args:
        interrupt: a signal goes before everything else.
        stopped: returns True if the operator wants to stop.
        others: further reasons, such as a limit of the run.
    """
    if interrupt.requested:
        return INTERRUPTED
    return OPERATOR_STOPPED if stopped() else others()


def resume_command(verb: str, task: str, run_dir: Path, flags: str = "") -> str:
    """Return the command that resumes a run."""
    return f"hilserl {verb} {task}{flags} --resume --run-dir {run_dir}"


@contextlib.contextmanager
def open_run(config: TrainConfig, run_dir: RunDir, *, resume: bool) -> Iterator[None]:
    """Create or find a run's directory and lock it.

    A run that fails with a HilserlError before its first demonstration is removed again.

    Raises:
        HilserlError: a run is there already, or, to resume, none is there or it has other settings.
    """
    if resume:
        _check_resumable(config, run_dir)
    else:
        run_dir.create()
    with run_dir.locked():
        if not resume or load_config(run_dir.config) != config:
            save_config(run_dir.config, config)
        try:
            yield
        except HilserlError:
            run_dir.remove_untouched()
            raise


def _check_resumable(config: TrainConfig, run_dir: RunDir) -> None:
    run_dir.require()
    changed = {
        name: pair
        for name, pair in differences(load_config(run_dir.config), config).items()
        if name not in CHANGEABLE_ON_RESUME
    }
    if changed:
        changes = "; ".join(f"{name} was {old!r}, not {new!r}" for name, (old, new) in changed.items())
        raise HilserlError(
            f"The run in {run_dir.path} cannot be resumed with other settings: {changes}. "
            f"Only {', '.join(CHANGEABLE_ON_RESUME)} may change."
        )
