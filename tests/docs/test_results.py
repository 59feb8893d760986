"""Generated results: page, README and images are those of the committed figures."""

import json
from pathlib import Path
from typing import Any

import jinja2
import pytest

from scripts import badges, results
from scripts.results import FIGURE, FIGURES, PAGE, README, Results

MADE_AGAIN = "make results"


@pytest.fixture(scope="module")
def committed() -> Results:
    """The committed figures."""
    return results.read_results()


def test_page_is_that_of_the_committed_figures(committed: Results) -> None:
    assert results.render(committed) == PAGE.read_text(), MADE_AGAIN


def test_readme_has_the_table_of_the_committed_figures(committed: Results) -> None:
    assert results.with_table(README, results.summary(committed)) == README.read_text(), MADE_AGAIN


def test_page_of_robots_has_the_table_of_the_committed_figures(committed: Results) -> None:
    page = results.ROBOTS_PAGE
    assert results.with_table(page, results.robots_table(committed)) == page.read_text(), MADE_AGAIN


def test_page_of_the_benchmark_has_the_table_of_the_committed_figures(committed: Results) -> None:
    page = results.BENCHMARK_PAGE
    assert results.with_table(page, results.benchmark_table(committed)) == page.read_text(), MADE_AGAIN


def test_image_shows_the_committed_figures(committed: Results) -> None:
    assert results.digest_of(FIGURE) == results.digest(committed), MADE_AGAIN
    assert results.digest_of(results.BENCHMARK_FIGURE) == results.benchmark_digest(committed), MADE_AGAIN


def test_badges_have_the_words_of_the_project() -> None:
    for name, words in badges.badges().items():
        assert badges.draw(*words) == (badges.IMAGES / f"badge_{name}.svg").read_text(), MADE_AGAIN


@pytest.mark.parametrize("path", sorted(FIGURES.glob("*.json")), ids=lambda path: path.stem)
def test_figures_name_their_origin(path: Path) -> None:
    record = json.loads(path.read_text())
    if path.stem == "published":
        assert all(row["source"].startswith("https://arxiv.org/") for row in record["systems"])
        return
    assert record["command"].startswith("hilserl ")
    origin = record["provenance"]
    assert {"machine", "gpu", "date", "commit", "versions"} <= origin.keys()
    assert origin["machine"]
    # A record without a commit was text before it was a file.
    assert origin["commit"] or origin["source"]


def test_costs_count_demonstrations_and_interventions(committed: Results) -> None:
    run = next(run for run in results.costs(committed) if (run["task"], run["seed"]) == ("pick_cube", 0))
    assert run["robot_minutes"] == pytest.approx(4014 / 600)
    assert run["human_seconds"] == pytest.approx(35.7 + 37.9)


def test_changed_figure_changes_page_table_and_image(committed: Results) -> None:
    changed = json.loads(json.dumps(committed))
    changed["pick_cube_pixels"]["runs"][0] |= {"env_steps": 123_456, "successes": 7}
    assert "| 0 | 123,456 | " in results.render(changed)
    assert "| 7 of 100 | 3.4 to 13.7 % |" in results.render(changed)
    assert "3,011 to 123,456 | 5.0 to 205.8 |" in results.summary(changed)
    assert results.digest(changed) != results.digest(committed)


def test_absent_file_of_figures_is_an_error(committed: Results) -> None:
    with pytest.raises(jinja2.UndefinedError, match="transport"):
        results.render({name: value for name, value in committed.items() if name != "transport"})


def test_absent_value_of_a_run_is_an_empty_cell(committed: Results) -> None:
    assert "`hilserl eval RUN --env robot` |  |  |  | 100 of 100" in results.render(committed)


def test_page_without_a_place_for_its_table_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text("# hilserl\n")
    with pytest.raises(ValueError, match=r"README.md has no place"):
        results.with_table(page, "")


def test_table_of_robots_adds_demonstrations_and_interventions() -> None:
    run = {"robot": "ur5e", "env_steps": 1200, "human_seconds": 5.0, "demonstration_seconds": 37.9, "minutes": 1.0}
    table = results.robots_table({"robots": {"runs": [{**run, "successes": 99}]}})
    assert table.splitlines()[-1] == "| `ur5e` | 1,200 | 2.0 | 43 | 1.0 | 99 |"


def finished_run(directory: Path) -> Path:
    result: dict[str, Any] = {
        "task": "pick_cube",
        "obs": "state",
        "algorithm": "rlpd",
        "seed": 3,
        "ended": "solved",
        "env_steps": 1524,
        "updates": 11400,
        "human_steps": 92,
        "human_seconds": 9.2,
        "demonstration_seconds": 37.9,
        "wall_seconds": 46.5,
        "interventions": 8,
        "evaluation": {"successes": 100, "episodes": 100, "mean_episode_seconds": 1.541},
    }
    directory.mkdir()
    (directory / "result.json").write_text(json.dumps(result))
    (directory / "config.json").write_text(json.dumps({"env": {"arm": "robots/own_arm.xml"}}))
    return directory


def test_collect_records_runs_with_their_origin(tmp_path: Path) -> None:
    out = tmp_path / "runs.json"
    run_dir = finished_run(tmp_path / "run")
    assert results.main(["collect", str(run_dir), "--out", str(out), "--command", "hilserl train pick_cube"]) == 0
    record = json.loads(out.read_text())
    assert record["command"] == "hilserl train pick_cube"
    assert record["provenance"]["machine"]
    (run,) = record["runs"]
    assert (run["seed"], run["minutes"], run["successes"], run["mean_episode_seconds"]) == (3, 0.8, 100, 1.5)
    assert run["robot"] == "own_arm"
