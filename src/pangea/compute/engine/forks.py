"""Forks of the caller's process (`os.fork`, multiprocessing): none happens while we import.

A module that another thread is importing when the process forks is locked in the child for ever, and whoever imports it there
hangs. So what the first job needs is imported in one go, and a fork waits for that, some tenths of a second.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module

#: A fork waits no longer than this for imports to end.
_WAIT_SECONDS = 30.0
_loaded: set[str] = set()


class _Turn:
    """Held while importing, and while forking."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._is_ours = False

    @contextmanager
    def held(self) -> Iterator[None]:
        with self._lock:
            yield

    def before_fork(self) -> None:
        self._is_ours = self._lock.acquire(timeout=_WAIT_SECONDS)

    def in_parent(self) -> None:
        if self._is_ours:
            self._lock.release()

    def in_child(self) -> None:
        self._lock = threading.RLock()


_turn = _Turn()
os.register_at_fork(before=_turn.before_fork, after_in_parent=_turn.in_parent, after_in_child=_turn.in_child)


def load(names: Iterable[str]) -> None:
    """Import modules, by their full names, with no fork meanwhile."""
    if missing := [name for name in names if name not in _loaded]:
        with _turn.held():
            for name in missing:
                import_module(name)
            _loaded.update(missing)
