"""A job has one thread: `ThreadPoolExecutor` runs each call where it is submitted, and waits with a time-out end at once."""

from __future__ import annotations

import concurrent.futures.thread
import contextvars
import itertools
import queue
import threading
import types
from typing import Any, NoReturn

_Worker = tuple[contextvars.Context, Any]

_LONG_SECONDS = 1e9
_count = itertools.count()


def end_waits_at_once() -> None:
    """Give what waits with a time-out a clock by which it is over: by the one that stands still it would wait for ever."""
    for module, name in ((queue, "time"), (threading, "_time")):
        setattr(module, name, _later)
    concurrent.futures._base.time = types.SimpleNamespace(monotonic=_later)  # type: ignore[attr-defined]


def _later() -> float:
    return next(_count) * _LONG_SECONDS


def run_where_submitted() -> None:
    """Replace what starts threads."""
    pool: Any = concurrent.futures.thread.ThreadPoolExecutor
    put = pool.submit

    def submit(self: Any, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        future = put(self, fn, *args, **kwargs)
        _run(self)
        return future

    pool.submit = submit
    pool._adjust_thread_count = lambda _self: None
    threading._start_joinable_thread = _refuse  # type: ignore[attr-defined]


def _refuse(*_args: Any, **_options: Any) -> NoReturn:
    raise RuntimeError(
        "can't start new thread: a job has one. ThreadPoolExecutor runs calls where they are submitted, asyncio tasks in turn"
    )


def _run(pool: Any) -> None:
    """Run what is in the pool's queue, as a worker would: with variables of context of its own, kept between calls.

    A call that submits another finds its own worker busy, and gets a second.
    """
    idle: list[_Worker] = vars(pool).setdefault("_idle_workers", [])
    worker = idle.pop() if idle else _started(pool)
    while worker is not None:
        try:
            item = pool._work_queue.get_nowait()
        except queue.Empty:
            idle.append(worker)
            return
        if item is not None:
            worker[0].run(item.run, worker[1])


def _started(pool: Any) -> _Worker | None:
    worker = contextvars.Context(), pool._create_worker_context()
    try:
        worker[0].run(worker[1].initialize)
    except BaseException:
        concurrent.futures._base.LOGGER.critical("Exception in initializer:", exc_info=True)
        pool._initializer_failed()
        return None
    return worker
