"""`asubmit_job`: `submit_job` for asyncio. Apart from it, so that nobody else pays for importing asyncio."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import Any, Literal

from pangea.compute.client.result import Result
from pangea.compute.client.run import Progress
from pangea.compute.client.submit import AnyJob, OnProgress, Place, run_job


async def asubmit_job(
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
    """Run `job` without blocking the event loop; cancelling the task cancels the job and ends its tasks.

    Arguments, result and errors are those of `submit_job`; `on_progress` is called in the event loop's thread.
    """
    place = Place(node, on_node_lost, identity, verify)
    loop = asyncio.get_running_loop()
    cancelled = threading.Event()

    def report(progress: Progress) -> None:
        if on_progress is not None and not cancelled.is_set():
            loop.call_soon_threadsafe(on_progress, progress)

    work = loop.run_in_executor(None, lambda: run_job(job, input_data, place, report, cancelled.is_set, options))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        cancelled.set()
        await asyncio.wait([work])  # bounded: the run looks for this ten times a second
        work.exception()  # retrieved: the caller hears of the cancellation, not of its consequence
        raise
