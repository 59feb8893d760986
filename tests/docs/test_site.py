"""The documentation's site: navigation, generated reference, links, and its look in a browser."""

import dataclasses
import json
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import tyro
from typing_extensions import override

from hilserl.cli import main as command_line
from hilserl.errors import HilserlError
from hilserl.robot.http.schemas import decode
from hilserl.training.config import TrainConfig
from scripts import docs_http, docs_site
from scripts.docs_commands import COMMANDS_OF, captured, flags_of, write_commands, write_configuration
from scripts.docs_links import problems_of
from tests.support.robot_rig import sim_backend

GENERATED = ("commands.md", "configuration.md", "http.md")
WIDTHS_PX = (400, 1400)


def write_page(site: Path, name: str, body: str) -> None:
    (site / name).mkdir(parents=True, exist_ok=True)
    (site / name / "index.html").write_text(f"<html><body>{body}</body></html>")


def test_links_that_lead_somewhere_are_no_problem(tmp_path: Path) -> None:
    write_page(tmp_path, "", '<a href="b/#here">b</a><a href="https://example.org/">out</a><img src="i.png">')
    write_page(tmp_path, "b", '<h2 id="here">x</h2><a href="#here">x</a><a href="..">home</a><a href="/b/">b</a>')
    (tmp_path / "i.png").touch()
    assert problems_of(tmp_path) == []


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ('<a href="c/">c</a>', "index.html: c/ leads to no file"),
        ('<a href="b/#there">b</a>', "index.html: b/#there leads to no anchor"),
        ('<a href="#there">b</a>', "index.html: #there leads to no anchor"),
        ('<img src="i.png">', "index.html: i.png leads to no file"),
        (
            '<script src="https://cdn.example.org/x.js"></script>',
            "index.html: loads https://cdn.example.org/x.js from the network",
        ),
        (
            '<link rel="stylesheet" href="//fonts.example.org/x.css">',
            "index.html: loads //fonts.example.org/x.css from the network",
        ),
    ],
)
def test_broken_links_are_named(tmp_path: Path, body: str, problem: str) -> None:
    write_page(tmp_path, "", body)
    write_page(tmp_path, "b", '<h2 id="here">x</h2>')
    assert problems_of(tmp_path) == [problem]


def test_pages_of_the_root_get_links_that_fit_the_site() -> None:
    text = "[a](docs/method.md#reward) [b](CHANGELOG.md) [c](LICENSE) [d](https://x.org/) [e](#here)"
    assert docs_site.from_root(text) == "[a](method.md#reward) [b](changelog.md) c [d](https://x.org/) [e](#here)"


def test_navigation_has_every_page_once(tmp_path: Path) -> None:
    staged = tmp_path / "docs"
    shutil.copytree(docs_site.REPOSITORY / "docs", staged, ignore=shutil.ignore_patterns("images"))
    for name in (*docs_site.OF_THE_ROOT.values(), *(f"reference/{page}" for page in GENERATED)):
        (staged / name).touch()
    assert docs_site.check_navigation(docs_site.navigation(), staged) == []


def test_navigation_refuses_absent_double_and_forgotten_pages(tmp_path: Path) -> None:
    for name in ("a.md", "b.md"):
        (tmp_path / name).touch()
    nav = ["a.md", {"Group": [{"Again": "a.md"}, {"Gone": "gone.md"}]}]
    assert [problem.split(":")[0] for problem in docs_site.check_navigation(nav, tmp_path)] == [
        "gone.md",
        "a.md",
        "b.md",
    ]


def test_commands_page_has_every_command_with_its_flags(tmp_path: Path) -> None:
    write_commands(tmp_path / "commands.md")
    text = (tmp_path / "commands.md").read_text()
    expected = [each for verb in command_line.VERBS for each in COMMANDS_OF.get(verb, (verb,))]
    assert [line.removeprefix("### hilserl ") for line in text.splitlines() if line.startswith("### ")] == expected
    assert "| `--precision` | `{float32, float16}` | `float32` | Number format of the weights" in text
    assert text.count("`--agent.utd-ratio`") == 1


def settings_of(kind: Any, prefix: str = "") -> Iterator[str]:
    annotated = get_type_hints(kind, include_extras=True)
    for name, hint in get_type_hints(kind).items():
        # A profile's name stands for all numbers of the simulated operator.
        if dataclasses.is_dataclass(hint) and name != "simulated_operator":
            yield from settings_of(hint, f"{prefix}{name}.")
        elif tyro.conf.Suppress not in getattr(annotated[name], "__metadata__", ()):
            yield f"{prefix}{name}"


def test_configuration_page_has_every_setting(tmp_path: Path) -> None:
    write_configuration(tmp_path / "configuration.md")
    text = (tmp_path / "configuration.md").read_text()
    assert {name for name in settings_of(TrainConfig) if f"| `{name}`" not in text} == set()


def test_flags_keep_the_meaning_that_their_dataclass_gives() -> None:
    found = {flag.name: flag for flag in flags_of(captured("export")[0])}
    assert found["--checkpoint"].default == "best"
    assert found["--out"].default == "required"
    assert found["--checkpoint"].meaning == "Checkpoint: best, last, or its step."


@pytest.fixture(scope="module")
def description() -> dict[str, Any]:
    """OpenAPI description, made with a simulated arm."""
    return docs_http.describe()


def test_openapi_has_every_route_with_its_body(description: dict[str, Any]) -> None:
    assert description["paths"].keys() == docs_http.SUMMARIES.keys()
    body = description["paths"]["/pose"]["post"]["requestBody"]["content"]["application/json"]
    assert body["schema"] == {"$ref": "#/components/schemas/PoseBody"}
    assert description["components"]["schemas"]["PoseBody"]["properties"]["arr"]["minItems"] == 7
    answer = description["paths"]["/getpos"]["post"]["responses"]["200"]["content"]["application/json"]
    assert answer["schema"]["properties"]["pose"] == {"type": "array", "items": {"type": "number"}, "minItems": 7}


def test_openapi_refers_only_to_schemas_that_it_has(description: dict[str, Any]) -> None:
    schemas = description["components"]["schemas"]
    references = {part.split('"')[0] for part in json.dumps(description).split("#/components/schemas/")[1:]}
    assert references == schemas.keys()


def test_routes_that_demand_a_body_have_a_schema() -> None:
    from hilserl.robot.http.server import make_app

    with sim_backend() as backend:
        client = make_app(backend).test_client()
        refusals = {
            path
            for path in docs_http.SUMMARIES
            if client.post(path.format(name="front", extension="png"), data="{").status_code == 400
        }
    # Any body stops the arm.
    assert refusals == {*docs_http.BODIES, docs_http.PARAMETERS} - {"/stop"}
    for kind, example in docs_http.BODIES.values():
        decode(json.dumps(example).encode(), kind)
        with pytest.raises(HilserlError):
            decode(json.dumps({**example, "more": 1}).encode(), kind)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Address of the built site."""
    assert docs_site.build() == []
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SilentHandler, directory=str(docs_site.SITE))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


class SilentHandler(SimpleHTTPRequestHandler):
    """Handler that logs nothing."""

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Drop the message."""


@pytest.mark.browser
def test_site_fits_phones_and_screens_and_needs_no_network(address: str) -> None:
    from tests.support.console_page import chromium

    outside: list[str] = []
    with chromium() as browser:
        for width in WIDTHS_PX:
            page = browser.new_page(viewport={"width": width, "height": 900})
            page.on("request", lambda request: outside.append(request.url))
            for name in docs_site.pages_of(docs_site.navigation()):
                if (docs_site.STAGED / name).exists():
                    page.goto(address + name.removesuffix(".md").removesuffix("index"))
                    assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, width)
    assert [url for url in outside if not url.startswith((address, "data:"))] == []


@pytest.mark.browser
def test_search_finds_a_page(address: str) -> None:
    from tests.support.console_page import chromium, press_until

    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.goto(address)
        entry = page.locator("input[type=text]:visible, input[role=combobox]:visible")
        press_until(page, ("Control+k",), entry.count, "the search opens")
        page.keyboard.type("takeover")
        assert page.wait_for_selector("a[href*='concepts/takeover']:visible", timeout=180_000)
