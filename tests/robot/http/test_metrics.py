"""Measurements of the server's requests."""

from hilserl.robot.http.metrics import RequestMetrics


def test_request_metrics_count_events_and_answers() -> None:
    metrics = RequestMetrics()
    metrics.count("poses_outside_the_box")
    for status in (200, 200, 409):
        metrics.record("pose", status, 0.002)
    assert metrics.summary() == {
        "poses_outside_the_box": 1,
        "requests": 3,
        "answers_200": 2,
        "answers_409": 1,
        "request_pose_p50_ms": 2.0,
        "request_pose_p99_ms": 2.0,
        "request_pose_max_ms": 2.0,
    }


def test_request_metrics_forget_old_durations() -> None:
    metrics = RequestMetrics()
    metrics.record("pose", 200, 1.0)
    for _ in range(511):
        metrics.record("pose", 200, 0.001)
    assert metrics.summary()["request_pose_max_ms"] == 1000.0
    metrics.record("pose", 200, 0.001)
    assert metrics.summary()["request_pose_max_ms"] == 1.0
    assert metrics.summary()["requests"] == 513
