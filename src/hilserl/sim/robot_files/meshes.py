"""Meshes for people, fitted primitives for the policy's cameras."""

import mujoco

FITTED_GROUP = 1
"""Group of primitives that stand for meshes; people see the meshes instead."""
MESH_GROUP = 4
"""Group of meshes, which only images for people show."""

_MESH = mujoco.mjtGeom.mjGEOM_MESH
_LARGEST_VISIBLE_GROUP = 2


def fit_primitives(spec: mujoco.MjSpec, boxed: set[str]) -> None:
    """Put a primitive beside every mesh, for the policy's cameras.

    MuJoCo fits the primitive when it compiles. Meshes never collide.

    Args:
        spec: The robot or scene.
        boxed: Bodies whose meshes become boxes that collide as the meshes did; others become capsules that do not.
    """
    for geom in list(spec.geoms):
        if geom.type != _MESH:
            continue
        body = geom.parent
        collides = bool(geom.contype or geom.conaffinity) and body.name in boxed
        visible = geom.group <= _LARGEST_VISIBLE_GROUP
        if visible or collides:
            _add_fitted(body, geom, boxed=body.name in boxed, collides=collides, visible=visible)
        geom.contype = geom.conaffinity = 0
        geom.group = MESH_GROUP if visible else MESH_GROUP + 1


def show_primitives(spec: mujoco.MjSpec) -> None:
    """Show policies a box for every visible mesh; contacts stay the mesh's."""
    for geom in list(spec.geoms):
        if geom.type == _MESH and geom.group <= _LARGEST_VISIBLE_GROUP:
            _add_fitted(geom.parent, geom, boxed=True, collides=False, visible=True)
            geom.group = MESH_GROUP


def _add_fitted(body: mujoco.MjsBody, geom: mujoco.MjsGeom, *, boxed: bool, collides: bool, visible: bool) -> None:
    fitted = body.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX if boxed else mujoco.mjtGeom.mjGEOM_CAPSULE)
    fitted.meshname, fitted.fitscale = geom.meshname, geom.fitscale
    fitted.pos, fitted.quat, fitted.alt = geom.pos, geom.quat, geom.alt
    fitted.rgba, fitted.material = geom.rgba, geom.material
    fitted.group = FITTED_GROUP if visible else MESH_GROUP + 1
    fitted.mass = 0.0
    if collides:
        fitted.name = f"{body.name}_fitted_{len(body.geoms)}"
        fitted.condim, fitted.friction = geom.condim, geom.friction
    else:
        fitted.contype = fitted.conaffinity = 0
