"""Group-by of a table against the same job hand-written on bytes (about two minutes for 10 million rows).

Both make count, sum, mean, minimum, maximum and variance of a float64 by an int64 key, on the embedded engine, cut into chunks
of the same rows. The ready job takes Arrow tables, adds exactly, and its merge is associative to the byte. The hand-written ones
take rows packed as bytes and add floats as they come:

    loop      a list of figures for each key, brought up to date row by row
    grouped   a list of values for each key, then sum, min and max of each: what who knows CPython well writes

They run in turns, several rounds; a ratio is the median of the rounds' ratios, so that a busy machine doesn't count as much.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pangea.compute import Job, submit_job, templates
from pangea.compute.jobs import JobDefinition

RATIO_MAX = 1.3
_CHUNK_BYTES = 8 << 20
_AGGREGATES = ["count", "sum", "mean", "min", "max", "var"]


@Job.define(name="loop", split_strategy="fixed_size", max_chunk_size=_CHUNK_BYTES)
def loop() -> None:
    @Job.execute
    def execute(chunk: bytes) -> bytes:
        import struct

        groups: dict[int, list[Any]] = {}
        find = groups.get
        for key, value in struct.iter_unpack("<qd", chunk):
            group = find(key)
            if group is None:
                groups[key] = [1, value, value * value, value, value]
                continue
            group[0] += 1
            group[1] += value
            group[2] += value * value
            if value < group[3]:
                group[3] = value
            elif value > group[4]:
                group[4] = value
        return b"".join([struct.pack("<qqdddd", key, *group) for key, group in groups.items()])

    @Job.merge
    def merge(results: list[bytes]) -> bytes:
        return add_up(results)


@Job.define(name="grouped", split_strategy="fixed_size", max_chunk_size=_CHUNK_BYTES)
def grouped() -> None:
    @Job.execute
    def execute(chunk: bytes) -> bytes:
        import struct
        from collections import defaultdict
        from operator import mul

        groups: defaultdict[int, list[float]] = defaultdict(list)
        view = memoryview(chunk)
        for key, value in zip(view.cast("q")[::2], view.cast("d")[1::2], strict=True):
            groups[key].append(value)
        return b"".join(
            [struct.pack("<qqdddd", k, len(v), sum(v), sum(map(mul, v, v)), min(v), max(v)) for k, v in groups.items()]
        )

    @Job.merge
    def merge(results: list[bytes]) -> bytes:
        return add_up(results)


def add_up(results: list[bytes]) -> bytes:
    """Key, count, sum, mean, minimum, maximum and variance of each group, by key."""
    import struct

    total: dict[int, list[Any]] = {}
    for result in results:
        for key, *figures in struct.iter_unpack("<qqdddd", result):
            known = total.setdefault(key, [0, 0.0, 0.0, figures[3], figures[4]])
            known[0] += figures[0]
            known[1] += figures[1]
            known[2] += figures[2]
            known[3] = min(known[3], figures[3])
            known[4] = max(known[4], figures[4])
    rows = []
    for key, (count, sums, squares, low, high) in sorted(total.items()):
        variance = (squares - sums * sums / count) / (count - 1) if count > 1 else 0.0
        rows.append(struct.pack("<qqddddd", key, count, sums, sums / count, low, high, variance))
    return b"".join(rows)


def timed(job: JobDefinition, data: Any) -> tuple[float, Any]:
    started = time.perf_counter()
    result = submit_job(job, data, timeout=3600.0)
    return time.perf_counter() - started, result


def figures_of(name: str, result: Any) -> Any:
    """The figures as an array, (groups, 7)."""
    if name == "ready":
        return result.as_frame().to_numpy(float)
    fields = ["key", "count", "sum", "mean", "min", "max", "var"]
    kinds = ["<i8", "<i8", *["<f8"] * 5]
    rows = np.frombuffer(result, np.dtype(list(zip(fields, kinds, strict=True))))
    return np.column_stack([rows[field].astype(float) for field in fields])


def compare(rows: int, groups: int, rounds: int, mean: float) -> dict[str, Any]:
    """Time the three in turns, and check that their figures agree."""
    random = np.random.default_rng(1)
    keys, values = random.integers(0, groups, rows), random.normal(mean, 15.0, rows)
    packed = np.rec.fromarrays([keys, values], dtype=[("key", "<i8"), ("value", "<f8")]).tobytes()
    table = pa.table({"key": keys, "value": values})
    ready = templates.group_by("key", {"value": _AGGREGATES}, ddof=1)
    runs: dict[str, Callable[[], tuple[float, Any]]] = {
        "ready": lambda: timed(ready, table),
        "loop": lambda: timed(loop, packed),
        "grouped": lambda: timed(grouped, packed),
    }
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    figures: dict[str, Any] = {}
    for _ in range(rounds):
        for name, run in runs.items():
            took, result = run()
            seconds[name].append(took)
            figures[name] = figures_of(name, result)
    for name in ("loop", "grouped"):
        assert np.allclose(figures["ready"], figures[name], rtol=1e-6, atol=1e-9), f"the figures of {name} differ"
    ratios = {
        name: statistics.median(mine / other for mine, other in zip(seconds["ready"], seconds[name], strict=True))
        for name in ("loop", "grouped")
    }
    return {
        "rows": rows,
        "mean": mean,
        "groups": groups,
        "rounds": rounds,
        "seconds": {name: round(statistics.median(each), 2) for name, each in seconds.items()},
        "ratio": {name: round(ratio, 2) for name, ratio in ratios.items()},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--groups", type=int, nargs="+", default=[10, 1_000])
    parser.add_argument("--mean", type=float, default=100.0, help="of the values, whose deviation is 15")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path, help="write the figures there, as JSON")
    options = parser.parse_args()
    timed(loop, b"")  # starts the engine
    found = []
    for groups in options.groups:
        figures = compare(options.rows, groups, options.rounds, options.mean)
        found.append(figures)
        seconds, ratio = figures["seconds"], figures["ratio"]
        print(
            f"{options.rows:,} rows, {groups:,} groups: ready {seconds['ready']} s;"
            f" loop {seconds['loop']} s, ratio {ratio['loop']};"
            f" grouped {seconds['grouped']} s, ratio {ratio['grouped']}",
            flush=True,
        )
    if options.output:
        options.output.write_text(json.dumps({"cores": os.cpu_count(), "runs": found}, indent=1) + "\n")
    return 0 if all(each["ratio"]["loop"] <= RATIO_MAX for each in found) else 1


if __name__ == "__main__":
    sys.exit(main())
