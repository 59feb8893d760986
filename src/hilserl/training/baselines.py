"""Baselines that HIL-SERL is compared with.

They are those of HIL-SERL's tables (arXiv 2410.21845, tables 1a and 1b): behaviour cloning, HG-DAgger, soft
actor-critic alone, and RLPD without an operator. There, too, the baselines had more demonstrations.
"""

import dataclasses

from hilserl.errors import HilserlError
from hilserl.training.config import TrainConfig

_MORE_DEMONSTRATIONS = 5
_VARIED = ("algorithm", "operator", "demos", "demonstrations", "seed")


def baseline_configs(base: TrainConfig, usual: TrainConfig) -> list[tuple[str, TrainConfig]]:
    """Return the configurations to compare, each with its label.

    They differ from `base` only in algorithm, operator and demonstrations.

    Raises:
        HilserlError: `base` differs in one of these from the `usual` settings.
    """
    for name in _VARIED:
        if getattr(base, name) != getattr(usual, name):
            raise HilserlError(f"A comparison varies {name} itself; it cannot be {getattr(base, name)!r} for all runs.")
    few = base.demonstrations
    many = _MORE_DEMONSTRATIONS * few
    chosen = (
        (f"BC, {few} demonstrations", {"algorithm": "bc"}),
        (f"BC, {many} demonstrations", {"algorithm": "bc", "demonstrations": many}),
        ("HG-DAgger", {"algorithm": "hg-dagger"}),
        ("SAC, no prior data", {"algorithm": "sac", "operator": "none"}),
        ("RLPD, demonstrations only", {"operator": "none"}),
        ("HIL-SERL", {}),
    )
    return [(label, dataclasses.replace(base, **changes)) for label, changes in chosen]
