"""Standard output and standard error, either of which may be closed, full, or a pipe that nobody reads any more.

Losing standard error never matters: what can't be said there isn't. Losing standard output does, and is an error once;
afterwards it swallows all, so that the interpreter's end has nothing to complain of.
"""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

from pangea.compute.engine.descriptors import hold_standard

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class StdoutError(OSError):
    """Standard output can't be written; a pipe that nobody reads any more is a `BrokenPipeError` as ever."""


def install() -> None:
    """Put streams that behave so in the place of Python's own, and hold the numbers of closed ones."""
    hold_standard()
    sys.stdout = _text(_Out(1, "wb", closefd=False), is_line=os.isatty(1))
    sys.stderr = _text(_Err(2, "wb", closefd=False), is_line=True)


def _text(raw: io.FileIO, *, is_line: bool) -> io.TextIOWrapper:
    encoding = getattr(sys.stderr or sys.stdout, "encoding", None) or "utf-8"
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, errors="backslashreplace", line_buffering=is_line)


class _Out(io.FileIO):
    _is_lost = False

    def write(self, data: ReadableBuffer, /) -> int:
        if self._is_lost:
            return memoryview(data).nbytes
        try:
            return super().write(data)
        except BrokenPipeError:
            self._is_lost = True
            raise
        except OSError as error:
            self._is_lost = True
            raise StdoutError(error.errno, error.strerror) from error


class _Err(io.FileIO):
    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes
