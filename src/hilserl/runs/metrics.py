"""What a run tells of itself: one JSON object a line, the same as TensorBoard events, and a progress bar."""

import json
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from tensorboardX import SummaryWriter
from tqdm import tqdm

from hilserl.data.episode_summary import EpisodeSummary
from hilserl.data.step import Step
from hilserl.errors import HilserlError

RECENT_EPISODES = 20
RENAMED_METRICS = {"rounds": "update_steps", "staleness_rounds": "staleness_update_steps"}
"""Old names of metrics with their names today; runs of earlier versions have the old ones."""
_COUNTED = ("steps", "human_steps", "human_seconds")


class MetricsLog:
    """Appends to `metrics.jsonl` and to TensorBoard's event files in `tensorboard/` beside it, from any thread."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._file = path.open("a")
        self._events = SummaryWriter(str(path.parent / "tensorboard"))

    def write(self, kind: str, env_steps: int, values: dict[str, Any], *, at: int | None = None) -> None:
        """One record; its numbers become TensorBoard scalars `kind/name` over environment steps, or at another step."""
        line = json.dumps({"kind": kind, "env_steps": env_steps, **values}) + "\n"
        with self._lock:
            try:
                self._file.write(line)
                self._file.flush()
            except OSError as error:
                raise HilserlError(f"Cannot write {self._file.name}: {error}") from error
            for name, value in values.items():
                if isinstance(value, int | float):
                    self._events.add_scalar(f"{kind}/{name}", float(value), env_steps if at is None else at)

    def close(self) -> None:
        self._file.close()
        self._events.close()


def drop_torn_line(path: Path) -> None:
    """Removes a last line that a killed run did not finish."""
    if path.exists():
        text = path.read_bytes()
        whole = text.rfind(b"\n") + 1
        if whole < len(text):
            path.write_bytes(text[:whole])


def read_metrics(path: Path, kind: str) -> list[dict[str, Any]]:
    """The records of one kind, in order. Raises HilserlError naming the file where it is missing or damaged."""
    try:
        with path.open() as file:
            records = [_renamed(json.loads(line)) for line in file]
    except (OSError, ValueError) as error:
        raise HilserlError(f"Cannot read the metrics {path}: {error}") from error
    return [record for record in records if record["kind"] == kind]


def _renamed(record: dict[str, Any]) -> dict[str, Any]:
    return {RENAMED_METRICS.get(name, name): value for name, value in record.items()}


def _nothing() -> dict[str, Any]:
    return dict.fromkeys(_COUNTED, 0)


class RunCounters:
    """A run's counters and its recent episodes: a rollout's subscriber."""

    def __init__(self) -> None:
        self.env_steps = self.episodes = self.human_steps = self.interventions = 0
        self.called_successes = self.fooled = self.denied_steps = self.agreeing_steps = self.judged_steps = 0
        self.human_seconds = 0.0
        self._begun, self.discarded = _nothing(), _nothing()
        """Of the episode in progress, and of the last one discarded."""
        self.recent: deque[EpisodeSummary] = deque(maxlen=RECENT_EPISODES)

    def on_step(self, step: Step) -> None:
        self.env_steps += not step.is_reset
        self.human_steps += step.intervened
        self.human_seconds += step.human_seconds
        if step.is_reset:
            self._begun = _nothing()
        for name, more in zip(_COUNTED, (not step.is_reset, step.intervened, step.human_seconds), strict=True):
            self._begun[name] += more

    def on_discard(self, episode: int) -> None:
        """What was done is counted, whether or not it is learned from."""
        del episode
        self.discarded, self._begun = self._begun, _nothing()

    def count_discarded(self, record: Mapping[str, Any]) -> None:
        """Counts an episode that was discarded before the run was resumed."""
        self.env_steps += record["steps"]
        self.human_steps += record["human_steps"]
        self.human_seconds += record["human_seconds"]

    def on_episode(self, steps: Sequence[Step], summary: EpisodeSummary) -> None:
        del steps
        self.episodes += 1
        self.interventions += summary.interventions
        self.called_successes += summary.success
        self.fooled += summary.fooled
        self.denied_steps += summary.denied_steps
        self.judged_steps += summary.steps
        self.agreeing_steps += summary.agreeing_steps
        self.recent.append(summary)

    @property
    def autonomous_success_rate(self) -> float:
        """Of recent training episodes, the part that succeeded without any intervention."""
        return sum(e.autonomous_success for e in self.recent) / max(1, len(self.recent))

    @property
    def mean_return(self) -> float:
        """Of recent training episodes."""
        return sum(e.episode_return for e in self.recent) / max(1, len(self.recent))

    @property
    def agreement(self) -> float:
        """Of recent training steps, the part in which the reward said what the environment knows."""
        return sum(e.agreeing_steps for e in self.recent) / max(1, sum(e.steps for e in self.recent))

    @property
    def intervention_rate(self) -> float:
        """Of recent training steps, the part that a person chose."""
        return sum(e.intervened_steps for e in self.recent) / max(1, sum(e.steps for e in self.recent))


class Progress:
    """The bar a person watches, once there is progress; `by_return` where a return says more than successes do."""

    def __init__(self, label: str, tally: RunCounters, max_env_steps: int, *, by_return: bool = False) -> None:
        self._label, self._tally, self._max_env_steps, self._by_return = label, tally, max_env_steps, by_return
        self._bar: tqdm[NoReturn] | None = None

    def show(self, update_steps_per_s: float, more: str = "") -> None:
        tally, total = self._tally, self._max_env_steps
        if self._bar is None:
            self._bar = tqdm(total=total, initial=tally.env_steps, desc=self._label, unit="step", dynamic_ncols=True)
        self._bar.n = min(tally.env_steps, total)
        alone = f"return {tally.mean_return:.4g}, " if self._by_return else ""
        self._bar.set_postfix_str(
            f"{alone}alone {100 * tally.autonomous_success_rate:.0f}%, human {100 * tally.intervention_rate:.0f}%, "
            f"{update_steps_per_s:.0f} update steps/s{more}"
        )

    def say(self, text: str) -> None:
        """A line above the bar."""
        tqdm.write(text)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
