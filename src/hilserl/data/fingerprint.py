"""Identity of an episode, whatever its file is called."""

import hashlib
import logging
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from hilserl.data.step import Step

_log = logging.getLogger(__name__)


def fingerprint(steps: Sequence[Step]) -> str:
    """Return a hash of an episode's observations, actions and seed.

    Number, labels and rewards of the episode may differ.
    """
    digest = hashlib.sha256(str(steps[0].seed).encode())
    for step in steps:
        for values in (step.action, *(step.observation[name] for name in sorted(step.observation))):
            digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()


def distinct(episodes: Iterable[Sequence[Step]]) -> Iterator[Sequence[Step]]:
    """Yield each episode once; warn of those that come again."""
    known: set[str] = set()
    repeated = 0
    for steps in episodes:
        before = len(known)
        known.add(fingerprint(steps))
        if len(known) > before:
            yield steps
        repeated += len(known) == before
    if repeated:
        _log.warning("%d episodes came more than once; each counts once.", repeated)
