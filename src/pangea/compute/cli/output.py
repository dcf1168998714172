"""Where bytes go: standard output, or a file that appears whole or not at all."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pangea.compute.cli.usage import UsageError
from pangea.compute.engine.descriptors import is_usable
from pangea.compute.engine.files import Content, real_place, write_file
from pangea.compute.model.errors import OutputError
from pangea.compute.model.kinds import ResultKind
from pangea.compute.model.units import human_bytes

if TYPE_CHECKING:
    from pangea.compute.client.results.result import Value


def is_stdout(path: Path | None) -> bool:
    """Whether `path`, which an option gave, means standard output: `-`, or nothing."""
    return path is None or str(path) == "-"


def check_output(path: Path | None, option: str = "--output") -> None:
    """Find out before the job runs whether what `option` asks for could be written.

    Args:
        path: what it is given; None, of --output: standard output, of others: that it isn't given.
        option: its name.

    Raises:
        OutputError: the folder is missing or not writable, `path` is a folder, or standard output is closed.
    """
    if path is None and option != "--output":
        return
    if path is None or is_stdout(path):
        if not is_usable(1):
            raise OutputError("standard output is closed", hint=f"name a file: {option} FILE")
        return
    try:
        place = real_place(path)
    except OSError as error:
        raise OutputError(f"{option} {path}: {error.strerror}") from error
    if isinstance(place, int):
        return
    if place.is_dir():
        raise OutputError(f"{option} {path} is a folder", hint="name a file in it")
    if not place.parent.is_dir():
        raise OutputError(f"{option} {path}: there is no folder {place.parent}", hint="make it first")
    needed = place if place.exists() and not (place.is_file() and os.access(place.parent, os.W_OK)) else place.parent
    if not os.access(needed, os.W_OK):
        raise OutputError(f"{option} {path}: {needed} is not writable")


def check_apart(outputs: Mapping[str, Path | None]) -> None:
    """Find out whether two options, with what they are given as in `check_output`, would write to one place.

    Raises:
        UsageError: two would.
    """
    taken: dict[Path | int, str] = {}
    for option, path in outputs.items():
        if path is None and option != "--output":
            continue
        place = 1 if path is None or is_stdout(path) else real_place(path)
        place = place.absolute() if isinstance(place, Path) else place
        if place in taken:
            where = "standard output" if place == 1 else str(path)
            raise UsageError(f"{taken[place]} and {option} would both be written to {where}", hint=f"{option} FILE")
        taken[place] = option


def check_unread(outputs: Mapping[str, Path | None], read: Iterable[str]) -> None:
    """Find out whether an option, with what it is given as in `check_output`, would replace a file that is read.

    Args:
        outputs: as in `check_apart`.
        read: names of files; what is no file of this machine is nobody's to replace.

    Raises:
        OutputError: one would; a file of no bytes, as `mktemp` makes it, may be.
    """
    places = {option: real_place(path) for option, path in outputs.items() if path is not None and not is_stdout(path)}
    taken = {option: place for option, place in places.items() if isinstance(place, Path) and place.is_file()}
    for name in read if taken else ():
        for option, place in taken.items():
            if _is_same(place, name) and place.stat().st_size:
                raise OutputError(f"{option} {outputs[option]} would replace {name}, which is read", hint=f"{option} OTHER_FILE")


def _is_same(file: Path, name: str) -> bool:
    try:
        return file.samefile(name)
    except (OSError, ValueError):  # there is no such file, or there can't be
        return False


def write_result(result: Value, path: Path | None) -> None:
    """Write a result to standard output, or to a file of the format that its ending names.

    Raises:
        OutputError: it can't be written, or can't be of the format; an older file at `path` is as it was.
    """
    from pangea.compute.client.results.file_formats import writer_for

    write = None if path is None or is_stdout(path) else writer_for(result, ResultKind(result.kind, result.is_joined), path)
    write_output(bytes(result) if write is None else write, path)


def write_output(data: Content, path: Path | None, *, what: str = "result") -> None:
    """Write the result, or `what` it is, to `path`, or to standard output.

    Raises:
        OutputError: it can't be written; an older file at `path` is as it was.
        BrokenPipeError: nobody reads standard output any more.
    """
    try:
        if path is None or is_stdout(path):
            assert isinstance(data, bytes)
            _write_stdout(data)
        else:
            write_file(path, data)
    except (BrokenPipeError, OutputError):
        raise
    except OSError as error:
        where = "stdout" if is_stdout(path) else str(path)
        size = f" of {human_bytes(len(data))}" if isinstance(data, bytes) else ""
        raise OutputError(
            f"the {what}{size} can't be written to {where}: {error.strerror or error}",
            hint="free some space or choose another place with --output, and run the job again",
        ) from error


def _write_stdout(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
