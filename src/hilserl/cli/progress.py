"""Progress bars of a run at the terminal."""

from typing import NoReturn

from tqdm import tqdm
from typing_extensions import override

from hilserl.envs.make import is_gymnasium_id
from hilserl.runs.counters import RunCounters
from hilserl.runs.effort import robot_minutes
from hilserl.runs.progress import RunProgress
from hilserl.training.config import TrainConfig


class ProgressBars(RunProgress):
    """Progress bars of a run, one at a time."""

    def __init__(self, config: TrainConfig) -> None:
        self._label, self._max_env_steps = config.task, config.max_env_steps
        # The return says more than successes do in another package's environment.
        self._by_return = is_gymnasium_id(config.task)
        self._cloning: tqdm[NoReturn] | None = None
        self._training: tqdm[NoReturn] | None = None

    @override
    def on_pretraining(self, done: int, total: int) -> None:
        if self._cloning is None:
            self._cloning = tqdm(total=total, initial=done, desc="cloning", unit="update step")
        self._cloning.update(done - self._cloning.n)
        if done == total:
            self._cloning.close()

    @override
    def on_training(self, counters: RunCounters, update_steps_per_s: float, note: str = "") -> None:
        total = self._max_env_steps
        if self._training is None:
            self._training = tqdm(
                total=total, initial=counters.env_steps, desc=self._label, unit="step", dynamic_ncols=True
            )
        self._training.n = min(counters.env_steps, total)
        alone = f"return {counters.mean_return:.4g}, " if self._by_return else ""
        self._training.set_postfix_str(
            f"{robot_minutes(counters.env_steps):.1f} robot-min, "
            f"{alone}alone {100 * counters.autonomous_success_rate:.0f}%, "
            f"human {100 * counters.intervention_rate:.0f}% {counters.human_seconds:.0f}s, "
            f"{update_steps_per_s:.0f} updates/s{note}"
        )

    @override
    def close(self) -> None:
        for bar in (self._cloning, self._training):
            if bar is not None:
                bar.close()
