"""Serve an arm behind the HTTP interface of HIL-SERL's robot server."""

import contextlib
import time
from collections.abc import Sequence

from hilserl import tasks
from hilserl.address import Address
from hilserl.cli.parsing import parse
from hilserl.cli.robot_arms import RobotServerArguments, open_backend
from hilserl.errors import HilserlError
from hilserl.robot.control.backend import LostError
from hilserl.robot.control.limits import Box
from hilserl.tokens import new_token


def run(words: Sequence[str]) -> int:
    """Serve an arm until Ctrl-C."""
    arguments = parse("robot-server", RobotServerArguments, words)
    from hilserl.distributed.credentials import load_credentials
    from hilserl.interrupt import Interrupt
    from hilserl.robot.http.server import RobotServer, check_listening

    task = tasks.find(arguments.task)()
    arm = task.arms[0]
    box = Box(arguments.box_low_m or arm.workspace_low_m, arguments.box_high_m or arm.workspace_high_m)
    address = Address(arguments.host, arguments.port)
    token = _token(arguments, load_credentials(arguments.credentials).token)
    check_listening(address, token)
    interrupt = Interrupt()
    with (
        interrupt.armed(),
        contextlib.closing(open_backend(arguments, box, task)) as backend,
        RobotServer(backend, address, token, stop_port=arguments.stop_port) as server,
    ):
        what = _SERVED[arguments.backend].format(task=task.name, robot_ip=arguments.robot_ip)
        print(f"The {what} is at http://{server.address}. Ctrl-C ends it.", flush=True)
        print(f"Stop it with POST http://{server.stop_address}/stop, which nothing delays.", flush=True)
        if halted_by := backend.snapshot().halted_by:
            print(f"It is halted: {halted_by} Correct this, then POST /recover.", flush=True)
        while not interrupt.requested:
            if backend.is_lost:
                raise LostError("The arm's loop has ended, so the server ends too; start it again.")
            if not server.is_serving:
                raise HilserlError("The server has ended; start it again.")
            time.sleep(0.1)
    return 0


def _token(arguments: RobotServerArguments, given: str | None) -> str | None:
    """Return the token that clients need; make one for a real arm."""
    if not arguments.token or arguments.backend == "sim" or given:
        return given if arguments.token else None
    token = new_token()
    print(f"Clients need the token of this server: export HILSERL_TOKEN={token}", flush=True)
    return token


_SERVED = {"sim": "simulated arm of {task}", "ros": "arm at {robot_ip}, under ROS,", "libfranka": "arm at {robot_ip}"}
