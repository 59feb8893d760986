"""Check of a built site: internal links and loaded files."""

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from typing_extensions import override

_LOADED = {"script": "src", "img": "src", "source": "src", "video": "src", "iframe": "src", "link": "href"}
"""Elements that load a file, with the attribute that names it."""
_NOT_LOADED = {"canonical", "prev", "next", "alternate"}
"""Relations of `link` that load nothing."""


class BuiltPage(HTMLParser):
    """Anchors, links and loaded files of one page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: set[str] = set()
        self.loaded: set[str] = set()
        self.feed(text)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.anchors |= {found[name] for name in ("id", "name") if found.get(name)}
        if tag == "a" and "href" in found:
            self.links.add(found["href"])
        if tag in _LOADED and found.get(_LOADED[tag]) and found.get("rel") not in _NOT_LOADED:
            self.loaded.add(found[_LOADED[tag]])


def problems_of(site: Path) -> list[str]:
    """Name each broken link and each file from the network.

    Args:
        site: A built site, with an `index.html` for each page.
    """
    pages = {path: BuiltPage(path.read_text()) for path in sorted(site.rglob("*.html"))}
    problems = []
    for path, page in pages.items():
        name = path.relative_to(site).as_posix()
        for address in sorted(page.links | page.loaded):
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                problems += [f"{name}: loads {address} from the network"] * (address in page.loaded)
                continue
            target = _target(site, path, unquote(parts.path))
            if not target.is_file():
                problems.append(f"{name}: {address} leads to no file")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                problems.append(f"{name}: {address} leads to no anchor")
    return problems


def _target(site: Path, page: Path, address: str) -> Path:
    """Return the file that a link of a page leads to."""
    if not address:
        return page
    path = site / address.lstrip("/") if address.startswith("/") else page.parent / address
    path = path.resolve()
    return path / "index.html" if path.is_dir() else path
