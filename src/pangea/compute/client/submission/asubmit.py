"""`asubmit_job`: `submit_job` for asyncio. Apart from it, so that nobody else pays for importing asyncio."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Literal, Unpack

from pangea.compute.client.definition.any_job import AnyJob
from pangea.compute.client.results.result import Result
from pangea.compute.client.submission.pages import watched
from pangea.compute.client.submission.place import OnPrint, OnProgress, Place
from pangea.compute.client.submission.submit import run_job
from pangea.compute.model.keywords import JobKeywords
from pangea.compute.model.progress import Progress


async def asubmit_job(
    job: AnyJob,
    input_data: Any = None,
    *,
    node: str | None = None,
    on_node_lost: Literal["error", "local"] = "error",
    identity: str | os.PathLike[str] | None = None,
    on_progress: OnProgress | None = None,
    verify: bool = False,
    on_print: OnPrint | None = None,
    dashboard: bool | str = False,
    **options: Unpack[JobKeywords],
) -> Result:
    """Run `job` without blocking the event loop; cancelling the task cancels the job and ends its tasks.

    Arguments, result and errors are those of `submit_job`; `on_progress` and `on_print` are called in the event loop's thread.
    """
    loop = asyncio.get_running_loop()
    cancelled = threading.Event()

    def tell(text: str) -> None:
        if on_print is not None and not cancelled.is_set():
            loop.call_soon_threadsafe(on_print, text)

    place = Place(node, on_node_lost, identity, verify, on_print=tell if on_print is not None else None)
    place, _ = watched(place, dashboard)

    def report(progress: Progress) -> None:
        if on_progress is not None and not cancelled.is_set():
            loop.call_soon_threadsafe(on_progress, progress)

    work = _begun(lambda: run_job(job, input_data, place, report, cancelled.is_set, dict(options)))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        cancelled.set()
        await asyncio.wait([work])  # bounded: the run looks for this ten times a second
        work.exception()  # retrieved: the caller hears of the cancellation, not of its consequence
        raise


def _begun(run: Callable[[], Result]) -> asyncio.Future[Result]:
    """Run it in a thread of its own: the loop's executor has few, which other work of the program waits for."""
    future: Future[Result] = Future()

    def work() -> None:
        try:
            result = run()
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(result)

    future.set_running_or_notify_cancel()
    threading.Thread(target=work, name="pangea-job", daemon=True).start()
    return asyncio.wrap_future(future)
