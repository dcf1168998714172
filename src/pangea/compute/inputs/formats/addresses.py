"""Files behind an address (`s3://…`, `https://…`, `memory://…`), through fsspec."""

from __future__ import annotations

import glob
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pangea.compute.inputs.formats.files import File, Guarded, local, one_line
from pangea.compute.model.errors import InputError
from pangea.compute.model.libraries import need

_SCHEME = r"[A-Za-z][A-Za-z0-9+.-]*"
#: Also in chains, as fsspec has them: `simplecache::s3://…`.
_ADDRESS = re.compile(rf"({_SCHEME}::)*{_SCHEME}://")


def is_address(name: str) -> bool:
    """Whether it is `scheme://…`."""
    return _ADDRESS.match(name) is not None


def files_at(address: str) -> list[File]:
    """The file at an address, or those that it stands for if it has *, ? or [; sorted.

    Raises:
        InputError: there are none, they can't be reached, or what the protocol needs isn't installed.
    """
    fsspec = need("fsspec", f"reading {address.partition('://')[0]}://")
    with _remote(address):
        system, place = fsspec.core.url_to_fs(address)
        places = sorted(system.glob(place)) if glob.has_magic(place) and not system.exists(place) else [place]
        found = [_file(system, each) for each in places if not system.isdir(each)]
    if not found:
        raise InputError(f"no file matches {address!r}", hint="check the address", name=address)
    return found


def _file(system: Any, place: str) -> File:
    protocols = system.protocol if isinstance(system.protocol, tuple) else (system.protocol,)
    if "file" in protocols and (file := local(Path(place))) is not None:
        return file
    name = str(system.unstrip_protocol(place)).partition("?")[0]  # what follows may be a secret

    def opener() -> io.BufferedReader:
        with _remote(name):
            return io.BufferedReader(Guarded(system.open(place, "rb"), name, lambda: _remote(name)))

    return File.of(name, int(system.size(place) or 0), opener)


@contextmanager
def _remote(name: str) -> Iterator[None]:
    """Have trouble with a remote file told as an `InputError`; each protocol's library raises its own."""
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"there is no file {name}", hint="check the address", name=name) from error
    except ImportError as error:
        raise InputError(f"{name} can't be read: {one_line(error)}", hint="install what is named there", name=name) from error
    except Exception as error:
        reason = one_line(error) or type(error).__name__
        raise InputError(f"{name} can't be read: {reason}", hint="check the address, and your rights there", name=name) from error
