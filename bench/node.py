"""A node under small jobs (`make bench-node`): how many a second, how soon one is back, how late the loop is, what memory stays.

One node on a fresh data directory, spoken to over its unix socket; every job has three Python functions, and is on disk before
it is accepted. A round of jobs by many clients comes after a warm-up. Memory is the node's own process, at rest: its workers
aren't counted.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pangea.compute import Client, Job
from pangea.compute.jobs import JobDefinition

#: Jobs before anything is measured.
_WARM_UP_JOBS = 50
_JOB_SECONDS = 120.0
_START_SECONDS = 60.0
#: From the last job's end until memory is looked at: the node tidies up every ten seconds.
_REST_SECONDS = 12.0


def split(data: bytes) -> list[bytes]:
    return data.split(b",")


def execute(chunk: bytes) -> bytes:
    return chunk.upper()


def merge(results: list[bytes]) -> bytes:
    return b";".join(results)


THREE = Job.from_functions(execute, split, merge, name="three functions")
ONE = Job.from_functions(execute, name="execute only")
INPUT, OUTPUT = b"a,b,c", b"A;B;C"


@contextmanager
def node(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A node on `folder`, that serves."""
    folder.mkdir()
    command = [str(Path(sys.executable).with_name("pangea")), "node", "start", "--data-dir", str(folder)]
    log = folder.with_suffix(".log")
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log.open("wb"))
    try:
        until = time.monotonic() + _START_SECONDS
        while not (folder / "rpc.sock").exists() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        yield process
    finally:
        if (code := process.poll()) is not None:
            print(f"the node has ended, with exit code {code}:\n{log.read_text()[-2000:]}")
        process.terminate()
        process.wait(30)


def latency(folder: Path, job: JobDefinition, expected: bytes, count: int) -> list[float]:
    """Seconds from submitting a job to holding its result, one at a time."""
    seconds = []
    with Client(str(folder)) as client:
        for _ in range(count):
            started = time.perf_counter()
            result = client.submit_job(job, INPUT).result(_JOB_SECONDS)
            seconds.append(time.perf_counter() - started)
            assert result == expected, result
    return seconds


def storm(folder: Path, clients: int, jobs: int) -> float:
    """Seconds that `clients`, each with a connection of its own, take for `jobs` together."""
    left = iter(range(jobs))
    lock = threading.Lock()
    wrong: list[object] = []

    def work(client: Client) -> None:
        while True:
            with lock:
                if next(left, None) is None:
                    return
            try:
                result: object = client.submit_job(THREE, INPUT).result(_JOB_SECONDS)
            except Exception as error:
                result = error
            if result != OUTPUT:
                wrong.append(result)

    connected = [Client(str(folder)) for _ in range(clients)]
    for client in connected:
        client.info()
    threads = [threading.Thread(target=work, args=(client,)) for client in connected]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    for client in connected:
        client.close()
    if wrong:
        raise SystemExit(f"{len(wrong)} of {jobs} jobs went wrong: {wrong[0]!r}")
    return seconds


def resident(pid: int) -> int:
    """Bytes of memory that a process holds."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) << 10


def measure(folder: Path, clients: int, jobs: int, rounds: int) -> dict[str, Any]:
    """All figures, printed as they come."""
    found: dict[str, Any] = {"rounds": []}
    with node(folder) as process:
        storm(folder, min(clients, _WARM_UP_JOBS), _WARM_UP_JOBS)
        for name, job, expected in (("execute only", ONE, b"A,B,C"), ("split, execute, merge", THREE, OUTPUT)):
            latency(folder, job, expected, 20)
            found[name] = latency(folder, job, expected, 200)
            ordered = sorted(found[name])
            median, late = statistics.median(ordered), ordered[len(ordered) * 95 // 100]
            print(f"  {name:<24}{median * 1000:>7.1f} ms median, {late * 1000:.1f} ms for 95 of 100", flush=True)
        time.sleep(_REST_SECONDS)
        before = resident(process.pid)
        print(f"  {'memory at rest':<24}{before / 1e6:>7.1f} MB")
        for _ in range(rounds):
            seconds = storm(folder, clients, jobs)
            with Client(str(folder)) as client:
                stall = client.info().loop_stall_ms
            time.sleep(_REST_SECONDS)
            after = resident(process.pid)
            found["rounds"].append({"seconds": seconds, "stall_ms": stall, "resident": after, "resident_before": before})
            text = f"{jobs / seconds:>7.1f} jobs/s, loop late by {stall:.0f} ms at most"
            print(
                f"  {f'{jobs:,} jobs, {clients} clients':<24}{text}, memory {after / 1e6:.1f} MB ({after / before - 1:+.0%})",
                flush=True,
            )
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="a node under small jobs")
    parser.add_argument("--clients", type=int, default=50, help="at once [default: 50]")
    parser.add_argument("--jobs", type=int, default=1_000, help="in a round [default: 1000]")
    parser.add_argument("--rounds", type=int, default=3, help="[default: 3]")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    given = parser.parse_args()
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    print(f"{cores} cores, Python {platform.python_version()}, load {load:.2f}")
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder) / "node", given.clients, given.jobs, given.rounds)
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
