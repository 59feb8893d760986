"""Settings of the console's keys."""

import dataclasses
from dataclasses import dataclass

from hilserl.errors import HilserlError, unknown
from hilserl.operators.devices.key_names import KEY_NAMES

KeyNames = tuple[str, ...]


@dataclass(frozen=True)
class KeyBindings:
    """Keys of each action, by their place on a US board."""

    forward: KeyNames = ("W",)
    backward: KeyNames = ("S",)
    left: KeyNames = ("A",)
    right: KeyNames = ("D",)
    up: KeyNames = ("J",)
    down: KeyNames = ("K",)
    turn_left: KeyNames = ("Q",)
    turn_right: KeyNames = ("E",)
    tilt_forward: KeyNames = ("T",)
    tilt_backward: KeyNames = ("G",)
    roll_right: KeyNames = ("Y",)
    roll_left: KeyNames = ("H",)
    gripper: KeyNames = ("L",)
    """Opens or closes the gripper."""
    other_arm: KeyNames = ("O",)
    """Chooses the other arm."""
    takeover: KeyNames = ("Semicolon", "Tab")
    """Takes over and hands back."""
    slow: KeyNames = ("LeftShift", "RightShift")
    """Slow, while held."""
    # Browsers reserve Ctrl+W and similar combinations.
    fast: KeyNames = ("LeftCtrl", "RightCtrl", "F")
    """Fast, while held."""
    success: KeyNames = ("Enter",)
    failure: KeyNames = ("Backspace",)
    new_episode: KeyNames = ("N",)
    discard: KeyNames = ("X",)
    pause: KeyNames = ("P",)
    end: KeyNames = ("Escape",)
    """Ends the run when pressed twice."""
    success_label: KeyNames = ("Space",)
    """Labels success while held (`hilserl label`)."""

    def __post_init__(self) -> None:
        """Check that each action has a key and each key one action.

        Raises:
            HilserlError: names the key or the action at fault.
        """
        actions: dict[str, str] = {}
        for field in dataclasses.fields(self):
            names = getattr(self, field.name)
            if not names:
                raise HilserlError(
                    f"No key for {field.name!r}: name at least one, as in --console.keys.{field.name} U."
                )
            for name in names:
                if name not in KEY_NAMES:
                    raise unknown(f"key of {field.name!r}", name, KEY_NAMES)
                if name in actions:
                    raise HilserlError(
                        f"The key {name} is named twice, for {actions[name]!r} and for {field.name!r}: "
                        "a key has one action."
                    )
                actions[name] = field.name
