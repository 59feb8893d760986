"""A ring of steps, each observation stored once, from which true transitions are drawn half online, half prior.

A row is one `Step`: what its action led to. A transition is a row together with the row before it in the *same
episode*, found through an explicit link, so it never joins two episodes, two moments of one, or two writes of one slot.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Step, Transitions
from hilserl.errors import HilserlError

_NONE = -1
ReplaySource = Literal["both", "online", "prior"]
"""What batches are drawn from: half from each, or all from one. An intervened step is both."""


class Columns(NamedTuple):
    """What is learned from of many steps, one row a step, in NumPy's or JAX's arrays."""

    observation: dict[str, Any]
    action: Any
    """float32 [rows, m]"""
    reward: Any
    """float32 [rows]"""
    terminated: Any
    """bool [rows]"""

    @property
    def nbytes(self) -> int:
        return sum(column.nbytes for column in (*self.observation.values(), self.action, self.reward, self.terminated))

    def transitions(self, before: Any, rows: Any, demonstrated: Any) -> Transitions:
        """The transitions from the rows `before` to `rows`, with the rows' shape in front."""
        return Transitions(
            observation={name: column[before] for name, column in self.observation.items()},
            action=self.action[rows],
            reward=self.reward[rows],
            next_observation={name: column[rows] for name, column in self.observation.items()},
            # A time limit says nothing about the value of the state it interrupts, so only termination counts.
            bootstrap=1.0 - self.terminated[rows].astype(np.float32),
            demonstrated=demonstrated,
        )


class ReplayStorage(Protocol):
    """Where a replay keeps its columns. Which rows hold what is the replay's business."""

    @property
    def nbytes(self) -> int:
        """Memory of the columns once they are full."""
        ...

    def write(self, row: int, steps: Sequence[Step]) -> None:
        """Keeps steps in the rows from `row` on."""
        ...

    def transitions(self, before: np.ndarray, rows: np.ndarray, demonstrated: np.ndarray) -> Transitions:
        """As `Columns.transitions`."""
        ...


class HostStorage:
    """The columns in this machine's memory, in NumPy's arrays."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns

    @property
    def nbytes(self) -> int:
        return self._columns.nbytes

    def write(self, row: int, steps: Sequence[Step]) -> None:
        columns = self._columns
        for at, step in enumerate(steps, row):
            for name, column in columns.observation.items():
                column[at] = step.observation[name]
            columns.action[at], columns.reward[at], columns.terminated[at] = step.action, step.reward, step.terminated

    def transitions(self, before: np.ndarray, rows: np.ndarray, demonstrated: np.ndarray) -> Transitions:
        return self._columns.transitions(before, rows, demonstrated)


class Replay:
    """Online steps and prior data (demonstrations and interventions) in one store.

    Of cameras it keeps the frames or, where `features` gives their names and shapes, float16 features instead of them.
    An intervened step belongs to both halves and is stored once. Demonstrations given as `prior` are never
    overwritten; everything else gives way, oldest first, when `capacity` online steps are full.

    `store` is given the columns, all zero, and makes the store of them that is used. Rows are drawn here whatever it
    is, so that batches do not depend on it.
    """

    def __init__(
        self,
        spec: ExperienceSpec,
        capacity: int,
        prior: Iterable[Step] = (),
        features: dict[str, tuple[int, ...]] | None = None,
        store: Callable[[Columns], ReplayStorage] = HostStorage,
    ) -> None:
        demonstrations = list(prior)
        self._first = len(demonstrations)
        rows = self._first + capacity
        if capacity < 2:
            raise HilserlError(f"A replay of {capacity} steps cannot hold one transition; it needs at least 2.")
        observation = {"state": np.zeros((rows, spec.state.size), np.float32)}
        if features is None:
            observation |= {name: np.zeros((rows, *shape), np.uint8) for name, shape in spec.images}
        else:
            observation |= {name: np.zeros((rows, *shape), np.float16) for name, shape in features.items()}
        action = np.zeros((rows, spec.action.size), np.float32)
        self._store = store(Columns(observation, action, np.zeros(rows, np.float32), np.zeros(rows, bool)))
        self._online = np.zeros(rows, bool)
        self._prior = np.zeros(rows, bool)
        self._before = np.full(rows, _NONE)
        self._after = np.full(rows, _NONE)
        self._open: dict[int, tuple[int, int]] = {}
        self._used = 0
        self._next = 0
        for step in demonstrations:
            self._link(step, online=False, prior=True)
        self._open.clear()
        self._store.write(0, demonstrations)

    def __len__(self) -> int:
        """Rows in use, resets included."""
        return self._used

    @property
    def nbytes(self) -> int:
        """Memory of the whole store once it is full."""
        return self._store.nbytes + sum(a.nbytes for a in (self._online, self._prior, self._before, self._after))

    def add(self, step: Step) -> None:
        """Stores one online step. Steps of an episode come in order; episodes may interleave."""
        self._store.write(self._link(step, online=True, prior=step.intervened), [step])

    def _link(self, step: Step, *, online: bool, prior: bool) -> int:
        """Gives a step a row and joins it to the step before it; returns the row."""
        if step.is_reset and not online:
            # A recorded episode may have been cut, and another recording may have the same number.
            self._open.pop(step.episode, None)
        before, index = self._open.pop(step.episode, (_NONE, -1))
        if step.index != index + 1:
            expected = f"step {index + 1}" if before != _NONE else "a reset"
            raise HilserlError(f"Episode {step.episode}: step {step.index} came where {expected} was expected.")
        row = self._claim()
        if before == row:
            before = _NONE
        linked = before != _NONE
        self._before[row] = before
        self._online[row], self._prior[row] = online and linked, prior and linked
        if linked:
            self._after[before] = row
        if not step.ends_episode:
            self._open[step.episode] = (row, step.index)
        return row

    def end(self, episode: int) -> None:
        """No more steps of an episode will come."""
        self._open.pop(episode, None)

    def forget(self, episode: int) -> None:
        """Nothing is drawn any more from an episode that has not ended; its rows are overwritten in their turn."""
        row, _ = self._open.pop(episode, (_NONE, -1))
        while row != _NONE:
            self._online[row] = self._prior[row] = False
            row = self._before[row]

    def _claim(self) -> int:
        """The next row to write; whatever followed its old content loses its first observation."""
        row = self._next
        orphan = self._after[row]
        if orphan != _NONE:
            self._before[orphan] = _NONE
            self._online[orphan] = self._prior[orphan] = False
        before = self._before[row]
        if before != _NONE:
            self._after[before] = _NONE
        for episode, (last, _) in list(self._open.items()):
            if last == row:
                self._open[episode] = (_NONE, self._open[episode][1])
        self._after[row] = _NONE
        self._used = max(self._used, row + 1)
        self._next = row + 1 if row + 1 < len(self._before) else self._first
        return row

    def holds(self, source: ReplaySource = "both") -> bool:
        """Whether there is anything to draw."""
        online, prior = self._online[: self._used].any(), self._prior[: self._used].any()
        return bool({"both": online or prior, "online": online, "prior": prior}[source])

    def online_rows(self) -> np.ndarray:
        """Rows that end an online transition."""
        return np.flatnonzero(self._online[: self._used])

    def prior_rows(self) -> np.ndarray:
        """Rows that end a transition of a demonstration or an intervention."""
        return np.flatnonzero(self._prior[: self._used])

    def sample(self, rng: np.random.Generator, batches: int, size: int, source: ReplaySource = "both") -> Transitions:
        """`batches` batches of `size` transitions. Of both kinds half each, or all of one where only it exists."""
        nothing = np.zeros(0, int)
        online = nothing if source == "prior" else self.online_rows()
        prior = nothing if source == "online" else self.prior_rows()
        if not len(online) and not len(prior):
            raise HilserlError("The replay holds no transition to sample yet.")
        half = size // 2 if len(online) and len(prior) else (size if len(prior) else 0)
        parts = []
        if half < size:
            parts.append(rng.choice(online, (batches, size - half)))
        if half:
            parts.append(rng.choice(prior, (batches, half)))
        return self.transitions(np.concatenate(parts, axis=1))

    def transitions(self, rows: np.ndarray) -> Transitions:
        """The transitions that end in these rows, with the rows' shape in front."""
        return self._store.transitions(self._before[rows], rows, self._prior[rows])
