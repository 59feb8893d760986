"""Routes beyond HIL-SERL's in front of every arm, over a real socket."""

import contextlib
import io
import threading

import numpy as np
import pytest

from hilserl.robot.client.cameras import open_camera
from hilserl.robot.client.client import RobotClient
from hilserl.sim.cameras import Crop
from tests.support.loopback import until
from tests.support.robot_rig import Rig

LEAN_M = 0.015
"""Largest distance of a fast, soft arm from its set point in the box."""


def test_stop_lasts_until_recover(rig: Rig) -> None:
    """HIL-SERL's clients clear errors before every pose; that must not set a halted arm in motion again."""
    rig.post("/pose", {"arr": rig.at(0.5, 0.1, 0.2)})
    assert rig.post("/stop", {"reason": "a hand in the way"}, X_Client="another client").json == {"stopped": True}
    until(lambda: np.linalg.norm(rig.state()["vel"]) < 0.02, "standing")
    stood = rig.state()["pose"]
    for route, body in (
        ("clearerr", None),
        ("pose", {"arr": rig.abilities.home}),
        ("startimp", None),
        ("jointreset", None),
    ):
        answer = rig.post(f"/{route}", body)
        assert answer.status == 409, route
        assert "/recover" in answer.json["error"]
    assert rig.get("/health").json["halted_by"] == "stopped by another client: a hand in the way"
    assert np.allclose(rig.state()["pose"], stood, atol=0.005)
    assert rig.post("/recover").json == {"mode": "impedance"}
    assert np.allclose(rig.state()["pose"], stood, atol=0.005)
    assert rig.get("/health").json["halted_by"] == ""
    rig.drive(rig.abilities.home)


def test_lease_lets_one_client_control_the_arm(rig: Rig) -> None:
    anna, bert = ({"X_Client": name, "X_Lease": f"{name}'s secret"} for name in ("anna", "bert"))
    rig.drive(rig.at(0.42, 0.0, 0.3), X_Client="anna", X_Lease=anna["X_Lease"])
    assert rig.get("/health").json["controller"] == "anna"
    # The holder's name is known to everybody, so it opens nothing.
    for other in (bert, {"X_Client": "anna"}, {"X_Client": "anna", "X_Lease": "anna"}, {"X_Client": "anna's secret"}):
        for route, body in (
            ("pose", {"arr": rig.abilities.home}),
            ("open_gripper", None),
            ("update_param", {}),
            ("jointreset", None),
        ):
            refused = rig.post(f"/{route}", body, **other)
            assert refused.status == 409
            assert "anna controls the arm" in refused.json["error"]
            assert "secret" not in refused.json["error"]
        assert rig.post("/release", **other).status == 409
    assert rig.post("/getstate", **bert).status == 200
    assert rig.post("/release", **anna).json == {"released": True}
    assert rig.post("/pose", {"arr": rig.abilities.home}, **bert).status == 200
    rig.post("/release", **bert)


def test_cameras_show_images_as_npy_and_png(rig: Rig) -> None:
    if not rig.backend.cameras:
        pytest.skip("this arm has no cameras")
    assert rig.get("/cameras").json == {"cameras": list(rig.backend.cameras), "formats": ["npy", "png"]}
    name = rig.backend.cameras[0]
    answer = rig.get(f"/cameras/{name}.npy?height=64&width=96")
    image = np.load(io.BytesIO(answer.body), allow_pickle=False)
    assert image.shape == (64, 96, 3)
    assert image.dtype == np.uint8
    assert image.std() > 5
    assert 0 < float(answer.headers["X-Time-S"]) <= rig.time_s()
    png = rig.get(f"/cameras/{name}.png")
    assert png.headers["Content-Type"] == "image/png"
    assert png.body.startswith(b"\x89PNG")
    assert rig.get("/cameras/nose.npy").status == 404
    assert f"/cameras/{name}" in rig.get("/cameras/nose.npy").json["error"]
    for size in ("height=0", "height=99999", "width=-3", "width=big", "height=5000"):
        assert rig.get(f"/cameras/{name}.npy?{size}").status == 400, size


def test_cameras_show_a_crop_at_full_size(rig: Rig) -> None:
    if not rig.backend.cameras:
        pytest.skip("this arm has no cameras")
    with contextlib.closing(RobotClient(f"http://127.0.0.1:{rig.port}")) as client:
        whole = client.image("front", 64, 64)
        # The arm trembles between two images.
        part = open_camera("front", "server", client).read(32, Crop(0.25, 0.5, 0.5, 0.5)).astype(float)
    assert np.abs(part - whole[16:48, 32:]).mean() < 3
    assert np.abs(part - whole[:32, :32]).mean() > 3


def test_health_limits_and_metrics_describe_the_server(rig: Rig) -> None:
    for _ in range(10):
        rig.state()
    health, limits, metrics = (rig.get(f"/{route}").json for route in ("health", "limits", "metrics"))
    assert health["mode"] == "impedance"
    assert health["gripper"] == rig.backend.gripper_kind
    assert limits["box"] == {"low_m": list(rig.backend.box.low_m), "high_m": list(rig.backend.box.high_m)}
    assert limits["watchdog_s"] == rig.backend.limits.watchdog_s
    assert metrics["requests"] > 10
    assert {"loop_lateness_p50_ms", "loop_lateness_p99_ms", "request_pose_p50_ms"} <= metrics.keys()


def test_server_answers_fifty_clients_at_once(rig: Rig) -> None:
    low, high = np.array(rig.backend.box.low_m), np.array(rig.backend.box.high_m)
    rng = np.random.default_rng(0)
    statuses: list[int] = []

    def talk(number: int, poses: np.ndarray) -> None:
        client = {"X_Client": f"client {number % 2}", "X_Lease": f"secret {number % 2}"}
        for pose in poses:
            statuses.append(rig.post("/pose", {"arr": [*pose.tolist(), 1, 0, 0, 0]}, **client).status)
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
    for number in range(2):
        rig.post("/release", X_Lease=f"secret {number}")
