"""Build the documentation's site, check its links, and serve it.

    python -m scripts.docs_site            build/site, complete and without a warning, or an exit status of 1
    python -m scripts.docs_site --serve    and then http://127.0.0.1:8000

The site's pages are docs/, CHANGELOG.md, CONTRIBUTING.md and the reference that is generated from the code.
"""

import argparse
import functools
import http.server
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.docs_commands import write_commands, write_configuration
from scripts.docs_http import write_http
from scripts.docs_links import problems_of

REPOSITORY = Path(__file__).resolve().parents[1]
CONFIG = REPOSITORY / "zensical.toml"
STAGED, SITE = REPOSITORY / "build" / "docs", REPOSITORY / "build" / "site"
OF_THE_ROOT = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
"""Pages at the repository's root, with their names in the site."""


def stage(target: Path) -> None:
    """Put all pages of the site into a directory."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(REPOSITORY / "docs", target)
    for name, staged in OF_THE_ROOT.items():
        (target / staged).write_text(from_root((REPOSITORY / name).read_text()))
    reference = target / "reference"
    write_commands(reference / "commands.md")
    write_configuration(reference / "configuration.md")
    write_http(reference / "http.md", reference / "openapi.json")


def from_root(text: str) -> str:
    """Return a page of the root with links of the site.

    Links to other files of the repository become their names.
    """

    def link(match: re.Match[str]) -> str:
        shown, address = match.groups()
        path, _, anchor = address.partition("#")
        if "://" in address or not path:
            return match.group()
        if path in OF_THE_ROOT:
            return f"[{shown}]({OF_THE_ROOT[path]}{anchor and '#' + anchor})"
        return f"[{shown}]({address.removeprefix('docs/')})" if path.startswith("docs/") else shown

    return re.sub(r"\[([^\]]+)\]\(([^)\s]+)\)", link, text)


def navigation(config: Path = CONFIG) -> list[Any]:
    """Return the navigation as zensical.toml has it."""
    return tomllib.loads(config.read_text())["project"]["nav"]


def pages_of(nav: list[Any]) -> Iterator[str]:
    """Yield the pages of a navigation."""
    for entry in nav:
        for value in [entry] if isinstance(entry, str) else entry.values():
            yield from [value] if isinstance(value, str) else pages_of(value)


def check_navigation(nav: list[Any], staged: Path) -> list[str]:
    """Name each page without a place, and each place without a page."""
    named, found = list(pages_of(nav)), {path.relative_to(staged).as_posix() for path in staged.rglob("*.md")}
    absent = set(named) - found
    twice = {page for page in named if named.count(page) > 1}
    return [
        *(f"{page}: in the navigation of zensical.toml, and not in docs/" for page in sorted(absent)),
        *(f"{page}: twice in the navigation of zensical.toml" for page in sorted(twice)),
        *(f"{page}: not in the navigation of zensical.toml" for page in sorted(found - set(named))),
    ]


def build() -> list[str]:
    """Build the site into `build/site`.

    Returns:
        A line for each problem: pages outside the navigation, links without a target, files from the network.
    """
    stage(STAGED)
    nav = navigation()
    if problems := check_navigation(nav, STAGED):
        return problems
    config = REPOSITORY / "build" / "zensical.toml"
    config.write_text(_site_config(nav))
    shutil.rmtree(SITE, ignore_errors=True)
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean", "--config-file", str(config)]
    done = subprocess.run(command, cwd=config.parent, capture_output=True, text=True, check=False)  # noqa: S603 (our own)
    if done.returncode:
        return [re.sub(r"\x1b\[[\d;]*m", "", done.stdout + done.stderr)]
    return problems_of(SITE)


def _site_config(nav: list[Any]) -> str:
    """Return zensical.toml for the directory `build`, with another navigation."""
    text = CONFIG.read_text()
    head, rest = text.split("nav = [", 1)
    tail = rest.split("\n]\n", 1)[1]
    paths = {'"build/docs"': '"docs"', '"build/site"': '"site"', 'paths = ["src"]': 'paths = ["../src"]'}
    written = f"{head}nav = {_toml(nav)}\n{tail}"
    for before, after in paths.items():
        written = written.replace(before, after)
    return written


def _toml(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, dict):
        return "{ " + ", ".join(f'"{title}" = {_toml(inner)}' for title, inner in value.items()) + " }"
    return "[" + ", ".join(_toml(inner) for inner in value) + "]"


def serve(port: int) -> None:
    """Serve the built site on the loopback address until Ctrl-C."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(SITE))
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        print(f"Documentation: http://127.0.0.1:{server.server_port}/", flush=True)
        server.serve_forever()


def main() -> int:
    """Build the site, and serve it on request; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--serve", action="store_true", help="serve the site until Ctrl-C")
    parser.add_argument("--port", type=int, default=8000)
    arguments = parser.parse_args()
    began = time.perf_counter()
    if problems := build():
        print("\n".join(problems), file=sys.stderr)
        return 1
    pages = sum(1 for _ in SITE.rglob("*.html"))
    print(f"The site has {pages} pages; built and checked in {time.perf_counter() - began:.1f} s.", flush=True)
    if arguments.serve:
        try:
            serve(arguments.port)
        except KeyboardInterrupt:
            return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
