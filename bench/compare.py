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
import importlib
import json
import logging
import multiprocessing
import os
import statistics
import struct
import subprocess
import sys
import sysconfig
import tempfile
import time
import warnings
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from bench import report
from bench.alone import WORKERS, machine, show_own, timed, tiny_run, worker_memory

from pangea.compute import Job, submit_job
from pangea.compute.engine.engines import embedded
from pangea.compute.inputs.cutting import cut, open_inputs
from pangea.compute.jobs import JobDefinition, JobOptions

Execute = Callable[[bytes], bytes]
Merge = Callable[[list[bytes]], bytes]

MIB = 1 << 20
#: From this size on, chunks are handed over the way each system advises for large data.
LARGE_CHUNK_BYTES = 64 << 10


# The jobs: the same code for every system.


def split_lines(data: bytes) -> list[bytes]:
    return data.split(b"\n")


def do_nothing(_chunk: bytes) -> bytes:
    return b""


def count(results: list[bytes]) -> bytes:
    return b"%d" % len(results)


def count_words(chunk: bytes) -> bytes:
    return b"%d" % len(chunk.split())


def add(results: list[bytes]) -> bytes:
    return b"%d" % sum(map(int, results))


def first_bytes(chunk: bytes) -> bytes:
    return chunk[:8]


def join(results: list[bytes]) -> bytes:
    return b"".join(results)


def sum_squares(chunk: bytes) -> bytes:
    values = array("d")
    values.frombytes(chunk)
    total = 0.0
    for value in values:  # not sum(): newer Pythons add floats more exactly than older ones
        total += value * value
    return struct.pack("<d", total)


def add_floats(results: list[bytes]) -> bytes:
    total = 0.0
    for result in results:
        total += struct.unpack("<d", result)[0]
    return struct.pack("<d", total)


def keep_large(chunk: bytes) -> bytes:
    values = np.frombuffer(chunk)
    scaled = values * 3.0 + 1.0
    kept = np.sort(scaled[scaled > 2000.0])
    return np.array([kept.size, kept.sum(), kept[kept.size // 2]]).tobytes()


def add_rows(results: list[bytes]) -> bytes:
    return bytes(np.frombuffer(b"".join(results)).reshape(-1, 3).sum(axis=0))


@dataclass(frozen=True, kw_only=True)
class Workload:
    """One job with its input, for everyone.

    Attributes:
        data: the input of this engine.
        chunks: the same, as the chunks that everybody's workers get.
        options: how this engine cuts the input.
    """

    name: str
    data: bytes
    chunks: list[bytes]
    execute: Execute
    merge: Merge
    split: Callable[[bytes], list[bytes]] | None = None
    options: dict[str, Any]

    @property
    def has_large_chunks(self) -> bool:
        """Whether chunks are large enough to be handed over one by one."""
        return len(self.data) // len(self.chunks) >= LARGE_CHUNK_BYTES

    def job(self) -> JobDefinition:
        """The job for this engine."""
        return Job.from_functions(self.execute, self.split, self.merge, name=self.name)

    def rate(self, seconds: float) -> str:
        """Work per second: chunks where there is nothing in them, else bytes."""
        if self.execute is do_nothing:
            return f"{len(self.chunks) / seconds:,.0f} chunks/s"
        return f"{len(self.data) / seconds / 1e6:,.1f} MB/s"


def workloads(scale: int) -> list[Workload]:
    """The five workloads, each `scale` times smaller than it should be."""
    fixed = {"split_strategy": "fixed_size", "min_chunk_size": MIB, "max_chunk_size": MIB}
    rows = {"split_strategy": "row_based", "min_chunk_size": MIB // 2, "max_chunk_size": MIB}
    draw = Random(1)
    lines = [b"%d" % index for index in range(10_000 // scale)]
    text = stdlib_text(64 * MIB // scale)
    block = draw.randbytes(MIB)
    payload = b"".join(index.to_bytes(8, "little") + block[8:] for index in range(512 // scale))
    floats = array("d", (draw.random() for _ in range(max(1, 16 // scale) * MIB // 8))).tobytes()
    #: Whole numbers, so that sums are exact in any order.
    numbers = np.random.default_rng(1).integers(0, 1000, max(2, 100 // scale) * MIB // 8).astype(float).tobytes()
    return [
        Workload(
            name=f"{len(lines):,} no-op chunks",
            data=b"\n".join(lines),
            chunks=lines,
            split=split_lines,
            execute=do_nothing,
            merge=count,
            options={},
        ),
        _plain("word count", text, rows, count_words, add),
        _plain("payload, 8 bytes back", payload, fixed, first_bytes, join),
        _plain("sum of squares, float64", floats, fixed, sum_squares, add_floats),
        _plain("NumPy: scale, mask, sort, sum", numbers, fixed, keep_large, add_rows),
    ]


def _plain(name: str, data: bytes, options: dict[str, Any], execute: Execute, merge: Merge) -> Workload:
    with open_inputs(data) as inputs:
        chunks = [bytes(segment) for segment in cut(inputs, JobOptions.of(options), custom_max=1)]
    size = f"{len(data) // MIB} MiB in {len(chunks)} chunks"
    return Workload(name=f"{name}, {size}", data=data, chunks=chunks, execute=execute, merge=merge, options=options)


def stdlib_text(size: int) -> bytes:
    """Real text: the standard library's own sources, repeated up to `size` bytes."""
    text = b"".join(path.read_bytes() for path in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py")))
    return (text * (size // len(text) + 1))[:size]


def each(function: Execute, chunks: list[bytes]) -> list[bytes]:
    """What users of Dask and Ray write to put many chunks into one task."""
    return [function(chunk) for chunk in chunks]


def batches(chunks: list[bytes]) -> list[list[bytes]]:
    """Four for each worker."""
    size = -(-len(chunks) // (4 * WORKERS))
    return [chunks[start : start + size] for start in range(0, len(chunks), size)]


# The systems: each started once, and then given every workload in turn.


class Pangea:
    """This engine, embedded."""

    name = "pangea"
    how = "submit_job, embedded engine"

    def __init__(self) -> None:
        os.environ.setdefault("PANGEA_WORKERS", str(WORKERS))
        submit_job(Job.from_functions(do_nothing), b"")

    def run(self, work: Workload) -> bytes:
        """Do all of `work`."""
        return submit_job(work.job(), work.data, **work.options)

    def close(self) -> None:
        """Stop it."""
        embedded.close()


class Node:
    """This engine through a node: a process of its own, spoken to over its unix socket, every job on disk before it begins."""

    name = "node"
    how = "submit_job(node=...) over a unix socket, the input sent anew each time"

    def __init__(self) -> None:
        from pangea.compute import Client

        self._folder = tempfile.TemporaryDirectory()
        self._address = str(Path(self._folder.name) / "data")
        command = [str(Path(sys.executable).with_name("pangea")), "node", "start", "--data-dir", self._address]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 60
        while not (Path(self._address) / "rpc.sock").exists():
            if time.monotonic() > until or self._process.poll() is not None:
                raise ImportError("the node didn't start")
            time.sleep(0.05)
        with Client(self._address) as client:
            client.submit_job(Job.from_functions(do_nothing), b"").result(60)

    def run(self, work: Workload) -> bytes:
        """Do all of `work`."""
        return submit_job(work.job(), work.data, node=self._address, **work.options)

    def forget(self) -> None:
        """Have the node without the input: what it keeps for a rerun would be a start that the others haven't."""
        for path in (Path(self._address) / "blobs").glob("??/*"):
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Stop it."""
        self._process.terminate()
        self._process.wait(30)
        self._folder.cleanup()


class Pool:
    """The standard library's process pool."""

    name = "Pool"
    how = "multiprocessing.Pool: map, or imap one by one for large chunks"

    def __init__(self) -> None:
        self._pool = multiprocessing.Pool(WORKERS)
        self._pool.map(do_nothing, [b""] * WORKERS, chunksize=1)

    def run(self, work: Workload) -> bytes:
        """Do all of `work`."""
        if work.has_large_chunks:
            return work.merge(list(self._pool.imap(work.execute, work.chunks)))
        return work.merge(self._pool.map(work.execute, work.chunks))

    def close(self) -> None:
        """Stop it."""
        self._pool.terminate()
        self._pool.join()


class Dask:
    """dask.distributed on this machine."""

    name = "Dask"
    how = "distributed.LocalCluster of processes: Client.map, a task for each chunk; large chunks are scattered first"

    def __init__(self) -> None:
        distributed: Any = importlib.import_module("distributed")
        logging.getLogger("distributed").setLevel(logging.ERROR)
        self._folder = tempfile.TemporaryDirectory()
        self._cluster = distributed.LocalCluster(
            n_workers=WORKERS, threads_per_worker=1, processes=True, dashboard_address=None, local_directory=self._folder.name
        )
        self._client = distributed.Client(self._cluster)
        self._client.gather(self._client.map(do_nothing, [b""] * WORKERS, pure=False))

    def run(self, work: Workload) -> bytes:
        """Do all of `work`."""
        chunks = self._client.scatter(work.chunks, hash=False, direct=True) if work.has_large_chunks else work.chunks
        return work.merge(self._client.gather(self._client.map(work.execute, chunks, pure=False)))

    def run_batched(self, work: Workload) -> bytes:
        """Do all of `work` in few tasks."""
        done = self._client.gather(self._client.map(partial(each, work.execute), batches(work.chunks), pure=False))
        return work.merge([result for results in done for result in results])

    def close(self) -> None:
        """Stop it."""
        self._client.close()
        self._cluster.close()
        self._folder.cleanup()


class Ray:
    """Ray on this machine."""

    name = "Ray"
    how = "one remote task for each chunk, the chunk as its argument"

    def __init__(self) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        self._ray: Any = importlib.import_module("ray")
        self._ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        self._remote: dict[Execute, Any] = {}
        self._each = self._ray.remote(each)
        task = self._task(do_nothing)
        self._ray.get([task.remote(b"") for _ in range(WORKERS)])

    def _task(self, function: Execute) -> Any:
        return self._remote.setdefault(function, self._ray.remote(function))

    def run(self, work: Workload) -> bytes:
        """Do all of `work`."""
        task = self._task(work.execute)
        return work.merge(self._ray.get([task.remote(chunk) for chunk in work.chunks]))

    def run_batched(self, work: Workload) -> bytes:
        """Do all of `work` in few tasks."""
        done = self._ray.get([self._each.remote(work.execute, batch) for batch in batches(work.chunks)])
        return work.merge([result for results in done for result in results])

    def close(self) -> None:
        """Stop it."""
        self._ray.shutdown()


System = Pool | Pangea | Node | Dask | Ray
#: In this order they are started and take turns. Pool forks, so it comes while this process is small and has no threads.
SYSTEMS: dict[str, type[System]] = {"pool": Pool, "pangea": Pangea, "node": Node, "dask": Dask, "ray": Ray}


# Measuring.


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
