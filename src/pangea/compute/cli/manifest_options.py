"""Manifest fields as options of commands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from cyclopts import Parameter

from pangea.compute.cli.whole import Whole
from pangea.compute.model.quantities import parse_duration, parse_size


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ManifestOptions:
    """Manifest fields as options. Sizes take units (64KiB, 1MiB), durations too (30s, 1h 30m)."""

    split_strategy: str | None = None
    """How the host cuts the input before split: custom (not at all), fixed_size, row_based, record_based, npy_rows,
    arrow_batches, adaptive."""
    min_chunk_size: str | None = None
    "Bytes; segments are no smaller, and small chunks are packed up to it [default: 64KiB]."
    max_chunk_size: str | None = None
    "Bytes; segments are no larger [default: 1MiB]."
    delimiter: str | None = None
    "What ends a record under record_based; escapes such as \\0 or \\r\\n are understood."
    chunks_per_pack: Whole | None = None
    "Chunks executed one after the other in one sandbox instance [default: as many as --min-chunk-size says]."
    isolate: Annotated[bool | None, Parameter(negative="")] = None
    "Give each chunk a sandbox instance of its own, the same as --chunks-per-pack 1."
    verification_mode: str | None = None
    "How results of other machines are checked: none, hash, redundancy, merkle, adaptive."
    timeout: str | None = None
    "Time for the whole job [default: none but the week that any may take; 300s in a manifest that leaves it out]."
    retry_count: Whole | None = None
    "Tries after a failure of the machine, not of the job [default: 3]."
    priority: str | None = None
    "high, normal or low."
    locality: str | None = None
    "prefer_local, any or spread."
    redundancy: Whole | None = None
    "Distinct workers for each task, 1 to 7."
    confidence: float | None = None
    "Target probability that a result is right, under adaptive verification."
    associative_merge: Annotated[bool | None, Parameter(negative="")] = None
    "Promise that merge may be applied early, to groups of neighbouring results."
    operation_type: str | None = None
    "What kind of work it is, such as matrix_multiply: a hint for choosing where a job runs."
    estimated_flops: float | None = None
    "How much work it is: a hint, too."
    job_id: str | None = None
    "UUID of the job [default: a new one]."
    fuel: Whole | None = None
    "Fuel units per chunk [default: 1e11 for Python, 1e9 for modules]."
    memory: str | None = None
    "Bytes of memory of one sandbox [default: 256MiB]."
    task_time: str | None = None
    "Time for one attempt at a task [default: 30s]."
    chunk_limit: str | None = None
    "Bytes of one chunk that split may make [default: 64MiB]."
    result_limit: str | None = None
    "Bytes of one result [default: 64MiB]."
    items_limit: Whole | None = None
    "Chunks that one call of split may make [default: 16M]."
    module_limit: str | None = None
    "Bytes of a module [default: 64MiB]."
    compile_time: str | None = None
    "Time to compile a module [default: 60s]."
    compile_memory: str | None = None
    "Bytes to compile a module [default: 2GiB]."

    def keywords(self) -> dict[str, Any]:
        """The keywords of `submit_job` that these options set.

        Raises:
            ManifestError: a size or a duration isn't one.
        """
        options: dict[str, Any] = {name: getattr(self, name) for name in _PLAIN}
        options |= {name: _size(getattr(self, name), name) for name in ("min_chunk_size", "max_chunk_size")}
        options["timeout"] = None if self.timeout is None else parse_duration(self.timeout, "timeout")
        options["delimiter"] = None if self.delimiter is None else _unescape(self.delimiter)
        limits: dict[str, float | None] = {limit: _size(getattr(self, name), name) for name, limit in _SIZE_LIMITS.items()}
        limits |= {"fuel": self.fuel, "items": self.items_limit}
        limits |= {
            limit: None if (text := getattr(self, name)) is None else parse_duration(text, name)
            for name, limit in (("task_time", "time"), ("compile_time", "compile_time"))
        }
        set_limits = {name: value for name, value in limits.items() if value is not None}
        return {**options, "limits": set_limits or None}


_PLAIN = (
    *("split_strategy", "verification_mode", "retry_count", "priority", "locality", "redundancy", "confidence"),
    *("chunks_per_pack", "isolate", "associative_merge", "operation_type", "estimated_flops", "job_id"),
)
_SIZE_LIMITS = {
    "memory": "memory",
    "chunk_limit": "chunk",
    "result_limit": "result",
    "module_limit": "module",
    "compile_memory": "compile_memory",
}


def _size(text: str | None, field: str) -> int | None:
    return None if text is None else parse_size(text, field)


def _unescape(text: str) -> bytes:
    return text.encode("utf-8").decode("unicode_escape").encode("latin-1", "replace")
