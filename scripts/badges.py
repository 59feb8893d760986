"""Badges of the README, drawn from pyproject.toml without a network service."""

import tomllib
from pathlib import Path

from hilserl.files import atomically

REPOSITORY = Path(__file__).resolve().parents[1]
IMAGES = REPOSITORY / "docs" / "images"
_CHARACTER_PX, _MARGIN_PX = 6.6, 8


def badges() -> dict[str, tuple[str, str]]:
    """Return the two words of each badge by its name."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    pythons = [name.rpartition(" ")[2] for name in project["classifiers"] if "Python :: 3." in name]
    typed = any(name.startswith("Typing") for name in project["classifiers"])
    return {
        "python": ("python", " | ".join(pythons)),
        "licence": ("licence", project["license"]),
        "typed": ("types", "checked" if typed else "none"),
    }


def draw(left: str, right: str) -> str:
    """Return a badge as SVG."""
    first, second = (round(_CHARACTER_PX * len(text)) + 2 * _MARGIN_PX for text in (left, right))
    text = 'fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{first + second}" height="20" role="img" '
        f'aria-label="{left}: {right}"><rect width="{first}" height="20" fill="#555"/>'
        f'<rect x="{first}" width="{second}" height="20" fill="#2c5f9e"/>'
        f'<text x="{first / 2}" y="14" {text}>{left}</text>'
        f'<text x="{first + second / 2}" y="14" {text}>{right}</text></svg>\n'
    )


def write_badges() -> None:
    """Write all badges as SVG."""
    for name, words in badges().items():
        text = draw(*words)
        atomically(IMAGES / f"badge_{name}.svg", lambda part, text=text: part.write_text(text))
