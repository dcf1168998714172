"""Where a tiny job's time goes, from `submit_job` to the guest and back: the warm engine, a chunk of one byte.

Stages are timed by wrapping the functions that are them; the job as a whole is timed without. What the worker takes is what it
says itself; the rest of the wait is the way there and back: two threads, a socket and two wake-ups.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from bench.alone import machine, timed

from pangea.compute import Job, submit_job
from pangea.compute.client.definition.definition import JobDefinition
from pangea.compute.client.submission import submit
from pangea.compute.client.submission.run import JobRun

JOBS, WARM_UP = 400, 50
#: What is timed: the stage, and where its function is found.
STAGES: tuple[tuple[str, Any, str], ...] = (
    ("capture: what travels, proved", JobDefinition, "archive"),
    ("preparing: the archive is read, the module looked up", submit, "prepare"),
    ("waiting for the worker", JobRun, "_wait"),
    ("the run in all", JobRun, "result"),
)


def echo(chunk: bytes) -> bytes:
    return chunk


@contextmanager
def watched(owner: Any, name: str, seconds: list[float]) -> Iterator[None]:
    """Add what each call of `owner.name` takes to `seconds`."""
    function: Callable[..., Any] = getattr(owner, name)

    def timing(*arguments: Any, **keywords: Any) -> Any:
        taken, value = timed(lambda: function(*arguments, **keywords))
        seconds.append(taken)
        return value

    setattr(owner, name, timing)
    try:
        yield
    finally:
        setattr(owner, name, function)


def measure(jobs: int) -> dict[str, float]:
    """The median of each stage, seconds."""
    job = Job.from_functions(echo)
    for _ in range(WARM_UP):
        submit_job(job, b"x")
    whole = [timed(lambda: submit_job(job, b"x"))[0] for _ in range(jobs)]
    found: dict[str, list[float]] = {stage: [] for stage, _, _ in STAGES}
    inside = []
    with ExitStack() as watching:
        for stage, owner, name in STAGES:
            watching.enter_context(watched(owner, name, found[stage]))
        for _ in range(jobs):
            trace = submit_job(job, b"x").report.trace
            assert trace is not None, "an embedded run has one"
            inside.append(sum(span.seconds for span in trace.spans))
    stages = {stage: statistics.median(seconds) for stage, seconds in found.items()}
    return {
        "a tiny job": statistics.median(whole),
        **stages,
        "in the worker: a fresh sandbox, the call": statistics.median(inside),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="where a tiny job's time goes")
    parser.add_argument("--jobs", type=int, default=JOBS, help=f"jobs of each kind [default: {JOBS}]")
    given = parser.parse_args()
    about = machine()
    print(f"{about['cpu']}, {about['cores']} cores, Python {about['python']}, load {about['load_before']:.2f}", flush=True)
    started = time.perf_counter()
    for stage, seconds in measure(given.jobs).items():
        print(f"{stage:<55}{1e3 * seconds:>8.3f} ms")
    print(f"medians of {given.jobs:,} jobs, {time.perf_counter() - started:.1f} s in all")


if __name__ == "__main__":
    main()
