"""Texts that came with a job, for tracebacks and `inspect`."""

from __future__ import annotations

import linecache


def remember(file: str, lines: list[str], origin: int) -> None:
    """Let tracebacks quote `lines` as lines `origin` and on of `file`."""
    known = linecache.cache.get(file)
    kept = list(known[2]) if known and len(known) == 4 else []
    kept += ["\n"] * (origin - 1 + len(lines) - len(kept))
    kept[origin - 1 : origin - 1 + len(lines)] = lines
    linecache.cache[file] = (sum(map(len, kept)), None, kept, file)
