"""Soak test: kill processes at random, account for every step.

    python scripts/soak.py --minutes 30 --actors 4 --seed 0

Each actor's process records its steps in a separate file. At the end all processes are stopped as by Ctrl-C, and the
records are compared with the learner's data. The exit status is 0 only if each step is there exactly once.
"""

import argparse
import contextlib
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.support.nodes import Balance, Node, Site, Spooled, balance, until

SAMPLE_S = 1.0
ACTOR_SETTLES, LEARNER_SETTLES = 300, 2000
"""Entries after a start until a process' memory counts.

By then all programs are compiled and used once, and a learner has evaluated.
"""
WORTH_S = 60.0
"""Shortest time of a settled process for a statement on its memory."""
FLAT_MB_PER_MIN = 2.0
"""Largest median growth of memory that counts as flat."""
NETWORK = (
    *("--agent.hidden", "64", "64", "--agent.batch-size", "32", "--agent.utd-ratio", "1"),
    *("--agent.num-critics", "2", "--agent.num-target-critics", "2"),
)


def settings(arguments: argparse.Namespace) -> tuple[str, ...]:
    """Return flags of an endless run with a small replay."""
    return (
        *("--obs", arguments.obs, "--env.image-size", str(arguments.image_size), "--seed", str(arguments.seed)),
        *("--agent.vision.encoder", arguments.encoder, *NETWORK),
        *("--demonstrations", "2", "--training-starts", "50", "--update-steps-per-env-step", "0"),
        *("--max-update-steps-per-env-step", "1"),
        *("--actor-hz", str(arguments.hz), "--replay-capacity", str(arguments.capacity)),
        *("--max-env-steps", "100000000", "--max-minutes", "1000000"),
        *("--eval-every", "500", "--eval-episodes", "1", "--solved-evaluations", "0"),
    )


@dataclass
class Life:
    """Process from its start to its kill."""

    name: str
    node: Node
    settles: int
    """Number of entries from which its memory counts."""
    samples: list[tuple[float, float]] = field(default_factory=list)
    """Pairs of minutes and resident MB."""

    def sample(self, done: int) -> None:
        """Record the memory if the process has settled after `done` entries."""
        if done < self.settles:
            return
        with contextlib.suppress(OSError, IndexError):
            status = Path(f"/proc/{self.node.process.pid}/status").read_text()
            self.samples.append((time.monotonic() / 60, float(status.split("VmRSS:")[1].split()[0]) / 1024))

    @property
    def minutes(self) -> float:
        """Time from the first to the last sample."""
        return self.samples[-1][0] - self.samples[0][0] if self.samples else 0.0

    @property
    def worth(self) -> bool:
        """True if the samples cover enough time."""
        return 60 * self.minutes >= WORTH_S

    @property
    def slope(self) -> float:
        """Growth in MB per minute.

        It is the median over all pairs of samples, which a single jump hardly moves.
        """
        times, sizes = np.array(self.samples[:: 1 + len(self.samples) // 300]).T
        first, second = np.triu_indices(len(times), 1)
        return float(np.median((sizes[second] - sizes[first]) / (times[second] - times[first])))

    @property
    def quarter(self) -> float:
        """Resident MB after a quarter of the samples."""
        return self.samples[len(self.samples) // 4][1]

    @property
    def last(self) -> float:
        """Resident MB of the last sample."""
        return self.samples[-1][1]


class Soak:
    """Processes of one soak test, with the kills."""

    def __init__(self, arguments: argparse.Namespace, directory: Path) -> None:
        self.arguments, self._random = arguments, random.Random(arguments.seed)  # noqa: S311 - nothing secret
        self.site = Site(directory, *settings(arguments))
        self.kills: Counter[str] = Counter()
        self.lives: dict[str, list[Life]] = {}
        self.refused = self.repeated = 0
        self.names = ["learner", *(f"actor{n}" for n in range(arguments.actors))]

    def _start(self, name: str, *, resume: bool) -> None:
        if name == "learner":
            node = self.site.learner(resume=resume)
            settles = max(self._done(name) + LEARNER_SETTLES, self.arguments.capacity)
        else:
            node = self.site.actor(name.removeprefix("actor"), resume=resume)
            settles = self._done(name) + ACTOR_SETTLES
        self.lives.setdefault(name, []).append(Life(name, node, settles))

    def _done(self, name: str) -> int:
        """Return an actor's entries, or all those that the learner has stored."""
        if name == "learner":
            return sum(Spooled.read(directory).acknowledged for directory in self.site.actors)
        return Spooled.read(self.site.directory / name).last

    def node(self, name: str) -> Node:
        """Return the current process of a learner or actor."""
        return self.lives[name][-1].node

    def run(self) -> float:
        """Kill processes for a time, end all, return the elapsed minutes."""
        began = time.monotonic()
        for name in self.names:
            self._start(name, resume=False)
        until(lambda: all(self._sent(n) > 0 for n in self.names[1:]), "every actor has sent something", *self._all())
        calm = time.monotonic() + 60 * self.arguments.minutes
        end, due = calm + 60 * self.arguments.calm_minutes, self._next()
        while (now := time.monotonic()) < end:
            self._look()
            if due <= now < calm:
                self._kill(self._chosen())
                due = self._next()
            time.sleep(SAMPLE_S)
        self._end()
        return (time.monotonic() - began) / 60

    def _all(self) -> list[Node]:
        return [self.node(name) for name in self.names]

    def _sent(self, name: str) -> int:
        return Spooled.read(self.site.directory / name).acknowledged

    def _next(self) -> float:
        return time.monotonic() + self._random.uniform(*self.arguments.every)

    def _chosen(self) -> str:
        """Return a random name, or a learner that survived too long."""
        spared = sum(self.kills.values()) >= 2 and not self.kills["learner"]
        return "learner" if spared else self._random.choice(self.names)

    def _kill(self, name: str) -> None:
        self.node(name).kill()
        self.kills[name] += 1
        self._start(name, resume=True)
        done = sum(self._done(each) for each in self.names[1:])
        print(f"{time.strftime('%H:%M:%S')} killed {name}; {done} entries done so far", flush=True)

    def _look(self) -> None:
        for name in self.names:
            life = self.lives[name][-1]
            if not life.node.is_alive:
                raise AssertionError(f"{name} ended by itself with {life.node.process.poll()}:\n{life.node.said}")
            life.sample(self._done(name))

    def _end(self) -> None:
        """End all processes as Ctrl-C does, once all steps have arrived."""
        targets = {name: self._done(name) for name in self.names[1:]}
        until(lambda: all(self._sent(n) >= target for n, target in targets.items()), "all caught up", *self._all())
        for name in [*self.names[1:], "learner"]:
            self.node(name).interrupt()
            status = self.node(name).ended()
            if status != 130:
                raise AssertionError(f"{name} ended with {status}:\n{self.node(name).said}")


def report(soak: Soak, minutes: float, balances: Sequence[Balance]) -> str:
    """Return the report on all steps, kills and memory."""
    total = {name: sum(getattr(each, name) for each in balances) for name in ("done", "kept", "empty", "waiting")}
    lost, twice = sum(each.lost for each in balances), sum(each.twice for each in balances)
    services = services_of(soak.site)
    kills = soak.kills
    return "\n".join(
        [
            f"{minutes:.1f} minutes, {soak.arguments.actors} actors, {soak.arguments.obs}, seed {soak.arguments.seed}.",
            (
                f"Killed: learner {kills['learner']} times, actors {sum(kills.values()) - kills['learner']} times "
                f"({', '.join(f'{n} {kills[n]}' for n in soak.names[1:])})."
            ),
            f"Entries (steps and resets) done by the actors: {total['done']}, {total['done'] / minutes / 60:.1f}/s.",
            (
                f"Stored by the learner: {total['kept']}; resets without a following step: {total['empty']}; "
                f"still in spools: {total['waiting']}; lost {lost}, duplicated {twice}."
            ),
            (
                f"Refused requests: {services['refused']}; steps that were sent again and skipped: "
                f"{services['repeated_steps']} (both as last reported by each learner process, every 10 s)."
            ),
            *memory(soak),
            *(problem for each in balances for problem in each.problems),
        ]
    )


def services_of(site: Site) -> Counter[str]:
    """Return the learner's counters, summed over its processes."""
    from hilserl.runs.metrics import drop_torn_line, read_metrics

    drop_torn_line(site.run / "metrics.jsonl")
    total, last = Counter(), Counter({"refused": 0, "repeated_steps": 0})
    for record in read_metrics(site.run / "metrics.jsonl", "service"):
        now = Counter({name: record[name] for name in last})
        if any(now[name] < last[name] for name in last):
            total.update(last)
        last = now
    total.update(last)
    return total


def write_samples(path: Path, soak: Soak) -> None:
    """Write all memory samples to a CSV file."""
    lines = ["process,life,minutes,resident_mb"]
    for lives in soak.lives.values():
        for number, life in enumerate(lives):
            lines += [f"{life.name},{number},{minutes:.3f},{size:.1f}" for minutes, size in life.samples]
    path.write_text("\n".join(lines) + "\n")


def memory(soak: Soak) -> list[str]:
    """Report the memory growth of processes that lasted long enough."""
    lines = [
        (
            f"Memory counts from {ACTOR_SETTLES} entries of an actor process on, and {LEARNER_SETTLES} of a learner "
            f"process whose replay is full, in processes that last at least {WORTH_S:.0f} s more; flat means that the "
            f"median grows by at most {FLAT_MB_PER_MIN:.0f} MB/min (the median slope between its samples)."
        )
    ]
    for kind, names in (("learner", soak.names[:1]), ("actors", soak.names[1:])):
        lives = [life for name in names for life in soak.lives[name] if life.worth]
        if not lives:
            lines.append(f"Memory of the {kind}: no process lasted long enough for a statement.")
            continue
        slope = float(np.median([life.slope for life in lives]))
        longest = max(lives, key=lambda life: life.minutes)
        lines.append(
            f"Memory of the {kind}: {'flat' if slope <= FLAT_MB_PER_MIN else 'GROWS'}, {slope:+.2f} MB/min in the "
            f"median of {len(lives)} processes, {max(life.slope for life in lives):+.2f} in the worst; the longest, "
            f"{longest.minutes:.1f} min: {longest.quarter:.0f} MB after a quarter, {longest.last:.0f} MB at its end "
            f"({longest.last - longest.quarter:+.1f} MB, {longest.slope:+.2f} MB/min)."
        )
    return lines


def main() -> int:
    """Run the soak test and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--calm-minutes", type=float, default=5, help="without a kill, after that")
    parser.add_argument("--actors", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=float, nargs=2, default=(20, 40), metavar="S", help="between two kills")
    parser.add_argument("--obs", choices=("pixels", "state"), default="pixels")
    parser.add_argument("--encoder", default="small_cnn", help="of pixels")
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--hz", type=float, default=10, help="of each actor")
    parser.add_argument("--capacity", type=int, default=2_000, help="of the replay")
    parser.add_argument("--dir", type=Path, help="an empty directory; otherwise a temporary one")
    arguments = parser.parse_args()
    with contextlib.ExitStack() as stack:
        directory = arguments.dir or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        directory.mkdir(parents=True, exist_ok=True)
        soak = Soak(arguments, directory)
        try:
            minutes = soak.run()
        finally:
            soak.site.close()
            write_samples(directory / "memory.csv", soak)
        balances = balance(soak.site.run, soak.site.actors)
        print(report(soak, minutes, balances))
    return int(any(each.problems for each in balances))


if __name__ == "__main__":
    sys.exit(main())
