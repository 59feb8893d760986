"""A ring of steps, each observation stored once, from which true transitions are drawn half online, half prior.

A row is one `Step`: what its action led to. A transition is a row together with the row before it in the *same
episode*, found through an explicit link, so it never joins two episodes, two moments of one, or two writes of one slot.
"""

from collections.abc import Iterable

import numpy as np

from hilserl.errors import HilserlError
from hilserl.experience import ExperienceSpec, Step, Transitions

_NONE = -1


class Replay:
    """Online steps and prior data (demonstrations and interventions) in one store.

    Of cameras it keeps the frames or, where `features` gives their names and shapes, float16 features instead of them.
    An intervened step belongs to both halves and is stored once. Demonstrations given to `add_prior` are never
    overwritten; everything else gives way, oldest first, when `capacity` online steps are full.
    """

    def __init__(
        self,
        spec: ExperienceSpec,
        capacity: int,
        prior: Iterable[Step] = (),
        features: dict[str, tuple[int, ...]] | None = None,
    ) -> None:
        demonstrations = list(prior)
        self._first = len(demonstrations)
        rows = self._first + capacity
        if capacity < 2:
            raise HilserlError(f"A replay of {capacity} steps cannot hold one transition; it needs at least 2.")
        self._observations = {"state": np.zeros((rows, spec.state.size), np.float32)}
        if features is None:
            self._observations |= {name: np.zeros((rows, *shape), np.uint8) for name, shape in spec.images}
        else:
            self._observations |= {name: np.zeros((rows, *shape), np.float16) for name, shape in features.items()}
        self._action = np.zeros((rows, spec.action.size), np.float32)
        self._reward = np.zeros(rows, np.float32)
        self._terminated = np.zeros(rows, bool)
        self._online = np.zeros(rows, bool)
        self._prior = np.zeros(rows, bool)
        self._before = np.full(rows, _NONE)
        self._after = np.full(rows, _NONE)
        self._open: dict[int, tuple[int, int]] = {}
        self._used = 0
        self._next = 0
        for step in demonstrations:
            self._write(step, online=False, prior=True)
        self._open.clear()

    def __len__(self) -> int:
        """Rows in use, resets included."""
        return self._used

    @property
    def nbytes(self) -> int:
        """Memory of the whole store once it is full."""
        arrays = (*self._observations.values(), self._action, self._reward, self._terminated)
        return sum(a.nbytes for a in (*arrays, self._online, self._prior, self._before, self._after))

    def add(self, step: Step) -> None:
        """Stores one online step. Steps of an episode come in order; episodes may interleave."""
        self._write(step, online=True, prior=step.intervened)

    def _write(self, step: Step, *, online: bool, prior: bool) -> None:
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
        for name, store in self._observations.items():
            store[row] = step.observation[name]
        self._action[row], self._reward[row], self._terminated[row] = step.action, step.reward, step.terminated
        linked = before != _NONE
        self._before[row] = before
        self._online[row], self._prior[row] = online and linked, prior and linked
        if linked:
            self._after[before] = row
        if not step.ends_episode:
            self._open[step.episode] = (row, step.index)

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
        self._next = row + 1 if row + 1 < len(self._reward) else self._first
        return row

    @property
    def holds_transitions(self) -> bool:
        """Whether there is anything to draw."""
        return bool(self._online[: self._used].any() or self._prior[: self._used].any())

    def online_rows(self) -> np.ndarray:
        """Rows that end an online transition."""
        return np.flatnonzero(self._online[: self._used])

    def prior_rows(self) -> np.ndarray:
        """Rows that end a transition of a demonstration or an intervention."""
        return np.flatnonzero(self._prior[: self._used])

    def sample(self, rng: np.random.Generator, batches: int, size: int) -> Transitions:
        """`batches` batches of `size` transitions, half online, half prior; all of one kind where only it exists."""
        online, prior = self.online_rows(), self.prior_rows()
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
        before = self._before[rows]
        return Transitions(
            observation={name: store[before] for name, store in self._observations.items()},
            action=self._action[rows],
            reward=self._reward[rows],
            next_observation={name: store[rows] for name, store in self._observations.items()},
            # A time limit says nothing about the value of the state it interrupts, so only termination counts.
            bootstrap=1.0 - self._terminated[rows].astype(np.float32),
        )
