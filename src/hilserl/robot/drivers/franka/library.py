"""pylibfranka, which is there only where somebody has a robot for it."""

import importlib
from typing import Any

from hilserl.errors import HilserlError


def load() -> Any:
    """The module. Raises HilserlError where it is not installed or does not fit this machine."""
    try:
        return importlib.import_module("pylibfranka")
    except ImportError as error:
        raise HilserlError(
            f'--backend libfranka needs pylibfranka, which is for Linux only: pip install "hilserl[franka]". ({error})'
        ) from error
