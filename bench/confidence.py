"""Is a job wrong no more often than it says? Thousands of short simulated jobs, among accomplices and in crowds.

    python bench/confidence.py [--jobs N] [--only TEXT]

Each job runs in a tree of its own with real orchestrators, none of which knows anybody. Liars are a clique: all tell one lie,
about the same tasks; or `single`: each lies by itself. `one lie`: a clique lies about a single chunk of the job, anywhere, which
is what serves it best; `late`: likewise, in its last quarter; `aimed`: each by itself gives one wrong leaf in one task, once it
is no longer looked at as a stranger. `leaves`: a task has many.

Of all jobs of a line no more than a share of 1 - c may be wrong and state a confidence of c or more, whatever c is. Shown are,
for each mode and crowd: jobs with a wrong result; the c that speaks most against the line, how many were wrong there and how many
may have been; jobs that stated less than was asked for (0.999), executions per task, tasks that the owner has executed, bans of
liars and of honest nodes. The exit code is 1 if jobs were wrong more often than chance allows, or somebody honest was banned.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import sqrt
from random import Random
from typing import Any

from pangea.compute.model.options import VerificationMode
from pangea.compute.model.packet import TaskPacket
from pangea.compute.simulation.checkers import CheckError, ExactResult
from pangea.compute.simulation.liars import LIARS, Deceit, Liar
from pangea.compute.simulation.run import run
from pangea.compute.simulation.scenario import Scenario

#: Two accomplices of six, in different branches as often as not; five packs.
PAIR: dict[str, Any] = {"nodes": 7, "fan_out": 2, "chunks": 5, "malicious": 0.29}
#: Nineteen of twenty-one nodes are one operator's.
CROWD: dict[str, Any] = {"nodes": 21, "malicious": 0.9}
#: Those who lie each by itself, rarely, and vouch for much alone.
SINGLES: dict[str, Any] = {"nodes": 21, "chunks": 4_000, "lie_rate": 0.01, "liars": ("random",)}
#: They lie once.
ONCE: dict[str, Any] = {"lie_rate": 0.01, "sleep_tasks": 12}
#: Chunks of which tasks have many, and so many that workers aren't on probation to the end.
LEAVES: dict[str, Any] = {**ONCE, "chunk_seconds": 0.02, "chunks": 4_000, "nodes": 7, "fan_out": 2}
CASES: dict[str, dict[str, Any]] = {
    "2 of 7, always, 5 packs": {**PAIR, "lie_rate": 1.0},
    "2 of 7, 30 %, 5 packs": {**PAIR, "lie_rate": 0.3},
    "2 of 7, 10 %, 20 packs": {**PAIR, "lie_rate": 0.1, "chunks": 20},
    "2 of 7, 10 %, 80 packs": {**PAIR, "lie_rate": 0.1, "chunks": 80},
    "19 of 21, always, 20 packs": {**CROWD, "lie_rate": 1.0, "chunks": 20},
    "19 of 21, 30 %, 20 packs": {**CROWD, "lie_rate": 0.3, "chunks": 20},
    "19 of 21, 30 %, 60 packs": {**CROWD, "lie_rate": 0.3, "chunks": 60},
    "19 of 21, 10 %, 100 packs": {**CROWD, "lie_rate": 0.1, "chunks": 100},
    "19 of 21, 5 %, 20 packs": {**CROWD, "lie_rate": 0.05, "chunks": 20},
    "19 of 21, 5 %, 60 packs": {**CROWD, "lie_rate": 0.05, "chunks": 60},
    "19 of 21, 5 %, 120 packs": {**CROWD, "lie_rate": 0.05, "chunks": 120},
    "19 of 21, 2 %, 200 packs": {**CROWD, "lie_rate": 0.02, "chunks": 200},
    "1 of 21, 1 %, 4,000, single": {**SINGLES, "malicious": 0.05},
    "4 of 21, 1 %, 4,000, single": {**SINGLES, "malicious": 0.2},
    "19 of 21, one lie, 120 packs": {**CROWD, **ONCE, "liars": ("once",), "chunks": 120},
    "19 of 21, one lie, 200 packs": {**CROWD, **ONCE, "liars": ("once",), "chunks": 200},
    "19 of 21, late, 200 packs": {**CROWD, **ONCE, "liars": ("late",), "chunks": 200},
    "2 of 7, one lie, 200 packs": {**PAIR, **ONCE, "liars": ("once",), "chunks": 200},
    "1 of 7, one lie, leaves": {**LEAVES, "malicious": 0.15, "liars": ("once",)},
    "2 of 7, one lie, leaves": {**LEAVES, "malicious": 0.29, "liars": ("once",)},
    "2 of 7, late, leaves": {**LEAVES, "malicious": 0.29, "liars": ("late",)},
    "1 of 7, aimed, leaves": {**LEAVES, "malicious": 0.15, "liars": ("aimed",)},
    "2 of 7, aimed, leaves": {**LEAVES, "malicious": 0.29, "liars": ("aimed",)},
    "6 of 7, late, leaves": {**LEAVES, "malicious": 0.86, "liars": ("late",)},
    "2 of 7, 2 %, leaves": {**LEAVES, "malicious": 0.29, "lie_rate": 0.02},
    "nobody lies, 20 packs": {"nodes": 21, "chunks": 20},
    "nobody lies, 200 packs": {"nodes": 21, "chunks": 200},
}
TARGET = 0.999


def once(first: int, end: int) -> type[Liar]:
    """A clique that lies about one chunk of the job, from `first` on and before `end`."""

    class Once(Liar):
        is_colluding = True

        def plan(self, packet: TaskPacket) -> Deceit | None:
            about = Random(self.gossip.plot).randrange(first, end)
            spans = enumerate(packet.spans() if packet.function == "execute" else ())
            leaf = next((leaf for leaf, (start, count) in spans if start <= about < start + count), None)
            return None if leaf is None else Deceit(self.program.lie(packet, b"once", leaf))

    return Once


class Aimed(Liar):
    """Is honest for some tasks, then gives one wrong leaf in one, and is honest again."""

    def plan(self, packet: TaskPacket) -> Deceit | None:
        """Count, and lie once."""
        self.answered += packet.function == "execute"
        if self.answered != self.sleep_tasks + 1 or packet.function != "execute":
            return None
        return Deceit(self.program.lie(packet, self.random.randbytes(8), self.random.randrange(packet.runs)))


@contextmanager
def liars_of(chunks: int) -> Iterator[None]:
    """Within the block, the simulator knows those who lie once, in jobs of so many chunks."""
    added = {"once": once(0, chunks), "late": once(chunks * 3 // 4, chunks), "aimed": Aimed}
    LIARS.update(added)
    try:
        yield
    finally:
        for name in added:
            del LIARS[name]


@dataclass
class Tally:
    """What came of the jobs of one mode and crowd."""

    jobs: int = 0
    wrong: list[float] = field(default_factory=list)
    "what the wrong ones had stated"
    below: int = 0
    executions: float = 0.0
    local: float = 0.0
    guilty: int = 0
    innocent: int = 0

    def add(self, scenario: Scenario) -> None:
        """Run one job."""
        self.jobs += 1
        try:
            outcome = run(scenario)
        except CheckError as error:
            if error.checker != ExactResult.name:
                raise
            self.wrong.append(TARGET)  # in a crowd this small it is promised to be right, as far as was asked
            return
        stated = 0.0 if outcome.confidence is None else outcome.confidence
        if outcome.wrong_accepted:
            self.wrong.append(stated)
        self.below += stated < TARGET
        self.executions += outcome.executions_per_task
        self.local += outcome.local / max(outcome.tasks, 1)
        self.guilty += outcome.banned_guilty
        self.innocent += outcome.banned_innocent

    def worst(self) -> tuple[float, int, float]:
        """The confidence that speaks most against it: c, jobs that were wrong and stated as much or more, how many may be."""
        counts = [(level, number) for number, level in enumerate(sorted(self.wrong, reverse=True), 1)]
        found = [(level, number, self.jobs * (1.0 - level)) for level, number in counts]
        return max(found, key=lambda each: each[1] - _by_chance(each[2]), default=(1.0, 0, 0.0))

    @property
    def is_too_often(self) -> bool:
        """Whether more are wrong than was stated, by more than three deviations of such a count."""
        _, wrong, allowed = self.worst()
        return wrong > _by_chance(allowed)

    def __str__(self) -> str:
        """One line of the table."""
        jobs, (level, wrong, allowed) = self.jobs, self.worst()
        return (
            f"{len(self.wrong):>6}  {level:>6.3f}  {wrong:>6}  {allowed:>6.1f}  {self.below:>6}"
            f"  {self.executions / jobs:>5.2f}  {self.local / jobs:>5.2f}"
            f"  {self.guilty:>7}  {self.innocent:>6}{'  TOO OFTEN' if self.is_too_often else ''}"
        )


def _by_chance(expected: float) -> float:
    return expected + 3.1 * sqrt(expected) + 1.0


def tally_of(mode: VerificationMode, case: dict[str, Any], jobs: int) -> Tally:
    """So many jobs of a mode in a crowd, each from a seed of its own."""
    tally = Tally()
    given = {"liars": ("clique",) if "malicious" in case else (), **case}
    common: dict[str, Any] = {"verification": mode, "owner_cores": 2, "chunk_seconds": 1.0, "confidence": TARGET}
    with liars_of(case["chunks"]):
        for seed in range(jobs):
            tally.add(Scenario(seed=seed, **{**common, **given}))
    return tally


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1_000, help="of each mode and crowd [default: 1000]")
    parser.add_argument("--only", default="", metavar="TEXT", help="only lines that have TEXT")
    given = parser.parse_args()
    begun, status = time.monotonic(), 0
    print(f"{given.jobs:,} jobs a line")
    names = f"{'wrong':>6}  {'at':>6}  {'wrong':>6}  {'may be':>6}  {'below':>6}  {'exec.':>5}  {'owner':>5}  {'liars':>7}"
    print(f"{'':<40}{names}  honest")
    for mode in VerificationMode:
        for name, case in CASES.items():
            line = f"{mode:<11} {name:<28}"
            if given.only in line:
                tally = tally_of(mode, case, given.jobs)
                status |= tally.is_too_often or tally.innocent > 0
                print(line, tally, flush=True)
    print(f"{time.monotonic() - begun:.0f} s")
    return status


if __name__ == "__main__":
    sys.exit(main())
