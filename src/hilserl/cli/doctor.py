"""Check this machine, and say how to correct what fails."""

import contextlib
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from hilserl.cli.machine_checks import CheckResult, check_all
from hilserl.cli.parsing import parse
from hilserl.settings import NotNegative


def _live(seconds: float) -> int:
    from hilserl.operators.devices.discovery import ALL_MOTIONS, DEVICE_KINDS, open_all, watch_devices

    opened, reasons = open_all(ALL_MOTIONS)
    for reason in reasons:
        print(reason)
    if not opened:
        print("There is no device to watch.")
        return 1
    for kind in opened:
        for control in DEVICE_KINDS[kind].controls:
            print(f"  {control.label:<30} {control.meaning}")
    sources = [source for devices in opened.values() for source in devices]
    width = shutil.get_terminal_size().columns - 1
    try:
        watch_devices(
            sources,
            seconds,
            lambda line: print(f"\r{line[:width]}\033[K", end="", flush=True),
        )
    finally:
        print()
        for source in sources:
            source.close()
    return 0


def _learner(address: str, credentials: Path | None) -> int:
    """Ask a learner for its description, as an actor does."""
    from hilserl.address import Address
    from hilserl.distributed.credentials import load_credentials
    from hilserl.distributed.learner_client import LearnerClient

    line = LearnerClient(Address.parse(address), load_credentials(credentials))
    with contextlib.closing(line):
        line.describe()
        started = time.perf_counter()
        found = line.describe()
        answered_ms = 1e3 * (time.perf_counter() - started)
    fits = "fits this one" if found.version == version("hilserl") else f"this one is {version('hilserl')}"
    print(
        f"The learner at {address} answers in {answered_ms:.1f} ms: task {found.task}, "
        f"{found.facts.update_steps} update steps, {found.facts.online} steps, {found.actors} actors, "
        f"hilserl {found.version} ({fits})."
    )
    return 0


@dataclass(frozen=True)
class DoctorArguments:
    """Check this machine, and say how to correct what fails.

    It ends within ten seconds. Below each fault stands the command that mends it.
    """

    live: NotNegative = 0.0
    """Seconds to show the signals of the attached gamepad and SpaceMouse instead."""
    learner: str | None = None
    """Learner to ask for its description instead, HOST:PORT."""
    credentials: Path | None = None
    """Directory with the token and certificate of that learner, from `hilserl credentials`."""


def run(words: Sequence[str]) -> int:
    """Run all checks, or what the arguments ask for instead."""
    arguments = parse("doctor", DoctorArguments, words)
    if arguments.live > 0:
        return _live(arguments.live)
    if arguments.learner is not None:
        return _learner(arguments.learner, arguments.credentials)
    return _report(check_all())


def _report(findings: Mapping[str, CheckResult]) -> int:
    """Print all findings; return the exit status."""
    for name, finding in findings.items():
        print(f"{'ok  ' if finding.passed else 'FAIL'} {name:<11} {finding.text}")
        if finding.command:
            print(f"{'':<16} {finding.command}")
    failures = sum(not finding.passed for finding in findings.values())
    print("All is well." if not failures else f"{failures} of {len(findings)} checks failed.")
    return min(failures, 1)
