"""`submit_job`: run a job and return its result."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal, Unpack

from pangea.compute.client.definition.any_job import AnyJob, options_for
from pangea.compute.client.receipts.rechecking import Rechecks
from pangea.compute.client.results.progress_bar import ProgressBar, is_wanted
from pangea.compute.client.results.result import Result
from pangea.compute.client.submission.pages import watched
from pangea.compute.client.submission.place import OnPrint, OnProgress, Place, Submission
from pangea.compute.client.submission.run import JobRun
from pangea.compute.client.submission.tracing import Traced, span
from pangea.compute.engine import forks
from pangea.compute.engine.engine import Engine
from pangea.compute.engine.engines.connecting import engine_of
from pangea.compute.engine.prepared import prepare
from pangea.compute.flow.accounting import report_of
from pangea.compute.model.errors import ManifestError, PangeaError, UnavailableError, UnverifiedError
from pangea.compute.model.keywords import JobKeywords
from pangea.compute.model.options import JobOptions
from pangea.compute.model.progress import Progress
from pangea.compute.model.report import Report, sandboxes_of

#: What a first job would import bit by bit; the codec is zipfile's.
_NEEDED = (
    "encodings.cp437",
    "pangea.compute.capture.archive",
    "pangea.compute.inputs.cutting",
    "pangea.compute.inputs.preprocessor",
)
_NEEDED_ON_A_NODE = ("pangea.compute.client.submission.through_node",)
#: Keywords of `submit_job` and `asubmit_job` that are no options of the job: one may be what an unknown one means.
_BESIDE = ("node", "on_node_lost", "identity", "on_progress", "verify", "engine", "on_print", "dashboard")
_NAME_ONE = "name a node: node=… or PANGEA_NODE, without on_node_lost='local'"


def submit_job(
    job: AnyJob,
    input_data: Any = None,
    *,
    node: str | None = None,
    on_node_lost: Literal["error", "local"] = "error",
    identity: str | os.PathLike[str] | None = None,
    on_progress: OnProgress | None = None,
    verify: bool = False,
    engine: Any = None,
    on_print: OnPrint | None = None,
    dashboard: bool | str = False,
    **options: Unpack[JobKeywords],
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
        on_node_lost: when the node can't be reached, "error" raises `UnavailableError`; "local" runs the job here, and says so.
        identity: file with the key that proves who you are to a node over TCP; by default PANGEA_IDENTITY.
        on_progress: called with `Progress` now and then, from the calling thread; without it, a terminal shows a bar.
        verify: execute all of it again on this machine, in fresh sandboxes, and compare byte for byte: what was computed here
            at once, what a node has computed from its receipt. The report says what was compared.
        engine: a cluster to run it on instead of this machine's cores: `dask://host:port`, `ray://host:port`, "ray", a
            `distributed.Client`, or an engine of `pangea.compute.engine.engines`.
        on_print: called with what the job's functions have printed, a task (some packs of chunks) at a time, while the job runs,
            from the calling thread. What a call that failed printed is in the error's traceback.
        dashboard: True or `host:port`: serve a live page until this process ends; stderr says where. "notebook": in this cell.
        **options: fields of `JobOptions`: split_strategy, min_chunk_size, max_chunk_size, delimiter, chunks_per_pack,
            isolate, verification_mode, timeout, retry_count, priority, locality, redundancy, confidence, limits,
            associative_merge, operation_type, estimated_flops, job_id. They win over the job's own defaults.

    Returns:
        The result: bytes, with `.report`; `.value` is what the job is declared to return.

    Raises:
        ManifestError: an option is unknown or out of range.
        JobDefinitionError: the job's functions can't travel; BadModuleError: the module is none of guest ABI 1.
        InputError: the input can't be read or cut as asked.
        JobFailedError: a function raised or trapped; LimitExceededError if it ran into a limit.
        UnavailableError: this machine can't run jobs, or serve a page.
        UnverifiedError: with `verify`, something came out differently.
    """
    place = watched(Place(node, on_node_lost, identity, verify, engine, on_print), dashboard)[0]
    bar = ProgressBar() if on_progress is None and is_wanted() else None
    try:
        return run_job(job, input_data, place, on_progress or (bar.update if bar else None), lambda: False, dict(options))
    except KeyboardInterrupt as interrupt:
        interrupt.add_note("the job is cancelled: nothing of it runs on")
        raise
    finally:
        if bar is not None:
            bar.close()


def run_job(
    job: AnyJob,
    input_data: Any,
    place: Place,
    on_progress: OnProgress | None,
    is_cancelled: Callable[[], bool],
    keywords: dict[str, Any],
) -> Result:
    """What `submit_job` and `asubmit_job` share; `is_cancelled` is asked ten times a second."""
    forks.load(_NEEDED)
    asked = Submission(job, input_data, options_for(job, keywords, _BESIDE), place, on_progress, is_cancelled)
    with span("pangea run", job.name) as traced:
        return _run_there(asked, traced) if place.is_node else _run_here(asked, traced)


def _run_there(asked: Submission, traced: Traced) -> Result:
    forks.load(_NEEDED_ON_A_NODE)
    from pangea.compute.client.submission.through_node import run_on_node

    if asked.place.on_node_lost not in ("error", "local"):
        raise ManifestError(f"on_node_lost is {asked.place.on_node_lost!r}; it must be 'error' or 'local'", field="on_node_lost")
    try:
        return run_on_node(asked)
    except UnavailableError as error:
        if asked.place.on_node_lost != "local":
            raise
        result = _run_here(replace(asked, place=replace(asked.place, node=None)), traced)
        where = f"{result.report.where}, because {error.message}"
        return Result(result, replace(result.report, where=where), asked.job.result_kind)


def _run_here(asked: Submission, traced: Traced) -> Result:
    from pangea.compute.inputs.cutting import cut
    from pangea.compute.inputs.preprocessor import prepare_input

    job, options, place, on_progress = asked.job, asked.options, asked.place, asked.on_progress or _ignore
    if options.receipt:
        raise ManifestError("a receipt is signed by a node, and this job would run without one", hint=_NAME_ONE, field="receipt")
    account = place.account(job.name, options)
    with account, prepare_input(asked.input_data, job.input_kind, options) as inputs:
        started = time.monotonic()
        engine, was_started = engine_of(place.engine)
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
            is_cancelled=asked.is_cancelled,
            rechecks=Rechecks(prepared.tolerance) if place.verify else None,
            on_print=place.on_print or _ignore,
        )
        data, failure = b"", None
        account.begin(run)
        try:
            data = run.result()
            _raise_if_different(run)
        except PangeaError as error:
            failure = error
        run.input_bytes = inputs.total_bytes  # known exactly, now that all is read
        seconds = time.monotonic() - ready
        traced.add_calls(run.trace, run.elapsed)
        startup = ready - started if was_started else 0.0
        report = _report(run, engine, options, [*choices], len(data), startup, seconds, account.job_id)
        if failure is not None:
            failure.report = report
            raise failure.with_traceback(None)  # it says where in the sandbox; where in this package tells nobody anything
        return account.complete(Result(data, report, job.result_kind))


def _raise_if_different(run: JobRun) -> None:
    found = run.rechecks
    if found is None or not found.count:
        return
    more = f", and {found.count - 1:,} more" if found.count > 1 else ""
    raise UnverifiedError(
        f"the job doesn't give the same {'bytes ' if found.tolerance is None else ''}twice: {found.differences[0]}{more}",
        hint="the same packs give the same bytes in every sandbox: this machine's memory, or its processor, may be faulty",
        findings=found.differences,
    )


def _verification(run: JobRun, engine: Engine, options: JobOptions) -> str:
    if run.rechecks is not None:
        return f"{options.verification_mode}: computed by {engine.place} alone, and {run.rechecks.in_words()}"
    return f"{options.verification_mode}: computed by {engine.place} alone, so there was nobody to check"


def _where(run: JobRun, engine: Engine) -> str:
    shaders = f"; execute is a shader, on {engine.adapter}" if run.is_shader else ""
    return f"embedded engine, {sandboxes_of(run.workers, engine.place)}{shaders}"


def _report(
    run: JobRun,
    engine: Engine,
    options: JobOptions,
    choices: list[str],
    bytes_out: int,
    startup: float,
    seconds: float,
    job_id: str,
) -> Report:
    return report_of(
        run.counts,
        run.independence,
        options,
        choices,
        job_id=job_id,
        where=_where(run, engine),
        verification=_verification(run, engine, options),
        seconds=seconds,
        startup_seconds=startup,
        workers=run.workers,
        chunks=run.counts.chunks,
        retries=run.counts.retries,
        bytes_in=run.input_bytes,
        bytes_out=bytes_out,
        trace=run.trace,
    )


def _ignore(_news: object) -> None:
    pass
