"""The ros backend before a simulated Franka: a real master, a real roslaunch, real messages, and no hardware."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hilserl.errors import HilserlError
from hilserl.robot.drivers.ros1 import messages as ros_messages
from hilserl.robot.drivers.ros1.launch import RosOptions
from tests.support.loopback import free_port, until
from tests.support.robot_rig import HOME, Rig, ask, serving
from tests.support.ros_rig import Franka, RosWorld, ros_backend, ros_world, skip_without_ros

ros = pytest.mark.ros
AWAY = [0.45, 0.1, 0.25, 1.0, 0.0, 0.0, 0.0]


@pytest.fixture(scope="module")
def world() -> Iterator[RosWorld]:
    with ros_world() as made:
        yield made


@pytest.fixture(scope="module")
def quiet_world() -> Iterator[RosWorld]:
    """Without a server in it: ROS knows one of a name."""
    with ros_world() as made:
        yield made


@pytest.fixture(scope="module")
def shared(world: RosWorld) -> Iterator[Rig]:
    with ros_backend(world) as backend, serving(backend) as rig:
        yield rig


@pytest.fixture
def rig(shared: Rig, franka: Franka) -> Rig:
    franka.ask("be_stopped")
    shared.home()
    return shared


@pytest.fixture
def franka(world: RosWorld) -> Franka:
    return world.franka


def mode(rig: Rig) -> str:
    return rig.get("/health").json["mode"]


@ros
def test_what_the_robot_does_is_what_was_asked_over_http(rig: Rig, franka: Franka) -> None:
    rig.drive(AWAY)
    seen = franka.ask("tell")
    assert np.allclose(seen["pose"][:3], AWAY[:3], atol=0.01)
    assert np.allclose(rig.state()["pose"], seen["pose"], atol=0.005)
    assert seen["launched"][0] == ["impedance", "10.0.0.9", "true"]


@ros
def test_a_reflex_stops_the_arm_until_somebody_means_to_end_it(rig: Rig, franka: Franka) -> None:
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


@ros
def test_a_user_stop_is_told_of_and_is_when_a_load_is_set(rig: Rig, franka: Franka) -> None:
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


@ros
def test_a_robot_that_falls_silent_halts_the_arm(rig: Rig, franka: Franka) -> None:
    franka.ask("mute", on=True)
    until(lambda: mode(rig) == "halted", "the halt")
    assert "no /franka_state_controller/franka_states" in rig.get("/health").json["halted_by"]
    assert rig.post("/pose", {"arr": HOME}).status == 409
    franka.ask("mute", on=False)
    assert rig.post("/recover").json == {"mode": "impedance"}
    rig.drive(AWAY)


@ros
def test_compliance_reaches_the_controller_and_the_next_one(rig: Rig, franka: Franka) -> None:
    assert rig.post("/update_param", {"translational_stiffness": 1500, "rotational_clip_x": 0.5}).status == 200
    wanted = rig.get("/limits").json["compliance"]
    assert wanted == franka.ask("tell")["compliance"]
    rig.post("/stopimp")
    assert rig.post("/update_param", {"translational_stiffness": 1000}).status == 200
    assert franka.ask("tell")["compliance"] == wanted, "there is no controller to take it"
    rig.post("/startimp")
    assert franka.ask("tell")["compliance"] == wanted | {"translational_stiffness": 1000.0}


@ros
def test_an_arm_that_stands_is_sent_nothing(rig: Rig, franka: Franka) -> None:
    """Every set point empties the controller's integral."""
    begun_s = rig.time_s()
    until(lambda: rig.time_s() > begun_s + 0.6, "the watchdog's hold")
    before = franka.ask("tell")["set_points"]
    until(lambda: rig.time_s() > begun_s + 1.2, "some ticks")
    assert franka.ask("tell")["set_points"] == before


@ros
def test_a_stop_breaks_off_a_joint_reset(rig: Rig, franka: Franka) -> None:
    rig.drive([0.55, 0.25, 0.15, 1, 0, 0, 0])
    answers = []
    resetting = threading.Thread(target=lambda: answers.append(rig.post("/jointreset")))
    resetting.start()
    until(lambda: franka.ask("tell")["controller"] == "joint", "the reset")
    assert rig.post("/stop", {"reason": "a hand in the way"}).json == {"stopped": True}
    resetting.join()
    assert answers[0].status == 409
    until(lambda: franka.ask("tell")["controller"] == "impedance", "the end of the joint controller")
    assert np.linalg.norm(np.array(franka.ask("tell")["pose"][:3]) - HOME[:3]) > 0.05, "it did not get there"
    until(lambda: rig.post("/recover").status == 200, "the recovery")
    rig.drive(HOME)


@ros
def test_a_robotiq_gripper_is_spoken_to_in_its_registers(quiet_world: RosWorld) -> None:
    def told() -> list[list[int]]:
        return quiet_world.franka.ask("tell")["robotiq"]

    with ros_backend(quiet_world, gripper="robotiq") as backend, serving(backend) as rig:
        assert quiet_world.franka.ask("tell")["launched"][-1][2] == "false", "it has no Franka hand"
        for route, body, expected in (
            ("activate_gripper", None, [1, 1, 0, 0, 255, 30]),
            ("close_gripper", None, [1, 1, 0, 255, 255, 30]),
            ("close_gripper_slow", None, [1, 1, 0, 255, 50, 30]),
            ("move_gripper", {"gripper_pos": 100}, [1, 1, 0, 100, 255, 30]),
            ("open_gripper", None, [1, 1, 0, 0, 255, 30]),
        ):
            assert rig.post(f"/{route}", body).status == 200
            until(lambda: told()[-1:] == [expected], route)  # noqa: B023 (called at once)
        until(lambda: rig.post("/get_gripper").json["gripper"] > 0.9, "open")
        rig.post("/reset_gripper")
        until(lambda: told()[-2:] == [[0] * 6, [1, 1, 0, 0, 255, 30]], "the reset and the activation that ends it")


@ros
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_the_verb_serves_and_whatever_ends_it_ends_the_controller(quiet_world: RosWorld, end: signal.Signals) -> None:
    port, franka = free_port(), quiet_world.franka
    command = [sys.executable, "-m", "hilserl", "robot-server", "--backend", "ros", "--port", str(port)]
    command += ["--gripper", "none", "--robot-ip", "10.0.0.9"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=quiet_world.environment) as process:
        try:
            assert process.stdout is not None
            assert f"127.0.0.1:{port}" in process.stdout.readline()
            assert ask(port, "POST", "/pose", {"arr": AWAY}).body == b"Moved"
            assert franka.ask("tell")["launched"][-1] == ["impedance", "10.0.0.9", "false"]
        finally:
            process.send_signal(end)
    assert process.returncode == (0 if end == signal.SIGINT else -end)
    until(lambda: franka.ask("tell")["controller"] == "", "the end of the controller")


@ros
def test_what_is_missing_is_named(quiet_world: RosWorld, tmp_path: Path) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    no_packages = RosWorld(quiet_world.franka, quiet_world.environment | {"ROS_PACKAGE_PATH": str(tmp_path)})
    for world, options, why in (
        (quiet_world, RosOptions(master_uri=nobody), f"No ROS master answers at {nobody}.*roscore"),
        (quiet_world, RosOptions(environment="/no/env.sh"), r"setup\.bash"),
        (no_packages, RosOptions(), "impedance.*ended with status 1"),
    ):
        with pytest.raises(HilserlError, match=why), ros_backend(world, options=options):
            pass


MD5 = {
    "franka_msgs/FrankaState": "431567d5df6caf4e4dd7385f25cb71ee",
    "franka_msgs/ErrorRecoveryActionGoal": "4b30be6cd12b9e72826df56b481f40e0",
    "franka_gripper/MoveActionGoal": "f8907a1e7bb902f2e4c7db8e1cf3d24f",
    "franka_gripper/GraspActionGoal": "7bd1a6e7f94ef15bb6dd05cb170e7909",
    "serl_franka_controllers/ZeroJacobian": "573da0494fbe019a7da2ae31329663cf",
    "robotiq_2f_gripper_control/Robotiq2FGripper_robot_output": "481503a99d995d0e403b7ee708c6862c",
    "robotiq_2f_gripper_control/Robotiq2FGripper_robot_input": "17d49e32c00f4f2fb4fe664060553362",
    "franka_msgs/SetLoad": "c9a8ec436164dd9cbc1e5e137d358e0b",
}
"""As code that was generated from the packages has it; ROS connects nobody whose sum is another. Of ErrorRecovery no
such code was found: its sum is that of every action with an empty goal; SetLoad's is made of two that were."""
_PRINT_MD5 = """
from hilserl.robot.drivers.ros1.messages import import_rospy, message
import_rospy()
for name in {names}:
    print(name, message(name, "srv" if name.endswith("Load") else "msg")._md5sum)
"""


@ros
def test_our_definitions_are_those_of_the_packages() -> None:
    skip_without_ros()
    command = [sys.executable, "-c", _PRINT_MD5.format(names=list(MD5))]
    told = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ).stdout
    assert dict(line.split() for line in told.splitlines()) == MD5


@pytest.mark.parametrize(
    ("debian", "python", "why"),
    [("nowhere", "python3", "apt-get install python3-rospy"), ("", "python2.7", "is for python2.7")],
)
def test_a_python_without_ros_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, debian: str, python: str, why: str
) -> None:
    (tmp_path / "rospy").mkdir()
    monkeypatch.setattr(sys, "path", [directory for directory in sys.path if "dist-packages" not in directory])
    with pytest.raises(HilserlError, match=why):
        ros_messages.import_rospy(tmp_path / debian, tmp_path / python)
