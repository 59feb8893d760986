"""What crosses between the loop and the viewer, which runs in a thread of its own.

Snapshots replace each other and may be dropped; events arrive all, and in order (mujoco.studio.messages).
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from mujoco.studio import messages

from hilserl.operators.devices.key_map import Command


@dataclass(frozen=True)
class OperatorInput(messages.Event):
    """What the person holds now; sent when it changes, so that the shortest tap arrives."""

    held: frozenset[str] = frozenset()
    """Dear ImGui's names of keys."""
    goal_m: tuple[float, float, float] | None = None
    """Where a dragged target stands (world frame)."""
    goal_arm: str = ""
    """The name of the arm whose tool is to go there."""


@dataclass(frozen=True)
class CommandRequest(messages.Event):
    """A command asked for by a key or a button."""

    command: Command


@dataclass(frozen=True)
class Presence(messages.Snapshot):
    """Sent every frame: whether the person's page or window answers, and when that was so (seconds, monotonic)."""

    present: bool
    at_s: float


@dataclass(frozen=True)
class Curve:
    """One line of a live plot."""

    name: str
    x: np.ndarray
    y: np.ndarray


@dataclass(frozen=True)
class ConsoleStatus(messages.Snapshot):
    """All that the panel shows in words and numbers."""

    control: Literal["policy", "human", "paused"] = "paused"
    title: str = ""
    """The same in large letters."""
    headline: str = ""
    message: str = ""
    outcome: str = ""
    """How the last episode ended."""
    success: bool = False
    """Whether that was a success."""
    advice: tuple[str, ...] = ()
    """What a person deciding to take over would want to know."""
    facts: tuple[tuple[str, str], ...] = ()
    """(what, how much) in order."""
    plots: tuple[tuple[str, tuple[Curve, ...]], ...] = ()
    """(title, its lines) in order."""


@dataclass(frozen=True)
class CameraImages(messages.Snapshot):
    """What the policy's cameras see, each uint8 [height, width, 3]."""

    images: dict[str, np.ndarray] = field(default_factory=dict)
    drawing: np.ndarray | None = None
    """What stands in the place of a scene, uint8 [height, width, 3]."""


@dataclass(frozen=True)
class DriveState(messages.Snapshot):
    """Where the chosen arm's tool is (world frame, metres), whether a person drives, and whether the picture should be
    smooth."""

    tcp_m: tuple[float, float, float]
    driven: bool
    smooth: bool
    arm: str = ""
