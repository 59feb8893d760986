"""The motion of a held phone in the world."""

import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hilserl.operators.phone.hand import FULL_TURN_RAD, PhoneHand, sensor_rotation, xr_place_m, xr_rotation

FLAT, UPRIGHT = Rotation.identity(), Rotation.from_euler("x", 90, degrees=True)
"""Screen up with the upper edge to the north; screen to the south with the back to the north."""
NORTH, WEST, UP = np.eye(3)[[1, 0, 2]] * [[1], [-1], [1]]


def turned(rotation: Rotation, yaw_deg: float) -> Rotation:
    return Rotation.from_euler("z", yaw_deg, degrees=True) * rotation


def followed(hand: PhoneHand, rotation: Rotation, way_m: np.ndarray, steps: int = 10) -> np.ndarray:
    """Return the change of the hand's position on a way of the phone."""
    hand.move(rotation, np.zeros(3))
    start = np.array(hand.hand_m)
    for step in range(1, steps + 1):
        hand.move(rotation, step / steps * way_m)
    return np.array(hand.hand_m) - start


@pytest.mark.parametrize("held", [FLAT, UPRIGHT, Rotation.from_euler("x", 40, degrees=True)])
@pytest.mark.parametrize("yaw_deg", [0.0, 90.0, 215.0])
def test_way_is_told_from_the_phone_s_heading_at_the_thumb(held: Rotation, yaw_deg: float) -> None:
    rotation = turned(held, yaw_deg)
    turn = Rotation.from_euler("z", yaw_deg, degrees=True)
    for way, expected in ((NORTH, (0.3, 0, 0)), (WEST, (0, 0.3, 0)), (UP, (0, 0, 0.3))):
        moved = followed(PhoneHand(1.0, 0.0), rotation, 0.3 * turn.apply(way))
        np.testing.assert_allclose(moved, expected, atol=1e-9)


def test_operator_who_faces_the_robot_pushes_towards_its_base() -> None:
    np.testing.assert_allclose(followed(PhoneHand(0.5, 180.0), FLAT, 0.2 * NORTH), (-0.1, 0, 0), atol=1e-9)


def test_way_with_the_thumb_up_does_not_count() -> None:
    hand = PhoneHand(1.0, 0.0)
    moved = followed(hand, FLAT, 0.1 * NORTH)
    hand.release()
    assert hand.hand_m is None
    hand.move(FLAT, 5.0 * NORTH)
    np.testing.assert_allclose(np.array(hand.hand_m), moved, atol=1e-9)


def test_leap_of_the_tracking_does_not_count() -> None:
    hand = PhoneHand(1.0, 0.0)
    hand.move(FLAT, np.zeros(3))
    hand.move(FLAT, np.array([0.0, 2.0, 0.0]))
    hand.move(FLAT, np.array([0.0, 2.1, 0.0]))
    np.testing.assert_allclose(np.array(hand.hand_m), (0.1, 0, 0), atol=1e-9)


@pytest.mark.parametrize(("axis", "world"), [("z", (0, 0, 1)), ("x", (0, -1, 0)), ("y", (1, 0, 0))])
def test_turn_is_about_the_world_s_axes(axis: str, world: tuple[int, ...]) -> None:
    """A phone that lies flat tilts about its x axis, which points to the operator's right."""
    hand = PhoneHand(1.0, 0.0)
    hand.move(FLAT)
    hand.move(Rotation.from_euler(axis, 0.5 * FULL_TURN_RAD))
    np.testing.assert_allclose(hand.take_turn(), 0.5 * np.array(world), atol=1e-9)
    np.testing.assert_allclose(hand.take_turn(), np.zeros(3), atol=1e-9)
    assert hand.hand_m is None, "the sensors tell no place"


def test_fast_turn_is_made_up_for_and_a_release_ends_it() -> None:
    hand = PhoneHand(1.0, 0.0)
    hand.move(FLAT)
    for step in range(1, 6):
        hand.move(Rotation.from_euler("z", 0.5 * step * FULL_TURN_RAD))
    np.testing.assert_allclose([hand.take_turn()[2] for _ in range(4)], [1.0, 1.0, 0.5, 0.0], atol=1e-9)
    hand.move(Rotation.from_euler("z", 9.0 * FULL_TURN_RAD))
    hand.release()
    assert hand.take_turn() == (0.0, 0.0, 0.0)


def test_frames_of_xr_and_sensors_agree() -> None:
    """WebXR looks along -z with y up; the sensors' angles turn about z, x and y, in this order."""
    np.testing.assert_allclose(xr_place_m((1.0, 2.0, -3.0)), (1.0, 3.0, 2.0), atol=1e-12)
    upright = xr_rotation((0.0, 0.0, 0.0, 1.0))
    assert (upright.inv() * UPRIGHT).magnitude() < 1e-9
    assert (sensor_rotation((0.0, 90.0, 0.0)).inv() * UPRIGHT).magnitude() < 1e-9
    half = math.sqrt(0.5)
    left = xr_rotation((0.0, half, 0.0, half))
    assert (sensor_rotation((90.0, 90.0, 0.0)).inv() * left).magnitude() < 1e-9
