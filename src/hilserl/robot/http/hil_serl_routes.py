"""HIL-SERL's routes, with its names, methods, bodies and units.

HIL-SERL's clients work unchanged.
"""

from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any

import numpy as np
from flask import Flask, Response, jsonify, request

from hilserl.errors import HilserlError
from hilserl.robot.control.backend import Backend, GripperVerb, Mode, Snapshot, halted_error
from hilserl.robot.control.poses import euler_xyz_rad
from hilserl.robot.http.metrics import RequestMetrics
from hilserl.robot.http.schemas import GripperBody, LoadBody, PoseBody, decode

CONTROLLED = "controlled."
"""Prefix of the endpoints that only the controlling client may use."""
LIMITED_HEADER = "X-Limited"
"""Header of the answer to a pose outside the box."""


def _sensed(values: np.ndarray | None, name: str) -> list[float]:
    """Return measured values. Raises HilserlError if the arm does not sense them."""
    if values is None:
        raise HilserlError(f"This arm senses no {name} at its tool, so there is none to read.")
    return values.tolist()


def _state(now: Snapshot) -> dict[str, Any]:
    """Return all that the arm senses."""
    of_wrench = {"force": now.force_N, "torque": now.torque_Nm}
    return {
        "pose": now.pose.tolist(),
        "vel": now.velocity.tolist(),
        **{name: values.tolist() for name, values in of_wrench.items() if values is not None},
        "q": now.q.tolist(),
        "dq": now.dq.tolist(),
        "jacobian": now.jacobian.tolist(),
        "gripper_pos": now.gripper,
    }


_READS: dict[str, Callable[[Snapshot], dict[str, Any]]] = {
    "getpos": lambda s: {"pose": s.pose.tolist()},
    "getpos_euler": lambda s: {"pose": [*s.pose[:3].tolist(), *euler_xyz_rad(s.pose[3:]).tolist()]},
    "getvel": lambda s: {"vel": s.velocity.tolist()},
    "getforce": lambda s: {"force": _sensed(s.force_N, "force")},
    "gettorque": lambda s: {"torque": _sensed(s.torque_Nm, "torque")},
    "getq": lambda s: {"q": s.q.tolist()},
    "getdq": lambda s: {"dq": s.dq.tolist()},
    "getjacobian": lambda s: {"jacobian": s.jacobian.tolist()},
    "get_gripper": lambda s: {"gripper": s.gripper},
    "getstate": _state,
}
FORCE_ROUTES = ("wrench", "startwrench", "stopwrench", "reset")
"""Routes of HIL-SERL's server for flipping an egg."""
_NOWHERE = "refused://this-robot-server-takes-poses-and-no-forces"
_GRIPPER: dict[str, tuple[GripperVerb, str]] = {
    "activate_gripper": ("activate", "Activated"),
    "reset_gripper": ("reset", "Reset"),
    "open_gripper": ("open", "Opened"),
    "close_gripper": ("close", "Closed"),
    "close_gripper_slow": ("close_slow", "Closed"),
}


def add_reads(app: Flask, backend: Backend) -> None:
    """Add the routes that every client may use at any time."""
    for name, select in _READS.items():
        app.add_url_rule(f"/{name}", name, partial(_read, backend, select), methods=["POST"])


def _read(backend: Backend, select: Callable[[Snapshot], dict[str, Any]]) -> Response:
    return jsonify(select(backend.snapshot()))


def add_commands(app: Flask, backend: Backend, metrics: RequestMetrics) -> None:
    """Add the routes that move the arm or change its control.

    `CONTROLLED` in the name of their endpoint demands the lease.
    """

    def command(name: str, act: Callable[[], str | Response]) -> None:
        app.add_url_rule(f"/{name}", CONTROLLED + name, act, methods=["POST"])

    for name, (verb, reply) in _GRIPPER.items():
        command(name, partial(_gripper, backend, verb, reply))
    command("pose", partial(_pose, backend, metrics))
    command("move_gripper", partial(_move_gripper, backend))
    command("startimp", partial(_done, backend.start_impedance, "Started impedance"))
    command("stopimp", partial(_done, backend.stop_impedance, "Stopped impedance"))
    command("jointreset", partial(_done, backend.joint_reset, "Reset Joint"))
    command("clearerr", partial(_clear, backend))
    command("set_load", partial(_set_load, backend))
    command("update_param", partial(_update_param, backend))


def add_refusals(app: Flask) -> None:
    """Add the routes of HIL-SERL's server of forces, which are refused.

    Its client looks at no status, and would go on as if the arm moved. `requests` follows a redirect, and raises at an
    address that it cannot open; the error shows the address.
    """
    for name in FORCE_ROUTES:
        app.add_url_rule(f"/{name}", name, partial(_refuse_forces, name), methods=["POST"])


def _refuse_forces(name: str) -> tuple[Response, int, dict[str, str]]:
    reason = f"/{name} is not served: this server takes poses, and no forces as for flipping an egg."
    return jsonify(error=reason), HTTPStatus.TEMPORARY_REDIRECT, {"Location": _NOWHERE}


def _done(act: Callable[[], None], reply: str) -> str:
    act()
    return reply


def _gripper(backend: Backend, verb: GripperVerb, reply: str) -> str:
    backend.gripper(verb)
    return reply


def _pose(backend: Backend, metrics: RequestMetrics) -> Response:
    pose, moved = backend.box.clip(decode(request.get_data(), PoseBody).pose())
    backend.move(pose)
    reply = Response("Moved")
    if moved:
        metrics.count("poses_outside_the_box")
        reply.headers[LIMITED_HEADER] = "box"
    return reply


def _move_gripper(backend: Backend) -> str:
    backend.move_gripper(min(max(decode(request.get_data(), GripperBody).gripper_pos, 0.0), 255.0))
    return "Moved Gripper"


def _clear(backend: Backend) -> str:
    """Answer without clearing a halt.

    HIL-SERL's clients send this request before every pose, so it must not end a halt.
    """
    snapshot = backend.snapshot()
    if snapshot.mode == Mode.HALTED:
        raise halted_error(snapshot.halted_by)
    return "Clear"


def _set_load(backend: Backend) -> str:
    backend.set_load(decode(request.get_data(), LoadBody).load())
    return "Set Load"


def _update_param(backend: Backend) -> str:
    backend.set_compliance(backend.compliance().changed(decode(request.get_data(), dict[str, float])))
    return "Updated compliance parameters"
