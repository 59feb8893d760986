"""Import of pylibfranka, an optional dependency."""

import importlib
from typing import Any

from hilserl.errors import HilserlError


def load_library() -> Any:
    """Import pylibfranka. Raises HilserlError if it is missing or does not fit this machine."""
    try:
        return importlib.import_module("pylibfranka")
    except ImportError as error:
        raise HilserlError(
            f'--backend libfranka needs pylibfranka, which is for Linux only: pip install "hilserl[franka]". ({error})'
        ) from error
