"""Episodes as other programs store them: one row for each action."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

ImageStream = Callable[[], Iterator[np.ndarray]]
"""Function that decodes an episode's images in order.

Each is uint8 [height, width, 3]."""


@dataclass(frozen=True)
class Frames:
    """One episode of another program.

    Row t holds an observation with the action that followed it, and that action's reward.
    """

    episode: int
    """Number of the episode in its dataset."""
    task: str
    """Description of the task; empty if there is none."""
    columns: Mapping[str, np.ndarray]
    """Columns by name, each [rows] or [rows, n]."""
    images: Mapping[str, ImageStream] = field(default_factory=dict)
    """Images by name."""
    encoded: Mapping[str, pa.StructArray] = field(default_factory=dict)
    """The images that are stored as PNG files, by name."""
    last: Mapping[str, np.ndarray] = field(default_factory=dict)
    """State columns and images after the last action, by name.

    Empty if they are not stored."""

    @property
    def num_rows(self) -> int:
        """Number of actions."""
        return len(next(iter(self.columns.values())))
