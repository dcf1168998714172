"""What a job can be given: bytes, paths, open files, or a list of those, each looked at without reading it whole.

Files are opened one at a time and only while they are cut (`reading`), so thousands of them need neither memory nor descriptors.
Whatever can't be read from any place (a pipe, a terminal, a decompressing reader) is copied to an unlinked temporary file first.
A file that has changed size before its turn comes, or is cut short meanwhile, is an `InputError`.
"""

from __future__ import annotations

import io
import mmap
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol, Self

from pangea.compute.inputs.missing import hint_of_missing
from pangea.compute.inputs.reading import Mapped, Opened, OpenFile, Segment
from pangea.compute.model.errors import InputError
from pangea.compute.model.options import SplitStrategy
from pangea.compute.model.units import MIB, human_bytes

#: Smaller files of our own are read: cheaper than mapping them, and an empty file can't be mapped.
MAPPED_BYTES_MIN = MIB
_COPY_BYTES = MIB
_STDIN = "/dev/stdin"
_DATA_HINT = "a str is a path; pass bytes for data"
_ACCEPTED = "bytes, a path, a file opened with 'rb', or a list of those"


class Made(Protocol):
    """An input that isn't bytes yet, such as an array or a table: encoded while it is cut, so that it needn't be there twice.

    Cut by its own `strategy`, it gives the very segments that its bytes would give.
    """

    @property
    def strategy(self) -> SplitStrategy:
        """How it can be cut without being encoded as a whole."""

    @property
    def size(self) -> int:
        """Bytes of all blocks; an estimate as long as nobody knows."""

    def blocks(self) -> Iterator[Segment]:
        """All its bytes, in pieces."""

    def segments(self, largest: int) -> Iterator[Segment]:
        """What it is cut into, each of at most `largest` bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One input, whose ends are segment boundaries.

    Attributes:
        name: its path, or its place among the inputs.
        size: bytes; of what is `made`, maybe an estimate.
        made: encodes it while it is cut; None if it is there as bytes.
        is_read_once: whether a large file, of our own, leaves the page cache behind the cut: memory that is fresh costs more than
            the disk.
    """

    name: str
    size: int
    made: Made | None = field(default=None, repr=False)
    _source: memoryview | Path | IO[bytes] = field(default=memoryview(b""), repr=False)
    _start: int = 0
    is_read_once: bool = False
    _is_own: bool = False

    @contextmanager
    def opened(self) -> Iterator[Opened]:
        """Look at the input's bytes; what isn't bytes yet is encoded as a whole first.

        Raises:
            InputError: the file can't be opened any more, or has changed its size.
        """
        if self.made is not None:
            with ExitStack() as resources, spooled(self.made.blocks(), self.name, resources).opened() as content:
                yield content
            return
        content = Opened(self._source[:]) if isinstance(self._source, memoryview) else self._open()
        try:
            yield content
        finally:
            content.close()

    def blocks(self, size: int) -> Iterator[memoryview]:
        """All its bytes, in pieces of at most `size`.

        Raises:
            InputError: as `opened`.
        """
        if self.made is not None:
            for block in self.made.blocks():
                yield from (memoryview(block)[at : at + size] for at in range(0, len(block), size))
            return
        with self.opened() as content:
            for at in range(0, self.size, size):
                yield content.view[at : at + size]
                content.drop_before(at)

    def _open(self) -> Opened:
        assert not isinstance(self._source, memoryview)
        try:
            if not isinstance(self._source, Path):
                return self._open_descriptor(self._source.fileno())
            with open(self._source, "rb", buffering=0) as file:
                return self._open_descriptor(file.fileno())
        except OSError as exc:
            raise InputError(f"{self.name} can't be read: {_reason(exc)}", name=self.name) from exc

    def _open_descriptor(self, descriptor: int) -> Opened:
        size = os.fstat(descriptor).st_size - self._start
        if size != self.size:
            raise InputError(
                f"{self.name} had {self.size:,} bytes when the job began, and has {size:,} now",
                hint="give the job a file that nobody writes to",
                name=self.name,
            )
        if size < MAPPED_BYTES_MIN or not (self._is_own or self.is_read_once):
            return OpenFile(descriptor, self.name, self._start, size)
        mapping = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
        mapping.madvise(mmap.MADV_SEQUENTIAL)
        return Mapped(mapping, self._start, read_once=descriptor if self.is_read_once else -1)


class Inputs:
    """The inputs of one job, in order. A context manager: it closes what it opened, never what it was given."""

    def __init__(self, items: list[Input], resources: ExitStack) -> None:
        """Hold `items`, which need `resources` to stay open."""
        self._items = items
        self._resources = resources

    def read_once(self) -> Inputs:
        """The same, of which nobody will need the files' bytes again soon, and which nobody else writes to."""
        return Inputs([replace(item, is_read_once=True) for item in self._items], self._resources)

    def __iter__(self) -> Iterator[Input]:
        """The inputs in order."""
        return iter(self._items)

    def __len__(self) -> int:
        """How many inputs there are."""
        return len(self._items)

    @property
    def total_bytes(self) -> int:
        """Bytes of all inputs together, as far as is known by now."""
        return sum(item.size if item.made is None else item.made.size for item in self._items)

    def close(self) -> None:
        """Close what was opened. Segments that somebody still holds stay good."""
        self._resources.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def open_inputs(input_data: object = None) -> Inputs:
    """Check and open a job's input; files are only looked at when their turn comes.

    Args:
        input_data: None (one empty input), bytes or another buffer of bytes, the path of a file (a `str` is always a path), a
            binary file object (read from where it stands), or a list or tuple of those: one input each. What lies
            in memory is not copied, so it must not change while the job runs.

    Raises:
        InputError: names the input, says what is wrong with it and what to pass instead.
    """
    if input_data is None:
        input_data = b""
    if isinstance(input_data, list | tuple):
        if not input_data:
            raise InputError("the list of inputs is empty", hint="pass None to run a job without input")
        given = list(input_data)
    else:
        given = [input_data]
    with ExitStack() as resources:
        items = []
        for position, value in enumerate(given, 1):
            place = "the input" if len(given) == 1 else f"input {position} of {len(given)}"
            items.append(open_one(value, place, resources))
        return Inputs(items, resources.pop_all())


def open_one(value: Any, place: str, resources: ExitStack) -> Input:
    """One input of `open_inputs`: `place` names it unless it has a name, `resources` are what it needs to stay open.

    Raises:
        InputError: as `open_inputs`.
    """
    if isinstance(value, bytes | bytearray | memoryview):
        return _from_buffer(value, place, resources)
    if isinstance(value, str | os.PathLike):
        return _from_path(value, resources)
    if isinstance(value, io.TextIOBase):
        raise InputError(
            f"{_name_of(value, place)} is open in text mode", hint="open it with 'rb', or pass its .buffer", name=place
        )
    if callable(getattr(value, "read", None)):
        return _from_file(value, _name_of(value, place), resources)
    raise InputError(
        f"{place} is a {type(value).__module__}.{type(value).__qualname__}; it must be {_ACCEPTED}".replace("builtins.", ""),
        hint="pass x.tobytes()" if hasattr(value, "tobytes") else f"pass {_ACCEPTED}",
        name=place,
    )


def _from_buffer(value: bytes | bytearray | memoryview, place: str, resources: ExitStack) -> Input:
    try:
        view = memoryview(value)
        view = view.cast("B") if view.nbytes else memoryview(b"")  # a view with a 0 in its shape can't be cast
    except (TypeError, ValueError) as exc:
        raise InputError(
            f"{place} is a memoryview that isn't plain contiguous memory", hint="pass x.tobytes()", name=place
        ) from exc
    resources.callback(view.release)
    return Input(name=place, size=len(view), _source=view)


def _from_path(value: str | os.PathLike[Any], resources: ExitStack) -> Input:
    name = os.fsdecode(os.fspath(value))
    with _open_path(name, _DATA_HINT if isinstance(value, str) else "") as file:
        found = os.fstat(file.fileno())
        is_regular = stat.S_ISREG(found.st_mode)
        if is_regular and found.st_size and name != _STDIN:
            return Input(name=name, size=found.st_size, _source=Path(name).absolute())
        # Of devices only those that end: terminals and /dev/null.
        is_null = stat.S_ISCHR(found.st_mode) and found.st_rdev == Path(os.devnull).stat().st_rdev
        if is_regular or is_null or stat.S_ISFIFO(found.st_mode) or stat.S_ISSOCK(found.st_mode) or file.isatty():
            return _from_file(file, name, resources)
    raise InputError(f"{name!r} is neither a file nor a pipe", hint="give a regular file", name=name)


def _open_path(name: str, hint: str) -> IO[bytes]:
    shown = f"{name!r}" if len(name) <= 200 else f"{name[:100]!r}… ({len(name):,} characters)"
    try:
        # Opened by its name, standard input would start over, and fail when it is a socket.
        return open(os.dup(0) if name == _STDIN else name, "rb")
    except FileNotFoundError as exc:
        raise InputError(f"there is no file {shown}", hint=hint_of_missing(name, hint), name=name) from exc
    except IsADirectoryError as exc:
        raise InputError(f"{shown} is a directory", hint="give the files in it, as a list", name=name) from exc
    except OSError as exc:
        raise InputError(f"{shown} can't be read: {_reason(exc)}", hint=hint, name=name) from exc
    except ValueError as exc:
        raise InputError(f"{shown} can't be a file's name: {exc}", hint=hint, name=name) from exc


def _from_file(file: IO[bytes], name: str, resources: ExitStack) -> Input:
    if not is_plain_file(file):
        return spooled(blocks_of(file, name), name, resources)
    if file.writable():
        file.flush()
    start, size = file.tell(), os.fstat(file.fileno()).st_size
    if start >= size:  # files under /proc say they are empty, and aren't
        return spooled(blocks_of(file, name), name, resources)
    own = resources.enter_context(os.fdopen(os.dup(file.fileno()), "rb", buffering=0))  # theirs may be closed before its turn
    return Input(name=name, size=size - start, _source=own, _start=start)


def is_plain_file(file: IO[bytes]) -> bool:
    """Whether the descriptor of `file` shows the bytes that reading it would: that of a GzipFile shows the compressed ones."""
    raw = file.raw if isinstance(file, io.BufferedReader | io.BufferedRandom) else file
    if not isinstance(raw, io.FileIO) or raw.closed or not raw.readable():
        return False
    return stat.S_ISREG(os.fstat(raw.fileno()).st_mode)


def spooled(blocks: Iterable[Segment], name: str, resources: ExitStack) -> Input:
    """An input that comes in pieces, copied.

    Raises:
        InputError: there is no room for it.
    """
    copy = resources.enter_context(spool(blocks, name))
    if size := os.fstat(copy.fileno()).st_size:
        return Input(name=name, size=size, _source=copy, _is_own=True)
    copy.close()
    return Input(name=name, size=0)


def spool(blocks: Iterable[Segment], name: str) -> IO[bytes]:
    """Copy what comes in pieces to a temporary file without a name; `name` is for messages.

    Raises:
        InputError: there is no room for it.
    """
    size, copy = 0, None
    try:
        copy = tempfile.TemporaryFile()
        for block in blocks:
            size += copy.write(block)
        copy.flush()
    except BaseException as exc:
        if copy is not None:
            with suppress(OSError):  # it still has what there is no room for
                copy.close()
        if not isinstance(exc, OSError):
            raise
        raise InputError(
            f"{name} can't be copied to {tempfile.gettempdir()} ({human_bytes(size)} so far): {_reason(exc)}",
            hint="make room there, or set TMPDIR to a folder with more",
            name=name,
        ) from exc
    return copy


def blocks_of(file: IO[bytes], name: str) -> Iterator[bytes]:
    """What is left of `file`; `name` is for messages.

    Raises:
        InputError: it can't be read, or yields no bytes.
    """
    while block := _read_block(file, name):
        yield block


def _read_block(file: IO[bytes], name: str) -> bytes:
    try:
        block: Any = file.read(_COPY_BYTES)
    except InputError:  # of a reader that knows better
        raise
    except (OSError, ValueError, EOFError) as exc:
        reason = _reason(exc) if isinstance(exc, OSError) else str(exc)
        raise InputError(f"{name} can't be read: {reason}", name=name) from exc
    if isinstance(block, str):
        raise InputError(f"{name} yields text, not bytes", hint="open it with 'rb'", name=name)
    if block is None:
        raise InputError(f"{name} is in non-blocking mode and has no data yet", hint="make it blocking", name=name)
    if not isinstance(block, bytes | bytearray | memoryview):
        raise InputError(f"{name} yields {type(block).__name__}, not bytes", hint="open it with 'rb'", name=name)
    return bytes(block)


def _name_of(file: object, place: str) -> str:
    name = getattr(file, "name", None)
    return name if isinstance(name, str) else place


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
