"""Kernels against native Numba on the same cores, and against Ray and Dask with the same loops in Python (about three minutes).

    mandelbrot   rows of points, as in examples/mandelbrot_kernel.py, without its colours
    darts        xorshift in the kernel and in native Numba; in Python `random.random`, which is what people write, and faster

Native Numba is `njit` as it comes (no checks of bounds, this machine's libm), in a pool of as many processes as there are cores,
compiled before the clock starts; so are the kernel, Ray and Dask. All take the same chunks in turns, several rounds; a ratio is
the median of the rounds' ratios, so that a busy machine doesn't count as much. What they give is compared.

Beside the whole job, the loop alone is timed, in CPU seconds of one process: Numba's, and in a fresh sandbox for each chunk.
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from bench.alone import ROOT, WORKERS, machine
from bench.systems import Dask, Ray

from pangea.compute import Job, submit_job
from pangea.compute.engine import sandbox
from pangea.compute.jobs import JobDefinition
from pangea.compute.kernels.frontend import Decorated
from pangea.compute.model.limits import Limits
from pangea.compute.model.signatures import KernelType

sys.path.insert(0, str(ROOT / "examples"))
from mandelbrot import LEFT, RIGHT, steps_to_leave
from monte_carlo_kernel import drawn, mixed, unit

NATIVE_MIN, PYTHON_MIN = 0.85, 10.0
Chunk = tuple[int, ...]


def rows_of(width: int, height: int, first: int, rows: int) -> Any:
    """Steps of each point of some rows."""
    step = (RIGHT - LEFT) / width
    found = np.empty((rows, width), np.uint16)
    for row in range(rows):
        y = (first + row - height / 2) * step
        for column in range(width):
            found[row, column] = steps_to_leave(LEFT + column * step, y)
    return found


def hits_of(counter: Any, darts: int) -> int:
    """How many darts hit."""
    state, hits = mixed(counter), 0
    for _ in range(darts):
        state = drawn(state)
        x = unit(state)
        state = drawn(state)
        y = unit(state)
        if x * x + y * y < 1.0:
            hits += 1
    return hits


def hits_in_python(counter: int, darts: int) -> int:
    """The same as people write it."""
    import random

    draw = random.Random(counter).random
    return sum(draw() ** 2 + draw() ** 2 < 1.0 for _ in range(darts))


@Job.define
def mandelbrot() -> None:
    """All rows, one behind the other."""

    @Job.split(input="json")
    def split(chunks: list[Chunk]) -> list[Chunk]:
        return chunks

    Job.execute(kernel="int64, int64, int64, int64 -> uint16[:,:]")(rows_of)


@Job.define
def darts() -> None:
    """Hits of each chunk."""

    @Job.split(input="json")
    def split(chunks: list[Chunk]) -> list[Chunk]:
        return chunks

    Job.execute(kernel="uint64, int64 -> int64")(hits_of)


class Work:
    """One comparison: a job, its loop for Numba and for Python, its chunks."""

    def __init__(self, name: str, job: JobDefinition, loop: Any, python: Any, chunks: list[Chunk], *, is_equal: bool) -> None:
        self.name, self.job, self.loop, self.python, self.chunks = name, job, loop, python, chunks
        self.is_equal = is_equal


def works(scale: int) -> list[Work]:
    """What is measured."""
    width, height = 1_200, 80 * scale
    tiles: list[Chunk] = [(width, height, first, 40) for first in range(0, height, 40)]
    thrown: list[Chunk] = [(counter, 1_000_000) for counter in range(scale)]
    return [
        Work("mandelbrot", mandelbrot, rows_of, rows_of, tiles, is_equal=True),
        Work("darts", darts, hits_of, hits_in_python, thrown, is_equal=False),
    ]


@cache
def native(name: str) -> Any:
    """A loop, compiled by Numba as it comes, with the functions that it calls."""
    import numba

    as_it_comes = SimpleNamespace(njit=lambda **_checks: numba.njit)
    return Decorated(as_it_comes).of({"mandelbrot": rows_of, "darts": hits_of}[name])


def natively(call: tuple[str, Chunk]) -> Any:
    """A chunk of a work in this process."""
    name, chunk = call
    return native(name)(*(np.uint64(chunk[0]), *chunk[1:]) if name == "darts" else chunk)


def apply(function: Callable[..., Any], chunk: Chunk) -> Any:
    """Call it."""
    return function(*chunk)


def joined(results: Sequence[Any]) -> Any:
    """Results of chunks as one array."""
    return np.concatenate([np.atleast_1d(each) for each in results])


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and what it returns."""
    started = time.perf_counter()
    value = action()
    return time.perf_counter() - started, value


def measure(work: Work, pool: ProcessPoolExecutor, dask: Any, ray: Any, rounds: int) -> dict[str, Any]:
    """Time all in turns, and check what they give."""
    remote = ray.remote(apply)
    ways: dict[str, Callable[[], Any]] = {
        "kernel": lambda: submit_job(work.job, work.chunks).as_array(),
        "numba": lambda: joined(list(pool.map(natively, [(work.name, chunk) for chunk in work.chunks]))),
        "ray": lambda: joined(ray.get([remote.remote(work.python, chunk) for chunk in work.chunks])),
        "dask": lambda: joined(dask.gather(dask.map(lambda chunk: apply(work.python, chunk), work.chunks, pure=False))),
    }
    expected = ways["numba"]()
    ways["kernel"]()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            took, found = timed(way)
            seconds[name].append(took)
            if work.is_equal or name in ("kernel", "numba"):
                assert np.array_equal(found, expected), f"{name} gives another result"
    return {"seconds": seconds, "alone": alone(work, rounds)}


def alone(work: Work, rounds: int) -> dict[str, float]:
    """CPU seconds of the loop natively, and in a fresh sandbox for each chunk: of each the least of several, in turns."""
    assert work.job.kernel is not None
    limits = Limits().with_fuel_for(python=True)
    with tempfile.NamedTemporaryFile() as file:
        file.write(sandbox.check_and_compile(work.job.kernel.module, limits)[0])
        file.flush()
        compiled = sandbox.CompiledModule.load(file.name)
    found = {"numba": 0.0, "kernel": 0.0}
    for chunk in work.chunks:
        data = b"".join(map(number_file, chunk, work.job.kernel.signature.takes))
        ways = partial(natively, (work.name, chunk)), partial(in_sandbox, compiled, limits, data)
        for name, way in zip(found, ways, strict=True):
            found[name] += min(cpu_seconds(way) for _ in range(rounds))
    return found


def in_sandbox(compiled: sandbox.CompiledModule, limits: Limits, data: bytes) -> int:
    """Execute a chunk in this process; the size of its result."""
    guest = sandbox.Sandbox(compiled, limits)
    guest.reserve(len(data))[:] = data
    return len(guest.call("execute", limits.result))


def cpu_seconds(action: Callable[[], Any]) -> float:
    """CPU time of this thread: others on the machine don't count, but for what they do to its caches."""
    started = time.thread_time()
    action()
    return time.thread_time() - started


def number_file(value: int, type_: KernelType) -> bytes:
    """A number as a .npy file."""
    np.save(file := io.BytesIO(), np.array(value, type_.descr))
    return file.getvalue()


def show(name: str, figures: dict[str, Any]) -> bool:
    """Print one comparison; whether both goals are met."""
    seconds, loop = figures["seconds"], figures["alone"]
    print(f"\n{name}")
    for system, values in seconds.items():
        ratio = statistics.median(other / own for other, own in zip(values, seconds["kernel"], strict=True))
        spread = f"{min(values):.3f}-{max(values):.3f}"
        print(f"  {system:<8}{statistics.median(values):>8.3f} s  ({spread})   kernel is {ratio:6.2f} x as fast")
    share = loop["numba"] / loop["kernel"]
    alone = f"{loop['kernel']:.3f} s, native Numba {loop['numba']:.3f} s"
    print(f"  the loop alone: {alone}: {share:.2f} of native (goal {NATIVE_MIN})")
    slower = min(statistics.median(seconds[each]) for each in ("ray", "dask")) / statistics.median(seconds["kernel"])
    print(f"  {slower:.1f} x the faster of Ray and Dask in Python (goal {PYTHON_MIN:g})", flush=True)
    return bool(share >= NATIVE_MIN and slower >= PYTHON_MIN)


def main() -> int:
    """Measure, print, write the figures if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=int, default=20, help="how much work [default: 20]")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is timed [default: 3]")
    parser.add_argument("--json", metavar="FILE", help="write all figures here")
    given = parser.parse_args()
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "examples")])  # for the workers of Ray and Dask
    pool = ProcessPoolExecutor(WORKERS, multiprocessing.get_context("forkserver"))
    dask, ray = Dask(), Ray()
    try:
        figures = {work.name: measure(work, pool, dask._client, ray._ray, given.rounds) for work in works(given.scale)}
    finally:
        dask.close()
        ray.close()
        pool.shutdown()
    print(f"{WORKERS} cores, {given.rounds} rounds; load before: {machine()['load_before']:.1f}")
    met = [show(name, each) for name, each in figures.items()]
    if given.json:
        Path(given.json).write_text(json.dumps({"machine": machine(), **figures}))
    return 0 if all(met) else 1


if __name__ == "__main__":
    raise SystemExit(main())
