"""Insert RAM: press a memory module into its slot."""

import math

import mujoco
import numpy as np
from typing_extensions import override

from hilserl.data.spec import entry
from hilserl.sim.control import POSE_MOVES, TOOL_DOWN_WXYZ, ArmSetup, PoseControl
from hilserl.sim.environment import towards
from hilserl.sim.quaternions import UPRIGHT_WXYZ, rotate, rotate_vector, turn_between
from hilserl.sim.randomisation import Randomisation
from hilserl.sim.robot_models.placement import Needs
from hilserl.sim.scene import ROBOT_PREFIX, CameraView
from hilserl.sim.simulation import Simulation
from hilserl.sim.task import Task, TaskPreset
from hilserl.tasks.fixtures import Latch, Slot, add_solid

MODULE, SLOT = "module", "slot"
LENGTH_M, EDGE_M = 0.133, 0.0014
"""Length and thickness of a DIMM's edge.

JEDEC MO-309 has 133.35 mm x 1.4 mm.
"""
HEIGHT_M, SPREADER_M = 0.031, 0.007
"""Height of the module, and thickness of its heat spreader.

The fingers hold the heat spreader.
"""
DEPTH_M, CHAMFER_M = 0.006, 0.0015
NOTCH_M = (0.0085, 0.0125)
"""Notches for the latches' hooks, above the module's lower edge."""
GRASP_M = 0.021
"""Height of the tool above the module's lower edge."""
SLOT_M = (0.5, 0.0, 0.02)
"""Middle of the slot's floor (world frame)."""
SEATED_M = 0.0006
"""Largest height of each end above the slot's floor at success."""

_BOX = mujoco.mjtGeom.mjGEOM_BOX
_GREEN, _BLUE, _GOLD, _WHITE = (
    (0.07, 0.33, 0.2, 1.0),
    (0.1, 0.14, 0.36, 1.0),
    (0.85, 0.68, 0.2, 1.0),
    (0.9, 0.9, 0.88, 1.0),
)
_HOVER_M, _ALIGNED_M = 0.016, 0.002


class InsertRam(Task):
    """Task of inserting a module down to the slot's floor.

    The hand starts 4 to 6 cm above, up to 2 cm and 0.05 rad off. The pose is relative to that start, so that the policy
    has to see where the slot is, as in HIL-SERL's experiment, whose scales these are.
    """

    name = "insert_ram"
    summary = "press a memory module into its slot, 0.5 mm wider than the module, until both latches snap"
    published = "100 % after 32,000 steps, 1.5 h (HIL-SERL)"
    preset = TaskPreset(
        {
            "agent.discount": 0.97,
            "max_env_steps": 20_000,
            "max_minutes": 240,
            "demonstrations": 20,
        }
    )
    clearance_m = 0.0005
    """Width and length of the slot beyond the module's edge."""
    arms = (
        ArmSetup(
            control=PoseControl(POSE_MOVES, max_step_m=0.01, max_step_rad=0.06, max_turn_rad=(0.1, 0.1, 0.2)),
            has_gripper=False,
            home_m=(SLOT_M[0], SLOT_M[1], SLOT_M[2] + GRASP_M + 0.05),
            workspace_low_m=(SLOT_M[0] - 0.03, -0.03, SLOT_M[2] + GRASP_M - 0.01),
            workspace_high_m=(SLOT_M[0] + 0.03, 0.03, SLOT_M[2] + GRASP_M + 0.07),
        ),
    )
    needs = Needs(opening_m=0.03, upright=True, every_turn=True, yields=True, parallel_fingers=True)
    frame = "tool"
    cameras = ("wrist_1", "wrist_2")
    reward_cameras = ("wrist_1", "wrist_2")
    views = (
        CameraView("wrist_1", (0.13, 0.04, 0.06), (0.06, 0.0, 0.125), 40.0, (0.0, 0.0, -1.0), ROBOT_PREFIX + "hand"),
        CameraView("wrist_2", (-0.13, 0.04, 0.06), (-0.06, 0.0, 0.125), 40.0, (0.0, 0.0, -1.0), ROBOT_PREFIX + "hand"),
        CameraView("side", (SLOT_M[0], -0.45, 0.12), (SLOT_M[0], 0.0, 0.05), 30.0),
        CameraView("overview", (0.95, -0.42, 0.38), (0.46, 0.0, 0.1), 34.0),
    )
    state = (
        entry("module_from_slot_m", 3, (0.0, 0.0, 0.02), 0.01),
        entry("module_turn_from_slot_rad", 3, scale=0.05),
    )
    randomisation = Randomisation(bodies=(MODULE, SLOT), size_factor=(1.0, 1.0))

    @override
    def build(self, world: mujoco.MjSpec) -> None:
        board = world.worldbody.add_body(name="board", pos=[SLOT_M[0], 0.0, 0.0])
        add_solid(board, _BOX, (0.12, 0.09, SLOT_M[2] / 2 - 0.001), (0.0, 0.0, SLOT_M[2] / 2 - 0.001), _GREEN)
        slot = world.worldbody.add_body(name=SLOT, pos=SLOT_M)
        inside = Slot(LENGTH_M + self.clearance_m, EDGE_M + self.clearance_m, DEPTH_M, 0.0025, CHAMFER_M)
        inside.add_to(slot, _BLUE)
        for number, side in enumerate((1.0, -1.0), 1):
            hook = (side * (LENGTH_M / 2 + 0.0015), sum(NOTCH_M) / 2)
            latch = Latch(hook, (side * (LENGTH_M / 2 + 0.003), 0.0), 0.002, 0.0025, 0.11, 0.19)
            latch.add_to(slot, f"latch_{number}", _WHITE)
        module = world.worldbody.add_body(name=MODULE, pos=[SLOT_M[0], 0.0, 0.2], gravcomp=1.0)
        module.add_freejoint()
        low, high = NOTCH_M
        for bottom, top, colour in ((0.0, low, _GOLD), (high, HEIGHT_M, _GREEN)):
            half = (LENGTH_M / 2, EDGE_M / 2, (top - bottom) / 2)
            add_solid(module, _BOX, half, (0.0, 0.0, (bottom + top) / 2), colour, 0.01)
        spreader = (LENGTH_M / 2 - 0.008, SPREADER_M / 2, (HEIGHT_M - low) / 2)
        add_solid(module, _BOX, spreader, (0.0, 0.0, (HEIGHT_M + low) / 2), (0.55, 0.1, 0.12, 1.0), 0.02)

    @override
    def reset(self, sim: Simulation, rng: np.random.Generator) -> None:
        tool_m = np.array(self.arms[0].home_m) + rng.uniform(-1.0, 1.0, 3) * (0.02, 0.02, 0.01)
        turn = rng.uniform(-1.0, 1.0, 3) * (0.03, 0.03, 0.05)
        sim.arm.place(tool_m, rotate(np.array(TOOL_DOWN_WXYZ), turn))
        sim.arm.grip(SPREADER_M)
        module_wxyz = rotate(np.array(UPRIGHT_WXYZ), turn)
        down = rotate_vector(module_wxyz, np.array([0.0, 0.0, -GRASP_M]))
        sim.place_turned(MODULE, tool_m + down, module_wxyz)
        sim.wait(0.1)

    @override
    def observe(self, sim: Simulation) -> dict[str, np.ndarray]:
        offset_m, turn_rad = _offset(sim)
        return {"module_from_slot_m": offset_m, "module_turn_from_slot_rad": turn_rad}

    @override
    def success(self, sim: Simulation) -> bool:
        ends = _ends_m(sim)
        across = np.abs(ends[:, 1]).max()
        return bool(ends[:, 2].max() < SEATED_M and across < self.clearance_m)

    @override
    def expert(self, sim: Simulation) -> np.ndarray:
        offset_m, turn_rad = _offset(sim)
        arm = sim.arm
        goal_wxyz = rotate(arm.tcp_quaternion_wxyz, -turn_rad)
        goal_m = arm.tcp_position_m - offset_m
        sideways = float(np.abs(offset_m[:2]).max()) + LENGTH_M / 2 * float(np.abs(turn_rad[1:]).max())
        in_mouth = offset_m[2] < DEPTH_M - CHAMFER_M
        # Stay above the latches until the module is over the mouth, then push down.
        goal_m[2] += -0.01 if in_mouth or sideways < _ALIGNED_M else _HOVER_M
        return towards(arm, goal_m, goal_wxyz=goal_wxyz)

    @override
    def progress(self, sim: Simulation) -> float:
        offset_m, turn_rad = _offset(sim)
        inserted = float(np.clip(1.0 - _ends_m(sim)[:, 2].max() / DEPTH_M, 0.0, 1.0))
        near = math.exp(-50.0 * float(np.linalg.norm(offset_m[:2])) - 20.0 * max(0.0, float(offset_m[2]) - DEPTH_M))
        return 0.5 * near * math.exp(-5.0 * float(np.linalg.norm(turn_rad))) + 0.5 * inserted

    def harm(self, sim: Simulation) -> bool:
        """True if the module is slipping from the fingers."""
        return not sim.held(MODULE)


class InsertRamTight(InsertRam):
    """A variant with a slot that is hardly wider."""

    name = "insert_ram_tight"
    summary = "insert_ram with a slot only 0.2 mm wider than the module"
    clearance_m = 0.0002


class InsertRamLoose(InsertRam):
    """A variant with a wider slot."""

    name = "insert_ram_loose"
    summary = "insert_ram with a slot 1 mm wider than the module"
    clearance_m = 0.001


def _offset(sim: Simulation) -> tuple[np.ndarray, np.ndarray]:
    """Compute the module's pose relative to the slot.

    Returns:
        The lower edge's middle from the floor's middle (m), and the rotation vector (rad), float64 [3] each.
    """
    turn_rad = turn_between(np.array(UPRIGHT_WXYZ), sim.quaternion_wxyz(MODULE))
    return sim.position_m(MODULE) - SLOT_M, turn_rad


def _ends_m(sim: Simulation) -> np.ndarray:
    """Compute both ends of the module's lower edge, float64 [2, 3].

    They are relative to the middle of the slot's floor.
    """
    offset_m, _ = _offset(sim)
    along = sim.data.body(MODULE).xmat.reshape(3, 3)[:, 0]
    return offset_m + np.outer([LENGTH_M / 2, -LENGTH_M / 2], along)
