"""Data on its way into chunks: how fast arrays and tables are prepared, and what memory large files take (about a minute).

Rates are of `prepare_input` and `cut` together, over data in memory: every segment is asked for, and let go. The median of some
rounds counts; bytes are those of the segments.

Memory is the highest resident set (VmHWM) of the user's own process while it runs a job over a file on the embedded engine, cut
into rows: a fresh process for each file, workers not counted. The job is a module that answers a chunk's size, so that the data's
way is all that costs. The files are made in a temporary folder and removed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from pangea.compute import ModuleJob, submit_job
from pangea.compute.inputs.cutting import cut
from pangea.compute.inputs.preprocessor import prepare_input
from pangea.compute.jobs import JobOptions

MIB, GIB = 1 << 20, 1 << 30
RSS_BYTES_MAX = 500 * MIB
BYTES_PER_SECOND_MIN = 10**9
_ROUNDS = 5
_JOB_SECONDS = 1_800.0
_BLOCK_ROWS = 1 << 20
#: Answers the size of what it is given, in eight bytes.
_SIZE = """(module (memory (export "memory") 64)
 (func (export "alloc") (param i32) (result i32) (i32.const 4096))
 (func (export "execute") (param i32 i32) (result i64)
  (i64.store (i32.const 1024) (i64.extend_i32_u (local.get 1)))
  (i64.const 4398046511112)))"""
_STRATEGIES = {"array": "npy_rows", "table": "arrow_batches"}


def frame(rows: int, seed: int) -> Any:
    """Whole numbers, numbers, and words: random, so that no file of them is small."""
    random = np.random.default_rng(seed)
    words = pa.array([f"word {number}" for number in range(1_000)])
    return pa.table(
        {
            "key": random.integers(0, 1 << 62, rows),
            "x": random.random(rows),
            "y": random.random(rows),
            "word": words.take(pa.array(random.integers(0, 1_000, rows))),
        }
    )


def prepared_bytes(value: Any, kind: str) -> int:
    options = JobOptions.of({"split_strategy": _STRATEGIES[kind]})
    with prepare_input(value, kind, options) as inputs:
        return sum(len(segment) for segment in cut(inputs, options, custom_max=1))


def rate(value: Any, kind: str) -> float:
    """Bytes of segments per second, the median."""
    rates = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        size = prepared_bytes(value, kind)
        rates.append(size / (time.perf_counter() - started))
    return statistics.median(rates)


def in_memory(size: int) -> Iterator[tuple[str, float, bool]]:
    """What is prepared, its rate, and whether a rate is promised for it."""
    rows = size // 8 // 16
    array = np.random.default_rng(1).random((rows, 16))
    yield "array, float64, C order", rate(array, "array"), True
    yield "array, float64, every second row", rate(array[::2], "array"), True
    yield "array, float64, Fortran order", rate(np.asfortranarray(array), "array"), False
    del array
    table = frame(size // 34, 2)
    yield "Arrow table, 3 columns of numbers, 1 of words", rate(table, "table"), True
    yield "the same, in batches of 1,000 rows", rate(pa.Table.from_batches(table.to_batches(max_chunksize=1_000)), "table"), False
    yield "the same, words as categories", rate(table.set_column(3, "word", table["word"].dictionary_encode()), "table"), False
    yield "pandas frame of the same", rate(table.to_pandas(), "table"), False


# Files


def npy_file(path: Path, size: int) -> None:
    rows = size // 8 // 16
    array = np.lib.format.open_memmap(path, mode="w+", dtype="<f8", shape=(rows, 16))
    for start in range(0, rows, _BLOCK_ROWS):
        array[start : start + _BLOCK_ROWS] = np.random.default_rng(start).random((min(_BLOCK_ROWS, rows - start), 16))
    array.flush()


def parquet_file(path: Path, size: int) -> None:
    with pq.ParquetWriter(path, frame(1, 0).schema) as writer:
        while not path.exists() or path.stat().st_size < size:
            writer.write_table(frame(_BLOCK_ROWS, path.stat().st_size))


def csv_file(path: Path, size: int) -> None:
    with pa.csv.CSVWriter(path, frame(1, 0).schema) as writer:
        while path.stat().st_size < size:
            writer.write_table(frame(_BLOCK_ROWS // 4, path.stat().st_size))


FILES: dict[str, tuple[str, Callable[[Path, int], None]]] = {
    "npy": ("array", npy_file),
    "parquet": ("table", parquet_file),
    "csv": ("table", csv_file),
}


@contextmanager
def file_of(kind: str, size: int, folder: Path | None) -> Iterator[Path]:
    """A file of a kind and about a size, made for as long as it is needed."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        path = Path(place) / f"data.{kind}"
        subprocess.run([sys.executable, __file__, "--make", str(path), "--bytes", str(size)], check=True, timeout=_JOB_SECONDS)
        yield path


def run_over(path: Path) -> dict[str, float]:
    """Run the job over a file, in a process of its own.

    Returns:
        seconds; `bytes` of all chunks; `peak`, the highest resident set in bytes.
    """
    command = [sys.executable, __file__, "--run", str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=_JOB_SECONDS)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _run(path: Path) -> None:
    """The process that is measured."""
    from wasmtime import wat2wasm

    kind = FILES[path.suffix[1:]][0]
    job = ModuleJob(bytes(wat2wasm(_SIZE)), name="sizes", input_kind=kind)  # type: ignore[arg-type]
    started = time.perf_counter()
    result = submit_job(job, path, split_strategy=_STRATEGIES[kind], timeout=_JOB_SECONDS)
    seconds = time.perf_counter() - started
    status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    sizes = struct.unpack(f"<{len(result) // 8}Q", result)
    print(json.dumps({"seconds": seconds, "bytes": sum(sizes), "peak": int(status["VmHWM"].split()[0]) << 10}))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=float, default=1.0, help="GiB of the .parquet file; the .npy file is twice as large")
    parser.add_argument("--memory", type=float, default=0.5, help="GiB of the data in memory")
    parser.add_argument("--folder", type=Path, help="where the files go")
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--bytes", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.make:
        FILES[given.make.suffix[1:]][1](given.make, given.bytes)
        return 0
    if given.run:
        _run(given.run)
        return 0
    return report(given)


def report(given: argparse.Namespace) -> int:
    bad = 0
    for what, found, is_promised in in_memory(int(given.memory * GIB)):
        is_bad = is_promised and found < BYTES_PER_SECOND_MIN
        bad += is_bad
        print(f"{what:48} {found / 1e9:6.2f} GB/s{'  less than promised' if is_bad else ''}", flush=True)
    for kind, size in (("npy", 2 * given.size), ("parquet", given.size), ("csv", given.size / 2)):
        with file_of(kind, int(size * GIB), given.folder) as path:
            run, there = run_over(path), path.stat().st_size
        is_bad = run["peak"] > RSS_BYTES_MAX
        bad += is_bad
        print(
            f"{there / GIB:5.2f} GiB of .{kind:8} {run['bytes'] / GIB:5.2f} GiB of chunks in {run['seconds']:5.1f} s,"
            f" peak {run['peak'] / MIB:4.0f} MiB{'  more than promised' if is_bad else ''}",
            flush=True,
        )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
