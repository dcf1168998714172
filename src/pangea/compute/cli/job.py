"""`pangea job`: submit jobs to a node, follow them, fetch their results."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from pangea.compute.cli.console import ProgressDisplay, say
from pangea.compute.cli.dashes import InputFile, Output
from pangea.compute.cli.job_files import Inputs, Own, open_job
from pangea.compute.cli.job_pictures import plot, report
from pangea.compute.cli.job_selectors import Selector, Selectors, find
from pangea.compute.cli.job_validate import validate
from pangea.compute.cli.job_watch import logs, watch
from pangea.compute.cli.manifest_options import ManifestOptions
from pangea.compute.cli.node_options import NodeOptions, print_record
from pangea.compute.cli.output import check_output, write_output, write_result
from pangea.compute.cli.records import AsJson, print_data, print_out, say_data, wants_json
from pangea.compute.cli.usage import options_of
from pangea.compute.cli.whole import Whole
from pangea.compute.model.errors import InputError, ManifestError
from pangea.compute.model.quantities import parse_duration

if TYPE_CHECKING:
    from pangea.compute.client.submission.handle import JobHandle
    from pangea.compute.model.status import JobStatus

app: App = App(
    name="job",
    help="""Submit jobs to a node, follow them, and fetch their results.

    SELECTOR is a job's id, the beginning of one, or `last`.""",
)
app.command(plot)
app.command(report)
app.command(validate)
app.command(watch)
app.command(logs)

_LIST_MAX = 1_000
_MANIFEST_BYTES_MAX = 512 << 20


@app.command
def submit(
    target: str | None = None,
    *,
    input: Inputs = None,  # noqa: A002
    manifest: InputFile | None = None,
    receipt: Annotated[bool, Parameter(negative="")] = False,
    node: NodeOptions | None = None,
    options: ManifestOptions | None = None,
    as_json: AsJson = False,
    **own: Own,
) -> None:
    """Submit a job and print its id. The job survives: the node's crash, and the end of this command.

    Parameters
    ----------
    target
        A job file (job.py), one job of it (job.py:name), or a module (job.wasm).
    manifest
        A manifest file (JSON) instead of TARGET; paths in it are relative to the file.
    receipt
        Have a receipt made, for `pangea job receipt`.
    """
    if (target is None) == (manifest is None):
        raise ManifestError("give either a job or --manifest", hint="pangea job submit job.py --input FILE")
    with (node or NodeOptions()).client() as client:
        if manifest is not None:
            handle = client.submit_manifest(_read_manifest(manifest), folder=manifest.parent)
        else:
            assert target is not None, "checked above"
            file = open_job(target, input, own, options_of(submit))
            keywords = (options or ManifestOptions()).keywords() | {"receipt": receipt or None}
            handle = client.submit_job(file.job, file.input_data, **keywords)
        _print_id(handle, as_json=as_json)


@app.command(name="list")
def show_all(*, limit: Whole = 20, node: NodeOptions | None = None, as_json: AsJson = False) -> None:
    """List your jobs, latest first, with the fuel that each has used.

    Parameters
    ----------
    limit
        How many, at most.
    """
    if not 1 <= limit <= _LIST_MAX:
        raise ManifestError(f"--limit is {limit:,}; it must be 1 to {_LIST_MAX:,}", field="limit")
    with (node or NodeOptions()).client() as client:
        jobs = client.list_jobs(limit=limit)
        ever = client.info().owner_fuel
    if wants_json(as_json=as_json):
        print_data({"jobs": [status.to_json() for status in jobs], "owner_fuel": ever})
        return
    print_table(jobs)
    say(f"fuel used: {ever:,} by all your ended jobs on this node, {sum(status.fuel for status in jobs):,} by these")


def print_table(jobs: list[JobStatus]) -> None:
    """Print jobs as a table."""
    print_out(f"{'ID':<36}  {'NAME':<16}  {'STATE':<9}  {'DONE':>5}  {'CHUNKS':>12}  {'FUEL':>17}  {'TIME':>8}  ERROR")
    for status in jobs:
        until = status.ended_at or time.time()
        print_out(
            f"{status.job_id:<36}  {status.name[:16]:<16}  {status.state!s:<9}  {status.progress:>4.0%}"
            f"  {status.completed_chunks:>12,}  {status.fuel:>17,}  {until - status.accepted_at:>7.1f}s"
            f"  {(status.error or {}).get('code', '')}".rstrip()
        )


@app.command
def status(selector: Selector, *, node: NodeOptions | None = None, as_json: AsJson = False) -> None:
    """Say how a job stands."""
    with (node or NodeOptions()).client() as client:
        record = find(client, selector).status().to_json()
        if not wants_json(as_json=as_json):
            record = {name: value for name, value in record.items() if value is not None}
            if (error := record.get("error")) is not None:  # its traceback is told by `result` and `logs`
                record["error"] = f"{error.get('code', '')}: {error.get('message', '')}"
        print_record(record, as_json=as_json)


@app.command
def wait(selectors: Selectors, *, timeout: str | None = None, node: NodeOptions | None = None, as_json: AsJson = False) -> None:
    """Wait until jobs have ended; the exit code says how the first that failed did. Ctrl-C leaves them running.

    Parameters
    ----------
    timeout
        How long, for all together.
    """
    with (node or NodeOptions()).client() as client:
        until = None if timeout is None else time.monotonic() + parse_duration(timeout, "timeout")
        handles = [find(client, selector) for selector in selectors]
        for handle in handles:
            left = None if until is None else max(0.0, until - time.monotonic())
            _patiently(handle, left)
        if wants_json(as_json=as_json):
            print_data({"jobs": [handle.status().to_json() for handle in handles]})


@app.command
def result(
    selector: Selector,
    *,
    output: Output = None,
    timeout: str | None = None,
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], negative="")] = False,
    node: NodeOptions | None = None,
    as_json: AsJson = False,
) -> None:
    """Wait for a job and write its result, and nothing else, to stdout. Ctrl-C leaves the job running.

    Parameters
    ----------
    output
        Write the result to this file instead: it appears whole or not at all.
    timeout
        How long to wait for the job's end.
    quiet
        No progress.
    """
    check_output(output)
    with (node or NodeOptions()).client() as client:
        handle = find(client, selector)
        left = None if timeout is None else parse_duration(timeout, "timeout")
        with ProgressDisplay(quiet=quiet):
            data = _patiently(handle, left)
        write_result(data, output)
    if wants_json(as_json=as_json):
        say_data({"job_id": handle.job_id, "report": data.report.to_json()})


@app.command
def cancel(selectors: Selectors, *, node: NodeOptions | None = None, as_json: AsJson = False) -> None:
    """Cancel jobs."""
    with (node or NodeOptions()).client() as client:
        handles = [find(client, selector) for selector in selectors]
        if wants_json(as_json=as_json):
            print_data({"jobs": [{"job_id": handle.job_id, "is_cancelled": handle.cancel()} for handle in handles]})
            return
        for handle in handles:
            say(f"{handle.job_id}: {'cancelled' if handle.cancel() else 'had ended already'}")


@app.command
def explain(selector: Selector, *, node: NodeOptions | None = None, as_json: AsJson = False) -> None:
    """Say why a job is where it is: the figures that decided, and every unfinished task."""
    with (node or NodeOptions()).client() as client:
        record = find(client, selector).explain()
    if wants_json(as_json=as_json):
        print_data(record)
        return
    about = record["status"]
    print_out(f"{about['job_id']} ({about['name']}): {about['state']}, {about['progress']:.0%}")
    if record["score"]:
        print_out(record["score"])
    for task in record["tasks"]:
        for line in task["lines"]:
            print_out(f"  {line}")
    if not record["tasks"]:
        print_out("no unfinished task" + ("" if about["ended_at"] else ": nothing is cut yet, or all of it is being merged"))


@app.command
def tree(selector: Selector, *, node: NodeOptions | None = None, as_json: AsJson = False) -> None:
    """Draw who did what: the owner, its children, the workers behind them, and how far each has been checked."""
    from pangea.compute.cli.job_tree import lines

    with (node or NodeOptions()).client() as client:
        record = find(client, selector).tree()
    if wants_json(as_json=as_json):
        print_data(record)
        return
    for line in lines(record):
        print_out(line)


@app.command
def receipt(
    selector: Selector,
    *,
    output: Output = None,
    node: NodeOptions | None = None,
    as_json: AsJson = False,
) -> None:
    """Write the receipt of a complete job that was submitted with --receipt; `pangea verify` checks it.

    Parameters
    ----------
    output
        Write it to this file instead of stdout: it appears whole or not at all.
    """
    check_output(output)
    with (node or NodeOptions()).client() as client:
        handle = find(client, selector)
        data = handle.receipt()
        write_output(data, output)
    if wants_json(as_json=as_json):
        say_data({"job_id": handle.job_id, "bytes": len(data)})


@app.command
def rerun(selector: Selector, *, node: NodeOptions | None = None, as_json: AsJson = False) -> None:
    """Run a job again, on the same input, and print the new id."""
    with (node or NodeOptions()).client() as client:
        _print_id(find(client, selector).rerun(), as_json=as_json)


def _print_id(handle: JobHandle, *, as_json: bool) -> None:
    print_data({"job_id": handle.job_id}) if wants_json(as_json=as_json) else print_out(handle.job_id)


def _patiently(handle: JobHandle, timeout: float | None) -> Any:
    try:
        return handle.result(timeout)
    except KeyboardInterrupt as interrupt:
        interrupt.add_note(f"job {handle.job_id} goes on; come back with: pangea job result {handle.job_id}")
        raise


def _read_manifest(path: Path) -> Any:
    from pangea.compute.model.manifest import JobManifest
    from pangea.compute.network.small_files import read_small

    try:
        record = json.loads(read_small(path, _MANIFEST_BYTES_MAX, is_stream_fine=True))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"the manifest {path} can't be read: {reason}", path=str(path)) from error
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"{path} isn't JSON: {error}", path=str(path)) from error
    return JobManifest.from_json(record)
