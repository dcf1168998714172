"""`pangea job watch` and `pangea job logs`: follow a job, and read what its functions printed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from pangea.compute.cli.job_selectors import Selector, find
from pangea.compute.cli.node_options import NodeOptions
from pangea.compute.cli.records import AsJson, print_data, print_out, wants_json
from pangea.compute.cli.top import job_line
from pangea.compute.model.errors import NotDoneError

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
    """Print what a job's functions printed: of a job that failed, with the traceback of the call that did.

    A node tells of prints when the job has ended, cut to 64 KiB.

        pangea job logs last --follow

    Parameters
    ----------
    follow
        Wait for the end of a job that is under way.
    """
    with (node or NodeOptions()).client() as client:
        handle = find(client, selector)
        text = _printed(handle, follow=follow)
    if wants_json(as_json=as_json):
        print_data({"job_id": handle.job_id, "prints": text})
    elif text:
        sys.stdout.write(text if text.endswith("\n") else f"{text}\n")


def _printed(handle: JobHandle, *, follow: bool) -> str:
    try:
        outcome = handle.outcome(None if follow else 0.0)
    except NotDoneError as error:
        hint = f"wait for it: pangea job logs {handle.job_id} --follow"
        raise NotDoneError(f"job {handle.job_id} has not ended, and its prints are told when it has", hint=hint) from error
    failed = outcome.status.error or {}
    parts = [(outcome.report or {}).get("prints", ""), failed.get("traceback") or failed.get("details", {}).get("traceback", "")]
    return "\n".join(part.rstrip("\n") for part in parts if part)
