"""The arm under ROS 1 with a real master and a simulated Franka."""

import threading

import numpy as np
import pytest

from hilserl.robot.control.poses import with_scipy_sign
from tests.support.loopback import until
from tests.support.robot_rig import HOME, Rig
from tests.support.ros_rig import SimulatedFranka

AWAY = [0.45, 0.1, 0.25, 1.0, 0.0, 0.0, 0.0]
pytestmark = pytest.mark.ros


def mode(rig: Rig) -> str:
    return rig.get("/health").json["mode"]


def test_ros_arm_moves_the_robot_as_commanded(rig: Rig, franka: SimulatedFranka) -> None:
    rig.drive(AWAY)
    seen = franka.ask("tell")
    assert np.allclose(seen["pose"][:3], AWAY[:3], atol=0.01)
    assert np.allclose(rig.state()["pose"], with_scipy_sign(np.array(seen["pose"])), atol=0.005)
    assert seen["launched"][0] == ["impedance", "10.0.0.9", "true"]


def test_ros_arm_stays_halted_after_a_reflex_until_it_recovers(rig: Rig, franka: SimulatedFranka) -> None:
    before = franka.ask("tell")["recoveries"]
    franka.ask("be_stopped", error="cartesian_reflex")
    until(lambda: mode(rig) == "halted", "the halt")
    assert rig.get("/health").json["halted_by"] == "reflex: cartesian_reflex"
    for route, body in (("clearerr", None), ("pose", {"arr": HOME}), ("startimp", None), ("jointreset", None)):
        assert rig.post(f"/{route}", body).status == 409
    assert franka.ask("tell")["recoveries"] == before, "only /recover clears errors"
    assert rig.post("/recover").json == {"mode": "impedance"}
    assert franka.ask("tell")["recoveries"] == before + 1
    rig.drive(AWAY)


def test_ros_arm_reports_a_user_stop_and_takes_a_load_then(rig: Rig, franka: SimulatedFranka) -> None:
    load = {"mass": 0.5, "F_x_center_load": [0, 0, 0.1], "load_inertia": [0.001, 0, 0, 0, 0.001, 0, 0, 0, 0.001]}
    refused = rig.post("/set_load", load)
    assert (refused.status, "user stop" in refused.json["error"]) == (409, True)
    franka.ask("be_stopped", user_stop=True)
    until(lambda: mode(rig) == "halted", "the halt")
    assert "USER_STOPPED" in rig.get("/health").json["halted_by"]
    assert rig.post("/set_load", load).body == b"Set Load"
    assert franka.ask("tell")["load"] == [0.5, 0, 0, 0.1]
    refused = rig.post("/recover")
    assert (refused.status, "user stop is pressed" in refused.json["error"]) == (409, True)
    franka.ask("be_stopped")
    assert rig.post("/recover").json == {"mode": "impedance"}


def test_ros_arm_halts_when_the_robot_is_silent(rig: Rig, franka: SimulatedFranka) -> None:
    franka.ask("mute", on=True)
    until(lambda: mode(rig) == "halted", "the halt")
    assert "no /franka_state_controller/franka_states" in rig.get("/health").json["halted_by"]
    assert rig.post("/pose", {"arr": HOME}).status == 409
    franka.ask("mute", on=False)
    assert rig.post("/recover").json == {"mode": "impedance"}
    rig.drive(AWAY)


def test_ros_arm_passes_compliance_to_this_controller_and_the_next(rig: Rig, franka: SimulatedFranka) -> None:
    assert rig.post("/update_param", {"translational_stiffness": 1500, "rotational_clip_x": 0.5}).status == 200
    wanted = rig.get("/limits").json["compliance"]
    assert wanted == franka.ask("tell")["compliance"]
    rig.post("/stopimp")
    assert rig.post("/update_param", {"translational_stiffness": 1000}).status == 200
    assert franka.ask("tell")["compliance"] == wanted, "no controller runs"
    rig.post("/startimp")
    assert franka.ask("tell")["compliance"] == wanted | {"translational_stiffness": 1000.0}


def test_ros_arm_publishes_nothing_while_it_stands(rig: Rig, franka: SimulatedFranka) -> None:
    """Each set point empties the controller's integral."""
    begun_s = rig.time_s()
    until(lambda: rig.time_s() > begun_s + 0.6, "the watchdog's hold")
    before = franka.ask("tell")["set_points"]
    until(lambda: rig.time_s() > begun_s + 1.2, "some ticks")
    assert franka.ask("tell")["set_points"] == before


def test_ros_arm_breaks_off_a_joint_reset_at_a_stop(rig: Rig, franka: SimulatedFranka) -> None:
    rig.drive([0.55, 0.25, 0.15, 1, 0, 0, 0])
    answers = []
    resetting = threading.Thread(target=lambda: answers.append(rig.post("/jointreset")))
    resetting.start()
    until(lambda: franka.ask("tell")["controller"] == "joint", "the reset")
    assert rig.post("/stop", {"reason": "a hand in the way"}).json == {"stopped": True}
    resetting.join()
    assert answers[0].status == 409
    until(lambda: franka.ask("tell")["controller"] == "impedance", "the end of the joint controller")
    assert np.linalg.norm(np.array(franka.ask("tell")["pose"][:3]) - HOME[:3]) > 0.05, "it did not reach the posture"
    until(lambda: rig.post("/recover").status == 200, "the recovery")
    rig.drive(HOME)
