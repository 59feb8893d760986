"""Names of actions: arms, axes and kinds."""

from collections.abc import Iterable

import numpy as np
import pytest

from hilserl.data.spec import ActionLayout
from hilserl.operators.action_axes import AXES, arm_axes, driven_axes, parse_action_name
from hilserl.operators.devices.key_map import KEYS, SPEED, Command, key_motion, keys_for
from tests.support.layouts import LAYOUTS

ALL = [pytest.param(layout, id=name) for name, layout in LAYOUTS.items()]


def action_of(held: Iterable[str], layout: ActionLayout) -> tuple[float, ...]:
    """Return the continuous actions of held keys with the first arm chosen."""
    return tuple(arm_axes(layout)[0].action(key_motion(held, layout)).tolist())


def test_layout_decides_the_order_and_grippers_take_no_place() -> None:
    layout = ActionLayout(("gripper", "tcp_dz", "odd", "tcp_dx"), grippers=(0, 2))
    assert action_of(["J"], layout) == (SPEED, 0.0)
    assert action_of(["S"], layout) == (0.0, -SPEED)
    assert action_of(["A", "Q"], layout) == (0.0, 0.0)


@pytest.mark.parametrize("layout", ALL)
def test_numbers_along_an_axis_follow_its_keys(layout: ActionLayout) -> None:
    continuous = [layout.names[i] for i in layout.continuous]
    for key in KEYS:
        made = key_motion([key.name, "F"], layout)
        assert len(made) == len(AXES)
        for arm in arm_axes(layout):
            action = arm.action(made)
            assert len(action) == len(continuous)
            for name, number in zip(continuous, action, strict=True):
                move = parse_action_name(name)
                assert move is not None
                along = key.moves is not None and (move.arm, move.axis) == (arm.name, key.moves[0])
                assert number == (key.moves[1] if along and key.moves is not None else 0.0), (key, name)


@pytest.mark.parametrize("layout", ALL)
def test_numbers_of_an_action_have_two_keys_or_are_grippers(layout: ActionLayout) -> None:
    reached = np.zeros((len(KEYS), len(layout.continuous)))
    for arm in arm_axes(layout):
        for row, key in enumerate(KEYS):
            reached[row] += arm.action(key_motion([key.name], layout))
    assert ((reached > 0).sum(0) == 1).all()
    assert ((reached < 0).sum(0) == 1).all()
    assert sorted(arm.gripper for arm in arm_axes(layout) if arm.gripper is not None) == list(
        range(len(layout.grippers))
    )


@pytest.mark.parametrize(
    "name",
    [
        "",
        "x",
        "tcp",
        "tcp_",
        "tcp_dx ",
        "Tcp_dx",
        "tcp_dw",
        "tcp_rx",
        "tcp_ddx",
        "_tcp_dx",
        "tcp_dx_left",
        "lefttcp_dx",
    ],
)
def test_unknown_names_move_nothing(name: str) -> None:
    assert parse_action_name(name) is None
    for layout in (ActionLayout((name,)), ActionLayout((name, "odd"), grippers=(1,)), ActionLayout(())):
        (arm,) = arm_axes(layout)
        assert (arm.name, arm.gripper, driven_axes(layout)) == ("", None, set())
        assert not arm.action(key_motion([key.name for key in KEYS], layout)).any()
        assert Command.GRIPPER not in {key.command for key in keys_for(layout)}
        assert not [key for key in keys_for(layout) if key.moves is not None]


def test_arms_come_in_the_order_of_the_layout_with_their_numbers() -> None:
    layout = ActionLayout(
        ("far_gripper", "odd", "left_arm_tcp_ty", "far_tcp_dz", "left_arm_gripper", "tcp_dx"), grippers=(4, 0)
    )
    arms = {arm.name: (dict(arm.axes), arm.gripper) for arm in arm_axes(layout)}
    assert list(arms.items()) == [("far", ({"z": 2}, 1)), ("left_arm", ({"pitch": 1}, 0)), ("", ({"x": 3}, None))]
