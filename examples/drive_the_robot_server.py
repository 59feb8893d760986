"""Move an arm behind the robot server, and read its state.

hilserl robot-server --backend sim
python examples/drive_the_robot_server.py http://127.0.0.1:5000
"""

import argparse
import contextlib
import time

import numpy as np

from hilserl.robot.client.client import RobotClient

CONTROL_DT_S = 0.1
STEP_M = 0.005


def main() -> None:
    """Move the tool up and down, ten poses a second."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("server", nargs="?", default="http://127.0.0.1:5000")
    parser.add_argument("--steps", type=int, default=10, help="poses up, and as many down again")
    arguments = parser.parse_args()

    with contextlib.closing(RobotClient(arguments.server)) as client:
        print(f"mode: {client.get('health')['mode']}")
        # Position in metres and quaternion xyzw, in the robot's base frame.
        pose = client.state()["pose"]
        for step in np.repeat([STEP_M, -STEP_M], arguments.steps):
            pose[2] += step
            client.post("pose", {"arr": pose.tolist()})
            time.sleep(CONTROL_DT_S)
            print(f"height of the tool: {client.state()['pose'][2]:.3f} m")
        client.post("release")


if __name__ == "__main__":
    main()
