"""Commands, links and file names in the pages of the documentation."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from tests.support.source_code import REPOSITORY

PLACEHOLDERS = {
    "TASK": "pick_cube",
    "S": "0",
    "N": "2",
    "PACKAGE:ENV_ID": "gymnasium:Pendulum-v1",
    "press_button": "pick_cube",
}
"""Placeholders in the documentation, with values that parse."""
_SPAN = re.compile(r"`([^`]+)`")
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_FILE = re.compile(r"^[\w.-]+(?:/[\w.-]+)*/?$")


def pages() -> list[Path]:
    """Return all pages: README, CONTRIBUTING, CHANGELOG and docs."""
    return [*sorted(REPOSITORY.glob("*.md")), *sorted((REPOSITORY / "docs").rglob("*.md"))]


def commands(page: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the line and the words of each `hilserl` command, those in a container too."""
    text = page.read_text().replace("\\\n", " \\ ")
    for match in re.finditer(r"^(?: {4}|\t)?(?:\$ )?(?:(?:podman|docker) run .* )?(hilserl .+)$", text, re.MULTILINE):
        if text[match.start()] in " \th$" and _in_code(text, match.start()):
            yield _line(text, match.start(1)), _words(match.group(1))
    prose = _FENCE.sub(lambda match: "\n" * match.group().count("\n"), text)
    for match in _SPAN.finditer(prose):
        if match.group(1).startswith("hilserl ") and not _in_block(prose, match.start()):
            yield _line(prose, match.start()), _words(" ".join(match.group(1).split()))


def flags(text: str) -> set[str]:
    """Return all long flags in a text."""
    return set(re.findall(r"(?<![\w-])--[a-z](?:[\w.-]*\w)?", text))


def flag_spans(page: Path) -> set[str]:
    """Return the flags in code spans that begin with a flag.

    The page that lists renamed flags is left out.
    """
    if page.name == "CHANGELOG.md":
        return set()
    spans = _SPAN.findall(_FENCE.sub("", page.read_text()))
    return {flag for span in spans if span.startswith("--") for flag in flags(span)}


def targets(page: Path) -> set[str]:
    """Return the targets of `make` that a page names in code."""
    return set(re.findall(r"(?:`|^ {4})make ([a-z][\w-]*)", page.read_text(), re.MULTILINE))


def links(page: Path) -> set[str]:
    """Return the relative links of a page, without their anchors."""
    found = _LINK.findall(_FENCE.sub("", page.read_text()))
    return {link.split("#")[0] for link in found if "://" not in link and not link.startswith(("#", "mailto:"))}


def files(page: Path) -> set[str]:
    """Return the repository files that a page names in code spans."""
    prose = _FENCE.sub("", page.read_text())
    spans = {match.group(1).split("::")[0] for match in _SPAN.finditer(prose)}
    tops = ("src/", "tests/", "docs/", "scripts/", "examples/")
    named = {span for span in spans if _FILE.match(span)}
    return {span for span in named if span.startswith(tops) or ("/" in span and span.endswith(".py"))}


def _words(command: str) -> list[str]:
    """Split a command without its explanation, and fill in its placeholders."""
    command = re.split(r"\s#\s", command.replace(" \\ ", " "))[0].strip()
    # An explanation stands beside a command, two spaces apart.
    command = re.split(r" {2,}(?=[^-\s])", command)[0]
    words = [word for word in shlex.split(command) if word not in {"...", "&", "\\"}]
    return [PLACEHOLDERS.get(word, word).split("|")[0] for word in words][1:]


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + text.count(" \\ ", 0, position) + 1


def _in_block(text: str, position: int) -> bool:
    return text[text.rfind("\n", 0, position) + 1 : position].startswith("    ")


def _in_code(text: str, position: int) -> bool:
    """Return True inside an indented block or a fence."""
    return text.startswith("    ", position) or text.count("\n```", 0, position + 1) % 2 == 1
