"""Memory that the C library keeps after it was freed: few pools for many threads, and given back when a node rests.

Sources: mallopt(3), malloc_trim(3). Where the C library knows neither (musl), nothing happens.
"""

from __future__ import annotations

import ctypes

_M_ARENA_MAX = -8
#: The loop's thread has one pool to itself; all others share one: they hold little, and not for long.
_ARENAS = 2
_libc = ctypes.CDLL(None)


def use_few_pools() -> None:
    """Have all threads share few pools of memory. Before threads are started."""
    if hasattr(_libc, "mallopt"):
        _libc.mallopt(_M_ARENA_MAX, _ARENAS)


def give_back() -> None:
    """Give the kernel back what is free. Takes milliseconds, and not the interpreter: for a thread."""
    if hasattr(_libc, "malloc_trim"):
        _libc.malloc_trim(ctypes.c_size_t(0))
