"""`map`, `starmap`, `submit`: a function and a list, and nothing to define.

from pangea.compute import map, submit

list(map(lambda x: {x: (x, 1.5)}, range(3)))       # [{0: (0, 1.5)}, {1: (1, 1.5)}, {2: (2, 1.5)}]
submit(pow, 2, 10).result()                        # 1024
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar, Unpack

from pangea.compute.client.calls.batches import spread, zipped
from pangea.compute.client.calls.executor import PangeaExecutor
from pangea.compute.client.calls.streams import stream
from pangea.compute.model.keywords import CallKeywords

R = TypeVar("R")

_lock = threading.Lock()
_executor: PangeaExecutor | None = None


def map(  # noqa: A001 (it is the built-in one, elsewhere)
    fn: Callable[..., R],
    /,
    *iterables: Iterable[Any],
    seed: int = 0,
    chunksize: int | None = None,
    **options: Unpack[CallKeywords],
) -> Iterator[R]:
    """Call `fn` for each item, in sandboxes, on all workers; otherwise like the built-in `map`.

    Items are taken as results are: a few batches ahead, so that an endless iterable has its place, too.

    Args:
        fn: the function; it travels with all that it reaches.
        *iterables: its arguments; the shortest one ends it.
        seed: where random numbers in `fn` come from, together with a call's place: equal items draw different ones, and the same
            seed the same again, on any machine.
        chunksize: calls of one job; by default small batches first, then larger ones.
        **options: keywords of `submit_job`, `node` and `engine` among them.

    Returns:
        An iterator over the results, in order: equal to what `fn` returned, and of the same types.

    Raises:
        JobDefinitionError: `fn` can't travel.
        TypeError: there is no iterable, or one isn't iterable.
        InputError: while iterating: an item can't travel as a value.
        JobFailedError: while iterating: a call raised; also of the built-in type that it raised, with the item as a note.
    """
    return stream(fn, zipped(iterables), seed, chunksize, dict(options))


def starmap(
    fn: Callable[..., R],
    /,
    iterable: Iterable[Iterable[Any]],
    *,
    seed: int = 0,
    chunksize: int | None = None,
    **options: Unpack[CallKeywords],
) -> Iterator[R]:
    """Call `fn(*items)` for each of an iterable of arguments; else as `map`."""
    return stream(fn, spread(iterable), seed, chunksize, dict(options))


def map_unordered(
    fn: Callable[..., R],
    /,
    *iterables: Iterable[Any],
    seed: int = 0,
    chunksize: int | None = None,
    **options: Unpack[CallKeywords],
) -> Iterator[R]:
    """As `map`, with each batch's results as soon as they are there: what comes is the same each time, the order isn't."""
    return stream(fn, zipped(iterables), seed, chunksize, dict(options), is_ordered=False)


def submit(fn: Callable[..., R], /, *args: Any, **kwargs: Any) -> Future[R]:
    """Call `fn(*args, **kwargs)` in a sandbox, and return at once; its options are those of a `PangeaExecutor` of one's own.

    An argument may be a future of another call: `submit(g, submit(f, x))` waits for it without a thread.

    Raises:
        InputError: an argument can't travel as a value.
        JobDefinitionError: `fn` can't travel.
    """
    return shared_executor().submit(fn, *args, **kwargs)


def shared_executor() -> PangeaExecutor:
    """The executor behind `submit`, made when first asked for; its threads are this process's."""
    global _executor
    with _lock:
        if _executor is None:
            _executor = PangeaExecutor()
        return _executor


def _begin_anew() -> None:
    """In a forked child another thread of the parent may have held the lock."""
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_begin_anew)
