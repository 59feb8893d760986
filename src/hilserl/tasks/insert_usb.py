"""Insert USB: take a plug and push it into a port."""

import math

import mujoco
import numpy as np
from typing_extensions import override

from hilserl.data.spec import entry
from hilserl.sim.arm import GRIPPER_CLOSED, GRIPPER_OPEN
from hilserl.sim.control import POSE_MOVES, ArmSetup, Impedance, PoseControl
from hilserl.sim.environment import towards
from hilserl.sim.quaternions import UPRIGHT_WXYZ, rotate, turn_between
from hilserl.sim.randomisation import Randomisation
from hilserl.sim.robot_models.placement import Needs
from hilserl.sim.scene import ROBOT_PREFIX, CameraView
from hilserl.sim.simulation import Simulation
from hilserl.sim.task import Task, TaskPreset
from hilserl.tasks.fixtures import Slot, add_solid

PLUG, PORT = "plug", "port"
SHELL_HALF_M = (0.007, 0.006, 0.00225)
"""Half size of the plug's metal shell.

The USB 2.0 specification has 12 mm x 4.5 mm for series A.
"""
GRIP_HALF_M = (0.016, 0.008, 0.01)
"""Half size of the plug's grip, whose middle is the plug's origin."""
TIP_M = GRIP_HALF_M[0] + 2 * SHELL_HALF_M[0]
"""Distance of the shell's end from the plug's origin, along +x."""
DEPTH_M, CHAMFER_M = 0.012, 0.0015
PORT_M = (0.56, 0.06, 0.06)
"""Middle of the port's inner end; its mouth looks along -x."""
TRAY_M = (0.46, -0.06, 0.03)
"""Middle of the tray's floor (world frame)."""
TRAY_PLAY_M = (0.008, 0.008)
"""Largest offset of the plug from there, along x and y."""
GRASP_M = 0.006
"""Height of the tool above the plug's middle."""
FINGERS_STOP_M = 0.0065
"""Largest distance of the tool ahead of the plug's middle.

Further ahead the fingers, 2 cm wide, meet the port before the plug is home.
"""
SEATED_M = 0.0008
"""Largest distance of the tip from the port's inner end at success."""

_BOX = mujoco.mjtGeom.mjGEOM_BOX
_STEEL, _RED, _BLUE, _GREY = (
    (0.75, 0.77, 0.8, 1.0),
    (0.7, 0.15, 0.12, 1.0),
    (0.15, 0.3, 0.7, 1.0),
    (0.8, 0.8, 0.78, 1.0),
)
_GENTLE = Impedance(max_wrench=(30.0, 30.0, 30.0, 5.0, 5.0, 5.0))
_CARRY_M, _BEFORE_M, _ALIGNED_M, _AGAINST_M = 0.02, 0.006, 0.002, 0.001


class InsertUsb(Task):
    """Task of inserting a plug until it is home and still held."""

    name = "insert_usb"
    summary = "take a USB plug from a tray and push it into a port 0.5 mm wider than the plug"
    published = "100 % after 50,000 steps, 2.5 h (HIL-SERL)"
    preset = TaskPreset(
        {
            "agent.discount": 0.95,
            "agent.initial_temperature": 0.002,
            "agent.target_entropy_per_action": -2.5,
            "agent.cloning_weight": 0.1,
            "agent.cloning_half_life": 10_000,
            "agent.relative_values": True,
            "max_env_steps": 4_000,
            "max_minutes": 90,
            "eval_every": 1_000,
            "demonstrations": 80,
        }
    )
    max_episode_steps = 120
    clearance_m = 0.0005
    """Width and height of the port beyond the plug's shell."""
    arms = (
        ArmSetup(
            control=PoseControl(POSE_MOVES, 0.015, max_step_rad=0.1, max_turn_rad=(0.1, 0.2, 0.3), impedance=_GENTLE),
            home_m=(TRAY_M[0], TRAY_M[1], 0.1),
            workspace_low_m=(0.42, -0.12, TRAY_M[2] + 0.0145),
            workspace_high_m=(0.56, 0.12, 0.14),
        ),
    )
    needs = Needs(opening_m=0.04, upright=True, every_turn=True, parallel_fingers=True)
    frame = "tool"
    cameras = ("side", "wrist_1", "wrist_2")
    reward_cameras = ("side", "wrist_1")
    views = (
        CameraView("side", (0.5, -0.42, 0.22), (0.5, 0.0, 0.05), 36.0),
        CameraView("wrist_1", (0.085, 0.0, 0.02), (0.02, 0.0, 0.115), 60.0, (1.0, 0.0, 0.0), ROBOT_PREFIX + "hand"),
        CameraView("wrist_2", (0.06, 0.12, 0.08), (0.03, 0.0, 0.112), 40.0, (0.0, 0.0, -1.0), ROBOT_PREFIX + "hand"),
        CameraView("overview", (0.95, -0.5, 0.42), (0.48, 0.0, 0.08), 32.0),
    )
    state = (
        entry("plug_from_tcp_m", 3, scale=0.01),
        entry("plug_from_port_m", 3, (-0.05, -0.05, 0.0), 0.015),
        entry("plug_turn_rad", 3, scale=0.05),
    )
    randomisation = Randomisation(bodies=(PLUG, PORT), size_factor=(1.0, 1.0))

    @override
    def build(self, world: mujoco.MjSpec) -> None:
        _add_tray(world)
        x, y, z = PORT_M
        block = world.worldbody.add_body(name="block", pos=[x + 0.002, y, (z - 0.0065) / 2])
        add_solid(block, _BOX, (0.013, 0.03, (z - 0.0065) / 2), (0.0, 0.0, 0.0), _GREY)
        port = world.worldbody.add_body(name=PORT, pos=PORT_M, quat=[1.0, 0.0, -1.0, 0.0])
        width, height = (2 * half + self.clearance_m for half in SHELL_HALF_M[1:])
        # Out of the port is -x: the slot's x is the world's z.
        Slot(height, width, DEPTH_M, 0.004, CHAMFER_M).add_to(port, _BLUE)
        plug = world.worldbody.add_body(name=PLUG, pos=TRAY_M)
        plug.add_freejoint()
        add_solid(plug, _BOX, GRIP_HALF_M, (0.0, 0.0, 0.0), _RED, 0.012)
        shell = (GRIP_HALF_M[0] + SHELL_HALF_M[0], 0.0, 0.0)
        add_solid(plug, _BOX, SHELL_HALF_M, shell, _STEEL, 0.004)

    @override
    def reset(self, sim: Simulation, rng: np.random.Generator) -> None:
        tool_m = np.array(self.arms[0].home_m) + rng.uniform(-0.02, 0.02, 3)
        turn = rng.uniform(-1.0, 1.0, 3) * (0.03, 0.03, 0.1)
        sim.arm.place(tool_m, rotate(np.array(self.arms[0].tool_wxyz), turn))
        plug_m = np.array(TRAY_M) + np.array([*(rng.uniform(-1.0, 1.0, 2) * TRAY_PLAY_M), GRIP_HALF_M[2]])
        sim.place(PLUG, plug_m, yaw_rad=rng.uniform(-0.15, 0.15))

    @override
    def observe(self, sim: Simulation) -> dict[str, np.ndarray]:
        tip_m, turn_rad = _tip(sim)
        return {
            "plug_from_tcp_m": sim.position_m(PLUG) - sim.arm.tcp_position_m,
            "plug_from_port_m": tip_m,
            "plug_turn_rad": turn_rad,
        }

    @override
    def success(self, sim: Simulation) -> bool:
        return _seated(sim, self.clearance_m) and sim.held(PLUG)

    @override
    def expert(self, sim: Simulation) -> np.ndarray:
        if not sim.held(PLUG):
            return self._grasp(sim)
        if _is_badly_held(sim):
            return towards(sim.arm, sim.arm.tcp_position_m, GRIPPER_OPEN)
        return self._insert(sim)

    def _grasp(self, sim: Simulation) -> np.ndarray:
        arm, plug = sim.arm, sim.position_m(PLUG)
        tool, _, turn_rad = arm.tcp_position_m, *_tip(sim)
        goal_wxyz = rotate(np.array(arm.setup.tool_wxyz), turn_rad * (0.0, 0.0, 1.0))
        goal = plug + np.array([0.0, 0.0, GRASP_M])
        sideways = float(np.abs((goal - tool)[:2]).max())
        if arm.gripper_command == GRIPPER_CLOSED:
            closing = arm.gripper_width_m > 2 * GRIP_HALF_M[1] - 0.002 and sideways < 0.012
            return towards(arm, tool, GRIPPER_CLOSED if closing else GRIPPER_OPEN)
        if sideways < 0.006 and abs(tool[2] - goal[2]) < 0.004:
            return towards(arm, goal, GRIPPER_CLOSED, goal_wxyz)
        # Come down only over the plug, so that the fingers never push it.
        goal[2] += np.clip(4.0 * (sideways - 0.004), 0.0, 0.03)
        if tool[2] < goal[2] - 0.005:
            goal[:2] = tool[:2]
        return towards(arm, goal, 0.0 if arm.is_open else GRIPPER_OPEN, goal_wxyz)

    def _insert(self, sim: Simulation) -> np.ndarray:
        arm = sim.arm
        tip_m, turn_rad = _tip(sim)
        goal_wxyz = rotate(arm.tcp_quaternion_wxyz, -turn_rad)
        goal = arm.tcp_position_m - tip_m
        # The tip's way: up out of the tray, over to the mouth, and in.
        sideways = float(np.abs(tip_m[1:]).max()) + TIP_M * float(np.abs(turn_rad[1:]).max())
        in_mouth = tip_m[0] > CHAMFER_M - DEPTH_M and _in_line(tip_m)
        if in_mouth or (sideways < _ALIGNED_M and tip_m[0] > -DEPTH_M - 3 * _BEFORE_M):
            goal[0] += 0.01
        else:
            goal[0] -= DEPTH_M + _BEFORE_M
            if tip_m[2] < -0.005 and tip_m[0] > -DEPTH_M - _BEFORE_M:
                goal[2] = arm.tcp_position_m[2]
            elif sim.position_m(PLUG)[2] < TRAY_M[2] + _CARRY_M:
                goal[:2] = arm.tcp_position_m[:2]
        return towards(arm, goal, GRIPPER_CLOSED, goal_wxyz)

    @override
    def progress(self, sim: Simulation) -> float:
        tip_m, turn_rad = _tip(sim)
        if not sim.held(PLUG):
            return 0.25 * math.exp(-10.0 * float(np.linalg.norm(sim.position_m(PLUG) - sim.arm.tcp_position_m)))
        inserted = float(np.clip(1.0 + tip_m[0] / DEPTH_M, 0.0, 1.0)) if _in_line(tip_m) else 0.0
        mouth_m = tip_m + np.array([DEPTH_M, 0.0, 0.0])
        near = math.exp(-10.0 * float(np.linalg.norm(np.minimum(mouth_m, (0.0, np.inf, np.inf)))))
        return 0.3 + 0.4 * near * math.exp(-3.0 * float(np.linalg.norm(turn_rad))) + 0.3 * inserted

    def harm(self, sim: Simulation) -> bool:
        """True if the plug is out of reach or beside the mouth.

        It may be knocked over, away from the hand, or against the port beside its mouth.
        """
        plug, arm = sim.position_m(PLUG), self.arms[0]
        upright = sim.data.body(PLUG).xmat[8] > 0.7
        near = (plug[:2] > np.array(arm.workspace_low_m)[:2]) & (plug[:2] < np.array(arm.workspace_high_m)[:2])
        reachable = near.all() and plug[2] > TRAY_M[2] - 0.005
        tip_m, _ = _tip(sim)
        is_against = tip_m[0] > -DEPTH_M - _AGAINST_M and not _in_line(tip_m)
        return bool(not (upright and reachable) or is_against)


class InsertUsbTight(InsertUsb):
    """A variant with a port that is hardly wider."""

    name = "insert_usb_tight"
    summary = "insert_usb with a port only 0.2 mm wider than the plug"
    clearance_m = 0.0002


class InsertUsbLoose(InsertUsb):
    """A variant with a wider port."""

    name = "insert_usb_loose"
    summary = "insert_usb with a port 1 mm wider than the plug"
    clearance_m = 0.001


def _add_tray(world: mujoco.MjSpec) -> None:
    """Add a tray with a lip at each end.

    Its sides are free, where the fingers come in.
    """
    x, y, z = TRAY_M
    tray = world.worldbody.add_body(name="tray", pos=[x, y, 0.0])
    half_x, half_y, lip = TIP_M + TRAY_PLAY_M[0] + 0.004, GRIP_HALF_M[1] + TRAY_PLAY_M[1] + 0.004, 0.002
    add_solid(tray, _BOX, (half_x + 2 * lip, half_y, z / 2), (0.0, 0.0, z / 2), _GREY)
    for side in (-1.0, 1.0):
        add_solid(tray, _BOX, (lip, half_y, lip), (side * (half_x + lip), 0.0, z + lip), _BLUE)


def _tip(sim: Simulation) -> tuple[np.ndarray, np.ndarray]:
    """Compute the plug's pose relative to its pose in the port.

    Returns:
        The tip from the port's inner end (m), and the rotation vector (rad), float64 [3] each.
    """
    along = sim.data.body(PLUG).xmat.reshape(3, 3)[:, 0]
    return sim.position_m(PLUG) + TIP_M * along - PORT_M, turn_between(
        np.array(UPRIGHT_WXYZ), sim.quaternion_wxyz(PLUG)
    )


def _is_badly_held(sim: Simulation) -> bool:
    """True if the plug has to be released and grasped again.

    It is held where it may slip or cannot be pushed home, and it lies on the tray or is in the port as far as the
    fingers let it in, so that it can be released.
    """
    tip_m, _ = _tip(sim)
    behind_m = sim.position_m(PLUG)[0] - sim.arm.tcp_position_m[0]
    lies = sim.position_m(PLUG)[2] < TRAY_M[2] + GRIP_HALF_M[2] + 0.002
    stops_m = behind_m + FINGERS_STOP_M
    is_stopped = _in_line(tip_m) and max(stops_m, CHAMFER_M - DEPTH_M) < tip_m[0] < -SEATED_M
    return is_stopped or (lies and not -FINGERS_STOP_M < behind_m < GRIP_HALF_M[0] - 0.004)


def _in_line(tip_m: np.ndarray) -> bool:
    """True if the tip is in line with the mouth."""
    return bool(np.abs(tip_m[1:]).max() < CHAMFER_M)


def _seated(sim: Simulation, clearance_m: float) -> bool:
    tip_m, _ = _tip(sim)
    return bool(tip_m[0] > -SEATED_M and np.abs(tip_m[1:]).max() < clearance_m)
