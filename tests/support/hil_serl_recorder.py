"""A recorder of demonstrations over HTTP: HIL-SERL's FrankaEnv, wrappers and `record_demos.py`, from its protocol."""

import copy
import pickle
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from hilserl.data.png import decode_image
from tests.support.hil_serl_client import HZ, ReferenceClient
from tests.support.robot_rig import ask

_GRIPPER_SLEEP_S = 0.6
_OPEN = 0.85


class DemoRecorder:
    """FrankaEnv with RelativeFrame, Quat2Euler, SERLObs and Chunking, driven by the script of the simulated server.

    Args:
        port: port of the server.
        step_m: action scale, a full action's way.
        image_px: height and width of the images.
        cameras: names of the cameras.
        max_steps: length at which an episode is given up.
    """

    def __init__(self, port: int, step_m: float, image_px: int, cameras: tuple[str, ...], max_steps: int = 100) -> None:
        self._port, self._step_m, self._image_px, self._cameras = port, step_m, image_px, cameras
        self._client, self._max_steps = ReferenceClient(port), max_steps
        self.transitions: list[dict[str, Any]] = []
        """Transitions of the successful demonstrations so far."""

    def record(self, seed: int) -> bool:
        """Demonstrate once; keep the transitions if it succeeds."""
        self._client.post("sim/reset", {"seed": seed})
        self._client.post("open_gripper")
        time.sleep(_GRIPPER_SLEEP_S)
        state = self._client.post("getstate").json
        start = _transform(state["pose"])
        observation, found, succeeded = self._observe(state, start), [], False
        for step in range(self._max_steps):
            action = self._scripted()
            self._act(action)
            state = self._client.post("getstate").json
            after, succeeded = self._observe(state, start), bool(self._truth()["success"])
            done = succeeded or step == self._max_steps - 1
            found.append(_transition(observation, action, after, succeeded=succeeded, done=done))
            observation = after
            if done:
                break
        if succeeded:
            self.transitions += found
        return succeeded

    def write(self, path: Path) -> None:
        """Write all transitions to one pickle, as `record_demos.py` does."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            pickle.dump(self.transitions, file)

    def _truth(self) -> dict[str, Any]:
        return ask(self._port, "GET", "/sim/truth").json

    def _scripted(self) -> np.ndarray:
        """Return the script's action in the tool's frame, float64 [7]."""
        way, action = np.array(self._truth()["expert_way"]), np.zeros(7)
        base_to_tool = Rotation.from_quat(self._client.pose()[3:]).inv()
        action[:3] = base_to_tool.apply(way[:3])  # in full steps
        action[:3] *= 0.8 / max(0.8, np.abs(action[:3]).max())
        action[6] = way[3]
        return action

    def _act(self, action: np.ndarray) -> None:
        begun_s = time.monotonic()
        state = self._client.post("getstate").json
        pose = np.array(state["pose"])
        pose[:3] += Rotation.from_quat(pose[3:]).apply(action[:3]) * self._step_m
        if action[6] <= -0.5 and state["gripper_pos"] > _OPEN:
            self._client.post("close_gripper")
            time.sleep(_GRIPPER_SLEEP_S)
        elif action[6] >= 0.5 and state["gripper_pos"] < _OPEN:
            self._client.post("open_gripper")
            time.sleep(_GRIPPER_SLEEP_S)
        self._client.send(pose)
        time.sleep(max(0.0, 1 / HZ - (time.monotonic() - begun_s)))

    def _observe(self, state: dict[str, Any], start: np.ndarray) -> dict[str, np.ndarray]:
        """Return the state, float32 [1, 19], in alphabetical order, and images, each uint8 [1, height, width, 3]."""
        now = _transform(state["pose"])
        relative, to_tool = np.linalg.inv(start) @ now, now[:3, :3].T
        angles = Rotation.from_matrix(relative[:3, :3]).as_euler("xyz")
        velocity = np.reshape(state["vel"], (2, 3)) @ to_tool.T
        parts = [[state["gripper_pos"]], state["force"], relative[:3, 3], angles, state["torque"], velocity.ravel()]
        images = {camera: self._image(camera)[None] for camera in self._cameras}
        return {"state": np.concatenate(parts).astype(np.float32)[None], **images}

    def _image(self, camera: str) -> np.ndarray:
        size = f"height={self._image_px}&width={self._image_px}"
        return decode_image(ask(self._port, "GET", f"/cameras/{camera}.png?{size}").body)


def _transform(pose: Any) -> np.ndarray:
    """Return a pose of xyz and xyzw as a matrix, float64 [4, 4]."""
    made = np.eye(4)
    made[:3, :3], made[:3, 3] = Rotation.from_quat(pose[3:]).as_matrix(), pose[:3]
    return made


def _transition(
    before: dict[str, np.ndarray], action: np.ndarray, after: dict[str, np.ndarray], *, succeeded: bool, done: bool
) -> dict[str, Any]:
    transition = {
        "observations": before,
        "actions": action,
        "next_observations": after,
        "rewards": int(succeeded),
        "masks": 1.0 - done,
        "dones": done,
        "infos": {
            "succeed": succeeded,
            "grasp_penalty": 0.0,
            "left": False,
            "right": False,
            "intervene_action": action,
        },
    }
    return copy.deepcopy(transition)
