"""Pick cube: lift a 4 cm cube that lies before the robot."""

import mujoco
import numpy as np
from typing_extensions import override

from hilserl.data.spec import entry
from hilserl.sim.arm import GRIPPER_CLOSED, GRIPPER_OPEN
from hilserl.sim.environment import towards
from hilserl.sim.randomisation import Randomisation
from hilserl.sim.robot_models.placement import Needs
from hilserl.sim.simulation import Simulation
from hilserl.sim.task import Task, TaskPreset

CUBE = "cube"
HALF_M = 0.02
"""Half the cube's edge."""
LIFT_M = 0.1
"""Height above the start at success."""
_HOVER_M = 0.06
_ALIGNED_M = 0.008
_EDGE_M = 0.03
"""Smallest distance of the cube from the workspace's edge."""


class PickCube(Task):
    """Task of lifting a cube by 0.1 m, held by both fingers."""

    name = "pick_cube"
    summary = "lift a 4 cm cube by 10 cm"
    published = "100 % after 30,000 steps, 1 h (hil-serl-sim)"
    preset = TaskPreset(
        {
            "agent.discount": 0.92,
            "max_env_steps": 8_000,
            "demonstrations": 20,
        }
    )
    spawn_low_m = (0.25, -0.25)
    """Lowest x and y of the cube at the start."""
    spawn_high_m = (0.55, 0.25)
    """Highest x and y of the cube at the start."""
    state = (
        entry("cube_position_m", 3, (0.4, 0.0, 0.1), (0.2, 0.3, 0.1)),
        entry("cube_quaternion_wxyz", 4),
        # A grasp is a matter of a centimetre: at the workspace's scale it takes several times the data to learn.
        entry("cube_from_tcp_m", 3, scale=0.03),
    )
    needs = Needs(opening_m=0.06, shrinks=True)
    reward_cameras = ("side", "wrist")
    randomisation = Randomisation(bodies=(CUBE,))

    @override
    def build(self, world: mujoco.MjSpec) -> None:
        cube = world.worldbody.add_body(name=CUBE, pos=[0.4, 0.0, HALF_M])
        cube.add_freejoint()
        cube.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=[HALF_M] * 3, mass=0.1, rgba=[0.85, 0.25, 0.16, 1.0])

    @override
    def reset(self, sim: Simulation, rng: np.random.Generator) -> None:
        low, high = self.arms[0].workspace_low_m[:2], self.arms[0].workspace_high_m[:2]
        x, y = rng.uniform(
            np.maximum(self.spawn_low_m, np.add(low, _EDGE_M)),
            np.minimum(self.spawn_high_m, np.subtract(high, _EDGE_M)),
        )
        sim.place(CUBE, np.array([x, y, _half_m(sim)]), yaw_rad=rng.uniform(-np.pi, np.pi))

    @override
    def observe(self, sim: Simulation) -> dict[str, np.ndarray]:
        cube = sim.position_m(CUBE)
        return {
            "cube_position_m": cube,
            "cube_quaternion_wxyz": sim.quaternion_wxyz(CUBE),
            "cube_from_tcp_m": cube - sim.arm.tcp_position_m,
        }

    @override
    def success(self, sim: Simulation) -> bool:
        return bool(sim.position_m(CUBE)[2] >= _half_m(sim) + LIFT_M) and sim.held(CUBE)

    @override
    def expert(self, sim: Simulation) -> np.ndarray:
        tool, cube = sim.arm.tcp_position_m, sim.position_m(CUBE)
        sideways = float(np.linalg.norm((cube - tool)[:2]))
        if sim.held(CUBE):
            return towards(sim.arm, tool + np.array([0.0, 0.0, LIFT_M]), GRIPPER_CLOSED)
        if sim.arm.gripper_command == GRIPPER_CLOSED:
            half = _half_m(sim)
            still_closing = sim.arm.gripper_width_m > 2 * half - 0.002 and sideways < half
            return towards(sim.arm, tool, GRIPPER_CLOSED if still_closing else GRIPPER_OPEN)
        if sideways < _ALIGNED_M and abs(tool[2] - cube[2]) < 0.01:
            return towards(sim.arm, tool, GRIPPER_CLOSED)
        # Come down only as fast as the tool gets over the cube, so that the fingers never push it.
        height = np.clip(4.0 * (sideways - _ALIGNED_M), 0.0, _HOVER_M)
        goal = cube + np.array([0.0, 0.0, height])
        if tool[2] < cube[2] + 0.8 * height:
            goal[:2] = tool[:2]
        return towards(sim.arm, goal, 0.0 if sim.arm.is_open else GRIPPER_OPEN)

    @override
    def progress(self, sim: Simulation) -> float:
        tool, cube = sim.arm.tcp_position_m, sim.position_m(CUBE)
        if sim.held(CUBE):
            return 0.6 + 0.4 * float(np.clip((cube[2] - _half_m(sim)) / LIFT_M, 0.0, 1.0))
        return 0.5 * float(np.exp(-5.0 * np.linalg.norm(cube - tool)))

    def harm(self, sim: Simulation) -> bool:
        """True if the cube is being pushed out of the hand's reach."""
        cube = sim.position_m(CUBE)
        margin = 0.01
        arm = self.arms[0]
        outside = (cube[:2] < np.array(arm.workspace_low_m)[:2] + margin) | (
            cube[:2] > np.array(arm.workspace_high_m)[:2] - margin
        )
        return bool(outside.any())


def _half_m(sim: Simulation) -> float:
    """Return half the cube's edge, its centre's height at the start."""
    return float(sim.half_size_m(CUBE)[2])
