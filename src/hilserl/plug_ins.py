"""Classes of other packages, named by entry points."""

from importlib.metadata import EntryPoint
from typing import TypeVar

from hilserl.errors import HilserlError

_T = TypeVar("_T")


def load_class(point: EntryPoint, base: type[_T]) -> type[_T]:
    """Load the class that an entry point names.

    Raises:
        HilserlError: It cannot be loaded, or does not derive from the base; the message names package and entry point.
    """
    try:
        found = point.load()
    except Exception as error:
        raise HilserlError(f"{described(point)} cannot be loaded: {type(error).__name__}: {error}") from error
    if not (isinstance(found, type) and issubclass(found, base)):
        expected = f"{base.__module__}.{base.__qualname__}"
        raise HilserlError(f"{described(point)} is {found!r}; expected a class derived from {expected}.")
    return found


def described(point: EntryPoint) -> str:
    """Return the words that name an entry point in an error."""
    package = point.dist.name if point.dist else "an unnamed package"
    return f"The entry point {point.name!r} ({point.group}) of {package}, {point.value},"
