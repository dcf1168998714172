"""`pangea run`: one job, start to result, on the engine inside this process."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from pangea.compute.cli.console import ProgressDisplay, say
from pangea.compute.cli.node_options import NodeOptions
from pangea.compute.cli.output import check_output, write_output
from pangea.compute.model.quantities import parse_duration, parse_size
from pangea.compute.model.report import Report


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ManifestOptions:
    """Manifest fields as options. Sizes take units (64KiB, 1MiB), durations too (30s, 1h 30m)."""

    split_strategy: str | None = None
    "How the host cuts the input before split: custom (not at all), fixed_size, row_based, record_based, npy_rows, adaptive."
    min_chunk_size: str | None = None
    "Bytes; segments are no smaller, and cheap chunks are packed up to it [default: 64KiB]."
    max_chunk_size: str | None = None
    "Bytes; segments are no larger [default: 1MiB]."
    delimiter: str | None = None
    "What ends a record under record_based; escapes such as \\0 or \\r\\n are understood."
    verification_mode: str | None = None
    "How results of other machines are checked: none, hash, redundancy, merkle, adaptive."
    timeout: str | None = None
    "Time for the whole job [default: 300s]."
    retry_count: int | None = None
    "Tries after a failure of the machine, not of the job [default: 3]."
    priority: str | None = None
    "high, normal or low."
    locality: str | None = None
    "prefer_local, any or spread."
    redundancy: int | None = None
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
    fuel: int | None = None
    "Fuel units per chunk [default: 1e11 for Python, 1e9 for modules]."
    memory: str | None = None
    "Bytes of memory of one sandbox [default: 256MiB]."
    task_time: str | None = None
    "Time for one attempt at a task [default: 30s]."
    chunk_limit: str | None = None
    "Bytes of one chunk that split may make [default: 64MiB]."
    result_limit: str | None = None
    "Bytes of one result [default: 64MiB]."
    items_limit: int | None = None
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
    *("associative_merge", "operation_type", "estimated_flops", "job_id"),
)
_SIZE_LIMITS = {
    "memory": "memory",
    "chunk_limit": "chunk",
    "result_limit": "result",
    "module_limit": "module",
    "compile_memory": "compile_memory",
}


def run(
    target: str,
    *,
    input: Annotated[list[str] | None, Parameter(name=["--input", "-i"], consume_multiple=True, negative="")] = None,  # noqa: A002
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    receipt: Path | None = None,
    json_report: Annotated[bool, Parameter(name="--json", negative="")] = False,
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], negative="")] = False,
    on_node_lost: Literal["error", "local"] = "error",
    node: NodeOptions | None = None,
    manifest: ManifestOptions | None = None,
) -> None:
    """Run a job, on this machine or on a node, and write its result, and nothing else, to stdout.

    Progress, what the job printed, and a closing summary go to stderr. Exit codes: 0 ok, 1 the job failed, 2 usage or
    bad input, 3 the engine can't run here or the node can't be reached, 5 a limit was exceeded, 130 interrupted.

    Parameters
    ----------
    target
        A job file (job.py), one job of it (job.py:name), or a module (job.wasm).
    input
        Input files, each a segment of its own, in order; `-` is stdin. Without it the input is empty.
    output
        Write the result to this file instead: it appears whole or not at all.
    receipt
        On a node: write the job's receipt to this file, for `pangea verify`.
    json_report
        Put the report (or the error) on stderr as one JSON object, and nothing else.
    quiet
        No progress and no summary.
    on_node_lost
        When the node can't be reached: error, or local, which runs the job on this machine and says so.
    """
    from pangea.compute.client.submit import submit_job

    check_output(output)
    check_output(receipt, "--receipt")
    keywords = (manifest or ManifestOptions()).keywords() | {"receipt": True if receipt is not None else None}
    job = load_job(target)
    with ProgressDisplay(quiet=quiet or json_report) as display:
        result = submit_job(
            job,
            [*map(Path, input)] if input else None,
            node=node.address() if node is not None else None,
            on_node_lost=on_node_lost,
            identity=node.identity if node is not None else None,
            on_progress=display.update,
            **keywords,
        )
    write_output(result, output)
    if receipt is not None:
        with (node or NodeOptions()).client() as client:
            write_output(_placed(client.job(result.report.job_id).receipt(), input or []), receipt)
    if json_report:
        say(json.dumps({"report": result.report.to_json()}))
    elif not quiet:
        _summarise(result.report)


def _placed(receipt: bytes, inputs: list[str]) -> bytes:
    """The receipt with where the inputs are, if they are files that will be there later."""
    from pangea.compute.client.materials import placed

    paths = [*map(Path, inputs)]
    return placed(receipt, paths) if paths and all(path.is_file() for path in paths) else receipt


def load_job(target: str) -> Any:
    """The job that TARGET names.

    Raises:
        InputError: there is no such file.
        JobDefinitionError: the file has no job, or not the one named.
    """
    from pangea.compute.client.module import ModuleJob
    from pangea.compute.client.target import load_target

    path, colon, name = target.rpartition(":")
    if not colon or Path(target).exists() or os.sep in name:
        path, name = target, ""
    if path.endswith(".py"):
        return load_target(path, name or None)
    return ModuleJob.load(path)


def _summarise(report: Report) -> None:
    if report.prints:
        say("printed by the job:\n" + report.prints.rstrip("\n"))
    say(str(report))


def _size(text: str | None, field: str) -> int | None:
    return None if text is None else parse_size(text, field)


def _unescape(text: str) -> bytes:
    return text.encode("utf-8").decode("unicode_escape").encode("latin-1", "replace")
