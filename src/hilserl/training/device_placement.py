"""Placement of the learner's arrays on the devices that JAX sees.

With several devices each holds the whole agent, and every batch is split among them: each device computes the gradients
of its part, and XLA adds them up. The update step is compiled for the placement of its arrays and does not mention
devices itself. Except for rounding, several devices learn the same as one.
"""

import functools
from collections.abc import Sequence
from typing import Any, Protocol

import equinox as eqx
import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec, Sharding
from typing_extensions import override

from hilserl.agents.agent import Agent
from hilserl.data.replay import Columns, Gathered, HostStorage, ReplayStorage
from hilserl.data.step import Step, Transitions
from hilserl.errors import HilserlError

_BATCH = "batch"
_BLOCK = 256
"""Steps sent to a device at a time. The copy on the way takes only 25 MB of images."""


class JaxDevice(Protocol):
    """The part of a JAX device that placement uses."""

    @property
    def platform(self) -> str:
        """Kind of device: `cpu`, `gpu` or `tpu`."""
        ...

    def memory_stats(self) -> dict[str, int] | None:
        """Return memory figures in bytes by name, if the device has them."""
        ...


class Placement:
    """Placement of one learner's arrays.

    With one device the agent and its batches stay where they were made.

    Args:
        devices: the devices that learn, `jax.devices()`.
        batch_size: transitions in a batch; each device takes an equal part.
        replay_on_device: True to keep replay on the devices, False to keep it on the host; by default their memory
            decides.

    Raises:
        HilserlError: a batch cannot be split evenly.
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
        """Return the agent, whole on every device."""
        whole = self._whole

        def placed(leaf: Any) -> Any:
            # Compared first: XLA leaves results where they should be, and a move to the same place takes time.
            return jax.device_put(leaf, whole) if eqx.is_array(leaf) and leaf.sharding != whole else leaf

        return agent if whole is None else jax.tree.map(placed, agent)

    def batches(self, batches: Transitions) -> Transitions:
        """Split batches with leading axes [utd_ratio, batch] among the devices."""
        return batches if self._split is None else jax.device_put(batches, self._split)

    def store(self, columns: Columns) -> ReplayStorage:
        """Create the storage of a replay's columns."""
        if self.keeps_replay_on_device(columns.nbytes):
            return DeviceStorage(columns, self._whole)
        return HostStorage(columns)

    def keeps_replay_on_device(self, nbytes: int) -> bool:
        """True if a replay fits into half of each device's memory.

        The other half is for the agent and what its updates compute. A device without memory figures counts as full.
        The CPU's memory is the host's, where NumPy is faster.
        """
        if self._replay_on_device is not None:
            return self._replay_on_device
        return all(2 * nbytes <= _free_bytes(device) for device in self._devices)


def _free_bytes(device: JaxDevice) -> int:
    stats = None if device.platform == "cpu" else device.memory_stats()
    return stats["bytes_limit"] - stats["bytes_in_use"] if stats and "bytes_limit" in stats else 0


class DeviceStorage(ReplayStorage):
    """A replay's columns in device memory, whole on each device.

    Args:
        columns: shapes and types of the columns; all zero.
        sharding: the devices; None means JAX's default device.
    """

    def __init__(self, columns: Columns, sharding: Sharding | None = None) -> None:
        self._columns: Columns = jax.tree.map(lambda c: jax.numpy.zeros(c.shape, c.dtype, device=sharding), columns)

    @property
    @override
    def nbytes(self) -> int:
        """Memory of the columns on one device, in bytes."""
        return self._columns.nbytes

    @override
    def write(self, row: int, steps: Sequence[Step]) -> None:
        for start in range(0, len(steps), _BLOCK):
            block = _stacked(steps[start : start + _BLOCK], self._columns)
            self._columns = _written(self._columns, row + start, block)

    @override
    def gather(self, before: np.ndarray, rows: np.ndarray) -> Gathered:
        return _gather(self._columns, before, rows)


def _stacked(steps: Sequence[Step], like: Columns) -> Columns:
    """Stack steps as rows of the columns' types, still on the host."""
    return Columns(
        {name: np.array([s.observation[name] for s in steps], c.dtype) for name, c in like.observation.items()},
        np.array([s.action for s in steps], like.action.dtype),
    )


@functools.partial(jax.jit, donate_argnums=0)
def _written(columns: Columns, row: int, block: Columns) -> Columns:
    """Write rows in place. The columns are donated, so that XLA does not copy the whole storage."""
    return jax.tree.map(lambda c, new: jax.lax.dynamic_update_slice_in_dim(c, new, row, 0), columns, block)


_gather = jax.jit(Columns.gather)
