"""HIL-SERL's own routes: the same names, methods, bodies and units, so that its clients work unchanged."""

from collections.abc import Callable
from functools import partial
from typing import Any

from flask import Flask, Response, jsonify, request

from hilserl.robot.control.backend import Backend, GripperVerb, Mode, Snapshot, halted
from hilserl.robot.control.poses import euler_xyz_rad
from hilserl.robot.http.metrics import RequestMetrics
from hilserl.robot.http.schemas import GripperBody, LoadBody, PoseBody, decode

LIMITED_HEADER = "X-Limited"

_READS: dict[str, Callable[[Snapshot], dict[str, Any]]] = {
    "getpos": lambda s: {"pose": s.pose.tolist()},
    "getpos_euler": lambda s: {"pose": [*s.pose[:3].tolist(), *euler_xyz_rad(s.pose[3:]).tolist()]},
    "getvel": lambda s: {"vel": s.velocity.tolist()},
    "getforce": lambda s: {"force": s.force_N.tolist()},
    "gettorque": lambda s: {"torque": s.torque_Nm.tolist()},
    "getq": lambda s: {"q": s.q.tolist()},
    "getdq": lambda s: {"dq": s.dq.tolist()},
    "getjacobian": lambda s: {"jacobian": s.jacobian.tolist()},
    "get_gripper": lambda s: {"gripper": s.gripper},
    "getstate": lambda s: {
        "pose": s.pose.tolist(),
        "vel": s.velocity.tolist(),
        "force": s.force_N.tolist(),
        "torque": s.torque_Nm.tolist(),
        "q": s.q.tolist(),
        "dq": s.dq.tolist(),
        "jacobian": s.jacobian.tolist(),
        "gripper_pos": s.gripper,
    },
}
_GRIPPER: dict[str, tuple[GripperVerb, str]] = {
    "activate_gripper": ("activate", "Activated"),
    "reset_gripper": ("reset", "Reset"),
    "open_gripper": ("open", "Opened"),
    "close_gripper": ("close", "Closed"),
    "close_gripper_slow": ("close_slow", "Closed"),
}


def add_reads(app: Flask, backend: Backend) -> None:
    """Routes that anybody may ask at any time."""
    for name, of in _READS.items():
        app.add_url_rule(f"/{name}", name, partial(_read, backend, of), methods=["POST"])


def _read(backend: Backend, of: Callable[[Snapshot], dict[str, Any]]) -> Response:
    return jsonify(of(backend.snapshot()))


def add_commands(app: Flask, backend: Backend, tally: RequestMetrics) -> None:
    """Routes that move the arm or change how it moves; `controlled` in their endpoint's name asks for the lease."""

    def command(name: str, act: Callable[[], str | Response]) -> None:
        app.add_url_rule(f"/{name}", CONTROLLED + name, act, methods=["POST"])

    for name, (verb, reply) in _GRIPPER.items():
        command(name, partial(_gripper, backend, verb, reply))
    command("pose", partial(_pose, backend, tally))
    command("move_gripper", partial(_move_gripper, backend))
    command("startimp", partial(_done, backend.start_impedance, "Started impedance"))
    command("stopimp", partial(_done, backend.stop_impedance, "Stopped impedance"))
    command("jointreset", partial(_done, backend.joint_reset, "Reset Joint"))
    command("clearerr", partial(_clear, backend))
    command("set_load", partial(_set_load, backend))
    command("update_param", partial(_update_param, backend))


CONTROLLED = "controlled."
"""Begins the endpoint of a route that only the controlling client may use."""


def _done(act: Callable[[], None], reply: str) -> str:
    act()
    return reply


def _gripper(backend: Backend, verb: GripperVerb, reply: str) -> str:
    backend.gripper(verb)
    return reply


def _pose(backend: Backend, tally: RequestMetrics) -> Response:
    pose, moved = backend.box.nearest(decode(request.get_data(), PoseBody).pose())
    backend.move(pose)
    reply = Response("Moved")
    if moved:
        tally.count("poses_outside_the_box")
        reply.headers[LIMITED_HEADER] = "box"
    return reply


def _move_gripper(backend: Backend) -> str:
    backend.move_gripper(min(max(decode(request.get_data(), GripperBody).gripper_pos, 0.0), 255.0))
    return "Moved Gripper"


def _clear(backend: Backend) -> str:
    """HIL-SERL's clients send this before every pose; a person has to mean it, so it never ends a halt."""
    snapshot = backend.snapshot()
    if snapshot.mode == Mode.HALTED:
        raise halted(snapshot.halted_by)
    return "Clear"


def _set_load(backend: Backend) -> str:
    backend.set_load(decode(request.get_data(), LoadBody).load())
    return "Set Load"


def _update_param(backend: Backend) -> str:
    backend.set_compliance(backend.compliance().changed(decode(request.get_data(), dict[str, float])))
    return "Updated compliance parameters"
