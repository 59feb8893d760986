"""Registry of configurations, as draccus's ChoiceRegistry."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar


class ChoiceRegistry:
    """Base class of configurations that are chosen by a name."""

    _choices: ClassVar[dict[str, Any]]

    @classmethod
    def register_subclass(cls, name: str) -> Callable[[Any], Any]:
        """Return a decorator that registers a configuration."""

        def register(form: Any) -> Any:
            cls._choices[name] = form
            return form

        return register

    @classmethod
    def get_known_choices(cls) -> dict[str, Any]:
        """Return the registered configurations by name."""
        return cls._choices


class Device:
    """Base class of robots and teleoperators."""

    name: str

    def __init__(self, config: Any) -> None:
        self.robot_type, self.id, self.calibration = self.name, config.id, {}


def make_device(config: Any) -> Any:
    """Make the device of a configuration `XConfig`: the class `X` in the package of its module."""
    form = type(config)
    package = import_module(form.__module__.rpartition(".")[0] or form.__module__)
    here = import_module(form.__module__)
    name = form.__name__.removesuffix("Config")
    return getattr(package if hasattr(package, name) else here, name)(config)


CalibrationDirectory = Path | None
