"""Serve an arm behind the HTTP interface of HIL-SERL's robot server."""

import contextlib
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from hilserl.address import Address
from hilserl.cli.parsing import parse
from hilserl.cli.robot_arms import HIL_SERL_LIMITS, RobotServerArguments, form_of, open_backends, served_task
from hilserl.errors import HilserlError
from hilserl.lerobot.process import take_flags
from hilserl.robot.control.backend import Backend, LostError
from hilserl.robot.http.cut_ways import CutWayNotice
from hilserl.tokens import new_token

if TYPE_CHECKING:
    from hilserl.interrupt import Interrupt
    from hilserl.robot.http.server import RobotServer


def run(words: Sequence[str]) -> int:
    """Serve an arm until Ctrl-C."""
    arguments = parsed(words)
    from hilserl.distributed.credentials import load_credentials
    from hilserl.interrupt import Interrupt
    from hilserl.robot.http.server import RobotServer, check_listening

    task = served_task(arguments)
    token = _token(arguments, load_credentials(arguments.credentials).token)
    addresses = [_address(arguments, number) for number in range(len(task.arms))]
    for address in addresses:
        check_listening(address, token)
    interrupt = Interrupt()
    with interrupt.armed(), contextlib.ExitStack() as stack:
        backends = [stack.enter_context(contextlib.closing(each)) for each in open_backends(arguments, task)]
        servers = [
            stack.enter_context(RobotServer(backend, address, token, stop_port=_stop_port(arguments, number)))
            for number, (backend, address) in enumerate(zip(backends, addresses, strict=True))
        ]
        for arm, backend, server in zip(task.arms, backends, servers, strict=True):
            which = f"{arm.name} arm" if arm.name else "arm"
            what = _SERVED.get(arguments.backend, _OF_PACKAGE).format(
                backend=arguments.backend, arm=which, task=task.name, robot_ip=arguments.robot_ip, robot=arm.robot.title
            )
            print(f"The {what} is at http://{server.address}. Ctrl-C ends it.", flush=True)
            print(f"Stop it with POST http://{server.stop_address}/stop, which nothing delays.", flush=True)
            if halted_by := backend.snapshot().halted_by:
                print(f"It is halted: {halted_by} Correct this, then POST /recover.", flush=True)
        _serve(servers, backends, interrupt)
    return 0


def _serve(servers: "Sequence[RobotServer]", backends: Sequence[Backend], interrupt: "Interrupt") -> None:
    """Wait for Ctrl-C, and print warnings.

    Raises:
        LostError: an arm's loop has ended.
        HilserlError: a server has ended.
    """
    notices = [_Notice(CutWayNotice(backend)) for backend in backends]
    while not interrupt.requested:
        for notice in notices:
            notice.show()
        if any(backend.is_lost for backend in backends):
            raise LostError("The arm's loop has ended, so the server ends too; start it again.")
        if not all(server.is_serving for server in servers):
            raise HilserlError("The server has ended; start it again.")
        time.sleep(0.1)


def _address(arguments: RobotServerArguments, number: int) -> Address:
    """Return an arm's address; the port after it is for the stop."""
    return Address(arguments.host, arguments.port and arguments.port + 2 * number)


def _stop_port(arguments: RobotServerArguments, number: int) -> int | None:
    """Return the port of an arm's stop; None for the default."""
    return arguments.stop_port if number == 0 else None


def parsed(words: Sequence[str]) -> RobotServerArguments:
    """Parse the command line, with the defaults for its kind of clients.

    Raises HilserlError if these clients could not reach the arm.
    """
    words, flags = take_flags("robot", words)
    arguments = _for_clients(words)
    return replace(arguments, lerobot=replace(arguments.lerobot, words=flags))


def _for_clients(words: Sequence[str]) -> RobotServerArguments:
    form = form_of(words)
    arguments = parse("robot-server", form, words)
    if arguments.client == "hilserl":
        return arguments
    if arguments.backend != "sim" and arguments.token:
        raise HilserlError(
            "HIL-SERL's clients send no token, and go on although every answer is 401. Add --no-token, which works on "
            "loopback only; then every user with an account here can move the arm."
        )
    return parse("robot-server", form, words, form(arguments.backend, limits=HIL_SERL_LIMITS))


class _Notice:
    """Warnings on the terminal, at most one a minute."""

    def __init__(self, notice: CutWayNotice) -> None:
        self._notice, self._shown_s = notice, -_BETWEEN_WARNINGS_S

    def show(self) -> None:
        """Print a new warning, if there is one."""
        if time.monotonic() - self._shown_s < _BETWEEN_WARNINGS_S:
            return
        if warning := self._notice.fresh():
            print(f"Warning: {warning}", flush=True)
            self._shown_s = time.monotonic()


def _token(arguments: RobotServerArguments, given: str | None) -> str | None:
    """Return the token that clients need; make one for a real arm."""
    if not arguments.token or arguments.backend == "sim" or given:
        return given if arguments.token else None
    token = new_token()
    print(f"Clients need the token of this server: export HILSERL_TOKEN={token}", flush=True)
    return token


_BETWEEN_WARNINGS_S = 60.0
_OF_PACKAGE = "arm at {robot_ip}, by the backend {backend},"
_SERVED = {
    "sim": "simulated {arm} of {task}",
    "libfranka": "arm at {robot_ip}",
    "lerobot": "{robot} of LeRobot",
}
