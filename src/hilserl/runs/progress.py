"""The interface that shows the progress of a run."""

from hilserl.runs.counters import RunCounters


class RunProgress:
    """A receiver of a run's progress.

    Every method does nothing by default; the command line draws progress bars.
    """

    def on_pretraining(self, done: int, total: int) -> None:
        """Take the number of pretraining update steps done, and their total."""

    def on_training(self, counters: RunCounters, update_steps_per_s: float, note: str = "") -> None:
        """Take the counters of the run.

        Args:
            counters: environment steps, episodes and rates so far.
            update_steps_per_s: speed of the learner while it learns.
            note: one more fact to show.
        """

    def close(self) -> None:
        """End the display."""
