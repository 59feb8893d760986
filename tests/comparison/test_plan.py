"""A benchmark is every task with every method, operator and seed."""

from pathlib import Path

import pytest

from hilserl.comparison.plan import FOREIGN_TASKS, plan, task_config, with_common
from hilserl.distributed.sweep import parse_settings
from hilserl.errors import HilserlError
from hilserl.operators.profiles import PROFILES

PICK_CUBE = {"pick_cube": task_config("pick_cube", "state")}


def test_plan_combines_everything_once(tmp_path: Path) -> None:
    cases = plan(tmp_path, PICK_CUBE, ["bc", "rlpd"], ["steady", "clumsy"], (0, 4))
    assert len({case.member.run.path for case in cases}) == len(cases) == 8
    assert {(case.method, case.people, case.member.config.seed) for case in cases} == {
        (method, profile, seed) for method in ("bc", "rlpd") for profile in ("steady", "clumsy") for seed in (0, 4)
    }
    for case in cases:
        assert case.member.config.simulated_operator == PROFILES[case.people]
        assert case.member.config.operator == ("none" if case.method == "rlpd" else "scripted")


@pytest.mark.parametrize(
    ("methods", "people", "complaint"),
    [
        (["bc", "bc"], ["steady"], "named once"),
        (["magic"], ["steady"], "Unknown method 'magic'"),
        (["bc"], ["keybord"], "Did you mean 'keyboard'"),
    ],
)
def test_plan_with_a_wrong_name_is_refused(
    tmp_path: Path, methods: list[str], people: list[str], complaint: str
) -> None:
    with pytest.raises(HilserlError, match=complaint):
        plan(tmp_path, PICK_CUBE, methods, people, (0,))


@pytest.mark.parametrize(
    ("name", "task", "python"),
    [
        ("gym-hil-pick-cube", "gym_hil:gym_hil/PandaPickCube-v0", "gym-hil"),
        ("robosuite-lift", "robosuite:Lift", "robosuite"),
        ("metaworld-drawer-open", "metaworld:Meta-World/MT1", "metaworld"),
        ("metaworld:Meta-World/MT1", "metaworld:Meta-World/MT1", "metaworld"),
    ],
)
def test_environments_of_known_packages_have_their_interpreter(name: str, task: str, python: str) -> None:
    config = task_config(name, "state")
    assert (config.task, config.env.python, config.operator) == (task, python, "scripted")
    assert config.demonstrations == 20
    if name == "metaworld-drawer-open":
        assert config.env.kwargs == {"env_name": "drawer-open-v3"}
        assert config.env.action_repeat == 8


def test_task_of_hilserl_needs_no_interpreter() -> None:
    config = task_config("pick-cube", "pixels")
    assert (config.task, config.env.python, config.env.obs) == ("pick_cube", None, "pixels")


def test_task_that_does_not_exist_or_has_no_expert_is_refused() -> None:
    with pytest.raises(HilserlError, match=r"Unknown task 'pick_cub'\. Did you mean 'pick_cube'"):
        task_config("pick_cub", "state")
    with pytest.raises(HilserlError, match="gymnasium:Pendulum-v1 has no expert"):
        task_config("gymnasium:Pendulum-v1", "state")
    assert all(task_config(name, "state").operator == "scripted" for name in FOREIGN_TASKS)


def test_common_settings_have_one_value() -> None:
    config = with_common(PICK_CUBE["pick_cube"], parse_settings(["max_env_steps=70", "agent.hidden=8 8"]))
    assert (config.max_env_steps, config.agent.hidden) == (70, (8, 8))
    with pytest.raises(HilserlError, match="max_env_steps has several values, 1, 2"):
        with_common(config, parse_settings(["max_env_steps=1,2"]))
