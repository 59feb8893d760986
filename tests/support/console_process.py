"""A verb in a separate process, driven through its console."""

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from tests.support.console_page import chromium, open_page, wait_until
from tests.support.loopback import free_port


class ConsoleProcess:
    """A running verb and the last state that it reported."""

    def __init__(self, *words: str, view: str = "web") -> None:
        self.port = free_port()
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed by `close`)
        command = [sys.executable, str(Path(__file__).with_name("console_verb.py")), *words]
        self._process = subprocess.Popen(
            [*command, "--console.view", view, "--console.port", str(self.port)],
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self.state: dict[str, Any] = {}
        """The last state of hand and cube."""
        self.lines: list[str] = []
        """All other lines of its output."""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            if "{" in line:
                self.state = json.loads(line[line.index("{") :])
            else:
                self.lines.append(line)

    @property
    def is_announced(self) -> bool:
        """True if the console's address is printed."""
        assert not self.has_ended, self.errors
        return any("Console: http" in line for line in self.lines)

    @property
    def url(self) -> str:
        """The console's address, with its token."""
        return next(line.split()[1] for line in self.lines if "Console: http" in line)

    @property
    def phone_url(self) -> str:
        """The phone's address, with its token."""
        return next(line.split()[1] for line in self.lines if line.startswith("Phone: https"))

    @property
    def errors(self) -> str:
        """The text of its error output."""
        self._errors.seek(0)
        return self._errors.read()

    @property
    def is_ending(self) -> bool:
        """True if its loop is over.

        It may still evaluate, which takes a busy machine a minute.
        """
        return any(line.startswith("ends: ") for line in self.lines)

    @property
    def has_ended(self) -> bool:
        """True if the process is over."""
        return self._process.poll() is not None

    def end(self) -> int:
        """Return its exit status once it has ended by itself."""
        status = self._process.wait()
        self._reader.join()
        return status

    def close(self) -> None:
        """Kill it if it still runs."""
        if not self.has_ended:
            self._process.kill()
        self.end()
        assert self._process.stdout
        self._process.stdout.close()
        self._errors.close()


@contextmanager
def browsed(*words: str) -> Iterator[tuple[ConsoleProcess, Page]]:
    """Run a verb and open its console in a browser."""
    process = ConsoleProcess(*words)
    try:
        wait_until(lambda: process.is_announced, "the verb has opened its console")
        with chromium() as browser:
            page = open_page(browser, process.url)
            page.wait_for_timeout(3000)
            yield process, page
    finally:
        process.close()
