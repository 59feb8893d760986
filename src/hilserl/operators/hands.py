"""Settings and base class of a simulated operator's hands, and free hands."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import numpy as np
from typing_extensions import override

from hilserl.data.spec import ActionLayout
from hilserl.envs.env import Supervision
from hilserl.operators.action_axes import arm_axes
from hilserl.operators.takeover import GripperRequest
from hilserl.settings import AtLeastOne, Count, Fraction, NotNegative, Rate, check_settings

_ARC = 0.7
"""Sideways motion of an arc, as a part of the way's."""
_ARC_ENDS = 3.0
"""Way in full steps at which an arc turns to the goal."""


@dataclass(frozen=True)
class HandsConfig:
    """Eyes and hands of a simulated operator. A control step lasts 0.1 s."""

    device: Literal["free", "keys", "stick"] = "free"
    """Input device.
    free moves the tool directly, keys presses those of the console's key map, stick deflects a gamepad's."""
    max_speed: Rate = 0.8
    """Fastest motion as a part of a full action. For a free hand and a stick."""
    noise: NotNegative = 0.15
    """Standard deviation of tremor or drift, in full actions.
    A free hand trembles, a stick's rest position drifts."""
    delay_steps: Count = 0
    """Age in steps of what keys and stick respond to."""
    misjudged: NotNegative = 0.0
    """Standard deviation of a judged distance, as a part of it. For keys and stick."""
    decision_steps: AtLeastOne = 1
    """Steps between decisions which keys to hold, or how to err."""
    wrong: Fraction = 0.0
    """Probability that a decision is wrong.
    A wrong key is pressed or one is missing; a free hand goes in a random direction."""
    pause: Fraction = 0.0
    """Probability of a decision to rest for 5 to 15 steps. For keys."""
    gripper_delay_steps: Count = 0
    """Longest delay of a gripper request, in steps. For keys and stick."""
    arcs: bool = False
    """True for ways that lead in an arc. For a free hand.
    Chance decides for each episode if it goes by the left or by the right."""

    def __post_init__(self) -> None:
        check_settings(self)


class Hands(ABC):
    """Hands that drive a task's arms.

    Args:
        task: the script whose way the hands follow.
        layout: layout of the actions.
        config: eyes and hands.
    """

    def __init__(self, task: Supervision, layout: ActionLayout, config: HandsConfig) -> None:
        self.task, self.layout, self.config = task, layout, config
        self.arms = arm_axes(layout)
        self.begin_episode(np.random.default_rng(0))

    def begin_episode(self, rng: np.random.Generator) -> None:
        """Start an episode with random draws of its own."""
        self.rng = rng
        self._restart()

    @abstractmethod
    def _restart(self) -> None:
        """Forget the episode before."""

    @abstractmethod
    def watch(self) -> None:
        """Look at the scene for one step without driving."""

    @abstractmethod
    def drive(self) -> tuple[np.ndarray, tuple[GripperRequest, ...]]:
        """Drive for one step.

        Returns:
            Continuous actions, float64 [n], and a request for each gripper.
        """


class FreeHands(Hands):
    """Hands that move the tool directly, with tremor."""

    @override
    def _restart(self) -> None:
        self._side = self.rng.choice([-1.0, 1.0]) if self.config.arcs else 0.0
        self.watch()

    @override
    def watch(self) -> None:
        self._steps = 0
        self._astray: np.ndarray | None = None

    @override
    def drive(self) -> tuple[np.ndarray, tuple[GripperRequest, ...]]:
        config, expert = self.config, self.task.expert_action()
        motion = config.max_speed * expert[list(self.layout.continuous)]
        if config.arcs:
            motion += config.max_speed * self._arc()
        if config.wrong and self._steps % config.decision_steps == 0:
            wrong = self.rng.random() < config.wrong
            self._astray = self.rng.uniform(-1.0, 1.0, motion.shape) if wrong else None
        self._steps += 1
        motion = motion if self._astray is None else config.max_speed * self._astray
        motion += config.noise * self.rng.standard_normal(motion.shape)
        return motion, tuple(GripperRequest(round(expert[i])) for i in self.layout.grippers)

    def _arc(self) -> np.ndarray:
        """Return the sideways part of an arc, horizontally across the way."""
        way = self.task.expert_way()[list(self.layout.continuous)]
        aside = np.zeros_like(way)
        for arm in self.arms:
            if "x" not in arm.axes or "y" not in arm.axes:
                continue
            x, y = arm.axes["x"], arm.axes["y"]
            length = float(np.hypot(way[x], way[y]))
            if length > _ARC_ENDS:
                aside[[x, y]] = self._side * _ARC * np.array([-way[y], way[x]]) / length
        return aside
