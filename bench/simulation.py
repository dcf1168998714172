"""What the tree of nodes reaches, simulated with the real orchestrator, beside what it must reach (part of `make bench-sim`).

    python bench/simulation.py [--seeds N] [--only TEXT] [--scale N] [--tasks N]

Makespans are virtual seconds, from submission to result, over the *ideal*: all work, once, on all cores at their speeds, with no
network. The job lasts half a minute; of a shorter one the start is a larger part, which one line shows that has no target. Nodes
are lost in two ways, in the middle of the run and for good: their neighbours see the links break, or nobody is told.

Each run is a process of its own, so that time and memory are its own. Runs are as deterministic as the simulator; with
several seeds the worst figure counts. Then follows the table of `bench/policies.py`, and at the very end all figures. The exit
code is 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from pangea.compute.model.options import VerificationMode
from pangea.compute.model.units import GIB
from pangea.compute.simulation.checkers import CheckError
from pangea.compute.simulation.faults import Faults
from pangea.compute.simulation.figures import Outcome
from pangea.compute.simulation.run import run
from pangea.compute.simulation.scenario import Scenario

NODES, CHUNKS = 1_000, 300_000
POLICIES = Path(__file__).parent / "policies.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run and what it took.

    Attributes:
        cpu_seconds: of the process, its start included.
        peak_bytes: the most memory the process had.
    """

    outcome: Outcome
    cpu_seconds: float
    peak_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the last table.

    Attributes:
        target: the most that is allowed; None: only shown.
    """

    name: str
    measured: float
    target: float | None
    unit: str = ""
    note: str = ""

    @property
    def is_met(self) -> bool:
        """Whether the target, if there is one, is met."""
        return self.target is None or self.measured <= self.target

    def __str__(self) -> str:
        """The line."""
        allowed = "" if self.target is None else f"≤ {_number(self.target)}{self.unit}"
        sign = " " if self.target is None else "✓" if self.is_met else "✗"
        return f"{sign} {self.name:<58}{_number(self.measured) + self.unit:>12}{allowed:>14}   {self.note}".rstrip()


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:.1f}" if value >= 100 else f"{value:.2f}"


def measured(scenario: Scenario) -> Run | str:
    """Simulate here; a violated checker in words."""
    try:
        outcome = run(scenario)
    except CheckError as error:
        return str(error)
    return Run(
        outcome=outcome,
        cpu_seconds=time.process_time(),
        peak_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10,
    )


@cache
def apart(scenario: Scenario) -> Run:
    """Simulate in a process of its own, each scenario once.

    Raises:
        SystemExit: a checker is violated, or the job failed.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        found = pool.submit(measured, scenario).result()
    if isinstance(found, str):
        raise SystemExit(f"seed {scenario.seed}: {found}")
    if found.outcome.end != "finished":
        raise SystemExit(f"seed {scenario.seed}: {found.outcome.end}")
    return found


# The figures.


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the command line says."""

    seeds: int
    scale: int

    def job(self, seed: int, **fields: float) -> Scenario:
        """The job that makespans are measured by, on equal nodes unless `fields` say otherwise."""
        scenario: dict[str, float] = {"nodes": NODES // self.scale, "chunks": CHUNKS // self.scale, "seed": seed, **fields}
        return Scenario(verification=VerificationMode.NONE, **scenario)  # type: ignore[arg-type]


def fault_free(given: Given) -> list[Figure]:
    """Equal nodes."""
    figures = []
    for chunks, target in ((CHUNKS, 1.10), (CHUNKS // 3, None)):
        runs = [apart(given.job(seed, chunks=chunks // given.scale)) for seed in range(given.seeds)]
        worst = max(runs, key=_ratio)
        name = f"makespan over ideal, {worst.outcome.nodes:,} equal nodes, job of {worst.outcome.ideal_seconds:.0f} s"
        figures.append(Figure(name=name, measured=_ratio(worst), target=target, note=_seconds(worst)))
    return figures


def uneven(given: Given) -> list[Figure]:
    """Nodes of different speeds."""
    worst = max((apart(given.job(seed, speed_spread=10.0)) for seed in range(given.seeds)), key=_ratio)
    name = "makespan over ideal, speeds spread over a factor of 10"
    return [Figure(name=name, measured=_ratio(worst), target=1.25, note=_seconds(worst))]


def losses(given: Given) -> list[Figure]:
    """A tenth of the nodes gone half way."""
    figures = []
    for name, losing in (("links break", Faults(crash=0.1)), ("nobody is told", Faults(power_loss=0.1))):
        ratios = []
        for seed in range(given.seeds):
            calm = given.job(seed)
            whole = apart(calm).outcome.makespan_seconds
            faults = replace(losing, crash_at=whole / 2 / calm.estimate_seconds, restart_seconds=0.0)
            taken = apart(replace(calm, faults=faults)).outcome.makespan_seconds
            ratios.append((taken / whole, f"{taken:.1f} s against {whole:.1f} s"))
        worst, note = max(ratios)
        figures.append(Figure(name=f"time with 10 % lost half way, {name}", measured=worst, target=1.3, note=note))
    return figures


def large(given: Given) -> list[Figure]:
    """Ten thousand nodes, a million chunks, liars and churn."""
    scenario = Scenario(nodes=10_000 // given.scale, chunks=1_000_000 // given.scale, malicious=0.1, faults=Faults(churn=0.1))
    found = apart(scenario)
    outcome = found.outcome
    name = f"{outcome.nodes:,} nodes, {outcome.chunks:,} chunks, 10 % liars, 10 % churn"
    pace = f"{outcome.events:,} events, {found.cpu_seconds:.0f} s of CPU time"
    bans = f"{outcome.banned_guilty:,} of {outcome.guilty:,} liars banned"
    bought = f"makespan {outcome.makespan_seconds:.0f} s, ideal for so many executions {outcome.verified_ideal_seconds:.0f} s"
    return [
        Figure(name=f"{name}: time", measured=outcome.wall_seconds, target=120, unit=" s", note=pace),
        Figure(name="… memory", measured=found.peak_bytes / GIB, target=2, unit=" GiB"),
        Figure(name="… wrong results accepted", measured=outcome.wrong_accepted, target=0),
        Figure(name="… honest nodes banned", measured=outcome.banned_innocent, target=0, note=bans),
        Figure(name="… executions per task", measured=outcome.executions_per_task, target=None, note=bought),
    ]


def _ratio(run: Run) -> float:
    return run.outcome.makespan_seconds / run.outcome.ideal_seconds


def _seconds(run: Run) -> str:
    return f"{run.outcome.makespan_seconds:.1f} s, ideal {run.outcome.ideal_seconds:.1f} s"


PARTS: dict[str, Callable[[Given], list[Figure]]] = {
    "fault-free": fault_free,
    "uneven": uneven,
    "losses": losses,
    "large": large,
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="what the tree reaches, and what it must reach")
    parser.add_argument("--seeds", type=int, default=1, help="runs of each kind, but the large one [default: 1]")
    parser.add_argument("--only", choices=[*PARTS, "policies"], help="only this part")
    parser.add_argument("--scale", type=int, default=1, help="so many times fewer nodes and chunks [default: 1]")
    parser.add_argument("--tasks", type=int, default=100_000, help="tasks in each trial of the policies [default: 100000]")
    words = parser.parse_args()
    figures = []
    for name, part in PARTS.items():
        if words.only in (None, name):
            found = part(Given(seeds=words.seeds, scale=words.scale))
            print("\n".join(str(figure) for figure in found), flush=True)
            figures += found
    if words.only in (None, "policies"):
        print("\nwhat checking costs and what it catches", flush=True)
        subprocess.run([sys.executable, str(POLICIES), "--tasks", str(words.tasks)], check=True)
    if figures:
        print(f"\n  {'':<58}{'measured':>12}{'target':>14}\n" + "\n".join(str(figure) for figure in figures))
    sys.exit(0 if all(figure.is_met for figure in figures) else 1)


if __name__ == "__main__":
    main()
