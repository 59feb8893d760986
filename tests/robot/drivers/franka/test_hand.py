"""The Franka hand: its commands, and its process beside the loop."""

from hilserl.robot.drivers.franka.hand import HandClient
from tests.support.arms import FrankaBench
from tests.support.franka_rig import franka_backend, franka_library
from tests.support.loopback import until
from tests.support.robot_rig import HOME, serving


class RecordingPipe:
    """One end of a pipe that keeps everything."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send_bytes(self, data: bytes) -> None:
        self.sent.append(data)


def test_hand_client_sends_the_commands_of_hil_serl() -> None:
    pipe = RecordingPipe()
    with franka_library(paced=False):
        bench = FrankaBench(hand=HandClient(pipe, [0.02, 0.08, 0.0]))  # pyright: ignore[reportArgumentType]
    for verb in ("activate", "open", "close", "close_slow", "reset"):
        bench.arm.command_gripper(verb)
    for position in (102.0, 255.0):
        bench.arm.move_gripper(position)
    assert [data.decode() for data in pipe.sent] == [
        '["move", 0.08, 0.3]',
        '["grasp", 0.01, 0.3, 130.0, 1.0, 1.0]',
        '["grasp", 0.01, 0.1, 130.0, 1.0, 1.0]',
        '["homing"]',
        '["move", 0.04, 0.3]',
        '["move", 0.08, 0.3]',
    ]
    assert bench.arm.measurements()["gripper"] == 0.25


def test_hand_process_does_not_delay_the_loop() -> None:
    """A slow closing takes 0.8 s; meanwhile the arm moves, ticks and takes commands."""
    with franka_backend() as backend, serving(backend) as rig:
        until(lambda: rig.state()["gripper_pos"] > 0.9, "open")
        rig.post("/close_gripper_slow")
        before = rig.get("/metrics").json
        while rig.state()["gripper_pos"] > 0.9:
            assert rig.post("/pose", {"arr": HOME}).status == 200
        after = rig.get("/metrics").json
        assert after["loop_ticks"] - before["loop_ticks"] > 300
        assert after["robot_command_success_rate"] == 1.0
        assert after["hand_refusals"] == 0
        assert {"robot_states_missed", "loop_busy_p99_ms"} <= after.keys()
