"""The journal's log (SQLite's `-wal`) whose header is damaged: SQLite would take it for empty, without a word.

What is in it can't be told for sure any more, so it is moved aside, and the jobs that it names and the database doesn't are said
to be lost.

Source: https://www.sqlite.org/fileformat2.html#the_write_ahead_log
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path

_HEADER_BYTES = 32
_MAGIC = 0x377F0682
_UUID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class DamagedLog:
    """A log that was moved aside.

    Attributes:
        path: where it is now.
        named: ids that stand in it, most of them jobs'.
    """

    path: Path
    named: frozenset[str]


def set_aside(journal: Path) -> DamagedLog | None:
    """Look at the log of the journal in `journal`, which nobody has open; None if it is whole, empty, or there is none.

    Raises:
        OSError: it can't be read or moved.
    """
    log = journal.with_name(f"{journal.name}-wal")
    try:
        content = log.read_bytes()
    except FileNotFoundError:
        return None
    if len(content) <= _HEADER_BYTES or _is_header(content[:_HEADER_BYTES]):
        return None
    aside = _free_name(log)
    log.rename(aside)
    return DamagedLog(aside, frozenset(name.decode() for name in _UUID.findall(content)))


def _is_header(header: bytes) -> bool:
    """Whether its magic number and its checksum are right."""
    (magic,) = struct.unpack_from(">I", header)
    if magic & ~1 != _MAGIC:
        return False
    order = ">" if magic & 1 else "<"
    first = second = 0
    for even, odd in struct.iter_unpack(f"{order}II", header[:24]):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return (first, second) == struct.unpack_from(">II", header, 24)


def _free_name(log: Path) -> Path:
    number = 1
    while (path := log.with_name(f"{log.name}.damaged-{number}")).exists():
        number += 1
    return path
