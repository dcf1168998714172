"""Whether this machine will give a guest the memory that its job allows, before the guest can notice that it doesn't.

`memory.grow` answers -1 at the job's limit, which is the same everywhere, and also where the system refuses: a lower limit on
data (`ulimit -d`), or strict accounting (`vm.overcommit_memory=2`) with little left. A guest can tell the job so, and then an
honest machine's answer is another than everybody's. So what may be taken is asked for and given back first, in one piece and
as Wasmtime asks for it; after a pack once more, in case somebody else has taken it meanwhile.

Source: mmap(2) on MAP_NORESERVE, getrlimit(2) on RLIMIT_DATA.
"""

from __future__ import annotations

import mmap

from pangea.compute.model.outcome import Failure, FailureKind
from pangea.compute.model.units import MIB, human_bytes

#: The same on all of Linux's machines that we run on; the module `mmap` hasn't always had it.
_MAP_NORESERVE = 0x4000
#: For the one table, which may move as it grows, and for this process itself.
_BESIDE_BYTES = 32 * MIB


def refusal(size: int) -> Failure | None:
    """Why a guest can't take `size` bytes more; None if it can."""
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE
    try:
        mmap.mmap(-1, size + _BESIDE_BYTES, flags=flags).close()
    except OSError as error:
        message = f"the machine doesn't give a sandbox the {human_bytes(size)} that it may still take: {error.strerror}"
        return Failure(kind=FailureKind.HOST_MEMORY, message=message)
    return None
