"""Hands at the keys of the console and at a gamepad's sticks."""

from abc import abstractmethod
from collections import deque
from dataclasses import replace

import numpy as np
from typing_extensions import override

from hilserl.data.spec import ActionLayout
from hilserl.envs.env import Supervision
from hilserl.operators.action_axes import ActionKind, ArmAxes, driven_axes, kinds_along
from hilserl.operators.devices.key_map import KEYS, SPEED, key_motion
from hilserl.operators.hands import FreeHands, Hands, HandsConfig
from hilserl.operators.takeover import GripperRequest

_LEAST_WAY = 0.1
"""Way in full steps below which a person leaves an axis alone."""
_CORRECTED = (0.7, 1.1)
"""Range of the allowed part of own motion not seen yet."""
_SPEED_KEYS: dict[float, list[str]] = {
    SPEED: [],
    **{key.speed: [key.name] for key in reversed(KEYS) if key.speed is not None},
}
"""The key beside the others that gives each speed."""
_SLOW = min(_SPEED_KEYS)
"""Speed of the keys while slow is held."""
_BLOCKED = 0.3
"""Least effect of a motion on a free way, as a part."""
_STICK_GAIN = 0.4
"""Deflection of a stick for one full step of way."""
_STICK_FOLLOWS = 0.5
"""Part of the way to a new deflection in one step.

In a throw it goes all of it."""
_DRIFT_KEEPS = 0.95
"""Part of a thumb's drift that is left after one step."""


class RemoteHands(Hands):
    """Hands at a device.

    They respond to what was there some steps ago, corrected by what they did since.
    """

    def __init__(self, task: Supervision, layout: ActionLayout, config: HandsConfig) -> None:
        kinds = {kind for axis in driven_axes(layout) for kind in kinds_along(axis, layout)}
        self._moves_tool = not kinds & {ActionKind.FORCE, ActionKind.TORQUE}
        if not self._moves_tool:
            # A throw is known by heart: nobody could steer it by what they saw a third of a second ago.
            steps = config.decision_steps
            errors = {"wrong": config.wrong / steps, "pause": config.pause / steps}
            config = replace(config, delay_steps=0, decision_steps=1, **errors)
        super().__init__(task, layout, config)

    @override
    def _restart(self) -> None:
        window = max(1, self.config.delay_steps)
        self._ways: deque[np.ndarray] = deque(maxlen=2 * window + 1)
        self._moves: deque[np.ndarray] = deque(maxlen=2 * window)
        self._due: list[tuple[GripperRequest, int] | None] = [None] * len(self.layout.grippers)
        self._rests = [0] * len(self.layout.grippers)

    @override
    def watch(self) -> None:
        self._ways.append(self.task.expert_way())
        self._moves.clear()
        self._due = [None] * len(self._due)

    @override
    def drive(self) -> tuple[np.ndarray, tuple[GripperRequest, ...]]:
        self._ways.append(self.task.expert_way())
        motion = self._move()
        self._moves.append(motion)
        whole = np.zeros(self.layout.size)
        whole[list(self.layout.continuous)] = motion
        action = self.task.to_action(whole)[list(self.layout.continuous)]
        return action, tuple(self._request(index) for index in range(len(self.layout.grippers)))

    @abstractmethod
    def _move(self) -> np.ndarray:
        """Return the motion of this step along the world's axes, float64 [n]."""

    @property
    def _seen(self) -> np.ndarray:
        """The way as it was some steps ago, float64 [n]."""
        return self._ways[max(0, len(self._ways) - 1 - self.config.delay_steps)]

    def _blocked(self) -> np.ndarray:
        """Find the axes on which motions had no effect, bool [n].

        Only motions whose effect is seen by now count.
        """
        window = self.config.delay_steps
        if not window or len(self._moves) < 2 * window or len(self._ways) <= 2 * window:
            return np.zeros(len(self.layout.continuous), bool)
        moved = np.sum(list(self._moves)[:window], axis=0)
        gained = (self._ways[0] - self._ways[window])[list(self.layout.continuous)]
        return (np.abs(moved) > _LEAST_WAY) & (gained * np.sign(moved) < _BLOCKED * np.abs(moved))

    def _judged_way(self) -> np.ndarray:
        """Judge the way that is left, float64 [n] in full steps.

        Wrenches are as the script's.
        """
        way = self._seen[list(self.layout.continuous)]
        recent = list(self._moves)[-self.config.delay_steps :] if self.config.delay_steps else []
        unseen = self.rng.uniform(*_CORRECTED) * np.sum([np.zeros_like(way), *recent], axis=0)
        error = 1.0 + self.config.misjudged * self.rng.standard_normal(way.shape)
        return (way - np.where(self._blocked(), 0.0, unseen)) * error

    def _request(self, index: int) -> GripperRequest:
        """Return the request to a gripper.

        It is what was wanted, some steps late, then nothing until the effect is seen.
        """
        if self._rests[index]:
            self._rests[index] -= 1
            return GripperRequest.HOLD
        wanted, due = GripperRequest(round(self._seen[self.layout.grippers[index]])), self._due[index]
        if due is None:
            if wanted is GripperRequest.HOLD:
                return wanted
            due = wanted, int(self.rng.integers(self.config.gripper_delay_steps + 1))
        request, steps = due
        if steps:
            self._due[index] = request, steps - 1
            return GripperRequest.HOLD
        self._due[index], self._rests[index] = None, self.config.delay_steps
        return request


class KeyHands(RemoteHands):
    """Hands at the keys of the console. They drive one arm at a time."""

    @override
    def _restart(self) -> None:
        super()._restart()
        self._arm = self.arms[0]
        self._held: dict[str, int] = {}
        self._speed = SPEED
        self._steps_left = 0

    @override
    def watch(self) -> None:
        super().watch()
        self._held, self._steps_left = {}, 0

    @override
    def _move(self) -> np.ndarray:
        if not self._steps_left:
            self._decide()
        self._steps_left -= 1
        held = [name for name, steps in self._held.items() if steps > 0]
        self._held = {name: steps - 1 for name, steps in self._held.items()}
        return self._arm.action(key_motion([*held, *_SPEED_KEYS[self._speed]], self.layout))

    def _decide(self) -> None:
        """Choose the keys to hold until the next decision."""
        config, self._steps_left = self.config, self.config.decision_steps
        if self.rng.random() < config.pause:
            self._held, self._steps_left = {}, int(self.rng.integers(5, 16))
            return
        way = self._judged_way()
        self._choose_arm(way)
        ways = {axis: float(way[index]) for axis, index in self._arm.axes.items()}
        furthest = max(map(abs, ways.values()), default=0.0)
        if self._moves_tool:
            self._speed = _SLOW if furthest < config.decision_steps * SPEED else SPEED
        else:
            self._speed = min(_SPEED_KEYS, key=lambda speed: abs(speed - furthest))
        self._held = self._keys(ways)
        if self.rng.random() < config.wrong:
            self._err()

    def _choose_arm(self, way: np.ndarray) -> None:
        """Stay with an arm that has something to do."""

        def is_busy(arm: ArmAxes) -> bool:
            return any(abs(way[index]) > 2 * _LEAST_WAY for index in arm.axes.values())

        if not is_busy(self._arm):
            self._arm = next((arm for arm in self.arms if is_busy(arm)), self._arm)

    def _keys(self, ways: dict[str, float]) -> dict[str, int]:
        """Return how many steps to hold which keys, give or take one."""
        held = {}
        for key in KEYS:
            if key.moves is None or ways.get(key.moves[0], 0.0) * key.moves[1] < _LEAST_WAY:
                continue
            steps = round(abs(ways[key.moves[0]]) / self._speed) + int(self.rng.integers(-1, 2))
            held[key.name] = max(0, steps) if self._moves_tool else 1
        return held

    def _err(self) -> None:
        """Leave one key out, or press another one."""
        if self._held and self.rng.random() < 0.5:
            del self._held[str(self.rng.choice(list(self._held)))]
            return
        axes = [key.name for key in KEYS if key.moves is not None and key.moves[0] in self._arm.axes]
        self._held[str(self.rng.choice(axes))] = self.config.decision_steps


class StickHands(RemoteHands):
    """Thumbs on a gamepad's sticks, whose rest position drifts."""

    @override
    def _restart(self) -> None:
        super()._restart()
        self._deflection = np.zeros(len(self.layout.continuous))
        self._drift = np.zeros(len(self.layout.continuous))

    @override
    def watch(self) -> None:
        super().watch()
        self._deflection[:] = 0.0

    @override
    def _move(self) -> np.ndarray:
        config, way = self.config, self._judged_way()
        wanted = _STICK_GAIN * way if self._moves_tool else way
        wanted = np.clip(wanted, -config.max_speed, config.max_speed)
        self._deflection += (_STICK_FOLLOWS if self._moves_tool else 1.0) * (wanted - self._deflection)
        fresh = np.sqrt(1 - _DRIFT_KEEPS**2) * self.rng.standard_normal(way.shape)
        self._drift = _DRIFT_KEEPS * self._drift + config.noise * fresh
        return self._deflection + self._drift


_HANDS: dict[str, type[Hands]] = {"free": FreeHands, "keys": KeyHands, "stick": StickHands}


def make_hands(task: Supervision, layout: ActionLayout, config: HandsConfig) -> Hands:
    """Make the hands of an operator at a device."""
    return _HANDS[config.device](task, layout, config)
