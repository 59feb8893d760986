"""HIL-SERL's own clients in front of a simulated arm, written from its protocol."""

import numpy as np
import pytest
import requests

from hilserl.cli.robot_arms import HIL_SERL_LIMITS
from hilserl.robot.control.poses import angle_rad
from tests.support.hil_serl_client import ReferenceClient, pose_of
from tests.support.loopback import until
from tests.support.robot_rig import Rig, serving, sim_backend


@pytest.mark.parametrize("yaw_rad", [-1.75, -1.5, 1.6])
def test_reset_along_a_straight_line_arrives_at_every_yaw(sim_rig: Rig, yaw_rad: float) -> None:
    client, goal = ReferenceClient(sim_rig.port), pose_of([0.45, 0.05, 0.3], yaw_rad)
    until(lambda: angle_rad(sim_rig.drive(goal.tolist())[3:], goal[3:]) < 0.05, "the turn")
    client.go_to_reset(goal)
    assert {answer.status for answer in client.answers} == {200}
    assert np.linalg.norm(client.pose()[:3] - goal[:3]) < 0.01
    assert angle_rad(client.pose()[3:], goal[3:]) < 0.1


FAR_M = [0.55, 0.2, 0.15]


def test_reset_by_one_pose_and_a_pause_is_told_to_fail_with_a_short_watchdog(sim_rig: Rig) -> None:
    client = ReferenceClient(sim_rig.port)
    sim_rig.home()
    assert "X-Warning" not in sim_rig.post("/clearerr").headers
    client.go_to_reset_at_once(pose_of(FAR_M, 0.0))
    assert np.linalg.norm(client.pose()[:3] - FAR_M) > 0.05
    told, again = client.post("clearerr").headers, client.post("clearerr").headers
    assert "--client hil-serl" in told["X-Warning"]
    assert "X-Warning" not in again
    assert sim_rig.get("/metrics").json["ways_cut"] > 0


def test_reset_by_one_pose_and_a_pause_arrives_with_the_preset() -> None:
    with sim_backend(HIL_SERL_LIMITS) as backend, serving(backend) as rig:
        client = ReferenceClient(rig.port)
        client.go_to_reset_at_once(pose_of(FAR_M, 0.0), sleep_s=3.0)
        assert np.linalg.norm(client.pose()[:3] - FAR_M) < 0.003
        assert "X-Warning" not in client.post("clearerr").headers


@pytest.mark.parametrize("route", ["startwrench", "wrench", "reset"])
def test_client_that_flips_eggs_cannot_overlook_the_refusal(sim_rig: Rig, route: str) -> None:
    """It looks at no status, so its HTTP library has to raise."""
    with pytest.raises(requests.exceptions.RequestException, match="takes-poses-and-no-forces"):
        requests.post(f"http://127.0.0.1:{sim_rig.port}/{route}", json={"arr": [1.0, 0, 2.0, 0, 0.5, 0]}, timeout=60)
    assert "takes poses" in sim_rig.post(f"/{route}").json["error"]
