"""Bounds on commanded poses."""

import numpy as np
import pytest

from hilserl.errors import HilserlError
from hilserl.robot.control.limits import Box, Limits
from tests.support.arms import pose_at


def test_box_must_not_be_empty() -> None:
    with pytest.raises(HilserlError, match="empty"):
        Box((0.5, 0.0, 0.0), (0.4, 1.0, 1.0))


def test_box_clips_a_position_and_tells() -> None:
    box = Box((0.0, -1.0, 0.0), (0.5, 1.0, 1.0))
    inside, moved = box.clip(pose_at(0.7))
    assert moved
    assert np.allclose(inside, pose_at(0.5))
    assert box.clip(inside)[1] is False


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
def test_limits_must_be_above_zero(value: float) -> None:
    with pytest.raises(HilserlError, match="max_speed_m_per_s"):
        Limits(max_speed_m_per_s=value)
