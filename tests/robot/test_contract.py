"""What every arm behind the server does, over a real socket. Times are the arm's own."""

import contextlib
import io
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from hilserl.robot.control.impedance import Compliance
from tests.support.loopback import until
from tests.support.robot_rig import BACKENDS, HOME, MARKS, Rig, serving

SPEED_OF_STANDING = 0.05
LEAN_M = 0.015
"""How far a soft arm may be dragged off its set point, which never leaves the box, at full speed."""
PRECISION = {"rotational_clip_x": 0.5, "rotational_clip_y": 0.5, "rotational_clip_z": 0.5}


@pytest.fixture(scope="module", params=[pytest.param(name, marks=MARKS.get(name, ())) for name in BACKENDS])
def shared(request: pytest.FixtureRequest) -> Iterator[Rig]:
    with BACKENDS[request.param]() as backend, serving(backend) as rig:
        yield rig


@pytest.fixture
def rig(shared: Rig) -> Iterator[Rig]:
    shared.home()
    yield shared
    shared.post("/update_param", Compliance().as_dict())


def test_reads_have_the_reference_s_bodies(rig: Rig) -> None:
    shapes = {
        "getpos": {"pose": (7,)},
        "getpos_euler": {"pose": (6,)},
        "getvel": {"vel": (6,)},
        "getforce": {"force": (3,)},
        "gettorque": {"torque": (3,)},
        "getq": {"q": (7,)},
        "getdq": {"dq": (7,)},
        "getjacobian": {"jacobian": (6, 7)},
        "get_gripper": {"gripper": ()},
        "getstate": {
            "pose": (7,),
            "vel": (6,),
            "force": (3,),
            "torque": (3,),
            "q": (7,),
            "dq": (7,),
            "jacobian": (6, 7),
            "gripper_pos": (),
        },
    }
    for route, expected in shapes.items():
        answer = rig.post(f"/{route}")
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "application/json"
        body = answer.json
        assert {name: np.shape(value) for name, value in body.items()} == expected
        assert all(np.isfinite(value).all() for value in body.values())
        assert rig.get(f"/{route}").status == 405
    state = rig.state()
    assert np.allclose(state["pose"], HOME, atol=0.01)
    assert np.allclose(rig.post("/getpos_euler").json["pose"][3:], [np.pi, 0, 0], atol=0.05) or np.isclose(
        abs(rig.post("/getpos_euler").json["pose"][3]), np.pi, atol=0.05
    )


SAID = [
    ("pose", {"arr": HOME}, "Moved"),
    ("pose", {"arr": [0.4, 0, 0.3, 1, 0, 0, 0]}, "Moved"),
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


def test_commands_answer_as_the_reference_does(rig: Rig) -> None:
    for route, body, said in SAID:
        answer = rig.post(f"/{route}", body)
        if route == "set_load" and answer.status == 409:
            assert "user stop" in answer.json["error"], "some arms take a load only while they are stopped"
            continue
        assert (answer.status, answer.body.decode()) == (200, said)
        assert answer.headers["Content-Type"].startswith("text/html")
        assert rig.get(f"/{route}").status == 405


def test_the_tool_goes_where_it_is_told(rig: Rig) -> None:
    tilted = [0.5, 0.15, 0.2, float(np.cos(0.1)), float(np.sin(0.1)), 0.0, 0.0]
    pose = rig.drive(tilted)
    until(lambda: abs(np.array(rig.drive(tilted)[3:]) @ tilted[3:]) > 0.9999, "the turn")
    assert np.allclose(pose[:3], tilted[:3], atol=0.005)


def test_velocity_is_the_jacobian_times_the_joints(rig: Rig) -> None:
    def moves() -> bool:
        rig.post("/pose", {"arr": [0.45, 0.05, 0.25, 1, 0, 0, 0]})
        now = rig.state()
        assert np.allclose(np.array(now["jacobian"]) @ now["dq"], now["vel"], atol=1e-6)
        return bool(np.linalg.norm(now["vel"][:3]) > 0.01)

    until(moves, "motion")


def test_a_pose_outside_the_box_is_brought_to_its_edge(rig: Rig) -> None:
    answer = rig.post("/pose", {"arr": [5.0, 0.0, 0.3, 1, 0, 0, 0]})
    assert (answer.status, answer.body) == (200, b"Moved")
    assert answer.headers["X-Limited"] == "box"
    high = rig.backend.box.high_m[0]
    begun = rig.time_s()
    while rig.time_s() - begun < 1.5:
        rig.post("/pose", {"arr": [5.0, 0.0, 0.3, 1, 0, 0, 0]})
        assert rig.state()["pose"][0] < high + 0.005
    assert rig.state()["pose"][0] > high - 0.01


def test_a_far_pose_is_walked_to(rig: Rig) -> None:
    """Whatever a client sends: between any two looks the set point has gone no further than its limits say."""
    limits = rig.backend.limits
    before = rig.backend.snapshot()
    for x, y, z in ([0.6, 0.3, 0.05], [0.2, -0.3, 0.5], [0.6, -0.3, 0.1]) * 6:
        rig.post("/pose", {"arr": [x, y, z, 1, 0, 0, 0]})
        now = rig.backend.snapshot()
        moved = np.linalg.norm(now.set_point[:3] - before.set_point[:3])
        assert moved <= limits.max_step_m + limits.max_speed_m_per_s * (now.time_s - before.time_s) + 1e-9
        before = now


@pytest.mark.parametrize("streaming", [False, True])
def test_a_silent_client_s_arm_stops(rig: Rig, streaming: bool) -> None:
    """Within 0.2 s of the last pose where nothing filters it, on the arm's clock, and it stays there."""
    goal = [0.58, 0.28, 0.1, 1, 0, 0, 0]
    if streaming:
        begun = rig.time_s()
        while rig.time_s() - begun < 0.25:
            rig.post("/pose", {"arr": goal})
    rig.post("/pose", {"arr": goal})
    last_s = rig.backend.snapshot().time_s
    fastest, seen = 0.0, []
    while not seen or seen[-1].time_s < last_s + 0.8:
        seen.append(rig.backend.snapshot())
        fastest = max(fastest, float(np.linalg.norm(seen[-1].velocity[:3])))
    assert fastest > (0.2 if streaming else 0.01), "it was in motion"
    after = [s for s in seen if s.time_s > last_s + rig.stops_within_s]
    assert max(np.linalg.norm(s.velocity[:3]) for s in after) < SPEED_OF_STANDING
    assert max(np.linalg.norm(s.pose[:3] - after[0].pose[:3]) for s in after) < 0.005
    assert np.linalg.norm(after[-1].pose[:3] - goal[:3]) > 0.05, "and not because it had arrived"
    assert rig.get("/metrics").json["watchdog_holds"] > 0
    assert rig.drive([0.45, 0.1, 0.3, 1, 0, 0, 0]) is not None


BAD = [
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


def stands(rig: Rig) -> bool:
    """Whether the arm was where it is a while ago; a velocity near zero may be the moment in which it turns back."""
    before = rig.backend.snapshot().pose
    time.sleep(0.3)
    return np.allclose(rig.backend.snapshot().pose, before, atol=1e-4)


def test_nonsense_is_refused_with_its_reason_and_the_arm_stays(rig: Rig) -> None:
    until(lambda: stands(rig), "standing")
    before, limits = rig.backend.snapshot(), rig.get("/limits").json
    for route, body, why in BAD:
        answer = rig.post(f"/{route}", raw=body)
        assert answer.status == 400, (route, body, answer)
        assert why in answer.json["error"]
        after = rig.backend.snapshot()
        assert np.allclose(after.set_point, before.set_point, atol=0.002)
        assert np.allclose(after.pose, before.pose, atol=0.002)
    assert rig.get("/limits").json == limits


def test_compliance_is_kept_in_its_ranges_and_changes_what_is_named(rig: Rig) -> None:
    """A precise posture of the reference asks for clips of 0.5, and its controller takes them as 0.1."""
    assert rig.post("/update_param", {"translational_stiffness": 2000, **PRECISION}).status == 200
    expected = {**Compliance().as_dict(), "translational_stiffness": 2000.0, **dict.fromkeys(PRECISION, 0.1)}
    assert rig.get("/limits").json["compliance"] == expected
    assert rig.post("/update_param", {"translational_stiffness": 1e300}).status == 200
    assert rig.get("/limits").json["compliance"]["translational_stiffness"] == 6000


def test_the_gripper_closes_and_opens(rig: Rig) -> None:
    until(lambda: rig.post("/get_gripper").json["gripper"] > 0.9, "open")
    rig.post("/close_gripper")
    until(lambda: rig.post("/get_gripper").json["gripper"] < 0.1, "closed")
    rig.post("/open_gripper")
    until(lambda: rig.post("/get_gripper").json["gripper"] > 0.9, "open again")


def test_a_joint_reset_gets_there_and_nothing_else_moves_the_arm_meanwhile(rig: Rig) -> None:
    rig.drive([0.5, 0.2, 0.15, 1, 0, 0, 0])
    answers = []
    resetting = threading.Thread(target=lambda: answers.append(rig.post("/jointreset")))
    resetting.start()
    until(lambda: rig.get("/health").json["mode"] == "resetting" or answers, "the reset")
    meanwhile = rig.post("/pose", {"arr": HOME})
    resetting.join()
    assert answers[0].body == b"Reset Joint"
    assert meanwhile.status == 409
    assert "reset posture" in meanwhile.json["error"]
    assert np.allclose(rig.state()["pose"][:3], HOME[:3], atol=0.02)
    rig.drive(HOME)


def test_without_impedance_poses_are_refused(rig: Rig) -> None:
    rig.post("/stopimp")
    before = rig.state()["q"]
    answer = rig.post("/pose", {"arr": [0.5, 0.1, 0.2, 1, 0, 0, 0]})
    assert answer.status == 409
    assert "/startimp" in answer.json["error"]
    assert np.allclose(rig.state()["q"], before, atol=0.01)
    rig.post("/startimp")
    rig.drive([0.45, 0.05, 0.3, 1, 0, 0, 0])


def test_a_halt_lasts_until_somebody_means_to_end_it(rig: Rig) -> None:
    """HIL-SERL's clients clear errors before every pose; that must not set a stopped arm in motion again."""
    rig.post("/pose", {"arr": [0.5, 0.1, 0.2, 1, 0, 0, 0]})
    assert rig.post("/stop", {"reason": "a hand in the way"}, X_Client="somebody else").json == {"stopped": True}
    until(lambda: np.linalg.norm(rig.state()["vel"]) < 0.02, "standing")
    stood = rig.state()["pose"]
    for route, body in (("clearerr", None), ("pose", {"arr": HOME}), ("startimp", None), ("jointreset", None)):
        answer = rig.post(f"/{route}", body)
        assert answer.status == 409, route
        assert "/recover" in answer.json["error"]
    assert rig.get("/health").json["halted_by"] == "stopped by somebody else: a hand in the way"
    assert np.allclose(rig.state()["pose"], stood, atol=0.005)
    assert rig.post("/recover").json == {"mode": "impedance"}
    assert np.allclose(rig.state()["pose"], stood, atol=0.005)
    assert rig.get("/health").json["halted_by"] == ""
    rig.drive(HOME)


def test_one_client_controls_the_arm_at_a_time(rig: Rig) -> None:
    rig.drive([0.42, 0.0, 0.3, 1, 0, 0, 0], X_Client="anna")
    assert rig.get("/health").json["controller"] == "anna"
    for route, body in (("pose", {"arr": HOME}), ("open_gripper", None), ("update_param", {}), ("jointreset", None)):
        refused = rig.post(f"/{route}", body, X_Client="bert")
        assert refused.status == 409
        assert "anna controls the arm" in refused.json["error"]
    assert rig.post("/getstate", X_Client="bert").status == 200
    assert rig.post("/release", X_Client="bert").status == 409
    assert rig.post("/release", X_Client="anna").json == {"released": True}
    assert rig.post("/pose", {"arr": HOME}, X_Client="bert").status == 200
    rig.post("/release", X_Client="bert")


def test_pictures_are_exact_and_for_eyes(rig: Rig) -> None:
    if not rig.backend.cameras:
        pytest.skip("this arm has no cameras")
    assert rig.get("/cameras").json == {"cameras": list(rig.backend.cameras), "formats": ["npy", "png"]}
    name = rig.backend.cameras[0]
    answer = rig.get(f"/cameras/{name}.npy?height=64&width=96")
    picture = np.load(io.BytesIO(answer.body), allow_pickle=False)
    assert picture.shape == (64, 96, 3)
    assert picture.dtype == np.uint8
    assert picture.std() > 5
    assert 0 < float(answer.headers["X-Time-S"]) <= rig.time_s()
    png = rig.get(f"/cameras/{name}.png")
    assert png.headers["Content-Type"] == "image/png"
    assert png.body.startswith(b"\x89PNG")
    assert rig.get("/cameras/nose.npy").status == 404
    assert f"/cameras/{name}" in rig.get("/cameras/nose.npy").json["error"]
    for size in ("height=0", "height=99999", "width=-3", "width=big", "height=5000"):
        assert rig.get(f"/cameras/{name}.npy?{size}").status == 400, size


def test_the_server_tells_of_itself(rig: Rig) -> None:
    health, limits, metrics = (rig.get(f"/{route}").json for route in ("health", "limits", "metrics"))
    assert health["mode"] == "impedance"
    assert health["gripper"] == rig.backend.gripper_kind
    assert limits["box"] == {"low_m": list(rig.backend.box.low_m), "high_m": list(rig.backend.box.high_m)}
    assert limits["watchdog_s"] == rig.backend.limits.watchdog_s
    assert metrics["requests"] > 10
    assert {"loop_lateness_p50_ms", "loop_lateness_p99_ms", "request_pose_p50_ms"} <= metrics.keys()


def test_fifty_clients_at_once_all_get_answers(rig: Rig) -> None:
    low, high = np.array(rig.backend.box.low_m), np.array(rig.backend.box.high_m)
    rng = np.random.default_rng(0)
    statuses: list[int] = []

    def talk(number: int, poses: np.ndarray) -> None:
        name = f"client {number % 2}"
        for pose in poses:
            statuses.append(rig.post("/pose", {"arr": [*pose.tolist(), 1, 0, 0, 0]}, X_Client=name).status)
            statuses.append(rig.post("/getstate").status)

    threads = [threading.Thread(target=talk, args=(n, rng.uniform(-1, 1, (6, 3)))) for n in range(50)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        position = rig.backend.snapshot().pose[:3]
        assert (position > low - LEAN_M).all()
        assert (position < high + LEAN_M).all()
    assert len(statuses) == 600
    assert set(statuses) == {200, 409}
    for name in ("client 0", "client 1"):
        with contextlib.suppress(AssertionError):
            rig.post("/release", X_Client=name)
