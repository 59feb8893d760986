"""The command `hilserl`: finds the verb and shows errors as sentences."""

import importlib
import os
import select
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from hilserl import __version__
from hilserl.cli.parsing import UsageError
from hilserl.errors import HilserlError, unknown
from hilserl.interrupt import leave, listen

VERBS = {
    "tasks": "what can be trained",
    "train": "train a policy with demonstrations and interventions",
    "bc": "clone demonstrations",
    "compare": "the method beside its baselines, in one table and one picture",
    "sweep": "train over settings and seeds on a cluster, side by side",
    "learner": "learn from actors on the network",
    "actor": "act for a learner on the network",
    "credentials": "make a token and a certificate for a learner that others can reach",
    "eval": "count the autonomous successes of a trained policy",
    "play": "drive the robot yourself, or watch a policy and take over",
    "record": "record demonstrations",
    "label": "collect images of success and of everything else",
    "classifier": "train the reward classifier on labelled images",
    "replay": "look at recorded episodes",
    "plot": "compare runs in one picture and one table",
    "robot-server": "serve an arm, simulated or real, over HTTP",
    "bench": "measure the figures in the README again",
    "doctor": "what works on this machine, and what to do about the rest",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line and returns its exit status: 0 done, 1 failed, 2 misused, 130 interrupted."""
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
        # Each verb is imported alone: `hilserl tasks` should not wait for JAX.
        return importlib.import_module(f"hilserl.cli.{words[0].replace('-', '_')}").run(words[1:])
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    except HilserlError as error:
        print(f"hilserl: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("hilserl: interrupted", file=sys.stderr)
        return 130


def command() -> NoReturn:
    """Runs the command line that the process was started with, and ends the process."""
    listen()
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
    """Whether what is printed can reach anybody; `head` leaves early."""
    pipe = select.poll()
    pipe.register(sys.stdout.fileno(), 0)
    return not pipe.poll(0)


def _usage() -> str:
    lines = [f"  hilserl {verb:<12} {summary}" for verb, summary in VERBS.items()]
    return "\n".join(["usage: hilserl COMMAND ...", "", *lines, "", "hilserl COMMAND --help tells more."])
