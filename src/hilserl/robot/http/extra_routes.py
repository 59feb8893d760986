"""Routes beyond HIL-SERL's: state of the server, stop, images and the simulation."""

import dataclasses
import threading
from collections.abc import Callable
from functools import partial

import numpy as np
from flask import Flask, Response, current_app, jsonify, request

from hilserl import __version__
from hilserl.errors import HilserlError
from hilserl.robot.control.backend import Backend, SceneBackend
from hilserl.robot.http.hil_serl_routes import CONTROLLED
from hilserl.robot.http.images import as_npy, as_png
from hilserl.robot.http.lease import Client, Lease
from hilserl.robot.http.metrics import RequestMetrics
from hilserl.robot.http.schemas import ReasonBody, SceneBody, decode, stop_reason

TIME_HEADER = "X-Time-S"
STOP_PORT = "HILSERL_STOP_PORT"
"""Entry of the application's configuration: the port of the stop."""
IMAGES_AT_ONCE = 4
"""Requests for images at once; the other workers serve commands."""
_IMAGES = threading.BoundedSemaphore(IMAGES_AT_ONCE)
_IMAGE_PX = 128
_FORMATS: dict[str, tuple[Callable[[np.ndarray], bytes], str]] = {
    "npy": (as_npy, "application/octet-stream"),
    "png": (as_png, "image/png"),
}


def add_extra_routes(
    app: Flask, backend: Backend, lease: Lease, metrics: RequestMetrics, client: Callable[[], Client]
) -> None:
    """Add the routes that every arm has.

    Args:
        app: gets the routes.
        backend: the arm.
        lease: control over the arm.
        metrics: measurements of the requests.
        client: returns the client of the present request.
    """
    app.add_url_rule("/health", view_func=partial(_health, backend, lease), endpoint="health")
    app.add_url_rule("/limits", view_func=partial(_limits, backend), endpoint="limits")
    app.add_url_rule("/metrics", view_func=partial(_metrics, backend, metrics), endpoint="metrics")
    app.add_url_rule("/cameras", view_func=partial(_cameras, backend), endpoint="cameras")
    app.add_url_rule("/cameras/<name>.<extension>", view_func=partial(_image, backend), endpoint="picture")
    app.add_url_rule("/stop", view_func=partial(_stop, backend, client), endpoint="stop", methods=["POST"])
    app.add_url_rule("/recover", view_func=partial(_recover, backend), endpoint="recover", methods=["POST"])
    app.add_url_rule("/release", view_func=partial(_release, lease, client), endpoint="release", methods=["POST"])


def add_sim_routes(app: Flask, backend: Backend) -> None:
    """Add the routes of a simulated arm; a real one gets none."""
    if not isinstance(backend, SceneBackend) or backend.scene is None:
        return
    app.add_url_rule("/sim/truth", view_func=lambda: jsonify(backend.truth()), endpoint="sim_truth")
    actions = {"reset": partial(_reset_scene, backend), "reflex": partial(_reflex, backend)}
    for name, act in actions.items():
        app.add_url_rule(f"/sim/{name}", f"{CONTROLLED}sim_{name}", act, methods=["POST"])


def _health(backend: Backend, lease: Lease) -> Response:
    now = backend.snapshot()
    return jsonify(
        version=__version__,
        time_s=now.time_s,
        mode=now.mode.name.lower(),
        halted_by=now.halted_by,
        controller=lease.holder,
        gripper=backend.gripper_kind,
        robot=backend.robot,
        scene=backend.scene if isinstance(backend, SceneBackend) else None,
        cameras=backend.cameras,
        set_point=now.set_point.tolist(),
        stop_port=current_app.config[STOP_PORT],
    )


def _limits(backend: Backend) -> Response:
    return jsonify(
        box=dataclasses.asdict(backend.box),
        **dataclasses.asdict(backend.limits),
        compliance=backend.compliance().as_dict(),
    )


def _metrics(backend: Backend, metrics: RequestMetrics) -> Response:
    return jsonify({**backend.metrics(), **metrics.summary()})


def _cameras(backend: Backend) -> Response:
    return jsonify(cameras=backend.cameras, formats=list(_FORMATS))


def _image(backend: Backend, name: str, extension: str) -> Response | tuple[Response, int]:
    if name not in backend.cameras or extension not in _FORMATS:
        known = ", ".join(f"/cameras/{camera}.{{{','.join(_FORMATS)}}}" for camera in backend.cameras)
        return jsonify(error=f"Unknown image {f'{name}.{extension}'!r}. Available: {known or 'none'}."), 404
    height, width = (_pixels(side) for side in ("height", "width"))
    if not _IMAGES.acquire(blocking=False):
        return jsonify(error=f"More than {IMAGES_AT_ONCE} images are asked for at once; ask again."), 503
    try:
        image, time_s = backend.image(name, height, width)
    finally:
        _IMAGES.release()
    encode, content_type = _FORMATS[extension]
    return Response(encode(image), content_type=content_type, headers={TIME_HEADER: f"{time_s:.3f}"})


def _pixels(side: str) -> int:
    text = request.args.get(side, str(_IMAGE_PX))
    if not (text.isascii() and text.isdigit() and len(text) <= 4):
        raise HilserlError(f"Invalid {side}={text!r}: expected a number of pixels.")
    return int(text)


def _stop(backend: Backend, client: Callable[[], Client]) -> Response:
    backend.halt(f"stopped by {client().name}: {stop_reason(request.get_data())}")
    return jsonify(stopped=True)


def _recover(backend: Backend) -> Response:
    backend.recover()
    return jsonify(mode=backend.snapshot().mode.name.lower())


def _release(lease: Lease, client: Callable[[], Client]) -> Response:
    lease.release(client())
    return jsonify(released=True)


def _reset_scene(backend: SceneBackend) -> Response:
    wanted = decode(request.get_data(), SceneBody)
    backend.reset_scene(wanted.seed, home=wanted.home)
    return jsonify(reset=True)


def _reflex(backend: Backend) -> Response:
    backend.halt(f"reflex: {decode(request.get_data(), ReasonBody).reason}")
    return jsonify(halted=True)
