"""Calls on a node, each a job; what one returns may be an argument of the next without coming home.

Such a call is a job of several inputs: its own arguments, with gaps, and the results that fill them, which the node has under
their hashes. Executing passes each on as it is; the call itself is the merge, which is given them all, in order.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from pangea.compute.client.calls.batches import Calls, Gap
from pangea.compute.client.calls.bound import bound_in, without
from pangea.compute.client.calls.call_handle import CallHandle
from pangea.compute.client.definition.any_job import options_for
from pangea.compute.client.submission.handle import JobHandle
from pangea.compute.client.submission.node_client import NodeClient
from pangea.compute.model.ids import JobId
from pangea.compute.model.manifest import Content

R = TypeVar("R")


def begin_call(client: NodeClient, fn: Callable[..., R], args: tuple[Any, ...], kwargs: dict[str, Any]) -> CallHandle[R]:
    """Call `fn(*args, **kwargs)` on a node; arguments that are futures, handles among them, are waited for there.

    Raises:
        InputError: an argument can't travel as a value.
        JobDefinitionError: the function can't travel; says why.
        UnavailableError: the client is closed.
    """
    client.remote.check_open()
    bound = bound_in(args, kwargs)
    calls = Calls(fn, bound=bound)
    places: list[tuple[int | str, Any]] = [*enumerate(args), *kwargs.items()]
    waited = {where: each for where, each in places if isinstance(each, Future)}
    for each in waited.values():
        calls.classes.learn(each.classes if isinstance(each, CallHandle) else ())
    line = calls.line(0, without(args, kwargs, {**bound, **waited})).rstrip()  # as a batch's split would give it
    module = _job(calls, waited).archive()  # what can't travel is an error here
    classes = calls.classes.known

    async def send(job_id: JobId) -> None:
        parts = [await client.remote.send_bytes(line)]
        parts += [await _content(client, calls, each) for each in waited.values()]
        job = _job(calls, waited)
        archive = module if calls.classes.known == classes else await asyncio.to_thread(job.archive)
        await client.send_contents(job, archive, tuple(parts), options_for(job, {"job_id": job_id}))

    handle = CallHandle[R](client, JobId(str(uuid.uuid4())), calls.classes, waited=[*waited.values()], send=send)
    handle.local = lambda _: fn(*map(_value, args), **{name: _value(each) for name, each in kwargs.items()})
    return handle


def _value(argument: Any) -> Any:
    return argument.result() if isinstance(argument, Future) else argument


def _job(calls: Calls, waited: dict[int | str, Future[Any]]) -> Any:
    if not waited:
        return calls.job(is_one=True)
    return calls.filled_job(tuple(Gap(where, _classes_of(each, calls)) for where, each in waited.items()))


def _classes_of(future: Future[Any], calls: Calls) -> tuple[type, ...] | None:
    if isinstance(future, CallHandle):
        return future.classes
    return None if isinstance(future, JobHandle) else calls.classes.known


async def _content(client: NodeClient, calls: Calls, future: Future[Any]) -> Content:
    if isinstance(future, JobHandle):
        return await client.content_of(future)
    return await client.remote.send_bytes(calls.classes.dumps(future.result()))
