"""Profiles of simulated operators, from a steady script to people at keys."""

from dataclasses import replace
from typing import Annotated

from tyro.constructors import PrimitiveConstructorSpec

from hilserl.errors import unknown
from hilserl.operators.hands import HandsConfig
from hilserl.operators.simulated import SimulatedOperatorConfig

PROFILES: dict[str, SimulatedOperatorConfig] = {
    # Sees all at once and trembles a little.
    "steady": SimulatedOperatorConfig(),
    # A person at the console: 0.3 s late, wrong keys, pauses, one speed for all held keys.
    "keyboard": SimulatedOperatorConfig(
        HandsConfig(
            "keys", delay_steps=3, misjudged=0.15, decision_steps=3, wrong=0.15, pause=0.05, gripper_delay_steps=4
        ),
        overlooked=0.2,
    ),
    # Sticks move the tool smoothly, and their rest position drifts.
    "gamepad": SimulatedOperatorConfig(
        HandsConfig("stick", noise=0.08, delay_steps=2, misjudged=0.15, gripper_delay_steps=3), overlooked=0.1
    ),
    # Takes over and hands back a second after there is a reason.
    "late": SimulatedOperatorConfig(reaction_delay_steps=10),
    # Looks on for long, and lets go as soon as something moves.
    "lazy": SimulatedOperatorConfig(
        overlooked=0.5, first_patience_steps=60, last_patience_steps=120, handback_progress=0.1
    ),
    # Goes in a random direction for half a second in a fifth of the time.
    "clumsy": SimulatedOperatorConfig(HandsConfig(decision_steps=5, wrong=0.2)),
    # Comes from the left in one episode, from the right in another.
    "two_minded": SimulatedOperatorConfig(HandsConfig(arcs=True)),
}
"""Simulated operators by name. All but `steady` differ from it only in the named respects."""
# The person at the console again, who takes over when the console advises it.
PROFILES["advised"] = replace(PROFILES["keyboard"], follows_advice=True)


def find_profile(name: str) -> SimulatedOperatorConfig:
    """Return the profile with this name.

    Raises:
        HilserlError: there is none; the message names those that exist.
    """
    if name not in PROFILES:
        raise unknown("simulated operator", name, PROFILES)
    return PROFILES[name]


def profile_name(config: SimulatedOperatorConfig) -> str:
    """Return the name of the profile with these settings, or `custom`."""
    return next((name for name, profile in PROFILES.items() if profile == config), "custom")


ProfileOption = Annotated[
    SimulatedOperatorConfig,
    PrimitiveConstructorSpec(
        nargs=1,
        metavar="{" + ",".join(PROFILES) + "}",
        instance_from_str=lambda words: find_profile(words[0]),
        is_instance=lambda value: isinstance(value, SimulatedOperatorConfig),
        str_from_instance=lambda config: [profile_name(config)],
        choices=tuple(PROFILES),
    ),
]
"""Profile chosen by its name on the command line."""
