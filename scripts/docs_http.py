"""OpenAPI description of the robot server, generated from its routes.

The bodies of requests are the schemas that the server decodes with. The answers are those of a simulated arm.
"""

import contextlib
import json
import re
from pathlib import Path
from typing import Any

import msgspec
from flask import Flask
from flask.testing import FlaskClient

from hilserl import __version__
from hilserl.robot.control.limits import Box, Limits
from hilserl.robot.drivers.sim.backend import SimBackend, SimSettings
from hilserl.robot.http.hil_serl_routes import FORCE_ROUTES
from hilserl.robot.http.schemas import GripperBody, LoadBody, PoseBody, ReasonBody, SceneBody
from hilserl.robot.http.server import make_app
from hilserl.sim.robot_models.panda import HOME_JOINTS_RAD
from hilserl.tasks.pick_cube import PickCube

BODIES: dict[str, tuple[type[msgspec.Struct], dict[str, Any]]] = {
    "/pose": (PoseBody, {"arr": [0.43, 0.02, 0.3, 1.0, 0.0, 0.0, 0.0]}),
    "/move_gripper": (GripperBody, {"gripper_pos": 128.0}),
    "/set_load": (
        LoadBody,
        {"mass": 0.1, "F_x_center_load": [0, 0, 0.1], "load_inertia": [1e-3, 0, 0, 0, 1e-3, 0, 0, 0, 1e-3]},
    ),
    "/stop": (ReasonBody, {"reason": "a hand in the way"}),
    "/sim/reset": (SceneBody, {"seed": 3}),
    "/sim/reflex": (ReasonBody, {"reason": "cartesian_reflex"}),
}
"""Schema and example of each route's body."""
PARAMETERS = "/update_param"
"""Route whose body maps names of impedance parameters to numbers."""
IMAGES = "/cameras/{name}.{extension}"
"""Route whose answers are images."""
SUMMARIES = {
    "/getstate": "Read pose, velocity, force, torque, joints, Jacobian and gripper.",
    "/getpos": "Read the tool's pose: position in m, quaternion xyzw.",
    "/getpos_euler": "Read the tool's position in m and its rotations about the fixed axes x, y, z in rad.",
    "/getvel": "Read the tool's velocity in m/s and rad/s.",
    "/getforce": "Read the force of the environment on the tool, in N, in the tool's frame.",
    "/gettorque": "Read the torque of the environment on the tool, in N m, in the tool's frame.",
    "/getq": "Read the joints' positions in rad.",
    "/getdq": "Read the joints' velocities in rad/s.",
    "/getjacobian": "Read the Jacobian, 6 x 7.",
    "/get_gripper": "Read the gripper: 1 open, 0 closed.",
    "/pose": "Command a pose; the loop moves there within its limits.",
    "/open_gripper": "Open the gripper.",
    "/close_gripper": "Close the gripper.",
    "/close_gripper_slow": "Close the gripper slowly.",
    "/activate_gripper": "Activate a Robotiq gripper.",
    "/reset_gripper": "Reset the gripper; a Franka hand is homed.",
    "/move_gripper": "Move the gripper to a position from 0 to 255.",
    "/update_param": "Change impedance parameters.",
    "/set_load": "Tell the arm its load.",
    "/startimp": "Start the impedance controller.",
    "/stopimp": "Stop the impedance controller.",
    "/jointreset": "Move the joints to their reset positions.",
    "/clearerr": "Answer as HIL-SERL's server does; a halt stays.",
    "/health": "Read mode, reason of a halt, controlling client and clock.",
    "/limits": "Read box, limits and compliance.",
    "/metrics": "Read measurements of the control loop and of the requests.",
    "/cameras": "List cameras and formats.",
    IMAGES: "Fetch an image as a NumPy file or PNG.",
    "/stop": "Stop the arm at once.",
    "/recover": "End a stop or a reflex; the arm stays where it is.",
    "/release": "Give up control of the arm.",
    "/sim/truth": "Read success, progress and poses of a simulated scene.",
    "/sim/reset": "Set up a simulated scene by its seed.",
    "/sim/reflex": "Rehearse a reflex stop.",
}
"""Purpose of each route."""
_LEFT_OUT = {"/metrics"}
"""Routes whose answers change with every call; their example is left out."""
_REFUSALS = {
    "400": "Invalid body or parameter; the arm does not change.",
    "401": "Missing or wrong token.",
    "403": "Request of a web page.",
    "409": "Forbidden by the arm's state, or another client has control.",
    "413": "Body over 16 KB.",
    "503": "The arm's loop has ended.",
}


def describe() -> dict[str, Any]:
    """Return the OpenAPI description of a server with a simulated arm."""
    settings = SimSettings(Box(), Limits(), task=PickCube(), gripper="franka", reset_joints_rad=HOME_JOINTS_RAD)
    with contextlib.closing(SimBackend(settings)) as backend:
        app = make_app(backend)
        client = app.test_client()
        paths = {path: {method: _operation(client, path, method)} for path, method in routes(app)}
    schemas = {kind.__name__: kind for kind, _ in BODIES.values()}
    _, components = msgspec.json.schema_components(schemas.values(), ref_template="#/components/schemas/{name}")
    return {
        "openapi": "3.1.0",
        "info": {"title": "hilserl robot server", "version": __version__, "license": {"name": "Apache-2.0"}},
        "servers": [{"url": "http://127.0.0.1:5000"}],
        "security": [{}, {"token": []}],
        "paths": paths,
        "components": {
            "schemas": {**components, "Error": _schema({"error": "reason"})},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def routes(app: Flask) -> list[tuple[str, str]]:
    """Return path and method of each served route, as in `SUMMARIES`."""
    found = [
        (re.sub(r"<(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        if rule.endpoint not in FORCE_ROUTES
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
    ]
    return sorted(found, key=lambda route: list(SUMMARIES).index(route[0]))


def _operation(client: FlaskClient, path: str, method: str) -> dict[str, Any]:
    """Return the OpenAPI operation of a route; its answer is asked for."""
    operation: dict[str, Any] = {"summary": SUMMARIES[path], "responses": {}}
    kind, example = BODIES.get(path, (None, None))
    if kind is not None:
        schema: dict[str, Any] = {"$ref": f"#/components/schemas/{kind.__name__}"}
        operation["requestBody"] = {"content": {"application/json": {"schema": schema, "example": example}}}
    if path == PARAMETERS:
        schema = {"type": "object", "additionalProperties": {"type": "number"}}
        example = {"translational_stiffness": 2000, "translational_clip_x": 0.0075}
        operation["requestBody"] = {"content": {"application/json": {"schema": schema, "example": example}}}
    if path == IMAGES:
        operation["parameters"] = [
            *(
                {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
                for name in ("name", "extension")
            ),
            *({"name": name, "in": "query", "schema": {"type": "integer"}} for name in ("height", "width")),
        ]
    concrete = path.format(name="front", extension="png")
    answer = client.open(concrete, method=method.upper(), json=example)
    if answer.status_code != 200:
        raise AssertionError(f"{method} {path} answered {answer.status_code}: {answer.text}")
    if path == "/sim/reflex":
        client.post("/recover")
    if path == "/stop":
        client.post("/recover")
    operation["responses"] = {
        "200": {"description": "Done.", "content": _content(path, answer.mimetype or "", answer.get_data())},
        **{
            status: {
                "description": text,
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
            }
            for status, text in _REFUSALS.items()
        },
    }
    return operation


def _content(path: str, mimetype: str, body: bytes) -> dict[str, Any]:
    if path == IMAGES:
        binary = {"schema": {"type": "string", "format": "binary"}}
        return {"image/png": binary, "application/octet-stream": binary}
    if mimetype != "application/json":
        text = body.decode()
        return {mimetype: {"schema": {"type": "string"}, "example": text}}
    answer = json.loads(body)
    return {mimetype: {"schema": _schema(answer)} | ({} if path in _LEFT_OUT else {"example": _rounded(answer)})}


def _schema(value: Any) -> dict[str, Any]:
    """Return the JSON schema of an answer."""
    if isinstance(value, dict):
        return {"type": "object", "properties": {name: _schema(inner) for name, inner in value.items()}}
    if isinstance(value, list):
        return {"type": "array", "items": _schema(value[0]) if value else {}, "minItems": len(value)}
    if value is None:
        return {}
    kinds = {bool: "boolean", str: "string", int: "number", float: "number"}
    return {"type": kinds[type(value)]}


def _rounded(value: Any) -> Any:
    """Return an answer with numbers of three digits after the point."""
    if isinstance(value, dict):
        return {name: _rounded(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_rounded(inner) for inner in value]
    return round(value, 3) + 0.0 if isinstance(value, float) else value


def write_http(page: Path, description: Path) -> None:
    """Write the OpenAPI description, and the page that shows it."""
    found = describe()
    page.parent.mkdir(parents=True, exist_ok=True)
    description.write_text(json.dumps(found, indent=2) + "\n")
    lines = [
        *("# HTTP interface", ""),
        "The routes of `hilserl robot-server`, generated from the code of this version; the answers are those of a",
        f"simulated arm. [The OpenAPI description]({description.name}) has the same for programs, and",
        "[the robot server](../robot_server.md) explains limits, control and safety.",
        "",
    ]
    for path, operations in found["paths"].items():
        for method, operation in operations.items():
            lines += [f"## {method.upper()} {path}", "", operation["summary"], ""]
            if "requestBody" in operation:
                lines += _block("Body", operation["requestBody"]["content"])
            lines += _block("Answer", operation["responses"]["200"]["content"])
    lines += [
        "## Refusals",
        "",
        'Each has a body `{"error": "..."}` with the reason.',
        "",
        "| status | |",
        "| --- | --- |",
    ]
    lines += [f"| {status} | {text} |" for status, text in _REFUSALS.items()]
    page.write_text("\n".join(lines) + "\n")


def _block(title: str, content: dict[str, Any]) -> list[str]:
    """Return the lines that show an example of a body."""
    kind, form = next(iter(content.items()))
    if "example" not in form:
        return [f"{title}: {', '.join(f'`{name}`' for name in content)}", ""]
    example = form["example"]
    text = example if isinstance(example, str) else json.dumps(example)
    return [f"{title}, `{kind}`:", "", "```json" if not isinstance(example, str) else "```text", text, "```", ""]
