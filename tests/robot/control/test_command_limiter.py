"""Limits on the way, the speed and the silence of commanded poses."""

import numpy as np
from scipy.spatial.transform import Rotation

from hilserl.robot.control.command_limiter import CommandLimiter
from hilserl.robot.control.limits import Box, Limits
from hilserl.robot.control.poses import angle_rad
from hilserl.robot.drivers.sim.world import TICK_S
from tests.support.arms import STILL, pose_at


def test_command_limiter_bounds_the_speed_of_any_stream_of_commands() -> None:
    box, limits = Box(), Limits(watchdog_s=10.0)
    rng = np.random.default_rng(1)
    limiter = CommandLimiter(box, limits, pose_at(0.4), 0.0)
    path, seen = [0.0], [limiter.set_point]
    for tick in range(4000):
        if tick % int(rng.integers(1, 60)) == 0:
            limiter.command(np.append(rng.uniform(-2, 2, 3), Rotation.random(rng=rng).as_quat()), tick * TICK_S)
        seen.append(limiter.update(seen[-1], STILL, tick * TICK_S))
        assert box.clip(seen[-1])[1] is False
        assert np.isclose(np.linalg.norm(seen[-1][3:]), 1.0)
        path.append(path[-1] + float(np.linalg.norm(seen[-1][:3] - seen[-2][:3])))
        assert angle_rad(seen[-1][3:], seen[-2][3:]) <= limits.max_turn_rad + 1e-9
    for ticks in (1, 10, 100, 1000):
        fastest = np.max(np.array(path[ticks:]) - path[:-ticks])
        assert fastest <= limits.max_step_m + limits.max_speed_m_per_s * ticks * TICK_S + 1e-9
    assert path[-1] > 1.0


def test_command_limiter_passes_short_steps_and_walks_long_ones() -> None:
    limits = Limits()
    limiter = CommandLimiter(Box(), limits, pose_at(0.4), 0.0)
    limiter.update(pose_at(0.4), STILL, 0.0)
    limiter.command(pose_at(0.46), 0.0)
    assert np.allclose(limiter.update(pose_at(0.4), STILL, 0.001), pose_at(0.46))
    limiter.command(pose_at(0.46, 0.3), 0.001)
    assert np.allclose(limiter.update(pose_at(0.4), STILL, 0.002), pose_at(0.46, limits.max_speed_m_per_s * 0.001))


def test_command_limiter_passes_full_actions_at_ten_hertz() -> None:
    """The simulated tasks' largest step along all three axes at once, ten times a second."""
    limiter = CommandLimiter(Box(), Limits(), pose_at(0.21, -0.29, 0.01), 0.0)
    for step in range(8):
        goal = np.array([0.21, -0.29, 0.01]) + 0.035 * (step + 1)
        limiter.command(pose_at(*goal), step * 0.1)
        assert np.allclose(limiter.update(pose_at(*goal), STILL, step * 0.1 + TICK_S)[:3], goal)


def test_command_limiter_holds_the_measured_pose_of_a_silent_client() -> None:
    limiter = CommandLimiter(Box(), Limits(watchdog_s=0.12), pose_at(0.4), 0.0)
    limiter.command(pose_at(0.45), 0.0)
    assert np.allclose(limiter.update(pose_at(0.4), STILL, 0.12), pose_at(0.45))
    assert np.allclose(limiter.update(pose_at(0.42), STILL, 0.121), pose_at(0.42))
    assert limiter.watchdog_holds == 1
    assert not limiter.is_braking


def test_command_limiter_counts_the_poses_that_it_kept_the_tool_from() -> None:
    limiter = CommandLimiter(Box(), Limits(watchdog_s=0.12), pose_at(0.4), 0.0)
    limiter.command(pose_at(0.45), 0.0)
    limiter.update(pose_at(0.449), STILL, 0.13)
    assert (limiter.watchdog_holds, limiter.ways_cut) == (1, 0)
    limiter.command(pose_at(0.5), 1.0)
    limiter.update(pose_at(0.47), STILL, 1.13)
    assert (limiter.watchdog_holds, limiter.ways_cut) == (2, 1)
    assert np.allclose(limiter.missing, (0.03, 0.0))


def test_command_limiter_brakes_a_moving_arm_of_a_silent_client() -> None:
    """The set point lies behind the arm, by `brake_s` times its velocity, until the arm stands."""
    limiter = CommandLimiter(Box(), Limits(), pose_at(0.4), 0.1)
    limiter.command(pose_at(0.45), 0.0)
    limiter.update(pose_at(0.42), np.array([0.5, 0.0, 0.0]), 0.01)
    behind = limiter.update(pose_at(0.43), np.array([0.4, 0.0, 0.0]), 0.2)
    assert limiter.is_braking
    assert np.allclose(behind, pose_at(0.39))
    assert np.allclose(limiter.update(pose_at(0.435), STILL, 0.25), pose_at(0.435))
    assert not limiter.is_braking


def test_command_limiter_brakes_an_arm_that_would_leave_the_box() -> None:
    high = Box().high_m[0]
    limiter = CommandLimiter(Box(), Limits(), pose_at(high - 0.01), 0.1)
    set_point = limiter.update(pose_at(high - 0.01), np.array([0.5, 0.0, 0.0]), 0.0)
    assert limiter.is_braking
    assert np.allclose(set_point, pose_at(high - 0.06))
