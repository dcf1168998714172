"""Real nodes that lie: in each kind 2 of 7, run after run, against results that are known.

python bench/liars.py [--runs 50] [--kinds random,lazy] [--mode adaptive,hash | --all] [--seconds 1500]

One devnet for each kind (node 0, two managers, four workers); each run is a job that no node has seen before, so it is handed out
as a new one is. After each run bans are lifted, and whoever was shut out comes back: each run meets both liars, as strangers
again. If the time doesn't do for so many runs, each kind and mode has as many as its share of it allows, and says so. Of every
kind and mode it says how many results were exact, how many were wrong and how many might have been by what they
stated (the sum of 1 - confidence), how many runs banned a liar, whether anybody honest was ever banned (nobody may be), and what
checking cost. `--all` is every mode that checks anything. A run takes about a second on two idle cores, more of those kinds that
never answer, and the seven nodes of each kind twelve seconds of processor time to start.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
import time
from collections.abc import Iterator
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
#: Small: more of a run's processor time is seven nodes' than the sums'. With 6,000 rows and 120 numbers it was 3.6 s, now 1.6.
ROWS, ROWS_TO_MERGE = 2_000, 15_000
NUMBERS = 20
_BACK_SECONDS, _JOB_SECONDS = 60.0, 120.0
_LOOK_SECONDS = 0.1
#: These do their tasks as they should.
_HONEST = ("slow", "rubberstamp")
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

    def __str__(self) -> str:
        """One line of the table."""
        cost = f"{median(self.executions):.2f}" if self.executions else "-"
        return (
            f"{self.mode:<11}{self.kind:<14} {self.exact:>3}/{self.runs:<3} exact  {self.wrong} wrong (may be {self.may_be:.2f})"
            f"  {self.failed} failed"
            f"  {self.runs_with_bans:>3} runs banned a liar ({self.liars_banned} bans)  {len(self.honest_banned)} honest banned"
            f"  {cost} executions/task  stated {min(self.stated, default=0.0):.4f} at least  {median(self.seconds or [0]):.2f} s"
        )

    @property
    def may_be(self) -> float:
        """How many might be wrong by what they stated."""
        return sum(1.0 - each for each in self.stated)

    @property
    def is_bad(self) -> bool:
        """Whether a result is missing, more are wrong than chance allows by what was stated, or somebody honest was banned."""
        return bool(self.failed or self.honest_banned) or self.wrong > self.may_be + 3.1 * sqrt(self.may_be) + 0.5


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
        told = {name: checks[name] for name in _TOLD}
        tally.notes.append(f"run {run}: wrong, though {told}")


def with_kind(kind: str, runs: int, modes: list[str], until: float, kinds_left: int) -> Iterator[Tally]:
    """All runs with one kind, in one mode after the other: of the time until then each has its share, and one run at least."""
    with tempfile.TemporaryDirectory(prefix="pangea-liars-") as name:
        folder = Path(name)
        places = plan(NODES, DEPTH, liars=[f"{kind}:{LIARS}"])
        with Devnet(places, folder) as net, Client(_started(net)) as client:
            honest = {node.peer for node in net.nodes if not node.place.sabotage}
            for number, mode in enumerate(modes):
                tally, now = Tally(kind, mode), time.monotonic()
                shares = len(modes) * kinds_left - number
                until_here = now + max(0.0, until - now) / shares
                for run in range(number * runs, (number + 1) * runs):
                    if tally.runs and time.monotonic() > until_here:
                        tally.notes.append(f"{tally.runs} of {runs} runs: its share of --seconds was up")
                        break
                    until_back(client, NODES - 1)
                    one_run(client, tally, run, folder)
                    _forgive(client, tally, honest)
                yield tally


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
    given = parser.parse_args()
    until, status = time.monotonic() + given.seconds, 0
    modes = [str(mode) for mode in VerificationMode if mode is not VerificationMode.NONE] if given.all else given.mode.split(",")
    print(f"{LIARS} of {NODES} nodes lie, depth {DEPTH}, {', '.join(modes)}, {given.runs} runs of each kind", flush=True)
    kinds = given.kinds.split(",")
    for number, kind in enumerate(kinds):
        for tally in with_kind(kind, given.runs, modes, until, len(kinds) - number):
            print(tally, *tally.notes, sep="\n    ", flush=True)
            status |= tally.is_bad
    return status


if __name__ == "__main__":
    sys.exit(main())
