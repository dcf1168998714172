"""Sizes and counts that more than one room needs, each with its unit in its name."""

from __future__ import annotations

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30

CHUNK_BYTES_MAX = 64 * MIB
RESULT_BYTES_MAX = 64 * MIB
LIST_ITEMS_MAX = 16 << 20
MODULE_BYTES_MAX = 64 * MIB
STACK_BYTES = MIB
#: Of the Python guest, where CPython watches a stack of its own (5 MiB), whose limit is met first.
OWN_STACK_BYTES = 4608 * KIB
#: The smallest memory limit that a Python job works under: the guest starts with 35.9 MiB, of which 6 are stack.
PYTHON_MEMORY_BYTES = 40 * MIB
#: How often `split` of a whole input holds it at once: the input, the chunks, the framed list, and room to work.
CUSTOM_COPIES = 4


def human_bytes(count: float) -> str:
    """`count` bytes for people: `1.5 MiB`."""
    for unit in ("bytes", "KiB", "MiB"):
        if count < KIB:
            return f"{count:,.0f} {unit}" if unit == "bytes" or count >= 100 else f"{count:.1f} {unit}"
        count /= KIB
    return f"{count:,.1f} GiB"


def counted(number: int, one: str, many: str = "") -> str:
    """A number and its noun: `1 row`, `12,000 rows`."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"
