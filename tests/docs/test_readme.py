"""The README: short, with a moving image, and with Python that runs."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import hilserl
from tests.support.runs import WRITE_VIDEO
from tests.support.source_code import REPOSITORY

TEXT = (REPOSITORY / "README.md").read_text()
IDEA = REPOSITORY / "docs" / "images" / "idea.gif"
MAX_LINES, MAX_WORDS, MAX_TABLES, MAX_IDEA_BYTES = 120, 600, 2, 3_000_000


def test_readme_stays_short() -> None:
    assert len(TEXT.splitlines()) <= MAX_LINES
    assert len(TEXT.split()) <= MAX_WORDS
    assert len(re.findall(r"^\| ?-{3,}", TEXT, re.MULTILINE)) <= MAX_TABLES


def test_readme_s_figures_stand_in_the_generated_results() -> None:
    claims = set(re.findall(r"\d[\d,.]* (?:steps|robot-minutes|human seconds|of 100)", TEXT))
    page = (REPOSITORY / "docs" / "results.md").read_text()
    assert {claim for claim in claims if claim not in page} == set()
    assert "](docs/results.md)" in TEXT


def test_images_of_the_readme_need_no_network() -> None:
    images = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", TEXT)
    assert images
    assert not [image for image in images if "://" in image]


def border_colours(image: Image.Image) -> list[str]:
    """Return the names of the border's colours in their order, repetitions left out."""
    names = {(44, 95, 158): "blue", (221, 107, 32): "orange", (70, 70, 70): "grey", (42, 127, 79): "green"}
    shown: list[str] = []
    for frame in range(image.n_frames):  # pyright: ignore[reportAttributeAccessIssue] (of images with frames)
        image.seek(frame)
        pixel = np.asarray(image.convert("RGB"))[1, 1].astype(int)
        nearest = min(names, key=lambda colour: np.abs(pixel - colour).sum())
        shown += [names[nearest]] * (not shown or shown[-1] != names[nearest])
    return shown


def test_moving_image_shows_the_whole_idea_and_is_small() -> None:
    assert IDEA.stat().st_size < MAX_IDEA_BYTES
    with Image.open(IDEA) as image:
        assert border_colours(image) == ["blue", "orange", "grey", *["blue", "green"] * 3]


def test_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    preset = hilserl.preset("pick_cube")
    small = replace(
        preset,
        env=replace(preset.env, obs="state"),
        max_env_steps=20,
        demonstrations=1,
        eval_episodes=1,
        final_eval_episodes=1,
    )
    monkeypatch.setattr(hilserl, "preset", lambda _: small, raising=False)
    monkeypatch.setattr(WRITE_VIDEO, lambda *_: None)
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(block, "README.md", "exec"), names)
    assert names["result"]["env_steps"] == 20
    assert names["action"].shape == (4,)
    names["policy"].env.close()
