"""Faults of a recording that hurt training."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from hilserl.datasets.source import EpisodeView, Source
from hilserl.errors import HilserlError

_LIMIT = 0.999
_SATURATED = 0.9
"""Part of the steps at a limit that counts as saturation."""
_FROZEN_STEPS = 5
_GAP = 1.5
"""Control steps between two rows from which one is missing."""
_COMMAND = 0.5


@dataclass(frozen=True)
class Finding:
    """A fault of an episode, or of the whole recording."""

    kind: str
    """Name of the fault, one of `KINDS`."""
    episode: str
    """Name of the episode; empty for the whole recording."""
    message: str

    def __str__(self) -> str:
        """Format as a line of text."""
        return f"{self.kind}: {self.episode or 'all episodes'}: {self.message}"


KINDS = {
    "unreadable": "a damaged file, or one that is no episode",
    "empty": "an episode without an action",
    "no-success": "a failed episode, or a recording without a success",
    "beyond-limits": "an action beyond [-1, 1]",
    "saturated": "an axis that is at its limit nearly all the time",
    "not-finite": "a state, an action or a reward that is NaN or infinite",
    "frozen-camera": "the same image for many steps while the arm moves",
    "time-gap": "rows whose times are more than a control step apart, or go backwards",
    "duplicate": "an episode that is there twice",
    "gripper-unused": "a gripper that is never told to open or to close",
    "image-size": "an image of another size than the first of its camera",
    "layout": "another action, state or set of cameras than the first episode has",
}


class Checker:
    """Finder of faults, one episode after the other.

    Args:
        control_dt_s: duration of a step; None if it is not known.
    """

    def __init__(self, control_dt_s: float | None) -> None:
        self._control_dt_s = control_dt_s
        self._digests: dict[bytes, str] = {}
        self._sizes: dict[str, tuple[int, ...]] = {}
        self._layout: tuple[object, ...] | None = None
        self._judged = self._successes = 0

    def episode(self, view: EpisodeView) -> Iterator[Finding]:
        """Yield the faults of an episode."""
        if not view.steps:
            yield Finding("empty", view.name, "it has no action.")
            return
        self._judged += view.success is not None
        self._successes += bool(view.success)
        if view.success is False:
            yield Finding("no-success", view.name, "it does not end as a success.")
        checks: tuple[Callable[[EpisodeView], Iterator[tuple[str, str]]], ...] = (
            self._layouts,
            _numbers,
            _limits,
            _grippers,
            self._times,
            self._duplicates,
            self._images,
        )
        for check in checks:
            for kind, message in check(view):
                yield Finding(kind, view.name, message)

    def recording(self) -> Iterator[Finding]:
        """Yield the faults of the whole recording, at its end."""
        if self._judged and not self._successes:
            yield Finding("no-success", "", f"none of {self._judged} episodes is a success.")

    def _layouts(self, view: EpisodeView) -> Iterator[tuple[str, str]]:
        size = None if view.state is None else view.state.shape[1]
        layout = view.action.shape[1], view.action_names, size, tuple(view.images)
        self._layout = self._layout or layout
        for what, found, first in zip(
            ("action size", "action", "state size", "cameras"), layout, self._layout, strict=True
        ):
            if found != first:
                yield "layout", f"its {what} is {found}; the first episode has {first}."

    def _times(self, view: EpisodeView) -> Iterator[tuple[str, str]]:
        if view.timestamps_s is None or self._control_dt_s is None or view.steps < 2:
            return
        gaps = np.diff(view.timestamps_s)
        wrong = np.flatnonzero((gaps > _GAP * self._control_dt_s) | (gaps <= 0))
        if len(wrong):
            row = int(wrong[0])
            yield "time-gap", f"{gaps[row]:.3f} s lie between rows {row} and {row + 1}; {len(wrong)} such places."

    def _duplicates(self, view: EpisodeView) -> Iterator[tuple[str, str]]:
        numbers = [view.action] if view.state is None else [view.action, view.state]
        digest = hashlib.sha256(b"".join(np.ascontiguousarray(values).tobytes() for values in numbers)).digest()
        first = self._digests.setdefault(digest, view.name)
        if first != view.name:
            yield "duplicate", f"its states and actions are those of {first}."

    def _images(self, view: EpisodeView) -> Iterator[tuple[str, str]]:
        moves = view.state is None or bool(np.ptp(view.state, axis=0).any())
        for camera, images in view.images.items():
            before, still, longest = None, 0, 0
            for image in images():
                if image.shape != self._sizes.setdefault(camera, image.shape):
                    yield "image-size", f"{camera} has {image.shape}, and {self._sizes[camera]} at first."
                    break
                still = still + 1 if before is not None and np.array_equal(before, image) else 0
                longest, before = max(longest, still), image
            if moves and longest >= _FROZEN_STEPS:
                yield "frozen-camera", f"{camera} shows one image for {longest + 1} steps in a row."


def _numbers(view: EpisodeView) -> Iterator[tuple[str, str]]:
    for what, values in (("state", view.state), ("action", view.action), ("reward", view.reward)):
        if values is not None and not np.isfinite(values).all():
            row = int(np.argwhere(~np.isfinite(values))[0][0])
            yield "not-finite", f"its {what} in row {row} is {values[row]}."


def _limits(view: EpisodeView) -> Iterator[tuple[str, str]]:
    for index in range(view.action.shape[1]):
        if index in view.grippers:
            continue
        name = view.action_names[index] if index < len(view.action_names) else f"number {index}"
        size = np.abs(view.action[:, index])
        if np.nanmax(size, initial=0) > 1 + 1e-4:
            yield "beyond-limits", f"the action {name} reaches {np.nanmax(size):.4g}; actions lie in [-1, 1]."
        elif (size >= _LIMIT).mean() >= _SATURATED:
            yield "saturated", f"the action {name} is at a limit in {100 * (size >= _LIMIT).mean():.0f} % of the steps."


def _grippers(view: EpisodeView) -> Iterator[tuple[str, str]]:
    for index in view.grippers:
        values = view.action[:, index]
        # Commands of any convention: signed ones stay small, classes and positions stay equal.
        if np.abs(values).max() < _COMMAND or np.ptp(values) == 0:
            yield "gripper-unused", f"the gripper (number {index} of the action) is never used."


def check_source(source: Source, on_episode: Callable[[EpisodeView], object]) -> Iterator[Finding]:
    """Yield the faults of a recording.

    Args:
        source: the recording.
        on_episode: told each episode that can be read, before its faults.
    """
    checker = Checker(source.control_dt_s)
    for view in source.episodes(images=True):
        if isinstance(view, HilserlError):
            yield Finding("unreadable", "", str(view))
            continue
        on_episode(view)
        yield from checker.episode(view)
    yield from checker.recording()
