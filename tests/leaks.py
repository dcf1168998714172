"""What a test has left in its process: descriptors, threads, processes, shared memory."""

from __future__ import annotations

import gc
import os
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.deadlines import children_of, until


@dataclass(frozen=True)
class Held:
    """What this process holds at one moment, by kind and number: things are replaced by their like."""

    descriptors: Counter[str]
    threads: Counter[str]
    processes: frozenset[int]
    shared: Counter[str]

    @classmethod
    def now(cls, compiled: Path) -> Held:
        """Of this moment; code in the folder `compiled`, which the engine of all tests keeps open, is no leak."""
        targets = [target for target in map(_target_of, os.listdir("/proc/self/fd")) if target]
        return cls(
            Counter(_kind_of(target) for target in targets if not target.startswith(str(compiled))),
            Counter(each.name.rstrip("0123456789") for each in threading.enumerate() if not _is_lent(each)),
            frozenset(children_of(os.getpid())),
            Counter(_shared_memory()),
        )

    def beyond(self, before: Held) -> list[str]:
        """What is held now, and wasn't `before`."""
        found = [f"{number} more {kind}" for kind, number in (self.descriptors - before.descriptors).items()]
        found += [f"{number} more of thread {name}" for name, number in (self.threads - before.threads).items()]
        more = len(self.processes) - len(before.processes)
        found += [f"{more} more processes, of {sorted(self.processes - before.processes)}"] if more > 0 else []
        return found + [f"{number} more mapped {name}" for name, number in (self.shared - before.shared).items()]


def open_descriptors() -> int:
    """How many descriptors this process has open."""
    return len(os.listdir("/proc/self/fd"))


def settled_descriptors() -> int:
    """How many are open once what earlier tests left as garbage is gone, which would go at a moment of its own."""
    gc.collect()
    return open_descriptors()


@contextmanager
def assert_none_left_open(more: int = 0, *, seconds: float = 20.0) -> Iterator[None]:
    """Fail unless, within `seconds` of the block's end, no descriptors are open that weren't before it, or at most `more`."""
    before = settled_descriptors()
    yield
    until(lambda: open_descriptors() <= before + more, seconds=seconds, what=f"closing what was opened beyond {before} + {more}")


#: The folder of a process's descriptors, open while they are listed.
_LISTING = re.compile(r"/proc/\d+(/task/\d+)?/fd")


def _target_of(descriptor: str) -> str:
    try:
        target = os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:  # that of the listing itself
        return ""
    return "" if _LISTING.fullmatch(target) else target  # another thread's, at this moment


def _is_lent(thread: threading.Thread) -> bool:
    """A thread of an event loop's own pool: it ends with its loop, whose descriptors are counted."""
    return thread.name.startswith("asyncio_")


def _kind_of(target: str) -> str:
    """`socket`, `pipe` and the like, or the file."""
    return target if target.startswith("/") else target.partition(":")[0]


def _shared_memory() -> list[str]:
    """Mappings that other processes may share, by the name of their memory."""
    paths = [line.split(maxsplit=5)[-1] for line in Path("/proc/self/maps").read_text().splitlines() if line.count(" ") > 4]
    return [path for path in paths if path.startswith(("/dev/shm/", "/memfd:"))]
