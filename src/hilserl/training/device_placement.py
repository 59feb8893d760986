"""Where the learner's arrays live: the agent and its batches over every device that JAX sees, replay beside them.

With several devices the agent is on each of them whole and every batch is split among them, so that each computes the
gradients of its part and XLA adds them up. A round is compiled for where its arrays are and says nothing of devices
itself; what is learned is what one device would learn, but for rounding.
"""

import functools
from collections.abc import Sequence
from typing import Any, Protocol

import equinox as eqx
import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec, Sharding

from hilserl.agents.agent import Agent
from hilserl.data.replay import Columns, HostStorage, ReplayStorage
from hilserl.data.step import Step, Transitions
from hilserl.errors import HilserlError

_BATCH = "batch"
_BLOCK = 256
"""Steps that go to a device at a time: few enough that their copy on the way, 25 MB of frames, does not matter."""


class JaxDevice(Protocol):
    """What is asked of one of JAX's devices."""

    @property
    def platform(self) -> str:
        """`cpu`, `gpu` or `tpu`."""
        ...

    def memory_stats(self) -> dict[str, int] | None:
        """Bytes by name, where the device tells."""
        ...


class Placement:
    """Decides it for one learner. With one device the agent and its batches stay where they were made.

    Args:
        devices: those that learn, `jax.devices()`.
        batch_size: transitions in a batch; each device takes an equal part.
        replay_on_device: whether replay is kept on the devices, where that is not to follow from their memory.
    """

    def __init__(self, devices: Sequence[JaxDevice], batch_size: int, *, replay_on_device: bool | None = None) -> None:
        if batch_size % len(devices):
            raise HilserlError(
                f"A batch of {batch_size} cannot be split evenly over the {len(devices)} devices that JAX sees; "
                f"make batch_size a multiple of {len(devices)}, or show JAX fewer (CUDA_VISIBLE_DEVICES)."
            )
        self._devices = tuple(devices)
        self._replay_on_device = replay_on_device
        self._whole: Sharding | None = None
        self._split: Sharding | None = None
        if len(devices) > 1:
            mesh = Mesh(np.array(devices), (_BATCH,))
            self._whole = NamedSharding(mesh, PartitionSpec())
            self._split = NamedSharding(mesh, PartitionSpec(None, _BATCH))

    def agent(self, agent: Agent) -> Agent:
        """The agent, whole on every device; one that already is comes back as it is."""
        whole = self._whole

        def placed(leaf: Any) -> Any:
            # Asked first, because XLA leaves a round's results where they should be, and moving nowhere takes its time.
            return jax.device_put(leaf, whole) if eqx.is_array(leaf) and leaf.sharding != whole else leaf

        return agent if whole is None else jax.tree.map(placed, agent)

    def batches(self, batches: Transitions) -> Transitions:
        """Batches with leading axes [utd_ratio, batch], each split among the devices."""
        return batches if self._split is None else jax.device_put(batches, self._split)

    def store(self, columns: Columns) -> ReplayStorage:
        """Where a replay keeps its columns; what `Replay` asks for."""
        if self.keeps_replay_on_device(columns.nbytes):
            return DeviceStorage(columns, self._whole)
        return HostStorage(columns)

    def keeps_replay_on_device(self, nbytes: int) -> bool:
        """Whether a replay of this size is kept there: it may take half of what every device has free.

        The other half is for the agent and what its updates compute. A device that does not tell has nothing free, and
        the CPU's memory is the host's, where NumPy is the quicker.
        """
        if self._replay_on_device is not None:
            return self._replay_on_device
        return all(2 * nbytes <= _free_bytes(device) for device in self._devices)


def _free_bytes(device: JaxDevice) -> int:
    stats = None if device.platform == "cpu" else device.memory_stats()
    return stats["bytes_limit"] - stats["bytes_in_use"] if stats and "bytes_limit" in stats else 0


class DeviceStorage:
    """A replay's columns in a device's memory, or whole in each of several, where the updates look at them.

    Args:
        columns: their shapes and types; all zero.
        sharding: of several devices, all of them; None means JAX's default device.
    """

    def __init__(self, columns: Columns, sharding: Sharding | None = None) -> None:
        self._columns: Columns = jax.tree.map(lambda c: jax.numpy.zeros(c.shape, c.dtype, device=sharding), columns)

    @property
    def nbytes(self) -> int:
        """Of one device."""
        return self._columns.nbytes

    def write(self, row: int, steps: Sequence[Step]) -> None:
        for start in range(0, len(steps), _BLOCK):
            block = _stacked(steps[start : start + _BLOCK], self._columns)
            self._columns = _written(self._columns, row + start, block)

    def transitions(self, before: np.ndarray, rows: np.ndarray, demonstrated: np.ndarray) -> Transitions:
        return _transitions(self._columns, before, rows, demonstrated)


def _stacked(steps: Sequence[Step], like: Columns) -> Columns:
    """Steps as rows of these columns' types, still on the host."""
    return Columns(
        {name: np.array([s.observation[name] for s in steps], c.dtype) for name, c in like.observation.items()},
        np.array([s.action for s in steps], like.action.dtype),
        np.array([s.reward for s in steps], like.reward.dtype),
        np.array([s.terminated for s in steps], like.terminated.dtype),
    )


@functools.partial(jax.jit, donate_argnums=0)
def _written(columns: Columns, row: int, block: Columns) -> Columns:
    """The columns are given away, so that the rows are written in place instead of into a copy of the whole store."""
    return jax.tree.map(lambda c, new: jax.lax.dynamic_update_slice_in_dim(c, new, row, 0), columns, block)


_transitions = jax.jit(Columns.transitions)
