"""`submit_job(..., node=...)`: the same as on the embedded engine, elsewhere."""

from __future__ import annotations

import os
import queue
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import Any

from pangea.compute.client.results.result import Result
from pangea.compute.client.submission.confirming import confirmed
from pangea.compute.client.submission.handle import JobHandle
from pangea.compute.client.submission.node_client import NodeClient
from pangea.compute.client.submission.node_link import find_node
from pangea.compute.client.submission.place import OnPrint, Submission
from pangea.compute.inputs.preprocessor import prepare_input
from pangea.compute.model.errors import JobCancelledError, PangeaError
from pangea.compute.model.progress import Progress
from pangea.compute.model.status import JobStatus

#: How often a wait looks whether the job was cancelled.
_POLL_SECONDS = 0.1
_CANCEL_SECONDS = 5.0
#: How long a job that has ended may take to tell what was printed last.
_LAST_SECONDS = 5.0
_clients: dict[tuple[str, str], NodeClient] = {}


def run_on_node(asked: Submission) -> Result:
    """Run a job on a node and wait for it; if the wait is interrupted or cancelled, so is the job.

    Raises:
        PangeaError: what the job ended with.
        UnavailableError: the node can't be reached, or was lost and didn't come back.
        UnverifiedError: with `place.verify`, this machine finds something else.
    """
    place, job = asked.place, asked.job
    client = _client(place.node, place.identity)
    options = replace(asked.options, receipt=True) if place.verify else asked.options
    module = job.archive()
    with ExitStack() as resources:
        inputs = resources.enter_context(prepare_input(asked.input_data, job.input_kind, options, spool=True))
        handle = client.run(client.submit_prepared(job, module, inputs, options))
        if not place.verify:
            resources.close()
        try:
            result = _wait(client, handle, asked)
        except (KeyboardInterrupt, JobCancelledError):
            _cancel(client, handle)
            raise
        return confirmed(result, handle.receipt(), module, inputs, asked.on_progress) if place.verify else result


def _wait(client: NodeClient, handle: JobHandle, asked: Submission) -> Result:
    on_progress, on_print = asked.on_progress, asked.place.on_print
    news: queue.SimpleQueue[JobStatus | str | None] = queue.SimpleQueue()
    handle.add_done_callback(lambda _: news.put(None))
    watching = client.start(_watch(client, handle, news)) if on_progress is not None else None
    reading = client.start(_read(client, handle, news)) if on_print is not None else None
    try:
        while not handle.done():
            if asked.is_cancelled():
                raise JobCancelledError("the job was cancelled")
            try:
                told = news.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                continue
            if isinstance(told, str) and on_print is not None:
                on_print(told)
            elif isinstance(told, JobStatus) and on_progress is not None:
                on_progress(_progress(told))
        if reading is not None and on_print is not None:
            _finish(reading, news, on_print)
        return handle.result()
    finally:
        for each in filter(None, (watching, reading)):
            each.cancel()


def _finish(reading: Future[None], news: queue.SimpleQueue[JobStatus | str | None], on_print: OnPrint) -> None:
    """Tell what was printed last; of a node that is gone by now, what it has said of that."""
    with suppress(PangeaError, TimeoutError):
        reading.result(_LAST_SECONDS)
    while not news.empty():
        told = news.get()
        if isinstance(told, str):
            on_print(told)


async def _watch(client: NodeClient, handle: JobHandle, news: queue.SimpleQueue[JobStatus | str | None]) -> None:
    async for status in client.remote.watch(handle.job_id):
        news.put(status)


async def _read(client: NodeClient, handle: JobHandle, news: queue.SimpleQueue[JobStatus | str | None]) -> None:
    async for text in client.remote.prints(handle.job_id, follow=True):
        news.put(text)


def _progress(status: JobStatus) -> Progress:
    return Progress(
        phase=str(status.state),
        chunks=status.completed_chunks,
        bytes_done=int(status.progress * status.bytes_in),
        bytes_total=status.bytes_in,
    )


def _cancel(client: NodeClient, handle: JobHandle) -> None:
    """As far as the node can be reached: nobody waits for the job any more."""
    asking = client.start(client.remote.call(lambda node: node.cancel(handle.job_id)))
    try:
        asking.result(_CANCEL_SECONDS)
    except (PangeaError, TimeoutError):
        asking.cancel()


def _client(node: Any, identity: str | os.PathLike[str] | None) -> NodeClient:
    """The client given, else one for each node, warm for the next call."""
    if isinstance(node, NodeClient):
        return node
    name, key = str(find_node(node)), str(identity or "")
    client = _clients.get((name, key))
    if client is None or client.is_gone:
        client = _clients[name, key] = NodeClient(name, identity=identity)
    return client
