"""The command `hilserl`: runs a verb and prints errors as sentences."""

import importlib
import os
import select
import signal
import sys
import threading
from collections.abc import Sequence
from typing import NoReturn

from hilserl import __version__
from hilserl.cli.failures import explain
from hilserl.cli.parsing import UsageError
from hilserl.cli.terminal import shown_on_terminal
from hilserl.errors import unknown
from hilserl.interrupt import leave, listen

GROUPS = {
    "Begin": {"demo": "watch a trained policy at work, and take over"},
    "Train a policy": {
        "tasks": "list the tasks, or check one of your own",
        "robots": "list the robots, or check one of your own",
        "train": "train a policy with demonstrations and interventions",
        "bc": "train by behaviour cloning of demonstrations",
        "eval": "count the successes of a policy without an operator",
        "play": "drive the robot, or watch a policy and take over",
        "export": "write the policy of a run to a small directory",
        "env": "install or list environments of other packages",
    },
    "Collect data": {
        "record": "record demonstrations",
        "replay": "show recorded episodes",
        "runs": "check the files of a run, set an episode aside",
        "label": "collect labelled images for a reward classifier",
        "classifier": "train a reward classifier on labelled images",
        "dataset": "describe, check and convert recordings, LeRobot's and HIL-SERL's too",
    },
    "Compare runs": {
        "plot": "plot runs in one image, print one table",
        "compare": "train the method and its baselines",
        "sweep": "train over settings and seeds on a cluster",
        "benchmark": "compare methods with simulated people",
    },
    "Use several machines": {
        "learner": "learn from actors on the network",
        "actor": "act for a learner on the network",
        "credentials": "make a token and a certificate for a learner",
        "robot-server": "serve an arm, simulated or real, over HTTP",
    },
    "Check this machine": {
        "doctor": "check the installation and the attached devices",
        "bench": "measure the speed of this machine",
    },
}
"""Commands by what one wants to do, each with its summary."""
VERBS = {verb: summary for verbs in GROUPS.values() for verb, summary in verbs.items()}
"""All commands with their summaries."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line.

    Returns:
        The exit status: 0 done, 1 failed for a reason that a user can mend, 2 misused, 70 failed by a bug, 130
        interrupted.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help"):
        print(_usage())
        return 0
    if words[0] == "--version":
        print(f"hilserl {__version__}")
        return 0
    try:
        if words[0] not in VERBS:
            raise unknown("command", words[0], VERBS)
        # Each command is imported alone: `hilserl tasks` should not wait for JAX.
        module = importlib.import_module(f"hilserl.cli.{words[0].replace('-', '_')}")
        with shown_on_terminal():
            return module.run(words[1:])
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("hilserl: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - the one place where every error becomes a sentence
        return explain(error)


def command() -> NoReturn:
    """Run the command line of this process, then end the process."""
    listen()
    threading.excepthook = lambda failed: explain(failed.exc_value or failed.exc_type())
    try:
        status = main()
        sys.stdout.flush()
    except BrokenPipeError:
        if _has_reader():
            raise
        # Python flushes once more as it ends (its documentation of signal, "Note on SIGPIPE").
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 128 + signal.SIGPIPE
    leave(status)


def _has_reader() -> bool:
    """Return True if standard output has a reader. `head` closes its end early."""
    pipe = select.poll()
    pipe.register(sys.stdout.fileno(), 0)
    return not pipe.poll(0)


def _usage() -> str:
    lines = ["usage: hilserl COMMAND [ARGUMENTS]"]
    for purpose, verbs in GROUPS.items():
        lines += ["", f"{purpose}:", *(f"  {verb:<13} {summary}" for verb, summary in verbs.items())]
    return "\n".join([*lines, "", "`hilserl COMMAND --help` explains a command. Try: hilserl demo"])
