"""Runs to draw: made up, the same each time."""

from __future__ import annotations

from random import Random

from pangea.compute.model.report import Report
from pangea.compute.model.trace import Check, Span, Trace
from pangea.compute.pictures.runs.facts import RunFacts, Worker

JOB_ID = "0af2cdd1-3d5c-4a63-8c6b-7f3a4f8f1a11"
OWNER = "12D3KooWOwner"


def spans(workers: int, tasks: int, *, names: list[str] | None = None, check: Check = Check.HERE) -> list[Span]:
    """`tasks` of execute, each by who is free first, and a merge."""
    random = Random(7)
    free = {(names[number] if names else str(number + 1)): 0.01 * number for number in range(max(1, workers))}
    found: list[Span] = []
    for number in range(tasks):
        worker = min(free, key=lambda name: (free[name], name))
        lasts = 0.2 + random.random()
        found.append(
            Span(
                function="execute",
                worker=worker,
                start=5 * number,
                count=5,
                size_bytes=1_000,
                began=free[worker],
                ended=free[worker] + lasts,
                seconds=lasts,
                fuel=int(1e9 * lasts),
                check=check,
            )
        )
        free[worker] += lasts + 0.01
    end, first = max(free.values()), next(iter(free))
    merge = Span(
        function="merge", worker=first, start=0, count=1, size_bytes=500, began=end, ended=end + 0.1, seconds=0.1, fuel=10**8
    )
    return [*found, merge]


def report(trace: Trace, **changes: object) -> Report:
    """The report of a run with this trace."""
    values: dict[str, object] = {
        "job_id": JOB_ID,
        "where": "embedded engine, 2 worker processes on this machine, each pack in a fresh sandbox",
        "verification": "adaptive: computed by this machine alone, so there was nobody to check",
        "seconds": trace.seconds,
        "startup_seconds": 0.5,
        "workers": 2,
        "split_strategy": "custom",
        "segments": 1,
        "chunks": sum(span.count for span in trace.spans if span.function == "execute"),
        "tasks": trace.tasks,
        "retries": 0,
        "fuel": sum(span.fuel for span in trace.spans),
        "bytes_in": 1_000,
        "bytes_out": 10,
        "split_seconds": 0.0,
        "execute_seconds": 1.0,
        "merge_seconds": 0.1,
        "prints": "hello",
        "trace": trace,
    }
    return Report(**{**values, **changes})  # type: ignore[arg-type]


def run_here(workers: int = 2, tasks: int = 20, **changes: object) -> RunFacts:
    """A run on this machine."""
    return RunFacts.of_report(report(Trace.of(spans(workers, tasks)), **changes), name="demo", options={"size": 512})


def run_on_nodes(workers: int = 4, tasks: int = 40) -> RunFacts:
    """A run on a node with so many workers below it, which did all but the merge."""
    names = [f"w{number + 1}" for number in range(workers)]
    trace = Trace.of(spans(workers, tasks, names=names, check=Check.VOTES)) if workers else Trace()
    rows = [Worker(name=name, branch=name, tasks=tasks // workers, chunks=3, fuel=7, seconds=1.0, checked="ok") for name in names]
    return RunFacts(
        job_id=JOB_ID,
        name="demo",
        state="complete",
        owner=OWNER,
        trace=trace,
        report=report(trace, where=f"node {OWNER}", verification="adaptive: 1.20 executions per task"),
        workers=(Worker(name=OWNER, tasks=1, checked="by this node itself"), *rows) if workers else (),
        below=tuple((name, OWNER, "") for name in names),
        seconds=trace.seconds,
    )
