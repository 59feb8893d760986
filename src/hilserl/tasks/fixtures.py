"""Fixtures of the insertion tasks: slots and latches.

Positions are in the frame of the body that carries the slot: the floor's centre is the origin, +z points out of it.
"""

from dataclasses import dataclass

import mujoco
import numpy as np

from hilserl.sim.quaternions import from_matrix

Rgba = tuple[float, float, float, float]

_BOX = mujoco.mjtGeom.mjGEOM_BOX
_SOLREF, _SOLIMP = (0.004, 1.0), (0.99, 0.999, 0.0002, 0.5, 2.0)
"""Stiff contacts, so that light parts keep their clearances.

Parts weigh a few grams and the arm pushes with all its force.
"""
PLASTIC_FRICTION = (0.2, 0.001, 0.0001)


@dataclass(frozen=True)
class Slot:
    """The inside of a slot; lengths are in metres."""

    length_m: float
    """Size along x."""
    width_m: float
    """Size along y."""
    depth_m: float
    """Depth along z."""
    wall_m: float
    """Thickness of the walls; more than the chamfer."""
    chamfer_m: float
    """Widening of the mouth on each side, at 45 degrees."""

    def add_to(self, body: mujoco.MjsBody, colour: Rgba) -> None:
        """Add four walls around the origin and a floor below it."""
        outer = np.array([self.length_m, self.width_m]) / 2 + self.wall_m
        floor = (*outer, self.wall_m / 2)
        add_solid(body, _BOX, floor, (0.0, 0.0, -self.wall_m / 2), colour)
        for axis, (across_m, along_m) in enumerate(((self.length_m, outer[1]), (self.width_m, outer[0]))):
            for side in (-1.0, 1.0):
                self._add_wall(body, axis, side, across_m / 2, along_m, colour)

    def _add_wall(
        self, body: mujoco.MjsBody, axis: int, side: float, inner_m: float, half_along_m: float, colour: Rgba
    ) -> None:
        """Add the wall on one side of an axis, and its chamfer."""
        straight_m, chamfer_m = self.depth_m - self.chamfer_m, self.chamfer_m
        outward, along, up = side * np.eye(3)[axis], np.eye(3)[1 - axis], np.array([0.0, 0.0, 1.0])

        def size(outward_m: float, up_m: float) -> tuple[float, float, float]:
            flat = np.full(2, half_along_m)
            flat[axis] = outward_m
            return flat[0], flat[1], up_m

        centre = (inner_m + self.wall_m / 2) * outward + straight_m / 2 * up
        add_solid(body, _BOX, size(self.wall_m / 2, straight_m / 2), centre, colour)
        # The rest of the wall, outside of the chamfer.
        rest_m = self.wall_m - chamfer_m
        centre = (inner_m + chamfer_m + rest_m / 2) * outward + (straight_m + chamfer_m / 2) * up
        add_solid(body, _BOX, size(rest_m / 2, chamfer_m / 2), centre, colour)
        face = (inner_m + chamfer_m / 2) * outward + (self.depth_m - chamfer_m / 2) * up
        normal, slope = (up - outward) / np.sqrt(2), (up + outward) / np.sqrt(2)
        thickness_m = chamfer_m / np.sqrt(2)
        half_size = (half_along_m, chamfer_m / np.sqrt(2), thickness_m / 2)
        slab = add_solid(body, _BOX, half_size, face - thickness_m / 2 * normal, colour)
        slab.quat = from_matrix(np.stack([along, slope, np.cross(along, slope)], axis=1))


def add_solid(
    body: mujoco.MjsBody,
    kind: mujoco.mjtGeom,
    half_size_m: tuple[float, ...],
    centre_m: tuple[float, ...] | np.ndarray,
    colour: Rgba,
    mass_kg: float = 0.0,
) -> mujoco.MjsGeom:
    """Add a hard and smooth part to a body."""
    geom = body.add_geom(type=kind, size=[*half_size_m, 0.0, 0.0][:3], pos=centre_m, rgba=colour, mass=mass_kg)
    geom.friction, geom.solref, geom.solimp = PLASTIC_FRICTION, _SOLREF, _SOLIMP
    return geom


@dataclass(frozen=True)
class Latch:
    """A spring-loaded lever whose hook snaps into a notch.

    A part that is pushed in presses the hook aside. The hook's faces are at 45 degrees, so that a part slides off them
    from above and from below. The lever swings about y. Lengths are in metres.
    """

    hook_m: tuple[float, float]
    """Centre of the hook at rest, along x and z."""
    pivot_m: tuple[float, float]
    """Axis of the lever, along x and z."""
    half_width_m: float
    """Half the width, along y."""
    hook_half_height_m: float
    """Half the height of the hook, along z."""
    stiffness_nm_per_rad: float
    """Stiffness of the spring."""
    preload_rad: float
    """Wind-up of the spring at rest."""

    def add_to(self, body: mujoco.MjsBody, name: str, colour: Rgba) -> None:
        """Add the lever and its hook to the slot's body."""
        pivot = np.array([self.pivot_m[0], 0.0, self.pivot_m[1]])
        hook = np.array([self.hook_m[0], 0.0, self.hook_m[1]]) - pivot
        lever = body.add_body(name=name, pos=pivot)
        outward = np.sign(self.hook_m[0])
        joint = lever.add_joint(name=name, type=mujoco.mjtJoint.mjJNT_HINGE, axis=[0.0, outward, 0.0])
        joint.range, joint.limited = [0.0, 0.5], mujoco.mjtLimited.mjLIMITED_TRUE
        joint.stiffness[0], joint.springref = self.stiffness_nm_per_rad, -self.preload_rad
        joint.damping[0], joint.armature = 2e-3, 2e-5
        joint.solref_limit, joint.solimp_limit = _SOLREF, _SOLIMP
        half_edge_m = self.hook_half_height_m / np.sqrt(2)
        edge = add_solid(lever, _BOX, (half_edge_m, self.half_width_m, half_edge_m), hook, colour, 0.002)
        edge.quat = (np.cos(np.pi / 8), 0.0, np.sin(np.pi / 8), 0.0)
        arm = lever.add_geom(type=_BOX, size=[half_edge_m, self.half_width_m, hook[2] / 2])
        arm.pos, arm.rgba, arm.mass = hook / 2 + np.array([outward * half_edge_m, 0.0, 0.0]), colour, 0.002
        arm.contype = arm.conaffinity = 0
