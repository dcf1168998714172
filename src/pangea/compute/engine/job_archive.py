"""A job's archive as a stranger may have made it: it is looked at before it is unpacked, and nothing in it is believed.

A directory of a zip is dear to read (a million names in 44 MiB: seconds, 230 MiB), and a few kilobytes may unpack to any size. So
both have bounds far above what `capture.archive` writes, before Python's zipfile sees them.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from struct import Struct
from typing import Any, Final

DESCRIPTION: Final = "job.json"
#: Of `job.json`, unpacked: it names functions, their types and the columns of a shader.
_DESCRIPTION_BYTES_MAX: Final = 1 << 20
#: Of the directory at the archive's end: 46 bytes and a name for each file. A package has thousands of them at most.
_DIRECTORY_BYTES_MAX: Final = 4 << 20
#: The record that ends a zip (APPNOTE 4.3.16): signature, disks, entries, bytes of the directory, its place, bytes of a comment.
_END = Struct("<4s4H2LH")
_END_SIGNATURE, _END64_SIGNATURE = b"PK\x05\x06", b"PK\x06\x07"
_LOCATOR_BYTES = 20
#: LZMA's header names a dictionary of up to 4 GiB.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def open_archive(archive: bytes) -> zipfile.ZipFile:
    """An archive's files, by name.

    Raises:
        ValueError, RuntimeError, zipfile.BadZipFile: it is none, or has more names than a job's.
    """
    end = archive[-_END.size :]
    if len(end) < _END.size or not end.startswith(_END_SIGNATURE):
        raise ValueError("it doesn't end as a zip without a comment does")
    if archive[-_END.size - _LOCATOR_BYTES : -_END.size].startswith(_END64_SIGNATURE):
        raise ValueError("it is a zip of more than 4 GiB, as it says")
    if (size := _END.unpack(end)[5]) > _DIRECTORY_BYTES_MAX:
        raise ValueError(f"its directory has {size:,} bytes; at most {_DIRECTORY_BYTES_MAX:,}")
    return zipfile.ZipFile(io.BytesIO(archive))


def read_of(files: zipfile.ZipFile, name: str, most: int) -> bytes:
    """One file of an archive, of so many bytes at most.

    Raises:
        KeyError: there is none.
        ValueError: it is larger, packed in a way that takes any amount of memory, or damaged.
    """
    about = files.getinfo(name)
    if about.file_size > most:
        raise ValueError(f"{name} has {about.file_size:,} bytes; at most {most:,}")
    if about.compress_type not in _METHODS:
        raise ValueError(f"{name} is packed by method {about.compress_type}, neither stored nor deflated")
    try:
        return files.read(about)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError) as error:
        raise ValueError(f"{name} is damaged: {error}") from error


def description_in(files: zipfile.ZipFile) -> Any:
    """What an archive says of its job.

    Raises:
        KeyError, ValueError, RecursionError: it says nothing, too much, or no JSON.
    """
    return json.loads(read_of(files, DESCRIPTION, _DESCRIPTION_BYTES_MAX))
