"""A sweep is every combination with every seed, and its table says what the runs say."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from hilserl.cli.main import main
from hilserl.distributed.sweep import (
    BASE,
    Member,
    combinations,
    members,
    parse_seeds,
    parse_settings,
    with_setting,
    write_report,
)
from hilserl.errors import HilserlError
from hilserl.runs.run_dir import RunDir
from hilserl.training.config import preset
from hilserl.training.config_file import save_config
from tests.support.configs import changed

USUAL = preset("pick_cube")


@pytest.mark.parametrize(
    ("text", "seeds"), [("0..4", (0, 1, 2, 3, 4)), ("7..7", (7,)), ("3", (3,)), ("5,0,2", (5, 0, 2))]
)
def test_seeds_are_a_range_or_a_list(text: str, seeds: tuple[int, ...]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "..", "4..0", "1..x", "a", "1,,2", "-1", "1,1", "0..2..3", "1.5"])
def test_invalid_seeds_are_refused(text: str) -> None:
    with pytest.raises(HilserlError, match="Invalid seeds"):
        parse_seeds(text)


@pytest.mark.parametrize(
    "texts", [["utd"], ["=1"], ["a="], ["a=1,,2"], [""], ["a=1", "a=2"], ["seed=1"], ["free-running=true"]]
)
def test_settings_that_vary_nothing_are_refused(texts: list[str]) -> None:
    with pytest.raises(HilserlError, match=r"Invalid setting|varied twice|--seeds|--actors"):
        parse_settings(texts)


def test_combinations_meet_all_seeds(tmp_path: Path) -> None:
    settings = parse_settings(["agent.utd_ratio=1,4", "obs=state,pixels"])
    runs = members(tmp_path, combinations(USUAL, settings), (0, 3))
    assert len(runs) == 8
    assert len({run.run.path for run in runs}) == 8
    assert {(m.config.agent.utd_ratio, m.config.env.obs, m.config.seed) for m in runs} == {
        (ratio, obs, seed) for ratio in (1, 4) for obs in ("state", "pixels") for seed in (0, 3)
    }
    for member in runs:
        assert member.label == f"agent.utd_ratio={member.config.agent.utd_ratio} obs={member.config.env.obs}"
        agent = replace(member.config.agent, utd_ratio=USUAL.agent.utd_ratio)
        assert changed(member.config, seed=USUAL.seed, obs=USUAL.env.obs, agent=agent) == USUAL


def test_members_without_settings_are_one_run_a_seed(tmp_path: Path) -> None:
    assert [(m.label, m.config.seed) for m in members(tmp_path, combinations(USUAL, ()), (0, 1))] == [
        (BASE, 0),
        (BASE, 1),
    ]


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("agent.utd_ratio", "4", 4),
        ("agent.hidden", "64 32", (64, 32)),
        ("agent.vision.embeddings", "2", 2),
        ("env.randomise", "true", True),
        ("env.obs", "state", "state"),
        ("max_minutes", "1.5", 1.5),
        ("demos", "a b/c", (Path("a"), Path("b/c"))),
    ],
)
def test_setting_takes_what_is_of_its_type(name: str, text: str, value: object) -> None:
    config = with_setting(USUAL, name, text)
    for part in name.split("."):
        config = getattr(config, part)
    assert config == value


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("agent.utd_ration=1", "Did you mean 'utd_ratio'"),
        ("no_such.thing=1", "setting of TrainConfig 'no_such'"),
        ("actors=1,2", "Unknown setting of TrainConfig 'actors'"),
        ("agent=1", "agent.utd_ratio"),
        ("reward.front=1", "'reward' of TrainConfig is one setting"),
        ("obs=smell", "Invalid value 'smell' of obs: expected one of state, pixels"),
        ("agent.utd_ratio=many", "Invalid value 'many' of utd_ratio: expected int"),
        ("agent.utd_ratio=1.5", "expected int"),
        ("agent.utd_ratio=1 2", "expected int"),
        ("max_minutes=soon", "expected float"),
        ("randomise=perhaps", "expected bool"),
        ("max_env_steps=0", "Invalid max_env_steps 0: expected at least 1"),
        ("operator=console", "operator 'console'"),
        ("obs=state,state", "the same"),
    ],
)
def test_settings_that_do_not_exist_or_fit_stop_a_sweep_before_it_begins(
    tmp_path: Path, setting: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "sweep"
    assert main(["sweep", "pick_cube", "--set", setting, "--out", str(out)]) == 1
    assert complaint in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("flags", [["--seed", "3"], ["--async"], ["--operator", "gamepad"], ["--actors", "-1"]])
def test_flags_that_mean_nothing_in_a_sweep_are_refused(
    tmp_path: Path, flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sweep", "pick_cube", "--out", str(tmp_path / "sweep"), *flags]) == 1
    assert flags[0].strip("-").replace("async", "--actors") in capsys.readouterr().err


def test_result_of_other_settings_is_not_taken_for_these(tmp_path: Path) -> None:
    (member,) = members(tmp_path, [(BASE, USUAL)], (0,))
    member.run.path.mkdir(parents=True)
    save_config(member.run.config, member.config)
    member.run.result.write_text("{}")
    assert members(tmp_path, [(BASE, USUAL)], (0,)) == [member]
    with pytest.raises(HilserlError, match=r"max_env_steps was .* not 7.*another --out"):
        members(tmp_path, [(BASE, replace(USUAL, max_env_steps=7))], (0,))


def finished(directory: Path, label: str, seed: int, successes: int, env_steps: int) -> Member:
    run = RunDir(directory / label / f"seed{seed}")
    run.path.mkdir(parents=True)
    rates = (0.0, successes / 100)
    run.metrics.write_text(
        "".join(
            json.dumps({"kind": "evaluation", "env_steps": env_steps * (i + 1) // 2, "success_rate": rate}) + "\n"
            for i, rate in enumerate(rates)
        )
    )
    outcome = {"successes": successes, "episodes": 100, "success_rate": successes / 100, "mean_episode_seconds": 1.5}
    result = {
        "seed": seed,
        "env_steps": env_steps,
        "human_seconds": 10.0 * seed,
        "demonstration_seconds": 40.0,
        "wall_seconds": 60.0,
        "evaluation": outcome,
    }
    run.result.write_text(json.dumps(result))
    return Member(label, replace(USUAL, seed=seed), run)


def test_table_pools_the_seeds_and_leaves_out_what_has_not_finished(tmp_path: Path) -> None:
    done = [("a", 0, 100, 1000), ("a", 1, 80, 3000), ("b", 0, 0, 50)]
    runs = [finished(tmp_path, *each) for each in done]
    missing = Member("b", USUAL, RunDir(tmp_path / "b" / "seed9"))
    table = write_report(tmp_path, [*runs, missing], "a title")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.strip().splitlines()[2:]]
    assert rows == [
        ["a", "0, 1", "90.0 %", "85.1 to 93.4 %", "100, 80 of 100", "1.5 s", "45 s", "2,000", "3.3", "1.0"],
        ["b", "0", "0.0 %", "0.0 to 3.7 %", "0 of 100", "1.5 s", "40 s", "50", "0.1", "1.0"],
    ]
    assert (tmp_path / "table.md").read_text() == table
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_report_of_nothing_is_an_empty_table(tmp_path: Path) -> None:
    table = write_report(tmp_path, [Member("a", USUAL, RunDir(tmp_path / "none"))], "")
    assert len(table.strip().splitlines()) == 2
    assert not (tmp_path / "curves.png").exists()


def test_sweep_is_not_begun_where_something_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.txt").write_text("dear")
    assert main(["sweep", "pick_cube", "--out", str(tmp_path)]) == 1
    assert "not empty" in capsys.readouterr().err
    assert (tmp_path / "mine.txt").read_text() == "dear"


def test_cluster_address_without_actors_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "pick_cube", "--ray", "auto"]) == 1
    assert "--actors" in capsys.readouterr().err


def test_missing_ray_is_named_with_the_install_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("hilserl.distributed.ray_cluster.importlib.util.find_spec", lambda _: None)
    assert main(["train", "pick_cube", "--actors", "1", "--run-dir", "nowhere"]) == 1
    assert "hilserl[ray]" in capsys.readouterr().err
    assert not Path("nowhere").exists()
