"""Results of many calls of one function as an iterator; calls are taken as results are."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

from pangea.compute.client.calls.batches import Calls
from pangea.compute.client.calls.bound import Call
from pangea.compute.client.calls.executor import PangeaExecutor

#: Batches whose jobs are under way while earlier results are taken.
_AHEAD = 3


def stream(
    fn: Any,
    arguments: Iterator[Call],
    seed: int,
    chunksize: int | None,
    options: dict[str, Any],
    *,
    is_ordered: bool = True,
    is_over: threading.Event | None = None,
) -> Iterator[Any]:
    """Yield what the calls return; `options` are those of `PangeaExecutor`. Whoever sets `is_over` wants no more.

    Raises:
        JobDefinitionError: at once: `fn` can't travel.
    """
    executor = PangeaExecutor(max_jobs=_AHEAD, seed=seed, **options)
    calls = Calls(fn, seed=seed)
    calls.job()  # what can't travel is an error here, before an item is taken

    def results() -> Iterator[Any]:
        try:
            batches = calls.batches(arguments, batch_calls=chunksize)
            if is_ordered:
                yield from executor.results(calls, batches, _AHEAD, None, is_over)
            else:
                yield from executor.unordered(calls, batches, _AHEAD, is_over)
        finally:
            executor.shutdown(wait=False, cancel_futures=True)

    return results()
