"""`pangea job watch` and `pangea job logs`: follow a job, and read what its functions printed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from pangea.compute.cli.console import QuietInterrupt
from pangea.compute.cli.job_selectors import Selector, find
from pangea.compute.cli.node_options import NodeOptions
from pangea.compute.cli.records import AsJson, print_data, print_out, wants_json
from pangea.compute.cli.top import job_line

if TYPE_CHECKING:
    from pangea.compute.client.submission.handle import JobHandle

Follow = Annotated[bool, Parameter(name=["--follow", "-f"], negative="")]


def watch(selector: Selector, *, node: NodeOptions | None = None, as_json: AsJson = False) -> None:
    """Follow a job until it ends: a line whenever something changes, and an exit code that says how it ended.

    Ctrl-C ends the watching; the job goes on.

        pangea job watch last
    """
    with (node or NodeOptions()).client() as client:
        handle = find(client, selector)
        for status in handle:
            if wants_json(as_json=as_json):
                print_data(status.to_json())
            else:
                print_out(job_line(status))
        handle.result()  # an error says how


def logs(selector: Selector, *, follow: Follow = False, node: NodeOptions | None = None, as_json: AsJson = False) -> None:
    """Print what a job's functions have printed: of a job that failed, with the traceback of the call that did.

    It comes a task (some packs of chunks) at a time, once its results are accepted; a node keeps 64 KiB of it for each job.
    Ctrl-C ends the following, and says nothing; the job goes on.

        pangea job logs last --follow

    Parameters
    ----------
    follow
        Go on with what it prints while it runs, to its end.
    """
    with (node or NodeOptions()).client() as client:
        handle = find(client, selector)
        try:
            for text in handle.logs(follow=follow):
                _print(handle, text, as_json=as_json)
            if trace := _traceback(handle):
                _print(handle, trace, as_json=as_json)
        except KeyboardInterrupt as interrupt:
            raise QuietInterrupt from interrupt


def _print(handle: JobHandle, text: str, *, as_json: bool) -> None:
    if wants_json(as_json=as_json):
        print_data({"job_id": handle.job_id, "prints": text})
    else:
        print_out(text.removesuffix("\n"))


def _traceback(handle: JobHandle) -> str:
    """What the guest said of where the job failed, if it has."""
    error = handle.status().error or {}
    return str(error.get("traceback") or error.get("details", {}).get("traceback", ""))
