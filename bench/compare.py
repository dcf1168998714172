"""This engine beside `multiprocessing.Pool`, Dask and Ray: the same chunks, the same functions, in one run (`make bench`).

Each system is used as its users would use it for such chunks, with as many workers as this machine has cores, and every
chunk crosses to a worker in every run. A figure counts only if the result equals plain Python's, byte for byte. Rounds are
interleaved (A B C D, A B C D, …); start-up and warm-up are timed on their own and counted nowhere else.

Where chunks are tiny, a user who knows Dask or Ray puts many into one task by hand; rows named "batched" do that, with as many
batches as Pool makes by default. This engine and Pool pack chunks by themselves. `(plain loop)` is the same work in a loop of
this process, on one core, with nothing around it.

What the comparison can't level: this engine runs Python inside a WebAssembly sandbox and meters it, the others run native
Python and trust it. Its `split`, where a job has one, is in its time; the others get their chunks ready-made. All stay up
throughout, and on two cores Dask and Ray cost about a tenth of a core each while they wait, which slows whoever is at work.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench import report
from bench.alone import WORKERS, machine, show_own, timed, tiny_run, worker_memory
from bench.systems import SYSTEMS, Dask, Node, Pangea, Ray, System
from bench.workloads import Workload, add, count_words, do_nothing, first_bytes, split_lines, workloads

from pangea.compute import Job, submit_job


def start(names: list[str]) -> tuple[list[System], dict[str, float]]:
    """Start the systems; one that isn't installed is left out, and said so.

    Returns:
        The systems, and how many seconds each took to start.
    """
    systems: list[System] = []
    seconds = {}
    for name in names:
        try:
            taken, system = timed(SYSTEMS[name])
        except ImportError as error:
            print(f"  {name:<8} left out: {error}")
            continue
        systems.append(system)
        seconds[system.name] = taken
        print(f"  {system.name:<8} {taken:6.2f} s   {system.how}", flush=True)
    return systems, seconds


def warm_up(systems: list[System], scale: int) -> dict[str, float]:
    """Run every workload once, small; the seconds that each system took."""
    print("\nwarm-up, all workloads at a sixteenth of their size (not counted below)")
    seconds = {}
    works = workloads(16 * scale)
    for system in systems:
        started = time.perf_counter()
        for work in works:
            for run in ways([system], work).values():
                run(work)
        seconds[system.name] = time.perf_counter() - started
        print(f"  {system.name:<8} {seconds[system.name]:6.2f} s", flush=True)
    return seconds


def ways(systems: list[System], work: Workload) -> dict[str, Callable[[Workload], bytes]]:
    """How `work` is run, by the name of the row."""
    found: dict[str, Callable[[Workload], bytes]] = {}
    for system in systems:
        found[system.name] = system.run
        if isinstance(system, Dask | Ray) and not work.has_large_chunks:
            found[f"{system.name}, batched"] = system.run_batched
    return found


def measure(systems: list[System], work: Workload, repeat: int) -> dict[str, Any]:
    """Run `work` each way in turn, `repeat` times, a plain loop among them.

    Raises:
        SystemExit: a result differs from plain Python's.
    """
    rows = ways(systems, work)
    if work.execute not in (do_nothing, first_bytes):  # else a loop has nothing to do
        rows["(plain loop)"] = _in_a_loop
    expected = _in_a_loop(work)
    seconds: dict[str, list[float]] = {name: [] for name in rows}
    for turn in range(repeat):
        for name, run in rows.items():
            for system in systems:
                if isinstance(system, Node):
                    system.forget()
            taken, result = timed(partial(run, work))
            if result != expected:
                raise SystemExit(f"{name}, {work.name}, round {turn + 1}: {result[:80]!r} is not {expected[:80]!r}")
            seconds[name].append(taken)
    rates = {name: work.rate(statistics.median(taken)) for name, taken in seconds.items()}
    return {"workload": work.name, "seconds": seconds, "rates": rates}


def _in_a_loop(work: Workload) -> bytes:
    return work.merge([work.execute(chunk) for chunk in work.chunks])


def own_figures(repeat: int) -> dict[str, Any]:
    """What only concerns this engine, with nothing else running: memory at rest, the command line, a million tiny chunks."""
    engine = Pangea()
    job, data = Job.from_functions(count_words, split_lines, add, name="million_lines"), b"x\n" * 999_999 + b"x"
    taken = [timed(lambda: submit_job(job, data)) for _ in range(repeat)]
    assert all(result == b"1000000" for _, result in taken)
    memory = worker_memory()
    engine.close()
    return {
        "worker_bytes": memory,
        "tiny_run_seconds": [tiny_run() for _ in range(max(3, repeat))],
        "million_lines_seconds": [seconds for seconds, _ in taken],
        "million_lines_tasks": taken[-1][1].report.tasks,
    }


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="this engine beside multiprocessing.Pool, Dask and Ray")
    parser.add_argument("--repeat", type=int, default=5, help="rounds [default: 5]")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write a page with the figures there")
    parser.add_argument("--history", type=Path, metavar="FILE", help="keep this version's line there; only of a full run")
    parser.add_argument("--scale", type=int, default=1, help="make every workload this many times smaller [default: 1]")
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=[*SYSTEMS], help="which ones [default: all]")
    parser.add_argument("--only", default="", metavar="TEXT", help="only workloads whose name has TEXT")
    given = parser.parse_args()
    if given.repeat < 1 or given.scale < 1:
        parser.error("--repeat and --scale are 1 or more")
    if given.history and (given.scale > 1 or given.only or given.systems != [*SYSTEMS]):
        parser.error("--history is for runs of all workloads, in full, with all systems")
    return given


def keep(given: argparse.Namespace, figures: dict[str, Any]) -> None:
    """Write the files that were asked for.

    Raises:
        SystemExit: the history would have a line in which a system is missing.
    """
    record = {"version": version("pangea-compute"), "date": report.today(), **figures}
    if given.json:
        given.json.write_text(json.dumps(record, indent=2) + "\n")
    if given.report:
        given.report.write_text(report.page(record))
        print(f"\n{given.report}")
    missing = [system.name for system in SYSTEMS.values() if system.name not in figures["startup_seconds"]]
    if given.history and missing:
        raise SystemExit(f"{given.history} stays as it is: {', '.join(missing)} didn't run")
    if given.history:
        report.keep_in_history(given.history, record)


def main() -> None:
    """Start everything, measure, print, stop everything."""
    warnings.filterwarnings("ignore")  # the systems' advice to themselves
    given = arguments()
    where = machine()
    print(f"{where['cpu']}, {WORKERS} cores, Python {where['python']}, load {where['load_before']:.2f}; {given.repeat} rounds")
    own = own_figures(given.repeat) if "pangea" in given.systems else {}
    if own:
        show_own(own)
    print("\nstart-up, to the first result of one empty task for each worker (not counted below)", flush=True)
    systems, startup = start(given.systems)
    try:
        works = [work for work in workloads(given.scale) if given.only in work.name]
        warmup = warm_up(systems, given.scale)
        found = []
        for work in works:
            found.append(measure(systems, work, given.repeat))
            report.show(found[-1])
        keep(given, {"machine": where, "startup_seconds": startup, "warmup_seconds": warmup, "workloads": found, "pangea": own})
    finally:
        for system in systems:
            system.close()


if __name__ == "__main__":
    main()
