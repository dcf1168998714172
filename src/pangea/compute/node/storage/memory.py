"""Memory that the C library keeps after it was freed: few pools for many threads, and given back when a node rests.

Sources: mallopt(3), malloc_trim(3). Where the C library knows neither (musl), nothing happens.
"""

from __future__ import annotations

import ctypes

from pangea.compute.model.units import MIB

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
#: The loop's thread has one pool to itself; all others share one: they hold little, and not for long.
_ARENAS = 2
#: Blocks of content pass through, a megabyte each and several at once. Their memory is used again rather than given back and
#: asked for anew each time: the kernel clears each page that it gives, which costs more than encrypting what goes into it.
_KEPT_BYTES = 64 * MIB
#: Things of this size or larger are the kernel's own business, and go back to it when they are freed.
POOLED_BYTES_MAX = 8 * MIB
_libc = ctypes.CDLL(None)


def use_few_pools() -> None:
    """Have all threads share few pools of memory, which keep what blocks of content need. Before threads are started."""
    if hasattr(_libc, "mallopt"):
        _libc.mallopt(_M_ARENA_MAX, _ARENAS)
        _libc.mallopt(_M_MMAP_THRESHOLD, POOLED_BYTES_MAX)
        _libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def give_back() -> None:
    """Give the kernel back what is free. Takes milliseconds, and not the interpreter: for a thread."""
    if hasattr(_libc, "malloc_trim"):
        _libc.malloc_trim(ctypes.c_size_t(0))
