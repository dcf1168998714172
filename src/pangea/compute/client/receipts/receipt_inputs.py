"""The inputs of a receipt's job, found again: files as they lie there, or prepared as the job had them, each checked by its hash.

A receipt names what was cut. Of a .parquet file that is the Arrow stream it became; from the same file, by the same version of
pyarrow, it becomes the same stream again.
"""

from __future__ import annotations

import hashlib
import io
import json
import stat
import zipfile
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

from pangea.compute.inputs.formats import npz
from pangea.compute.inputs.formats.arrays import lies_in_columns
from pangea.compute.inputs.formats.files import local
from pangea.compute.inputs.inputs import Inputs
from pangea.compute.inputs.missing import hint_of_missing
from pangea.compute.inputs.preprocessor import prepare_input
from pangea.compute.model.errors import InputError, UnverifiedError
from pangea.compute.model.options import JobOptions, SplitStrategy
from pangea.compute.model.units import MIB, human_bytes
from pangea.compute.verification.receipt_job import ReceiptInput, ReceiptJob

#: Files and bytes as they are; or what opens them, prepared.
Found = tuple[Path | bytes, ...] | Callable[[], Inputs]

_KINDS = {SplitStrategy.NPY_ROWS: "array", SplitStrategy.ARROW_BATCHES: "table"}
_HINT = "name the files of all inputs with --input, in order"


def find_inputs(job: ReceiptJob, module: bytes, given: Sequence[Path]) -> Found:
    """The job's inputs, their hashes checked.

    Args:
        job: of the receipt.
        module: the job's, which says what it takes.
        given: files of all inputs, in order; none if the receipt's own paths will do.

    Raises:
        InputError: a file is missing, or isn't the one that the job had.
    """
    paths = [*given] if given else [Path(each.path) for each in job.inputs if each.path or each.size]
    kind = _kind_of(module, job.options)
    if kind == "bytes" or not all(path.name for path in paths) or _lie_there(paths, job.inputs):
        return tuple(_as_they_are(job, given))
    distinct = [path for path, _ in groupby(paths)]  # the arrays of a .npz file are inputs of one path

    def prepare() -> Inputs:
        return prepare_input(distinct, kind, job.options, spool=True)

    _check_prepared(prepare, job.inputs, distinct)
    return prepare


def places(paths: Sequence[Path], count: int) -> list[Path]:
    """Where each of `count` inputs is: in a file of its own, or in one of several arrays.

    Raises:
        UnverifiedError: those files have more inputs or fewer.
    """
    found = [*paths]
    if len(found) != count:
        found = [path for path in paths for _ in range(npz.count(path) if path.suffix.lower() == ".npz" else 1)]
    if len(found) != count:
        raise UnverifiedError(f"the receipt is about {count} inputs, not {len(paths)}")
    return found


def size_of(path: Path, what: str) -> int:
    """Bytes of a file at rest; a stranger's receipt may name a device or a pipe, which never ends.

    Raises:
        InputError: it is none.
    """
    try:
        found = path.stat()
    except (OSError, ValueError) as error:
        raise unreadable(path, what, error) from error
    if not stat.S_ISREG(found.st_mode):
        raise InputError(f"{what} is no file", path=str(path))
    return found.st_size


def sha256_of(path: Path) -> tuple[str, int]:
    """SHA-256 of a file, in hex, and its size.

    Raises:
        InputError: it can't be read, or is no file at rest (a pipe, a device).
    """
    size_of(path, str(path))
    try:
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256")
            return digest.hexdigest(), file.tell()
    except OSError as error:
        raise unreadable(path, str(path), error) from error


def unreadable(path: Path, what: str, error: OSError | ValueError) -> InputError:
    """An error about a file."""
    reason = (getattr(error, "strerror", None) or str(error)).lower()
    hint = hint_of_missing(path, "") if isinstance(error, FileNotFoundError) else ""
    return InputError(f"{what} can't be read: {reason}", hint=hint, path=str(path))


def _kind_of(module: bytes, options: JobOptions) -> str:
    """What the job takes: as its archive says; of a module, as far as its cut does."""
    try:
        with zipfile.ZipFile(io.BytesIO(module)) as archive:
            kinds = json.loads(archive.read("job.json")).get("kinds", {})
            return str(kinds.get("split", kinds.get("execute", ["bytes"]))[0])
    except (zipfile.BadZipFile, ValueError, LookupError, AttributeError, TypeError):  # no archive of ours
        return _KINDS.get(options.split_strategy, "bytes")


def _lie_there(paths: Sequence[Path], inputs: Sequence[ReceiptInput]) -> bool:
    """Whether the files could be the inputs themselves: an array in columns isn't, though it takes as many bytes."""
    if any((file := local(path)) is not None and lies_in_columns(file) for path in paths):
        return False
    return [size_of(path, f"the input {path}") for path in paths] == [each.size for each in inputs]


def _check_prepared(prepare: Callable[[], Inputs], inputs: Sequence[ReceiptInput], paths: Sequence[Path]) -> None:
    names = ", ".join(map(str, paths))
    hint = "give the job's own input; tables become the same bytes with the same version of pyarrow, at least"
    with prepare() as found:
        if len(found) != len(inputs):
            raise InputError(f"{names} are {len(found)} inputs; the job had {len(inputs)}", hint=_HINT)
        for item, expected in zip(found, inputs, strict=True):
            digest = hashlib.sha256()
            for block in item.blocks(MIB):
                digest.update(block)
            if digest.hexdigest() != expected.sha256:
                raise InputError(
                    f"{item.name}, prepared again, has SHA-256 {digest.hexdigest()}; the job's had {expected.sha256}", hint=hint
                )


def _as_they_are(job: ReceiptJob, given: Sequence[Path]) -> Iterator[Path | bytes]:
    if given and len(given) != len(job.inputs):
        raise InputError(
            f"{len(given)} inputs are given; the job had {len(job.inputs)}", hint="name all of them with --input, in order"
        )
    for at, each in enumerate(job.inputs):
        path = given[at] if given else Path(each.path) if each.path else None
        if path is not None and (given or each.size):
            yield _checked(path, each)
        elif each.size:
            which = f"input {at + 1} of {len(job.inputs)} ({human_bytes(each.size)}, SHA-256 {each.sha256})"
            raise InputError(f"the receipt doesn't say where {which} is", hint=_HINT)
        else:
            yield b""


def _checked(path: Path, expected: ReceiptInput) -> Path:
    size = size_of(path, f"the input {path}")
    if size != expected.size:  # before reading gigabytes for nothing
        raise InputError(f"the input {path} has {size:,} bytes; the job's had {expected.size:,}", hint="give the job's own input")
    found, _ = sha256_of(path)
    if found != expected.sha256:
        raise InputError(
            f"the input {path} has SHA-256 {found}; the job's had {expected.sha256}", hint="give the job's own input"
        )
    return path
