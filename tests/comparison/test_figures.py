"""Figures count what people did, and the table says it of all seeds."""

import json
from pathlib import Path
from typing import Any

import pytest

from hilserl.comparison.figures import area_under, figures_of, seconds_to, table
from hilserl.comparison.plan import Case, plan, task_config

CURVE = [(0, 40.0, 0.0), (500, 100.0, 0.5), (1000, 160.0, 0.95), (1000, 160.0, 1.0)]


def finished(directory: Path, method: str = "hilserl", seed: int = 0, **changes: Any) -> Case:
    """A case with a run that has a result and the evaluations of CURVE."""
    (case,) = plan(directory, {"pick_cube": task_config("pick_cube", "state")}, [method], ["keyboard"], (seed,))
    run = case.member.run
    run.path.mkdir(parents=True)
    records = [
        {"kind": "evaluation", "env_steps": steps, "human_seconds": seconds - 40, "success_rate": rate}
        for steps, seconds, rate in CURVE[:-1]
    ]
    run.metrics.write_text("".join(json.dumps(record) + "\n" for record in records))
    result = {
        "obs": "state",
        "seed": seed,
        "ended": "solved",
        "env_steps": 1000,
        "human_seconds": 120.0,
        "demonstration_seconds": 40.0,
        "wall_seconds": 90.0,
        "evaluation": {"successes": 100, "episodes": 100, "success_rate": 1.0},
        "provenance": {"commit": "abc"},
    }
    run.result.write_text(json.dumps({**result, **changes}))
    return case


def test_figures_count_demonstrations_and_interventions(tmp_path: Path) -> None:
    figures = figures_of(finished(tmp_path))
    assert [tuple(point) for point in figures["curve"]] == CURVE
    assert (figures["human_seconds"], figures["human_seconds_to_90"]) == (160.0, 160.0)
    assert (figures["robot_minutes"], figures["minutes"], figures["commit"]) == (1.67, 1.5, "abc")
    assert figures["area"] == pytest.approx(area_under(CURVE), abs=1e-3)


def test_seconds_to_a_rate_are_those_of_the_first_evaluation_that_has_it() -> None:
    assert seconds_to(0.5, CURVE) == 100.0
    assert seconds_to(0.0, CURVE) == 40.0
    assert seconds_to(0.9, CURVE[:2]) is None


def test_area_is_the_mean_success_over_human_seconds() -> None:
    assert area_under(CURVE, 200.0) == pytest.approx((60 * 0.5 + 40 * 1.0) / 200)
    assert area_under(CURVE, 100.0) == 0.0
    assert area_under([(0, 0.0, 1.0)]) == 1.0
    assert area_under([(0, 50.0, 0.0), (9, 50.0, 1.0)], 100.0) == 0.5


def test_table_pools_the_seeds_of_a_method(tmp_path: Path) -> None:
    never = {"successes": 40, "episodes": 100, "success_rate": 0.4}
    runs = [figures_of(finished(tmp_path / "a")), figures_of(finished(tmp_path / "b", seed=1, evaluation=never))]
    runs[1]["human_seconds_to_90"] = None
    other = figures_of(finished(tmp_path / "c", method="bc", evaluation=never)) | {"human_seconds_to_90": None}
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table([*runs, other]).splitlines()[2:]]
    assert [row[2] for row in rows] == ["`bc`", "`hilserl`"]
    assert rows[0][8] == "never"
    ours = rows[1]
    assert ours[:6] == ["`pick_cube`, state", "keyboard", "`hilserl`", "70.0 %", "63.3 to 75.9 %", "100, 40"]
    assert ours[6:10] == ["1,000", "1.7", "160 (1 of 2 seeds)", "160"]
