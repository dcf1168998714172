"""Close what a job must not see: files, the clock, input. Each gives a plain Python error or a constant.

The module below has no imports, so nothing here is a security boundary: sealing turns what would be a trap without a
word into an exception that names the reason.
"""

from __future__ import annotations

import builtins
import io
import linecache
import os
import sys
import time
import zipfile
from typing import Any, NoReturn

#: Captured prints are kept up to this many characters per call; the rest is dropped and said to be.
PRINTS_MAX = 16_384

#: CPython's: nanoseconds in 63 bits.
_SLEEP_SECONDS_MAX = 9_223_372_036
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
_FILE_FUNCTIONS = (
    "listdir stat scandir mkdir remove rename rmdir unlink open chdir lstat access readlink link symlink chmod truncate "
    "utime makedirs system popen fork kill pipe walk"
).split()
#: What Linux has and the interpreter here lacks, that packages name.
_ABSENT_FUNCTIONS = (
    "system popen kill killpg execv execve spawnv spawnve waitpid wait umask nice chown fchmod getuid geteuid getgid getegid "
    "getgroups getlogin getppid getpgid getpgrp setuid setgid setsid"
).split()


def deny(*_args: Any, **_options: Any) -> NoReturn:
    """Stand in for a function that reaches outside."""
    raise PermissionError("a job has no files, network, processes or terminal")


def _no_folder() -> NoReturn:
    """What `os.getcwd` raises where its folder was removed: what packages expect."""
    raise FileNotFoundError("a job has no files, so it is in no folder")


def _exit(status: int = 0) -> NoReturn:
    raise SystemExit("a job can't end its sandbox")


class Prints(io.TextIOBase):
    """Collect what a job prints, up to `PRINTS_MAX` characters."""

    def __init__(self) -> None:
        """Start empty."""
        self._parts: list[str] = []
        self._room = PRINTS_MAX

    def write(self, text: str, /) -> int:
        """Keep `text` while there is room."""
        if self._room > 0:
            kept = text[: self._room]
            self._parts.append(kept)
            self._room -= len(kept)
            if self._room <= 0:
                self._parts.append("\n[prints beyond this are dropped]\n")
        return len(text)

    def take(self) -> str:
        """Return what was printed since the last call."""
        text = "".join(self._parts)
        self._parts.clear()
        self._room = PRINTS_MAX
        return text


def seal() -> Prints:
    """Close files, clock and input; redirect the standard streams. Returns where prints go."""
    builtins.open = io.open = builtins.input = deny
    for name in _FILE_FUNCTIONS:
        if hasattr(os, name):
            setattr(os, name, deny)
    for name in _ABSENT_FUNCTIONS:
        setattr(os, name, deny)
    os.getcwd = os.getcwdb = _no_folder
    os._exit = os.abort = _exit
    _replace_clocks()
    _date_zips()
    # A traceback would look for source files on a disk that isn't there.
    linecache.updatecache = lambda *_a, **_k: []
    linecache.checkcache = lambda *_a, **_k: None
    linecache.lazycache = lambda *_a, **_k: False
    prints = Prints()
    sys.stdout = sys.stderr = sys.__stdout__ = sys.__stderr__ = prints  # type: ignore[misc,assignment]
    return prints


class Clock:
    """A job's time: seconds since the call of its function began, of which only waiting takes any.

    So what waits for a moment, or until one has passed, gets there, on every machine at the same instruction.
    """

    def __init__(self) -> None:
        """Begin at 0."""
        self.now = 0.0

    def read(self) -> float:
        """What `time.time` and its kin say."""
        return self.now

    def read_ns(self) -> int:
        """The same as whole nanoseconds."""
        return round(self.now * 1e9)

    def sleep(self, seconds: Any, /) -> None:
        """Let so much time pass.

        Raises:
            TypeError, ValueError, OverflowError: as `time.sleep` raises them.
        """
        if not hasattr(type(seconds), "__index__") and not isinstance(seconds, float):
            raise TypeError(f"{type(seconds).__name__!r} object cannot be interpreted as an integer")
        if seconds != seconds:
            raise ValueError("Invalid value NaN (not a number)")
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")
        if seconds > _SLEEP_SECONDS_MAX:
            raise OverflowError("timestamp too large to convert to C PyTime_t")
        self.now += seconds


CLOCK = Clock()


def _replace_clocks() -> None:
    for name in ("time", "monotonic", "perf_counter", "process_time", "thread_time"):
        setattr(time, name, CLOCK.read)
        setattr(time, f"{name}_ns", CLOCK.read_ns)
    time.sleep = CLOCK.sleep


def _date_zips() -> None:
    """Have `zipfile` write the earliest time that a zip can hold where it would write the clock's, which is before that."""
    ordinary: Any = vars(zipfile.ZipInfo)["_for_archive"]

    def dated(info: zipfile.ZipInfo, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
        made: zipfile.ZipInfo = ordinary(info, archive)
        made.date_time = max(made.date_time, _ZIP_EPOCH)
        return made

    zipfile.ZipInfo._for_archive = dated  # type: ignore[attr-defined]
