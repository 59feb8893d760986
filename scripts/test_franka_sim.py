"""Drive franka-sim's simulated Franka over libfranka's own protocol.

    make test-franka-sim
    python -m scripts.test_franka_sim --speed 0.25    slower poses, in m/s

franka-sim needs older versions of NumPy and MuJoCo, so its server runs in a virtual environment of its own. The arm
that it simulates is the FR3 of this package, without meshes. franka-sim has no cube: pick_cube's script acts in the
simulation of this package, and the arm follows the tool's way and the gripper in real time, ten poses a second. The
robot's rules are on: limits of motion and torque, and the end of a motion after 20 lost commands.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hilserl.cli.robot_arms import RobotServerArguments
from hilserl.robot.control.backend import ArmStateError, Mode
from hilserl.robot.control.limits import Box, Limits
from hilserl.robot.drivers.franka.backend import FrankaBackend, FrankaSettings
from hilserl.sim.robot_models.drawing import Drawing, Link
from hilserl.sim.robot_models.fr3 import FR3
from hilserl.tasks import make_sim_env

SERVER = Path(__file__).parents[1] / ".venv-franka-sim" / "bin" / "run-franka-sim-server"
EPISODES, SEED, NEAR_M, WAITED_STEPS = 20, 10000, 0.01, 15
STEP_S, START_S, OPENING_S = 0.1, 60.0, 2.0
REAL_TIME = ("chrt", "--fifo", "5")
ARGUMENTS = RobotServerArguments("libfranka")
"""Defaults of the command line.

They have the torques and forces that stop the robot.
"""


class ScriptStep(NamedTuple):
    """One step of a task's script."""

    way_m: np.ndarray
    """Way of the tool from its start, [3]."""
    closes: bool
    """True if the gripper is commanded closed."""


def write_arm(path: Path) -> None:
    """Write the FR3 of this package as MJCF, named as franka-sim expects."""
    assert isinstance(FR3.body, Drawing)
    links = {link.name: link for link in FR3.body.links}
    body = ""
    for index in reversed(range(8)):
        body = _mjcf_body(links[f"link{index}"], body)
    path.write_text(f'<mujoco><compiler angle="radian" autolimits="false"/><worldbody>{body}</worldbody></mujoco>')


def _mjcf_body(link: Link, inner: str) -> str:
    """Return a link with those that follow it."""

    def text(values: object) -> str:
        return " ".join(map(str, np.array(values, float).tolist()))

    _, _, place, turn, joint, mass, centre, inertia = link
    hinge = (
        ""
        if joint is None
        else (
            f'<joint name="fr3_{joint.name}" axis="0 0 1" limited="true" range="{text(joint[2])}" '
            f'armature="{joint[3]}" damping="{joint[4]}"/>'
        )
    )
    weight = f'<inertial mass="{mass}" pos="{text(centre)}" fullinertia="{text(inertia)}"/>'
    shape = '<geom size="0.02" contype="0" conaffinity="0"/>'
    return f'<body name="fr3_{link.name}" pos="{text(place)}" quat="{text(turn)}">{hinge}{weight}{shape}{inner}</body>'


@contextlib.contextmanager
def franka_sim() -> Iterator[None]:
    """Run franka-sim's server on libfranka's ports."""
    with tempfile.TemporaryDirectory() as directory:
        arm, log = Path(directory) / "fr3.xml", Path(directory) / "log"
        write_arm(arm)
        command = [
            str(SERVER),
            "--enforce-comm-constraints",
            "--enforce-motion-limits",
            "--gripper-object-width",
            "0.04",
        ]
        environment = {**os.environ, "FR3_MJCF": str(arm)}
        environment.pop("PYTHONPATH", None)
        with (
            log.open("w") as output,
            subprocess.Popen(command, env=environment, stdout=output, stderr=output) as server,  # noqa: S603 (our own)
        ):
            try:
                until_s = time.monotonic() + START_S
                while "ready for new client" not in log.read_text():
                    if server.poll() is not None or time.monotonic() > until_s:
                        sys.exit(f"franka-sim does not start:\n{log.read_text()}")
                    time.sleep(0.1)
                yield
            finally:
                server.terminate()


def script_of(seed: int) -> list[ScriptStep]:
    """Return the steps by which pick_cube's script succeeds."""
    with contextlib.closing(make_sim_env("pick_cube", obs="state", arm="fr3")) as env:
        env.reset(seed=seed)
        start = env.teleoperation.tcp_positions_m[""].copy()
        steps = []
        for _ in range(env.task.max_episode_steps):
            action = env.supervision.expert_action()
            _, _, terminated, _, _ = env.step(action.astype(np.float32))
            steps.append(ScriptStep(env.teleoperation.tcp_positions_m[""] - start, bool(action[-1] < 0)))
            if terminated:
                return steps
    raise AssertionError(f"pick_cube's script failed with seed {seed}.")


def follow(backend: FrankaBackend, steps: list[ScriptStep]) -> str:
    """Follow a script's way in real time.

    Returns:
        The reason of a failure; empty for a success.
    """
    try:
        backend.joint_reset()
    except ArmStateError as error:
        return f"no joint reset: {error} {backend.snapshot().halted_by}"
    backend.gripper("open")
    time.sleep(OPENING_S)
    home, closed, missing_m = backend.snapshot().pose, False, np.inf
    begun_s = time.monotonic()
    for number, step in enumerate((*steps, *steps[-1:] * WAITED_STEPS), 1):
        goal = home.copy()
        goal[:3] += step.way_m
        backend.move(goal)
        if step.closes != closed:
            backend.gripper("close" if step.closes else "open")
            closed = step.closes
        time.sleep(max(0.0, begun_s + number * STEP_S - time.monotonic()))
        now = backend.snapshot()
        if now.mode == Mode.HALTED:
            return f"reflex in step {number}: {now.halted_by}"
        missing_m = float(np.linalg.norm(now.pose[:3] - goal[:3]))
    return "" if missing_m < NEAR_M else f"{1000 * missing_m:.0f} mm from the script's last pose"


def main() -> int:
    """Follow the script's ways and print the figures.

    Returns:
        The exit status: 0 if all episodes ended at the script's last pose, without a reflex.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speed", type=float, default=Limits.max_speed_m_per_s, help="largest speed of a pose, m/s")
    speed = parser.parse_args().speed
    limits = Limits(max_speed_m_per_s=speed, max_step_m=speed * STEP_S)
    scripts = [script_of(SEED + number) for number in range(EPISODES)]
    box = Box((0.2, -0.4, 0.1), (0.7, 0.4, 0.9))  # franka-sim's tool is the flange, 21 cm above the hand's
    collision = ARGUMENTS.collision_torque_nm, ARGUMENTS.collision_force
    settings = FrankaSettings(box, limits, "franka", FR3.home_joints_rad, "127.0.0.1", *collision)
    failures = []
    with franka_sim(), contextlib.closing(FrankaBackend(settings)) as backend:
        for number, steps in enumerate(scripts):
            if backend.snapshot().mode == Mode.HALTED:
                backend.recover()
            if failure := follow(backend, steps):
                failures.append(failure)
                print(f"Episode {number}: {failure}", flush=True)
        metrics = backend.metrics()
    reflexes = sum("reflex" in failure for failure in failures)
    print(f"\nPython {sys.version.split()[0]}, pylibfranka {version('pylibfranka')}; load {os.getloadavg()[0]:.1f}\n")
    print(f"| {EPISODES} episodes of pick_cube's script | {sum(map(len, scripts))} steps |\n| --- | --- |")
    print(f"| episodes at the script's last pose | {EPISODES - len(failures)} |\n| reflexes | {reflexes} |")
    for name, value in metrics.items():
        print(f"| `{name}` | {value:.3g} |")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
