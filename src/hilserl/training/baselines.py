"""The method beside its baselines: behaviour cloning, HG-DAgger, soft actor-critic alone, and RLPD without a person.

As in the tables of HIL-SERL (arXiv 2410.21845, tables 1a and 1b), whose baselines also had more demonstrations.
"""

import dataclasses

from hilserl.errors import HilserlError
from hilserl.training.config import TrainConfig

_MORE_DEMONSTRATIONS = 5
_VARIED = ("algorithm", "operator", "demos", "demonstrations", "seed")


def baseline_configs(base: TrainConfig, usual: TrainConfig) -> list[tuple[str, TrainConfig]]:
    """The labelled configurations that are compared: those of `base`, but for who learns, from whom and from how much.

    Raises HilserlError where `base` differs in one of these from the `usual` settings.
    """
    for name in _VARIED:
        if getattr(base, name) != getattr(usual, name):
            raise HilserlError(f"A comparison varies {name} itself; it cannot be {getattr(base, name)!r} for all.")
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
