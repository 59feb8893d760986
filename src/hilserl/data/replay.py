"""Ring of steps from which batches are drawn, half online, half prior.

Each observation is stored once. A row is one `Step`. A transition is a row together with the row before it in the *same
episode*. An explicit link between the two keeps a transition from joining two episodes, two moments of one episode, or
two writes of one row.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from typing_extensions import override

from hilserl.data.hindsight import Hindsight, ImitatedActions, Returns
from hilserl.data.spec import ExperienceSpec, count_changes
from hilserl.data.step import Step, Transitions
from hilserl.errors import HilserlError

_NONE = -1
_NO_HINDSIGHT = Hindsight()
ReplaySource = Literal["both", "online", "prior"]
"""Source of batches: online, prior, or half of each.

An intervened step is in both."""


class Gathered(NamedTuple):
    """Observations and actions of a batch.

    The shape of the rows gives the leading axes.
    """

    observation: dict[str, Any]
    """Observation before the action."""
    action: Any
    next_observation: dict[str, Any]
    """Observation after the action."""


class Columns(NamedTuple):
    """Observations and actions of many steps in arrays of NumPy or JAX."""

    observation: dict[str, Any]
    """State with images or features by name.

    `state` is float32 [rows, n], images are uint8 [rows, height, width, 3], features float16 [rows, *shape]."""
    action: Any
    """Action, float32 [rows, m]."""

    @property
    def nbytes(self) -> int:
        """Memory of all columns in bytes."""
        return sum(column.nbytes for column in (*self.observation.values(), self.action))

    def gather(self, before: Any, rows: Any) -> Gathered:
        """Gather the transitions from the rows `before` to `rows`.

        Args:
            before: rows of the observations, int [...].
            rows: rows of the actions and next observations, int [...].

        """
        return Gathered(
            {name: column[before] for name, column in self.observation.items()},
            self.action[rows],
            {name: column[rows] for name, column in self.observation.items()},
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

    def gather(self, before: np.ndarray, rows: np.ndarray) -> Gathered:
        """Gather transitions like `Columns.gather`."""
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
            columns.action[at] = step.action

    @override
    def gather(self, before: np.ndarray, rows: np.ndarray) -> Gathered:
        return self._columns.gather(before, rows)


class _OpenEpisode(NamedTuple):
    """The last step of an episode that may get more."""

    row: int
    number: int
    commands: np.ndarray
    """The grippers' commands after the step."""
    leading: tuple[int, ...] = ()
    """Rows of the operator's last motions."""

    def without(self, row: int) -> "_OpenEpisode":
        """Return the episode as it is after this row has been claimed."""
        last = _NONE if self.row == row else self.row
        return self._replace(row=last, leading=tuple(other for other in self.leading if other != row))


_NO_EPISODE = _OpenEpisode(_NONE, -1, np.zeros(0, np.float32))


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
        hindsight: how returns and imitated actions are computed from the steps that followed.
    """

    def __init__(
        self,
        spec: ExperienceSpec,
        capacity: int,
        prior: Iterable[Step] = (),
        features: dict[str, tuple[int, ...]] | None = None,
        make_storage: Callable[[Columns], ReplayStorage] = HostStorage,
        hindsight: Hindsight = _NO_HINDSIGHT,
    ) -> None:
        demonstrations = list(prior)
        self._first = len(demonstrations)
        rows = self._first + capacity
        if capacity < 2:
            raise HilserlError(f"A replay of {capacity} steps cannot hold one transition; it needs at least 2.")
        self._storage = make_storage(_empty_columns(spec, rows, features))
        self._spec = spec
        self._returns = Returns(rows, hindsight.discount, spec.state.size)
        self._imitated = ImitatedActions(rows, spec.action, hindsight.motions)
        self._episode = np.zeros(rows, np.int64)
        self._terminated = np.zeros(rows, bool)
        self._online = np.zeros(rows, bool)
        self._prior = np.zeros(rows, bool)
        self._before = np.full(rows, _NONE)
        self._after = np.full(rows, _NONE)
        self._open: dict[int, _OpenEpisode] = {}
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
        links = (self._episode, self._terminated, self._online, self._prior, self._before, self._after)
        return sum(part.nbytes for part in (self._storage, self._returns, self._imitated, *links))

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
        last = self._open.pop(step.episode, _NO_EPISODE)
        if step.index != last.number + 1:
            expected = f"step {last.number + 1}" if last.row != _NONE else "a reset"
            raise HilserlError(f"Episode {step.episode}: step {step.index} came where {expected} was expected.")
        row = self._claim()
        last = last.without(row)
        before = last.row
        linked = before != _NONE
        self._before[row] = before
        self._online[row], self._prior[row] = online and linked, prior and linked
        if linked:
            self._after[before] = row
        self._episode[row], self._terminated[row] = step.episode, step.terminated
        changes = count_changes(last.commands, step.action[list(self._spec.action.grippers)])
        self._returns.write(row, step.reward, changes)
        leading = self._imitated.write(row, step.action, last.leading, demonstrated=linked and prior, ends=changes > 0)
        if step.terminated:
            rows = np.array([*self._back_from(row)])
            self._returns.look_back(rows, step.observation["state"] if step.success else None)
        if not step.ends_episode:
            commands = step.observation["state"][self._spec.gripper_state]
            self._open[step.episode] = _OpenEpisode(row, step.index, commands, leading)
        return row

    def _back_from(self, row: int) -> Iterator[int]:
        """Yield an episode's rows from this one back."""
        while row != _NONE:
            yield row
            row = self._before[row]

    def end(self, episode: int) -> None:
        """Close an episode that gets no more steps."""
        self._open.pop(episode, None)

    def forget(self, episode: int) -> None:
        """Exclude an unfinished episode from batches.

        Its rows are overwritten in their turn.
        """
        for row in self._back_from(self._open.pop(episode, _NO_EPISODE).row):
            self._online[row] = self._prior[row] = False

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
        for episode, last in list(self._open.items()):
            self._open[episode] = last.without(row)
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
        """Gather the transitions of the rows that `draw` returns."""
        return self.transitions(self.draw(rng, batches, size, source))

    def draw(self, rng: np.random.Generator, batches: int, size: int, source: ReplaySource = "both") -> np.ndarray:
        """Draw the rows of batches, half online and half prior.

        If only one kind exists, or the source is one kind, the batches are of that kind alone.

        Args:
            rng: generator that decides the rows.
            batches: number of batches.
            size: transitions in a batch.
            source: kinds of transitions to draw.

        Returns:
            Rows that end a transition, int [batches, size].

        Raises:
            HilserlError: the source has no transition yet.
        """
        nothing = np.zeros(0, int)
        online = nothing if source == "prior" else self.online_rows()
        prior = nothing if source == "online" else self.prior_rows()
        if not len(online) and not len(prior):
            raise HilserlError("The replay holds no transition to sample yet.")
        return _halves(rng, online, prior, (batches, size))

    def episodes_of(self, rows: np.ndarray) -> np.ndarray:
        """Return the episode of each row, int [...]; -1 for demonstrations."""
        return np.where(rows < self._first, -1, self._episode[rows])

    def transitions(self, rows: np.ndarray) -> Transitions:
        """Gather the transitions that end in these rows.

        The rows' shape gives the leading axes.
        """
        gathered = self._storage.gather(self._before[rows], rows)
        after = self._after[rows]
        return Transitions(
            observation=gathered.observation,
            action=gathered.action,
            imitated=self._imitated.gather(rows),
            next_observation=gathered.next_observation,
            # A time limit says nothing about the value of the next state, so only termination stops the bootstrap.
            bootstrap=1.0 - self._terminated[rows].astype(np.float32),
            demonstrated=self._prior[rows],
            taken_over=(after != _NONE) & self._prior[after] & ~self._prior[rows],
            **self._returns.gather(rows),
        )


def _empty_columns(spec: ExperienceSpec, rows: int, features: dict[str, tuple[int, ...]] | None) -> Columns:
    observation = {"state": np.zeros((rows, spec.state.size), np.float32)}
    if features is None:
        observation |= {name: np.zeros((rows, *shape), np.uint8) for name, shape in spec.images}
    else:
        observation |= {name: np.zeros((rows, *shape), np.float16) for name, shape in features.items()}
    return Columns(observation, np.zeros((rows, spec.action.size), np.float32))


def _halves(rng: np.random.Generator, online: np.ndarray, prior: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Draw half of each batch from each kind, or all from one."""
    batches, size = shape
    half = size // 2 if len(online) and len(prior) else (size if len(prior) else 0)
    parts = []
    if half < size:
        parts.append(rng.choice(online, (batches, size - half)))
    if half:
        parts.append(rng.choice(prior, (batches, half)))
    return np.concatenate(parts, axis=1)
