"""`submit_job`: run a job and return its result."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from pangea.compute.client import embedded
from pangea.compute.client.job import JobDefinition
from pangea.compute.client.module import ModuleJob
from pangea.compute.client.rechecking import Rechecks
from pangea.compute.client.result import Result
from pangea.compute.client.run import JobRun, Progress
from pangea.compute.engine.prepared import prepare
from pangea.compute.model.errors import JobDefinitionError, ManifestError, PangeaError, UnavailableError, UnverifiedError
from pangea.compute.model.options import JobOptions
from pangea.compute.model.report import Report

AnyJob = JobDefinition | ModuleJob
OnProgress = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a job is to run.

    Attributes:
        node: address of a node; None: PANGEA_NODE, else this process.
        on_node_lost: "error" or "local".
        identity: key file for nodes over TCP.
        verify: whether all of it is executed again on this machine, and compared.
    """

    node: str | None = None
    on_node_lost: str = "error"
    identity: str | os.PathLike[str] | None = None
    verify: bool = False


def submit_job(
    job: AnyJob,
    input_data: Any = None,
    *,
    node: str | None = None,
    on_node_lost: Literal["error", "local"] = "error",
    identity: str | os.PathLike[str] | None = None,
    on_progress: OnProgress | None = None,
    verify: bool = False,
    **options: Any,
) -> Result:
    """Run `job` on `input_data` and return its result, exactly `merge([execute(c) for s in cut(data) for c in split(s)])`.

    Nothing has to be started first: an engine inside this process is, at the first call, and stays warm.

    Args:
        job: what `@Job.define` made, or a `ModuleJob`.
        input_data: bytes; a path (`str` or `Path`), a pattern of paths, an address (`s3://…`); a binary file object; an array, a
            frame or a table; or a list of those, each a segment of its own before any further cut. None is one empty input. What
            a job declared with `input=` takes besides, and what files mean to it, is in `preprocessor.prepare_input`.
        node: address of a node to run it on (`unix:/path/rpc.sock`, a data directory, `tcp://host:port/PEER_ID`); by default
            PANGEA_NODE, if that is set.
        on_node_lost: what to do when the node can't be reached: "error" raises `UnavailableError`; "local" runs the job on this
            machine instead, and the report says so.
        identity: file with the key that proves who you are to a node over TCP; by default PANGEA_IDENTITY.
        on_progress: called with `Progress` now and then, from the calling thread.
        verify: execute all of it again on this machine, in fresh sandboxes, and compare byte for byte: what was computed here at
            once, what a node has computed from its receipt. The report says what was compared.
        **options: fields of `JobOptions`: split_strategy, min_chunk_size, max_chunk_size, delimiter, verification_mode,
            timeout, retry_count, priority, locality, redundancy, confidence, limits, associative_merge, operation_type,
            estimated_flops, job_id. They win over the job's own defaults.

    Returns:
        The result: bytes, with `.report`; `.value` is what the job is declared to return.

    Raises:
        ManifestError: an option is unknown or out of range.
        JobDefinitionError: the job's functions can't travel.
        InputError: the input can't be read or cut as asked.
        BadModuleError: the module is none of guest ABI 1.
        JobFailedError: a function raised or trapped; LimitExceededError if it ran into a limit.
        UnavailableError: this machine can't run jobs.
        UnverifiedError: with `verify`, something came out differently.
    """
    place = Place(node, on_node_lost, identity, verify)
    return run_job(job, input_data, place, on_progress or _ignore, lambda: False, options)


def run_job(
    job: AnyJob,
    input_data: Any,
    place: Place,
    on_progress: OnProgress,
    is_cancelled: Callable[[], bool],
    keywords: dict[str, Any],
) -> Result:
    """What `submit_job` and `asubmit_job` share; `is_cancelled` is asked ten times a second."""
    options = options_for(job, keywords)
    if place.node is None and not os.environ.get("PANGEA_NODE"):
        return _run_here(job, input_data, options, on_progress, is_cancelled, verify=place.verify)
    from pangea.compute.client.through_node import run_on_node

    if place.on_node_lost not in ("error", "local"):
        raise ManifestError(f"on_node_lost is {place.on_node_lost!r}; it must be 'error' or 'local'", field="on_node_lost")
    try:
        listener = on_progress if on_progress is not _ignore else None
        return run_on_node(place, job, input_data, options, listener, is_cancelled)
    except UnavailableError as error:
        if place.on_node_lost != "local":
            raise
        result = _run_here(job, input_data, options, on_progress, is_cancelled, verify=place.verify)
        where = f"{result.report.where}, because {error.message}"
        return Result(result, replace(result.report, where=where), job.result_kind)


def options_for(job: AnyJob, keywords: dict[str, Any]) -> JobOptions:
    """The options of a run: the keywords, then the job's own defaults, then what its input's kind suggests.

    Raises:
        JobDefinitionError: it isn't a job.
        ManifestError: an option is unknown or out of range.
    """
    if not isinstance(job, JobDefinition | ModuleJob):
        raise JobDefinitionError(
            f"job is a {type(job).__name__}, not a job", hint="decorate a function with @Job.define, or use ModuleJob.load"
        )
    return job.options(keywords)


def _run_here(
    job: AnyJob,
    input_data: Any,
    options: JobOptions,
    on_progress: OnProgress,
    is_cancelled: Callable[[], bool],
    *,
    verify: bool,
) -> Result:
    from pangea.compute.client.preprocessor import prepare_input
    from pangea.compute.engine.cutting import cut

    if options.receipt:
        hint = "name a node: node=… or PANGEA_NODE, without on_node_lost='local'"
        raise ManifestError("a receipt is signed by a node, and this job would run without one", hint=hint, field="receipt")
    with prepare_input(input_data, job.input_kind, options) as inputs:
        started = time.monotonic()
        engine, was_started = embedded.engine()
        prepared = prepare(
            job.archive(),
            options.limits,
            engine,
            lambda what: on_progress(Progress(f"compiling {what}")),
            name=job.name,
            associative=job.associative,
        )
        ready = time.monotonic()
        choices: dict[str, None] = {}
        run = JobRun(
            engine,
            prepared,
            options,
            segments=cut(
                inputs,
                options,
                custom_max=prepared.custom_bytes_max,
                on_choice=lambda strategy, reason: choices.setdefault(f"{strategy} ({reason})"),
            ),
            input_bytes=inputs.total_bytes,
            on_progress=on_progress,
            is_cancelled=is_cancelled,
            rechecks=Rechecks() if verify else None,
        )
        data, failure = b"", None
        try:
            data = run.result()
            _raise_if_different(run)
        except PangeaError as error:
            failure = error
        run.input_bytes = inputs.total_bytes  # known exactly, now that all is read
        seconds = time.monotonic() - ready
        report = _report(run, options, [*choices], len(data), ready - started if was_started else 0.0, seconds)
        if failure is not None:
            failure.report = report
            raise failure
        return Result(data, report, job.result_kind)


def _raise_if_different(run: JobRun) -> None:
    found = run.rechecks
    if found is None or not found.count:
        return
    more = f", and {found.count - 1:,} more" if found.count > 1 else ""
    raise UnverifiedError(
        f"the job doesn't give the same bytes twice: {found.differences[0]}{more}",
        hint="does a function keep something from one chunk for the next? If not, this machine's memory may be faulty",
        findings=found.differences,
    )


def _verification(run: JobRun, options: JobOptions) -> str:
    if run.rechecks is not None:
        return f"{options.verification_mode}: computed by this machine alone, and {run.rechecks.in_words()}"
    return f"{options.verification_mode}: computed by this machine alone, so there was nobody to check"


def _report(run: JobRun, options: JobOptions, choices: list[str], bytes_out: int, startup: float, seconds: float) -> Report:
    counts = run.counts
    return Report(
        job_id=options.job_id or str(uuid.uuid4()),
        where=f"embedded engine, {run.workers} worker processes on this machine, each task in a fresh sandbox",
        verification=_verification(run, options),
        seconds=seconds,
        startup_seconds=startup,
        workers=run.workers,
        split_strategy=": ".join([options.split_strategy, *(["; ".join(choices)] if choices else [])]),
        segments=counts.segments,
        chunks=counts.chunks,
        tasks=counts.tasks,
        retries=counts.retries,
        fuel=counts.fuel,
        bytes_in=run.input_bytes,
        bytes_out=bytes_out,
        split_seconds=counts.seconds["split"],
        execute_seconds=counts.seconds["execute"],
        merge_seconds=counts.seconds["merge"],
        prints=counts.prints,
        trace=run.trace,
    )


def _ignore(_progress: Progress) -> None:
    pass
