"""Divergence of a training: suspicious episodes, and the way on."""

import numpy as np

from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Transitions
from hilserl.errors import HilserlError
from hilserl.runs.checkpoint import steps_in
from hilserl.runs.run_dir import RunDir

DEMONSTRATION, OTHER_RUN = -1, -2
"""Numbers of episodes that the run itself has not seen."""
_UNSEEN = {DEMONSTRATION: "the demonstrations", OTHER_RUN: "the run that this one started from"}
_NAMED = 3
"""Episodes that a divergence names."""


class DivergenceError(HilserlError):
    """A loss that is no longer a finite number."""


def named_suspects(spec: ExperienceSpec, batches: Transitions, episodes: np.ndarray) -> str:
    """Name the episodes with the most extreme numbers in some batches.

    Args:
        spec: layout of the experience.
        batches: transitions that the update step learned from.
        episodes: episode of each transition, int, with the batches' shape.
    """
    layout = spec.state
    states = [np.asarray(each["state"]) for each in (batches.observation, batches.next_observation)]
    sizes = [np.abs((state - layout.centre) / layout.scale).max(axis=-1, initial=0) for state in states]
    largest = np.maximum.reduce([*sizes, np.abs(batches.reward)]).ravel()
    worst = {int(each): float(largest[episodes.ravel() == each].max()) for each in np.unique(episodes)}
    named = [
        f"{_UNSEEN.get(episode, f'episode {episode}')} (up to {size:.3g})"
        for episode, size in sorted(worst.items(), key=lambda item: -item[1])[:_NAMED]
    ]
    return f"The most extreme numbers of its batches, in nominal ranges, are of {', '.join(named)}."


def way_on(run_dir: RunDir) -> str:
    """Say how to go on after a divergence."""
    steps, path = steps_in(run_dir.checkpoints), run_dir.path
    last = f"The last good checkpoint is {run_dir.checkpoints / str(steps[-1])}." if steps else ""
    return (
        f"{last or 'There is no checkpoint yet.'} Look at the episodes with: hilserl runs check {path}; set a bad one "
        f"aside with: hilserl runs quarantine {path} EPISODE; then resume."
    )
