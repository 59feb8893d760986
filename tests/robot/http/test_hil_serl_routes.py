"""HIL-SERL's routes in front of every arm, over a real socket. Times are the arm's own."""

import threading
import time

import numpy as np
import pytest

from hilserl.robot.control.impedance import Compliance
from tests.support.loopback import until
from tests.support.robot_rig import HOME, Rig

STANDING_M_PER_S = 0.05

PRECISION = {"rotational_clip_x": 0.5, "rotational_clip_y": 0.5, "rotational_clip_z": 0.5}


def test_reads_have_the_reference_s_bodies(rig: Rig) -> None:
    joints, abilities = (rig.abilities.joints,), rig.abilities
    of_wrench = {"force": (3,), "torque": (3,)} if abilities.senses_wrench else {}
    state = {"pose": (7,), "vel": (6,), "q": joints, "dq": joints, "jacobian": (6, *joints), "gripper_pos": ()}
    shapes: dict[str, dict[str, tuple[int, ...]]] = {
        "getpos": {"pose": (7,)},
        "getpos_euler": {"pose": (6,)},
        "getvel": {"vel": (6,)},
        **{f"get{name}": {name: shape} for name, shape in of_wrench.items()},
        "getq": {"q": joints},
        "getdq": {"dq": joints},
        "getjacobian": {"jacobian": (6, *joints)},
        "get_gripper": {"gripper": ()},
        "getstate": state | of_wrench,
    }
    for route, expected in shapes.items():
        answer = rig.post(f"/{route}")
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "application/json"
        body = answer.json
        assert {name: np.shape(value) for name, value in body.items()} == expected
        assert all(np.isfinite(value).all() for value in body.values())
        assert rig.get(f"/{route}").status == 405
    assert np.allclose(rig.state()["pose"][:3], abilities.home[:3], atol=0.01)
    if abilities.turns:
        assert np.allclose(rig.state()["pose"], HOME, atol=0.01)
        assert np.isclose(abs(rig.post("/getpos_euler").json["pose"][3]), np.pi, atol=0.05)


def test_reads_of_what_is_not_sensed_are_refused(rig: Rig) -> None:
    """A zero would be a measurement that nobody made."""
    for name in ("force", "torque"):
        assert (name in rig.state()) == rig.abilities.senses_wrench
        answer = rig.post(f"/get{name}")
        assert answer.status == (200 if rig.abilities.senses_wrench else 400)
        assert rig.abilities.senses_wrench or f"senses no {name}" in answer.json["error"]


REPLIES = [
    ("pose", {"arr": HOME}, "Moved"),
    ("pose", {"arr": [*HOME[:3], 1, 0, 0, 0]}, "Moved"),
    ("clearerr", None, "Clear"),
    ("activate_gripper", None, "Activated"),
    ("reset_gripper", None, "Reset"),
    ("close_gripper", None, "Closed"),
    ("close_gripper_slow", None, "Closed"),
    ("open_gripper", None, "Opened"),
    ("move_gripper", {"gripper_pos": 100}, "Moved Gripper"),
    ("move_gripper", {"gripper_pos": 1e6}, "Moved Gripper"),
    ("set_load", {"mass": 0.1, "F_x_center_load": [0, 0, 0.1], "load_inertia": [0.01] * 9}, "Set Load"),
    ("set_load", {"mass": 0.0, "F_x_center_load": [0, 0, 0], "load_inertia": [0] * 9}, "Set Load"),
    ("update_param", Compliance().as_dict(), "Updated compliance parameters"),
    ("update_param", {"translational_stiffness": 2000}, "Updated compliance parameters"),
    ("stopimp", None, "Stopped impedance"),
    ("startimp", None, "Started impedance"),
    ("jointreset", None, "Reset Joint"),
]


STANDING_RAD_PER_S = 0.01


def test_commands_answer_as_the_reference(rig: Rig) -> None:
    for route, body, reply in REPLIES:
        if not rig.abilities.takes_torques and route in ("set_load", "update_param"):
            continue
        if route == "set_load":  # an arm that moves takes no load
            until(lambda: np.abs(rig.state()["dq"]).max() < STANDING_RAD_PER_S, "a standing arm")
        answer = rig.post(f"/{route}", {"arr": rig.abilities.home} if route == "pose" else body)
        if route == "set_load" and answer.status == 409:
            assert "user stop" in answer.json["error"], "some arms take a load only while their user stop is pressed"
            continue
        assert (answer.status, answer.body.decode()) == (200, reply)
        assert answer.headers["Content-Type"].startswith("text/html")
        assert rig.get(f"/{route}").status == 405


def test_arm_without_an_impedance_refuses_to_set_one(rig: Rig) -> None:
    if rig.abilities.takes_torques:
        pytest.skip("this arm has an impedance")
    load = {"mass": 0.1, "F_x_center_load": [0, 0, 0.1], "load_inertia": [0.01] * 9}
    for route, body in (("update_param", {"translational_stiffness": 500}), ("set_load", load)):
        answer = rig.post(f"/{route}", body)
        assert answer.status == 409
        assert "take positions" in answer.json["error"]


def test_pose_moves_the_tool(rig: Rig) -> None:
    if not rig.abilities.turns:
        goal = rig.at(0.5, 0.15, 0.2)
        assert np.allclose(rig.drive(goal)[:3], goal[:3], atol=0.005)
        return
    tilted = [0.5, 0.15, 0.2, float(np.cos(0.1)), float(np.sin(0.1)), 0.0, 0.0]
    pose = rig.drive(tilted)
    until(lambda: abs(np.array(rig.drive(tilted)[3:]) @ tilted[3:]) > 0.9999, "the turn")
    assert np.allclose(pose[:3], tilted[:3], atol=0.005)


def test_getstate_velocity_is_the_jacobian_times_the_joints(rig: Rig) -> None:
    def moves() -> bool:
        rig.post("/pose", {"arr": rig.at(0.5, 0.1, 0.2)})
        now = rig.state()
        assert np.allclose(np.array(now["jacobian"]) @ now["dq"], now["vel"], atol=1e-6)
        return bool(np.linalg.norm(now["vel"][:3]) > 0.01)

    until(moves, "motion")


def test_pose_outside_the_box_is_moved_to_its_edge(rig: Rig) -> None:
    outside, high = [5.0, *rig.abilities.home[1:]], rig.backend.box.high_m[0]
    answer = rig.post("/pose", {"arr": outside})
    assert (answer.status, answer.body) == (200, b"Moved")
    assert answer.headers["X-Limited"] == "box"

    def is_at_the_edge() -> bool:
        rig.post("/pose", {"arr": outside})
        x = rig.state()["pose"][0]
        assert x < high + 0.005
        return x > high - 0.01

    until(is_at_the_edge, "the edge")
    begun_s = rig.time_s()
    while rig.time_s() - begun_s < 0.4:
        assert is_at_the_edge()


def test_pose_far_away_is_walked_to(rig: Rig) -> None:
    """Between any two snapshots the set point moves no further than the limits allow."""
    limits = rig.backend.limits
    before = rig.backend.snapshot()
    for x, y, z in ([0.6, 0.3, 0.05], [0.2, -0.3, 0.5], [0.6, -0.3, 0.1]) * 6:
        rig.post("/pose", {"arr": rig.at(x, y, z)})
        now = rig.backend.snapshot()
        moved = np.linalg.norm(now.set_point[:3] - before.set_point[:3])
        assert moved <= limits.max_step_m + limits.max_speed_m_per_s * (now.time_s - before.time_s) + 1e-9
        before = now


@pytest.mark.parametrize("streaming", [False, True])
def test_pose_of_a_silent_client_expires(rig: Rig, streaming: bool) -> None:
    """The arm stops within 0.2 s of the last pose, if no filter delays it, on its own clock; then it stays."""
    goal, size = rig.at(0.58, 0.28, 0.1), rig.abilities.reach
    if streaming:
        begun_s = rig.time_s()
        while rig.time_s() - begun_s < 0.25:
            rig.post("/pose", {"arr": goal})
    rig.post("/pose", {"arr": goal})
    last_s = rig.backend.snapshot().time_s
    fastest, seen, stops_within_s = 0.0, [], rig.abilities.stops_within_s
    while not seen or seen[-1].time_s < last_s + stops_within_s + 0.3:
        seen.append(rig.backend.snapshot())
        fastest = max(fastest, float(np.linalg.norm(seen[-1].velocity[:3])))
    assert fastest > size * (0.2 if streaming else 0.01), "the arm was in motion"
    after = [s for s in seen if s.time_s > last_s + stops_within_s]
    assert max(np.linalg.norm(s.velocity[:3]) for s in after) < STANDING_M_PER_S
    assert max(np.linalg.norm(s.pose[:3] - after[0].pose[:3]) for s in after) < 0.005
    assert np.linalg.norm(after[-1].pose[:3] - goal[:3]) > 0.05 * size, "it did not stop because it had arrived"
    assert rig.get("/metrics").json["watchdog_holds"] > 0
    assert rig.drive(rig.at(0.45, 0.1, 0.3)) is not None


INVALID = [
    ("pose", b'{"arr": [0.4, 0, NaN, 1, 0, 0, 0]}', "finite"),
    ("pose", b'{"arr": [0.4, 0, Infinity, 1, 0, 0, 0]}', "finite"),
    ("pose", b'{"arr": [0.4, 0, 1e999, 1, 0, 0, 0]}', "range"),
    ("pose", b'{"arr": [0.4, 0, 0.3, 0, 0, 0, 0]}', "unit quaternion"),
    ("pose", b'{"arr": [0.4, 0, 0.3, 1e308, 1e308, 0, 0]}', "unit quaternion"),
    ("pose", b'{"arr": [0.4, 0, 0.3, 1, 0, 0]}', "length"),
    ("pose", b'{"arr": [[0.4, 0, 0.3, 1, 0, 0, 0]]}', "float"),
    ("pose", b'{"arr": [true, 0, 0.3, 1, 0, 0, 0]}', "float"),
    ("pose", b'{"arr": ["0.4", 0, 0.3, 1, 0, 0, 0]}', "float"),
    ("pose", b'{"arr": null}', "array"),
    ("pose", b'{"pose": [0.4, 0, 0.3, 1, 0, 0, 0]}', "pose"),
    ("pose", b"[0.4, 0, 0.3, 1, 0, 0, 0]", "object"),
    ("pose", b"", "truncated"),
    ("pose", b"{", "truncated"),
    ("pose", b"\xff\xfe\x00", "malformed"),
    ("pose", b"[" * 10_000, "object"),
    ("move_gripper", b'{"gripper_pos": NaN}', "finite"),
    ("move_gripper", b'{"gripper_pos": "open"}', "float"),
    ("move_gripper", b"{}", "gripper_pos"),
    ("update_param", b'{"translational_stifness": 100}', "translational_stiffness"),
    ("update_param", b'{"translational_stiffness": -1}', "0 to 6000"),
    ("update_param", b'{"translational_stiffness": NaN}', "finite"),
    ("update_param", b'{"translational_stiffness": [1]}', "float"),
    ("update_param", b"[1]", "object"),
    ("set_load", b'{"mass": -1, "F_x_center_load": [0,0,0], "load_inertia": [0,0,0,0,0,0,0,0,0]}', "0.0"),
    ("set_load", b'{"mass": 30, "F_x_center_load": [0,0,0], "load_inertia": [0,0,0,0,0,0,0,0,0]}', "3.0"),
    ("set_load", b'{"mass": 1, "F_x_center_load": [0,0,9], "load_inertia": [0,0,0,0,0,0,0,0,0]}', "within 1 m"),
    ("set_load", b'{"mass": 1}', "F_x_center_load"),
]


def is_standing(rig: Rig) -> bool:
    """True if the arm stands; a velocity near zero may be the moment in which it turns back."""
    before = rig.backend.snapshot().pose
    time.sleep(0.15)
    return np.allclose(rig.backend.snapshot().pose, before, atol=1e-4)


def test_invalid_bodies_are_refused_and_the_arm_stays(rig: Rig) -> None:
    until(lambda: is_standing(rig), "standing")
    before, limits = rig.backend.snapshot(), rig.get("/limits").json
    for route, body, reason in INVALID:
        answer = rig.post(f"/{route}", raw=body)
        assert answer.status == 400, (route, body, answer)
        assert reason in answer.json["error"]
        after = rig.backend.snapshot()
        assert np.allclose(after.set_point, before.set_point, atol=0.002)
        assert np.allclose(after.pose, before.pose, atol=0.002)
    assert rig.get("/limits").json == limits


def test_update_param_keeps_ranges_and_changes_the_named_parameters(rig: Rig) -> None:
    """The reference asks for clips of 0.5 in its precise mode, which its controller takes as 0.1."""
    if not rig.abilities.takes_torques:
        pytest.skip("this arm has no impedance")
    assert rig.post("/update_param", {"translational_stiffness": 2000, **PRECISION}).status == 200
    expected = {**Compliance().as_dict(), "translational_stiffness": 2000.0, **dict.fromkeys(PRECISION, 0.1)}
    assert rig.get("/limits").json["compliance"] == expected
    assert rig.post("/update_param", {"translational_stiffness": 1e300}).status == 200
    assert rig.get("/limits").json["compliance"]["translational_stiffness"] == 6000


def test_gripper_closes_and_opens(rig: Rig) -> None:
    until(lambda: rig.post("/get_gripper").json["gripper"] > 0.9, "open")
    rig.post("/close_gripper")
    until(lambda: rig.post("/get_gripper").json["gripper"] < 0.1, "closed")
    rig.post("/open_gripper")
    until(lambda: rig.post("/get_gripper").json["gripper"] > 0.9, "open again")


def test_jointreset_reaches_its_posture_and_refuses_poses_meanwhile(rig: Rig) -> None:
    rig.drive(rig.at(0.45, 0.12, 0.25))
    answers = []
    resetting = threading.Thread(target=lambda: answers.append(rig.post("/jointreset")))
    resetting.start()
    until(lambda: rig.get("/health").json["mode"] == "resetting" or answers, "the reset")
    meanwhile = rig.post("/pose", {"arr": rig.abilities.home})
    resetting.join()
    assert answers[0].body == b"Reset Joint"
    assert meanwhile.status == 409
    assert "reset posture" in meanwhile.json["error"]
    assert np.allclose(rig.state()["pose"][:3], rig.abilities.home[:3], atol=0.02)
    rig.drive(rig.abilities.home)


def test_stopimp_refuses_poses_until_startimp(rig: Rig) -> None:
    rig.post("/stopimp")
    before = rig.state()["q"]
    answer = rig.post("/pose", {"arr": rig.at(0.5, 0.1, 0.2)})
    assert answer.status == 409
    assert "/startimp" in answer.json["error"]
    assert np.allclose(rig.state()["q"], before, atol=0.01)
    rig.post("/startimp")
    rig.drive(rig.at(0.45, 0.05, 0.3))
