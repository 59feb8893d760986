"""Log records of the package, printed on the terminal."""

import contextlib
import logging
import sys
from collections.abc import Iterator

from tqdm import tqdm
from typing_extensions import override


class TerminalHandler(logging.Handler):
    """Handler that prints messages on standard output without disturbing progress bars."""

    @override
    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(self.format(record), file=sys.stdout)
        sys.stdout.flush()


@contextlib.contextmanager
def shown_on_terminal(level: int = logging.INFO) -> Iterator[None]:
    """Print the log records of the package until the block ends."""
    logger, handler = logging.getLogger("hilserl"), TerminalHandler()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
