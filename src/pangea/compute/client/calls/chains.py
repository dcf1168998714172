"""A future as an argument of the next call: it begins when what it waits for is there, and holds no thread until then."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

R = TypeVar("R")


def futures_in(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Future[Any]]:
    """The arguments that are still to come; those inside of containers are the caller's to wait for."""
    return [each for each in (*args, *kwargs.values()) if isinstance(each, Future)]


def settled(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments with futures replaced by their results; raises what one of them raised."""
    return tuple(_value(each) for each in args), {name: _value(each) for name, each in kwargs.items()}


def _value(argument: Any) -> Any:
    return argument.result() if isinstance(argument, Future) else argument


def after(waited: Sequence[Future[Any]], begin: Callable[[], Future[R]]) -> Future[R]:
    """A future of what `begin` returns a future of, once all of `waited` have ended; it may be cancelled until then.

    What `begin` raises, such as the error of one that was waited for, is the future's.
    """
    chained: Future[R] = Future()
    lock, left = threading.Lock(), [len(waited)]

    def ended(_: Future[Any]) -> None:
        with lock:
            left[0] -= 1
            if left[0]:
                return
        if chained.set_running_or_notify_cancel():
            _begin(chained, begin)

    for each in waited:
        each.add_done_callback(ended)
    return chained


def _begin(chained: Future[R], begin: Callable[[], Future[R]]) -> None:
    def copy(done: Future[R]) -> None:
        try:
            chained.set_result(done.result())
        except BaseException as error:
            chained.set_exception(error)

    try:
        begin().add_done_callback(copy)
    except BaseException as error:
        chained.set_exception(error)
