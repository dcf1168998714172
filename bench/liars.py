"""Real nodes that lie: in each kind 2 of 7, run after run, against results that are known.

python bench/liars.py [--runs 50] [--kinds random,lazy] [--mode adaptive,hash | --all] [--seconds 3600] [--beside 3]

One devnet for each kind (node 0, two managers, four workers), a few of them side by side, as some kinds are waited for; each run
is a job that no node has seen before, so it is handed out as a new one is. After each run bans are lifted, and whoever was shut
out comes back: each run meets both liars, as strangers again. If the time doesn't do for so many runs, each kind and mode has as
many as its share of it allows, and says so.

Of every kind and mode, and of every mode in all, it says how many results were exact, how many were wrong and how many might have
been by what they stated (the sum of 1 - confidence), the confidence at which most were wrong for what it promises, where any
were, how many runs banned a liar, whether anybody honest was ever banned (nobody may be), executions per task (a task of these
jobs is a pack) and the lowest and the median confidence stated. `--all` is every mode that checks anything. A run takes about a
second of processor time, one of `merger` five, and the seven nodes of each kind seven to start.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from math import sqrt
from pathlib import Path
from statistics import median
from typing import Any

from pangea.compute import Client
from pangea.compute.cli.devnet_nodes import Devnet
from pangea.compute.cli.devnet_plan import plan
from pangea.compute.client.submission.target import load_target
from pangea.compute.model.errors import PangeaError
from pangea.compute.model.options import VerificationMode
from pangea.compute.testing.sabotage import KINDS

NODES, DEPTH, LIARS = 7, 2, 2
#: Small: more of a run's processor time is seven nodes' than the sums'. With 6,000 rows and 120 numbers it was 3.6 s, now 1.2.
ROWS = 2_000
#: Gives more tasks than one merge takes: two merge steps, and the last. With 15,000 rows a run took 16 s, now 5.
ROWS_TO_MERGE = 5_000
NUMBERS = 20
_BACK_SECONDS, _JOB_SECONDS = 60.0, 120.0
_LOOK_SECONDS = 0.1
#: These do their tasks as they should.
_HONEST = ("slow", "rubberstamp")
#: They take longest, so they begin first.
_LONG = ("merger", "dropper", "tamperer", "copier")
_TOLD = ("confidence", "lowest_confidence", "tasks", "audits", "disputes", "withdrawn", "bans")
JOB = """
from pangea.compute import Job

RUN = {run}

@Job.define(split_strategy="row_based", min_chunk_size=512, max_chunk_size={size}, estimated_flops=1e13, timeout=100)
def sums():
    @Job.split
    def split(data: bytes) -> list[bytes]:
        return data.splitlines()

    @Job.execute
    def execute(chunk: bytes) -> bytes:
        return b"%d" % sum((int(chunk) + RUN) % number for number in range(1, {numbers}))

    @Job.merge(associative=True)
    def merge(results: list[bytes]) -> bytes:
        return b"%d" % sum(map(int, results))
"""


@dataclass
class Tally:
    """What came of the runs with one kind in one mode."""

    kind: str
    mode: str
    runs: int = 0
    exact: int = 0
    failed: int = 0
    wrong: int = 0
    notes: list[str] = field(default_factory=list)
    runs_with_bans: int = 0
    liars_banned: int = 0
    honest_banned: set[str] = field(default_factory=set)
    seconds: list[float] = field(default_factory=list)
    executions: list[float] = field(default_factory=list)
    stated: list[float] = field(default_factory=list)
    wrong_stated: list[float] = field(default_factory=list)
    "what the wrong ones had stated"

    def __str__(self) -> str:
        """One line of the table."""
        cost = f"{median(self.executions):.2f}" if self.executions else "-"
        level, wrong, allowed = self.worst()
        return (
            f"{self.mode:<10} {self.kind:<13} {self.runs:>4} {self.exact:>5} {self.failed:>6} {self.wrong:>5} {self.may_be:>7.1f}"
            f"  {f'{wrong} of {allowed:.1f} at {level:.3f}' if wrong else '-':<18}"
            f" {self.runs_with_bans:>6} {self.liars_banned:>6} {len(self.honest_banned):>6} {cost:>5}"
            f"  {min(self.stated, default=0.0):>6.4f} {median(self.stated or [0.0]):>6.4f} {median(self.seconds or [0.0]):>6.2f}"
            f"  {self.verdict}"
        )

    @property
    def may_be(self) -> float:
        """How many might be wrong by what they stated."""
        return sum(1.0 - each for each in self.stated)

    def worst(self) -> tuple[float, int, float]:
        """The confidence that speaks most against it: c, how many stated as much and were wrong, how many of all may."""
        levels = sorted(self.wrong_stated, reverse=True)
        found = [(level, number, len(self.stated) * (1.0 - level)) for number, level in enumerate(levels, 1)]
        return max(found, key=lambda each: each[1] - _by_chance(each[2]), default=(1.0, 0, 0.0))

    @property
    def verdict(self) -> str:
        """What is bad about it: a result is missing, more are wrong than chance allows, somebody honest was banned; else ok."""
        _, wrong, allowed = self.worst()
        is_too_often = self.wrong > _by_chance(self.may_be) or wrong > _by_chance(allowed)
        found = [("FAILED", self.failed), ("WRONG TOO OFTEN", is_too_often), ("HONEST BANNED", self.honest_banned)]
        return ", ".join(name for name, is_so in found if is_so) or "ok"

    def add(self, other: Tally) -> None:
        """Count another's runs as well."""
        for name in ("runs", "exact", "failed", "wrong", "runs_with_bans", "liars_banned"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("seconds", "executions", "stated", "wrong_stated"):
            getattr(self, name).extend(getattr(other, name))
        self.honest_banned |= other.honest_banned


HEAD = """\
mode       kind          runs exact failed wrong  may be  wrong, at what       runs  liars honest exec.  stated stated  s per
                                                   wrong  they stated        w. ban banned banned /task  lowest median    run"""


def _by_chance(expected: float) -> float:
    """So many of a count of which so many are expected are no more than chance."""
    return expected + 3.1 * sqrt(expected) + 0.5


def rows(run: int, count: int) -> bytes:
    """The input of a run."""
    hashes = (hashlib.sha256(b"%d %d" % (run, row)).digest() for row in range(count))
    return b"".join(b"%d\n" % int.from_bytes(each[:4], "big") for each in hashes)


def expected(run: int, data: bytes, numbers: int = NUMBERS) -> bytes:
    """The right result of `job_of`, computed here."""
    return b"%d" % sum((int(line) + run) % number for line in data.splitlines() for number in range(1, numbers))


def job_of(run: int, folder: Path, *, size: int, numbers: int = NUMBERS) -> Any:
    """A job that no node knows yet: the sum of the rows' remainders by 1, 2, … below `numbers`, chunks of `size` bytes."""
    path = folder / f"run{run}.py"
    path.write_text(JOB.format(run=run, size=size, numbers=numbers))
    return load_target(str(path), None)


def until_back(client: Client, count: int) -> None:
    """Wait until so many nodes stand below node 0, all of them known to it with what is behind them."""
    until = time.monotonic() + _BACK_SECONDS
    while True:
        children = [each for each in client.peers()["peers"] if each["relation"] == "child"]
        if sum(each.get("nodes", 0) for each in children) >= count:
            return
        if time.monotonic() > until:
            raise TimeoutError(f"{count} nodes below node 0 were expected, there are {children}")
        time.sleep(_LOOK_SECONDS)


def one_run(client: Client, tally: Tally, run: int, folder: Path) -> None:
    """A job, and what came of it."""
    data = rows(run, ROWS_TO_MERGE if tally.kind == "merger" else ROWS)
    tally.runs += 1
    try:
        # More tasks than one merge takes, where there are to be merge steps.
        job = job_of(run, folder, size=512 if tally.kind == "merger" else 8192)
        locality = "spread" if tally.kind == "merger" else None  # else node 0, which is idle by then, merges by itself
        handle = client.submit_job(job, data, verification_mode=tally.mode, redundancy=2, locality=locality)
        result = handle.result(_JOB_SECONDS)
    except PangeaError as error:
        tally.failed += 1
        tally.notes.append(f"run {run}: {error.code}: {error.message}")
        return
    is_exact = bytes(result) == expected(run, data)
    checks = handle.tree()["checks"]
    tally.exact += is_exact
    tally.wrong += not is_exact
    tally.seconds.append(result.report.seconds)
    tally.executions.append(float(checks["executions_per_task"]))
    tally.stated.append(float(checks["confidence"] or 0.0))
    if not is_exact:
        tally.wrong_stated.append(tally.stated[-1])
        told = {name: checks[name] for name in _TOLD}
        tally.notes.append(f"run {run}: wrong, though {told}")


def with_kind(kind: str, runs: int, modes: list[str], until: float, kinds_to_go: float) -> Iterator[Tally]:
    """All runs with one kind, in one mode after the other: of the time until then each has its share, and one run at least.

    `kinds_to_go` is how many kinds are to be done one after another in that time, this one included.
    """
    with tempfile.TemporaryDirectory(prefix="pangea-liars-") as name:
        folder = Path(name)
        places = plan(NODES, DEPTH, liars=[f"{kind}:{LIARS}"])
        with Devnet(places, folder) as net, Client(_started(net)) as client:
            honest = {node.peer for node in net.nodes if not node.place.sabotage}
            for number, mode in enumerate(modes):
                tally, now = Tally(kind, mode), time.monotonic()
                shares = len(modes) * kinds_to_go - number
                until_here = now + max(0.0, until - now) / shares
                for run in range(number * runs, (number + 1) * runs):
                    if tally.runs and time.monotonic() > until_here:
                        tally.notes.append(f"{tally.runs} of {runs} runs: its share of --seconds was up")
                        break
                    until_back(client, NODES - 1)
                    one_run(client, tally, run, folder)
                    _forgive(client, tally, honest)
                yield tally


def all_of(kind: str, runs: int, modes: list[str], until: float, kinds_to_go: float) -> list[Tally]:
    """The same as a list: a process of its own runs this. Nodes that don't come up, or back, end it early: a failure."""
    found: list[Tally] = []
    try:
        found.extend(with_kind(kind, runs, modes, until, kinds_to_go))
    except (PangeaError, TimeoutError) as error:
        found.append(Tally(kind, modes[min(len(found), len(modes) - 1)], failed=1, notes=[f"ended early: {error}"]))
    return found


def by_kind(kinds: Sequence[str], runs: int, modes: list[str], until: float, beside: int) -> Iterator[list[Tally]]:
    """All kinds, so many at a time, each in a process of its own; in the order in which they are done."""
    spawn = multiprocessing.get_context("spawn")  # a devnet's nodes die with the thread that started them
    with ProcessPoolExecutor(beside, spawn, max_tasks_per_child=1) as pool:
        under_way: list[Future[list[Tally]]] = []
        for number, kind in enumerate(sorted(kinds, key=lambda each: each not in _LONG)):
            to_go = max(1.0, (len(kinds) - number) / beside)
            under_way.append(pool.submit(all_of, kind, runs, modes, until, to_go))
        for done in as_completed(under_way):
            yield done.result()


def _forgive(client: Client, tally: Tally, honest: set[str]) -> None:
    """Count those who were shut out, and let them back."""
    banned = {each["peer"] for each in client.peers()["banned"]}
    tally.honest_banned |= banned & honest
    tally.runs_with_bans += bool(banned - honest)
    tally.liars_banned += len(banned - honest)
    for peer in banned:
        client.unban(peer)


def _started(net: Devnet) -> str:
    net.start()
    return net.address


def main() -> int:
    """Print a table; 1 if a result was missing or wrong more often than was stated, or somebody honest was banned."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--kinds", default=",".join(kind for kind in KINDS if kind not in _HONEST))
    parser.add_argument("--mode", default="adaptive", metavar="MODES")
    parser.add_argument("--all", action="store_true", help="every mode that checks anything")
    parser.add_argument(
        "--seconds", type=float, default=3600.0, help="shared out among kinds and modes, each of which has one run at least"
    )
    parser.add_argument(
        "--beside", type=int, default=(os.cpu_count() or 1) + 1, help="devnets at a time [default: one more than cores]"
    )
    given = parser.parse_args()
    begun = time.monotonic()
    modes = [str(mode) for mode in VerificationMode if mode is not VerificationMode.NONE] if given.all else given.mode.split(",")
    in_all = {mode: Tally("all kinds", mode) for mode in modes}
    print(f"{LIARS} of {NODES} nodes lie, depth {DEPTH}, {given.runs} runs of each kind and mode\n\n{HEAD}", flush=True)
    kinds = given.kinds.split(",")
    for tallies in by_kind(kinds, given.runs, modes, begun + given.seconds, max(1, min(given.beside, len(kinds)))):
        for tally in tallies:
            in_all[tally.mode].add(tally)
            print(tally, *tally.notes, sep="\n    ", flush=True)
    print("", *in_all.values(), f"{time.monotonic() - begun:.0f} s", sep="\n")
    return any(tally.verdict != "ok" for tally in in_all.values())


if __name__ == "__main__":
    sys.exit(main())
