"""What the caller's shell allows (`ulimit`), against what the engine needs: found out before anything is started.

Sources: setrlimit(2); the figures are measured: one worker and a compilation run within 12 open files, and within 4.2 GiB of
address space, of which Wasmtime reserves 4 GiB for a guest's memory.
"""

from __future__ import annotations

import resource
from collections.abc import Iterable
from pathlib import Path

from pangea.compute.engine.descriptors import is_open
from pangea.compute.model.errors import UnavailableError
from pangea.compute.model.units import GIB, human_bytes

#: A worker's socket, memory and complaints, and what starting it takes for a moment; they all start at once.
_FILES_PER_WORKER = 8
#: Compiling, reading inputs, writing the result.
_FILES_BESIDE = 8
_ADDRESS_SPACE_BYTES = 9 * GIB // 2
#: The shared memory between a worker and its node.
_FILE_BYTES = GIB // 4
#: More descriptors than these are not counted one by one.
_COUNTED_MAX = 65_536


def check_files(workers: int) -> None:
    """Find out whether `workers` processes can be started; the limit of open files is raised as far as need be and may be.

    Raises:
        UnavailableError: a limit is too low; names it, what it is, and what is needed.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = _open_files(soft) + workers * _FILES_PER_WORKER + _FILES_BESIDE
    if soft < needed <= hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    elif soft < needed:
        raise UnavailableError(
            f"{workers} worker processes need {needed} open files; this process may have {soft} (ulimit -n)",
            hint=f"ulimit -n {max(256, needed)}, or fewer workers: PANGEA_WORKERS=1",
        )


def check_space() -> None:
    """Find out whether a sandbox can be made.

    Raises:
        UnavailableError: address space is limited to less than one takes; names the limit, what it is, and what is needed.
    """
    space = resource.getrlimit(resource.RLIMIT_AS)[0]
    if space != resource.RLIM_INFINITY and space < _ADDRESS_SPACE_BYTES:
        raise UnavailableError(
            f"a sandbox needs {human_bytes(_ADDRESS_SPACE_BYTES)} of address space; this process may have {human_bytes(space)}"
            " (ulimit -v)",
            hint=f"ulimit -v {_ADDRESS_SPACE_BYTES >> 10}; it is reserved, not used",
        )
    size = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if size != resource.RLIM_INFINITY and size < _FILE_BYTES:
        raise UnavailableError(
            f"what a sandbox reads and returns is a file in memory of up to {human_bytes(_FILE_BYTES)}; this process may make"
            f" files of {human_bytes(size)} (ulimit -f)",
            hint=f"ulimit -f {_FILE_BYTES >> 10}; nothing of it is written to disk",
        )


def cpu_seconds() -> int | None:
    """The CPU time that each process may use (`ulimit -t`); None: any."""
    most = resource.getrlimit(resource.RLIMIT_CPU)[1]
    return None if most == resource.RLIM_INFINITY else most


def memory_bytes() -> int | None:
    """The memory that each process may use (`ulimit -d`, `ulimit -v`); None: any."""
    most = [resource.getrlimit(which)[1] for which in (resource.RLIMIT_DATA, resource.RLIMIT_AS)]
    return min((each for each in most if each != resource.RLIM_INFINITY), default=None)


def _open_files(most: int) -> int:
    """How many descriptors below `most` are open."""
    try:
        numbers: Iterable[int] = [int(each.name) for each in Path("/proc/self/fd").iterdir()]
    except OSError:  # there is no such list, or no descriptor left to read it with
        numbers = range(_COUNTED_MAX)
    return sum(number < most and is_open(number) for number in numbers)  # the list's own is closed again
