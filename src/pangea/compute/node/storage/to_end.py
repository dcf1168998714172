"""Work that goes on to its end although whoever waits for it is gone: what holds a file or a slot gives it back itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_under_way: set[asyncio.Task[Any]] = set()
"the loop itself would forget them"


async def to_end(work: Coroutine[Any, Any, T], *, unwanted: Callable[[T], None] | None = None) -> T:
    """Do `work`, and wait for it; who is cancelled while he waits stops waiting, not the work.

    Args:
        work: what is done.
        unwanted: gets what it came to if nobody waits for that any more.
    """
    task = asyncio.ensure_future(work)
    _under_way.add(task)
    task.add_done_callback(_ended)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if unwanted is not None:
            task.add_done_callback(lambda done: _hand(done, unwanted))
        raise


def _ended(task: asyncio.Task[Any]) -> None:
    _under_way.discard(task)
    if not task.cancelled():
        task.exception()  # whoever waits gets it; perhaps nobody does any more


def _hand(task: asyncio.Task[T], unwanted: Callable[[T], None]) -> None:
    if not task.cancelled() and task.exception() is None:
        unwanted(task.result())
