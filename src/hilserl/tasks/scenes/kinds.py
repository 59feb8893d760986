"""The kinds of tasks in users' scenes, with their scripts."""

import mujoco
import numpy as np
from typing_extensions import override

from hilserl.data.spec import StateEntry, entry
from hilserl.sim.arm import GRIPPER_CLOSED, GRIPPER_OPEN
from hilserl.sim.environment import towards
from hilserl.sim.quaternions import UPRIGHT_WXYZ, turn_between
from hilserl.sim.simulation import Simulation
from hilserl.tasks.scenes.grasping import grasp
from hilserl.tasks.scenes.scene_task import SCENE_PREFIX, SceneTask

_AT_REST_M_PER_S = 0.1
_CARRY_M, _OVER_M = 0.06, 0.012
_PUSH_M, _BEHIND_M, _ABOVE_M = 0.025, 0.035, 0.07


class LiftInScene(SceneTask):
    """Task of lifting a body, held by both fingers."""

    @classmethod
    @override
    def entries(cls) -> tuple[StateEntry, ...]:
        return _body_entries(cls)

    @override
    def observe(self, sim: Simulation) -> dict[str, np.ndarray]:
        return _body_state(self, sim)

    @override
    def success(self, sim: Simulation) -> bool:
        goal = self.description.goal
        return self._risen_m(sim) >= goal.height_m and self.is_held(sim)

    @override
    def expert(self, sim: Simulation) -> np.ndarray:
        if self.is_held(sim):
            up = np.array([0.0, 0.0, self.description.goal.height_m])
            return towards(sim.arm, sim.arm.tcp_position_m + up, GRIPPER_CLOSED)
        return grasp(sim, SCENE_PREFIX + self.description.goal.body, turns=self.description.turns)

    @override
    def progress(self, sim: Simulation) -> float:
        if self.is_held(sim):
            return 0.6 + 0.4 * float(np.clip(self._risen_m(sim) / self.description.goal.height_m, 0.0, 1.0))
        return 0.5 * _nearness(self.body_m(sim) - sim.arm.tcp_position_m)

    def _risen_m(self, sim: Simulation) -> float:
        return float(self.body_m(sim)[2] - sim.rest_m(SCENE_PREFIX + self.description.goal.body)[2])


class PlaceInScene(SceneTask):
    """Task of setting a body down in a region."""

    @classmethod
    @override
    def entries(cls) -> tuple[StateEntry, ...]:
        return (*_body_entries(cls), entry(f"{cls.description.goal.body}_from_region_m", 3, scale=0.1))

    @override
    def observe(self, sim: Simulation) -> dict[str, np.ndarray]:
        name = f"{self.description.goal.body}_from_region_m"
        return _body_state(self, sim) | {name: self.body_m(sim) - self._region_m(sim)}

    @override
    def success(self, sim: Simulation) -> bool:
        speed = np.linalg.norm(sim.velocity(SCENE_PREFIX + self.description.goal.body)[0])
        let_go = sim.arm.gripper_command == GRIPPER_OPEN and not self.is_held(sim)
        return let_go and self._is_inside(sim) and bool(speed < _AT_REST_M_PER_S)

    @override
    def expert(self, sim: Simulation) -> np.ndarray:
        arm, place = sim.arm, self.body_m(sim)
        tool, region = arm.tcp_position_m, self._region_m(sim)
        if not self.is_held(sim):
            if self._is_inside(sim):
                return towards(arm, tool + np.array([0.0, 0.0, 0.02]), GRIPPER_OPEN)
            return grasp(sim, SCENE_PREFIX + self.description.goal.body, turns=self.description.turns)
        off = region - place
        sideways = float(np.linalg.norm(off[:2]))
        if sideways < _OVER_M and off[2] > -self._drop_m(sim):
            return towards(arm, tool, GRIPPER_OPEN)
        goal = tool + off
        if sideways >= _OVER_M:
            goal[2] = tool[2] + region[2] + _CARRY_M - place[2]
            if place[2] < region[2] + 0.7 * _CARRY_M:
                goal[:2] = tool[:2]
        return towards(arm, goal, GRIPPER_CLOSED)

    @override
    def progress(self, sim: Simulation) -> float:
        if self._is_inside(sim) and not self.is_held(sim):
            return 0.95
        if self.is_held(sim):
            return 0.4 + 0.5 * _nearness(self._region_m(sim) - self.body_m(sim))
        return 0.3 * _nearness(self.body_m(sim) - sim.arm.tcp_position_m)

    def _region_m(self, sim: Simulation) -> np.ndarray:
        return sim.data.site(SCENE_PREFIX + self.description.goal.region).xpos.copy()

    def _drop_m(self, sim: Simulation) -> float:
        """Height above the region at which the script lets go."""
        return float(sim.half_size_m(SCENE_PREFIX + self.description.goal.body)[2]) + 0.012

    def _is_inside(self, sim: Simulation) -> bool:
        """True if the body's origin is over the site and low enough."""
        site = sim.model.site(SCENE_PREFIX + self.description.goal.region)
        axes = sim.data.site(site.id).xmat.reshape(3, 3)
        off = axes.T @ (self.body_m(sim) - self._region_m(sim))
        half = site.size
        flat = np.abs(off[:2]) < half[:2] if int(site.type[0]) == _BOX_SITE else [np.hypot(*off[:2]) < half[0]]
        return bool(np.all(flat)) and abs(off[2]) < self._drop_m(sim) + half[2]


class InsertInScene(SceneTask):
    """Task of bringing a body to a site inside a hole."""

    @classmethod
    @override
    def entries(cls) -> tuple[StateEntry, ...]:
        body = cls.description.goal.body
        return (
            *_body_entries(cls),
            entry(f"{body}_from_site_m", 3, scale=0.02),
            entry(f"{body}_turn_from_site_rad", 3, scale=0.1),
        )

    @override
    def observe(self, sim: Simulation) -> dict[str, np.ndarray]:
        body = self.description.goal.body
        off, turn = self._off(sim)
        return _body_state(self, sim) | {f"{body}_from_site_m": off, f"{body}_turn_from_site_rad": turn}

    @override
    def success(self, sim: Simulation) -> bool:
        return bool(np.linalg.norm(self._off(sim)[0]) < self.description.goal.tolerance_m)

    @override
    def expert(self, sim: Simulation) -> np.ndarray:
        if not self.is_held(sim):
            return grasp(sim, SCENE_PREFIX + self.description.goal.body, turns=self.description.turns)
        arm, (off, _) = sim.arm, self._off(sim)
        out = self._out(sim)
        sideways = float(np.linalg.norm(off - out * (off @ out)))
        goal = arm.tcp_position_m - off
        if sideways > 0.004 and off @ out > self.description.goal.tolerance_m:
            goal += out * _CARRY_M
            if off @ out < 0.7 * _CARRY_M and sideways > 0.01:
                goal = arm.tcp_position_m + out * (_CARRY_M - float(off @ out))
        else:
            goal -= out * 0.01
        return towards(arm, goal, GRIPPER_CLOSED)

    @override
    def progress(self, sim: Simulation) -> float:
        if self.is_held(sim):
            return 0.4 + 0.6 * _nearness(self._off(sim)[0])
        return 0.3 * _nearness(self.body_m(sim) - sim.arm.tcp_position_m)

    def _off(self, sim: Simulation) -> tuple[np.ndarray, np.ndarray]:
        """Compute the body's position (m) and turn (rad) from the site's."""
        site = sim.data.site(SCENE_PREFIX + self.description.goal.site)
        body = SCENE_PREFIX + self.description.goal.body
        return sim.position_m(body) - site.xpos, turn_between(np.array(UPRIGHT_WXYZ), sim.quaternion_wxyz(body))

    def _out(self, sim: Simulation) -> np.ndarray:
        return sim.data.site(SCENE_PREFIX + self.description.goal.site).xmat.reshape(3, 3)[:, 2]


class TurnInScene(SceneTask):
    """Task of moving a joint to a value by pushing."""

    @classmethod
    @override
    def entries(cls) -> tuple[StateEntry, ...]:
        joint = cls.description.goal.joint
        return entry(f"{joint}_point_from_tcp_m", 3, scale=0.03), entry(f"{joint}_left", 1, scale=0.5)

    @override
    def observe(self, sim: Simulation) -> dict[str, np.ndarray]:
        joint = self.description.goal.joint
        left = 1.0 - self._part(sim)
        offset = self._point_m(sim) - sim.arm.tcp_position_m
        return {f"{joint}_point_from_tcp_m": offset, f"{joint}_left": np.array(left)}

    @override
    def success(self, sim: Simulation) -> bool:
        return self._part(sim) >= 1.0

    @override
    def expert(self, sim: Simulation) -> np.ndarray:
        arm, point, way = sim.arm, self._point_m(sim), self._direction(sim)
        tool = arm.tcp_position_m
        if abs(way[2]) > 0.7:
            # Pressed from above or lifted: over the point first, then along the joint.
            over = point - way * _ABOVE_M
            aligned = np.linalg.norm((tool - point)[:2]) < 0.012
            return towards(arm, point + way * _PUSH_M if aligned else over)
        behind = point - way * _BEHIND_M
        ahead = float((tool - point) @ way)
        across = float(np.linalg.norm(tool - point - way * ahead))
        if ahead < -0.005 and across < 0.02:
            return towards(arm, tool + way * _PUSH_M + (point - tool + way * ahead))
        goal = behind.copy()
        if np.linalg.norm((tool - behind)[:2]) > 0.015:
            # Above everything until the tool is behind the point.
            goal[2] += _ABOVE_M
            if tool[2] < point[2] + 0.7 * _ABOVE_M:
                goal[:2] = tool[:2]
        return towards(arm, goal)

    @override
    def progress(self, sim: Simulation) -> float:
        near = _nearness(self._point_m(sim) - sim.arm.tcp_position_m)
        return 0.4 * near + 0.6 * float(np.clip(self._part(sim), 0.0, 1.0))

    def _part(self, sim: Simulation) -> float:
        """Part of the way that the joint has moved; 1 at success."""
        joint = sim.model.joint(SCENE_PREFIX + self.description.goal.joint)
        start = float(sim.model.qpos0[joint.qposadr[0]])
        return (float(sim.data.qpos[joint.qposadr[0]]) - start) / (self.description.goal.to - start)

    def _point_m(self, sim: Simulation) -> np.ndarray:
        goal = self.description.goal
        if goal.at:
            return sim.data.site(SCENE_PREFIX + goal.at).xpos.copy()
        return sim.data.xpos[sim.model.joint(SCENE_PREFIX + goal.joint).bodyid[0]].copy()

    def _direction(self, sim: Simulation) -> np.ndarray:
        """Unit vector along which the point has to move now (world frame)."""
        joint = sim.data.joint(SCENE_PREFIX + self.description.goal.joint)
        number = sim.model.joint(SCENE_PREFIX + self.description.goal.joint).id
        sign = np.sign(1.0 - self._part(sim)) * np.sign(self.description.goal.to)
        way = joint.xaxis
        if sim.model.jnt_type[number] == _HINGE:
            way = np.cross(joint.xaxis, self._point_m(sim) - joint.xanchor)
        return sign * way / max(1e-9, float(np.linalg.norm(way)))


_BOX_SITE, _HINGE = int(mujoco.mjtGeom.mjGEOM_BOX), int(mujoco.mjtJoint.mjJNT_HINGE)
"""Numbers of MuJoCo's box and hinge."""
KINDS: dict[str, type[SceneTask]] = {
    "lift": LiftInScene,
    "place": PlaceInScene,
    "insert": InsertInScene,
    "turn": TurnInScene,
}


def _body_entries(task: type[SceneTask]) -> tuple[StateEntry, ...]:
    body = task.description.goal.body
    return (
        entry(f"{body}_position_m", 3, (0.4, 0.0, 0.1), (0.2, 0.3, 0.1)),
        entry(f"{body}_quaternion_wxyz", 4),
        # A grasp is a matter of a centimetre: at the workspace's scale it takes several times the data to learn.
        entry(f"{body}_from_tcp_m", 3, scale=0.03),
    )


def _body_state(task: SceneTask, sim: Simulation) -> dict[str, np.ndarray]:
    body = task.description.goal.body
    return {
        f"{body}_position_m": task.body_m(sim),
        f"{body}_quaternion_wxyz": sim.quaternion_wxyz(SCENE_PREFIX + body),
        f"{body}_from_tcp_m": task.body_m(sim) - sim.arm.tcp_position_m,
    }


def _nearness(offset_m: np.ndarray) -> float:
    """Return 1 at no offset, falling with the distance."""
    return float(np.exp(-5.0 * np.linalg.norm(offset_m)))
