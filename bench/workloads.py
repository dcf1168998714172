"""What `compare.py` has every system do: five jobs, the same code and the same chunks for all of them."""

from __future__ import annotations

import struct
import sysconfig
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from pangea.compute import Job
from pangea.compute.inputs.cutting import cut, open_inputs
from pangea.compute.jobs import JobDefinition, JobOptions

Execute = Callable[[bytes], bytes]
Merge = Callable[[list[bytes]], bytes]

MIB = 1 << 20
#: From this size on, chunks are handed over the way each system advises for large data.
LARGE_CHUNK_BYTES = 64 << 10


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
