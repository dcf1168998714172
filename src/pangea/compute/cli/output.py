"""Where a result goes: stdout, or a file that appears whole or not at all."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from pangea.compute.engine.files import new_file
from pangea.compute.model.errors import OutputError
from pangea.compute.model.units import human_bytes


def check_output(path: Path | None, option: str = "--output") -> None:
    """Find out before the job runs whether what `option` asks for could be written.

    Raises:
        OutputError: the folder is missing or not writable, or `path` is a folder.
    """
    if path is None:
        return
    if path.is_dir():
        raise OutputError(f"{option} {path} is a folder", hint="name a file in it")
    if not path.parent.is_dir():
        raise OutputError(f"{option} {path}: there is no folder {path.parent}", hint="make it first")
    place = path if path.exists() and not path.is_file() else path.parent
    if not os.access(place, os.W_OK):
        raise OutputError(f"{option} {path}: {place} is not writable")


def write_output(data: bytes, path: Path | None, *, what: str = "result") -> None:
    """Write the result, or `what` it is, to `path`, by way of a new file that is renamed, or to stdout.

    Raises:
        OutputError: it can't be written; an older file at `path` is as it was.
    """
    try:
        if path is None:
            _write_stdout(data)
        elif path.exists() and not path.is_file():  # a device or a pipe is written to, never replaced
            with path.open("wb") as file:
                file.write(data)
        else:
            with new_file(path, _mode_for(path)) as file:
                file.write(data)
    except OSError as error:
        where = "stdout" if path is None else str(path)
        raise OutputError(
            f"the {what} of {human_bytes(len(data))} can't be written to {where}: {error.strerror or error}",
            hint="free some space or choose another place with --output, and run the job again",
        ) from error


def _write_stdout(data: bytes) -> None:
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except OSError:
        # Python would try to flush again at exit, and complain without our words.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def _mode_for(path: Path) -> int:
    if path.exists():
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
