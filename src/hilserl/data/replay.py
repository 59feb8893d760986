"""Ring of steps from which batches are drawn, half online, half prior.

Each observation is stored once. A row is one `Step`. A transition is a row together with the row before it in the *same
episode*. An explicit link between the two keeps a transition from joining two episodes, two moments of one episode, or
two writes of one row.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from typing_extensions import override

from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Step, Transitions
from hilserl.errors import HilserlError

_NONE = -1
ReplaySource = Literal["both", "online", "prior"]
"""Source of batches: online, prior, or half of each.

An intervened step is in both."""


class Columns(NamedTuple):
    """Columns of many steps in arrays of NumPy or JAX."""

    observation: dict[str, Any]
    """State with images or features by name.

    `state` is float32 [rows, n], images are uint8 [rows, height, width, 3], features float16 [rows, channels, rows,
    columns]."""
    action: Any
    """Action, float32 [rows, m]."""
    reward: Any
    """Reward, float32 [rows]."""
    terminated: Any
    """Termination, bool [rows]."""

    @property
    def nbytes(self) -> int:
        """Memory of all columns in bytes."""
        return sum(column.nbytes for column in (*self.observation.values(), self.action, self.reward, self.terminated))

    def transitions(self, before: Any, rows: Any, demonstrated: Any) -> Transitions:
        """Gather the transitions from the rows `before` to `rows`.

        Args:
            before: rows of the observations, int [...].
            rows: rows of the actions and next observations, int [...].
            demonstrated: True where the operator chose the action, bool [...].

        Returns:
            Transitions with the rows' shape as leading axes.
        """
        return Transitions(
            observation={name: column[before] for name, column in self.observation.items()},
            action=self.action[rows],
            reward=self.reward[rows],
            next_observation={name: column[rows] for name, column in self.observation.items()},
            # A time limit says nothing about the value of the next state, so only termination stops the bootstrap.
            bootstrap=1.0 - self.terminated[rows].astype(np.float32),
            demonstrated=demonstrated,
        )


class ReplayStorage(Protocol):
    """Storage of a replay's columns; the replay decides which rows hold what."""

    @property
    def nbytes(self) -> int:
        """Memory of the full columns in bytes."""
        ...

    def write(self, row: int, steps: Sequence[Step]) -> None:
        """Write steps to consecutive rows, from `row` on."""
        ...

    def transitions(self, before: np.ndarray, rows: np.ndarray, demonstrated: np.ndarray) -> Transitions:
        """Gather transitions like `Columns.transitions`."""
        ...


class HostStorage(ReplayStorage):
    """Storage in the host's memory, in arrays of NumPy."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns

    @property
    @override
    def nbytes(self) -> int:
        return self._columns.nbytes

    @override
    def write(self, row: int, steps: Sequence[Step]) -> None:
        columns = self._columns
        for at, step in enumerate(steps, row):
            for name, column in columns.observation.items():
                column[at] = step.observation[name]
            columns.action[at], columns.reward[at], columns.terminated[at] = step.action, step.reward, step.terminated

    @override
    def transitions(self, before: np.ndarray, rows: np.ndarray, demonstrated: np.ndarray) -> Transitions:
        return self._columns.transitions(before, rows, demonstrated)


class Replay:
    """Online steps and prior data (demonstrations and interventions) in one ring.

    An intervened step belongs to both halves and is stored once. The demonstrations given as `prior` are never
    overwritten; when `capacity` online steps are stored, each new one overwrites the oldest.

    Args:
        spec: layouts of state, action and images.
        capacity: online steps that fit, at least 2.
        prior: steps of demonstrations, whole episodes in order.
        features: names and shapes of float16 features to store instead of images; None stores images.
        make_storage: maker of the storage from its columns, all zero. Rows are drawn outside the storage, so batches
            do not depend on it.
    """

    def __init__(
        self,
        spec: ExperienceSpec,
        capacity: int,
        prior: Iterable[Step] = (),
        features: dict[str, tuple[int, ...]] | None = None,
        make_storage: Callable[[Columns], ReplayStorage] = HostStorage,
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
        self._storage = make_storage(Columns(observation, action, np.zeros(rows, np.float32), np.zeros(rows, bool)))
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
        self._storage.write(0, demonstrations)

    def __len__(self) -> int:
        """Count the rows in use, resets included."""
        return self._used

    @property
    def nbytes(self) -> int:
        """Memory of the full replay in bytes."""
        return self._storage.nbytes + sum(a.nbytes for a in (self._online, self._prior, self._before, self._after))

    def add(self, step: Step) -> None:
        """Store one online step.

        Steps of an episode come in order; episodes may interleave.

        Raises:
            HilserlError: the step does not follow its episode's last one.
        """
        self._storage.write(self._link(step, online=True, prior=step.intervened), [step])

    def _link(self, step: Step, *, online: bool, prior: bool) -> int:
        """Give a step a row, and link it to the step before."""
        if step.is_reset and not online:
            # A recorded episode may lack its end, and another recording may have the same number.
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
        """Close an episode that gets no more steps."""
        self._open.pop(episode, None)

    def forget(self, episode: int) -> None:
        """Exclude an unfinished episode from batches.

        Its rows are overwritten in their turn.
        """
        row, _ = self._open.pop(episode, (_NONE, -1))
        while row != _NONE:
            self._online[row] = self._prior[row] = False
            row = self._before[row]

    def _claim(self) -> int:
        """Return the next row to write, without its old links."""
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
        """True if the source has a transition to draw."""
        online, prior = self._online[: self._used].any(), self._prior[: self._used].any()
        return bool({"both": online or prior, "online": online, "prior": prior}[source])

    def online_rows(self) -> np.ndarray:
        """List the rows that end an online transition, int [n]."""
        return np.flatnonzero(self._online[: self._used])

    def prior_rows(self) -> np.ndarray:
        """List the rows that end a prior transition, int [n].

        These are of demonstrations and interventions.
        """
        return np.flatnonzero(self._prior[: self._used])

    def sample(self, rng: np.random.Generator, batches: int, size: int, source: ReplaySource = "both") -> Transitions:
        """Draw batches of transitions, half online and half prior.

        If only one kind exists, or the source is one kind, the batches are of that kind alone.

        Args:
            rng: generator that decides the rows.
            batches: number of batches.
            size: transitions in a batch.
            source: kinds of transitions to draw.

        Returns:
            Transitions with leading axes [batches, size].

        Raises:
            HilserlError: the source has no transition yet.
        """
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
        """Gather the transitions that end in these rows.

        The rows' shape gives the leading axes.
        """
        return self._storage.transitions(self._before[rows], rows, self._prior[rows])
