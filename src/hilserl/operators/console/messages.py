"""Messages between the control loop and the viewer's thread.

Snapshots replace each other and may be dropped. Events all arrive, in order (mujoco.studio.messages).
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from mujoco.studio import messages

from hilserl.operators.devices.key_map import Command


@dataclass(frozen=True)
class OperatorInput(messages.Event):
    """The operator's held keys and dragged goal.

    It is sent at every change, so that the shortest tap arrives.
    """

    held: frozenset[str] = frozenset()
    """Dear ImGui's names of the held keys."""
    goal_m: tuple[float, float, float] | None = None
    """Position of the dragged target marker, in metres (world frame)."""
    goal_arm: str = ""
    """Name of the arm whose tool the marker leads."""


@dataclass(frozen=True)
class CommandRequest(messages.Event):
    """A command by a key or a button of the panel."""

    command: Command


@dataclass(frozen=True)
class Presence(messages.Snapshot):
    """The presence of the operator, sent at every UI tick."""

    present: bool
    """True if the page or window answers."""
    at_s: float
    """Time of the message, in seconds (monotonic)."""


@dataclass(frozen=True)
class Curve:
    """One line of a live plot."""

    name: str
    x: np.ndarray
    y: np.ndarray


@dataclass(frozen=True)
class ConsoleStatus(messages.Snapshot):
    """The texts and numbers of the panel."""

    control: Literal["policy", "human", "paused"] = "paused"
    title: str = ""
    """The source of control, in large letters."""
    headline: str = ""
    message: str = ""
    outcome: str = ""
    """Result of the last episode."""
    success: bool = False
    """True if the last episode was a success."""
    advice: tuple[str, ...] = ()
    """Lines that help the operator to decide on a takeover."""
    advises_takeover: bool = False
    """True if the operator should take over now."""
    facts: tuple[tuple[str, str], ...] = ()
    """Pairs of name and value, in order."""
    plots: tuple[tuple[str, tuple[Curve, ...]], ...] = ()
    """Pairs of title and lines, in order."""


@dataclass(frozen=True)
class CameraImages(messages.Snapshot):
    """The images of the policy's cameras, each uint8 [height, width, 3]."""

    images: dict[str, np.ndarray] = field(default_factory=dict)
    scene: np.ndarray | None = None
    """Image in place of the 3D scene, uint8 [height, width, 3]."""


@dataclass(frozen=True)
class DriveState(messages.Snapshot):
    """The driven arm and the source of control."""

    tcp_m: tuple[float, float, float]
    """Position of the chosen arm's tool, in metres (world frame)."""
    driven: bool
    """True if the operator drives."""
    smooth: bool
    """True if the scene must move smoothly."""
    arm: str = ""
    """Name of the chosen arm."""
