"""One task, inside the process that runs it: its packs, from shared memory through sandboxes and back."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from pangea.compute.engine import sandbox
from pangea.compute.engine.channel import Progress, Records, SharedMemory, SharedWriter
from pangea.compute.model import frames
from pangea.compute.model.limits import Limits
from pangea.compute.model.outcome import Failure, FailureKind
from pangea.compute.model.units import human_bytes

#: Prints of a task are cut to this many characters.
PRINTS_MAX = 8_192
#: What Wasmtime counts with.
_FUEL_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class _Pack:
    """One pack of a task: `count` items in `size` bytes of entries, from byte `start` of the task's entries on."""

    guest: sandbox.Sandbox
    start: int
    size: int
    count: int


class TaskRun:
    """One task, inside its own process."""

    def __init__(
        self,
        instance: Callable[[], sandbox.Sandbox | None],
        limits: Limits,
        records: Records,
        memory: SharedMemory,
        progress: Progress,
        run: dict[str, Any],
    ) -> None:
        self._instance = instance
        self._progress = progress
        self._limits = limits
        self._records = records
        self._memory = memory
        self._number: int = run["number"]
        self._function: str = run["function"]
        self._packs: list[tuple[int, int]] = run["packs"]
        self._one_by_one: bool = run["one_by_one"]
        #: Results go behind the input: calls one by one still need it.
        self._out = SharedWriter(memory, run["size"], self._make_room)

    def done(self) -> dict[str, Any]:
        """Run the packs, as many as find a fresh instance here, and leave their results in shared memory."""
        started = time.perf_counter()
        self._out.append(frames.header(1 if self._function == "merge" else sum(count for count, _ in self._packs)))
        fuel = done = start = 0
        prints = ""
        for count, size in self._packs:
            if (guest := self._instance()) is None:
                break
            fuel += self._run(_Pack(guest, start, size, count))
            prints = (prints + self._prints(guest))[:PRINTS_MAX]
            start, done = start + size, done + 1
            self._progress.packs = done
            del guest  # before the next one is made: a machine may have no memory for two
        self._out.close()
        seconds = time.perf_counter() - started
        place = {"start": self._out.start, "size": self._out.size, "packs": done}
        return {**place, "fuel": fuel, "seconds": seconds, "prints": prints}

    def _run(self, pack: _Pack) -> int:
        """Run one pack; the fuel that it used."""
        guest, is_execute = pack.guest, self._function == "execute"
        if not guest.has(self._function):
            message = f"the module exports no function '{self._function}'"
            raise sandbox.SandboxError(Failure(kind=FailureKind.BAD_MODULE, message=message))
        # All chunks of a pack together: where in it fuel is used makes no difference.
        guest.refuel(min(self._limits.fuel * max(1, pack.count), _FUEL_MAX) if is_execute else self._limits.fuel)
        try:
            if self._function == "merge":
                self._merge(pack)
            elif is_execute and not self._one_by_one and guest.has("execute_many"):
                self._execute_many(pack)
            else:
                self._call_each(pack)
        finally:
            guest.check_growth()
        return guest.fuel_used

    def _take_frame(self, pack: _Pack) -> None:
        """Hand a pack's inputs over as a framed list."""
        target = pack.guest.reserve(frames.HEADER_BYTES + pack.size)
        target[: frames.HEADER_BYTES] = frames.header(pack.count)
        self._memory.read_into(target[frames.HEADER_BYTES :], frames.HEADER_BYTES + pack.start)

    def _merge(self, pack: _Pack) -> None:
        self._take_frame(pack)
        result = pack.guest.call("merge", self._limits.result)
        self._out.append(frames.entry_header(len(result)))
        self._out.append(result)

    def _execute_many(self, pack: _Pack) -> None:
        """Pass the whole pack in one call."""
        self._take_frame(pack)
        result = pack.guest.call("execute_many", self._limits.memory)
        self._check_list(result, "execute_many", self._limits.result, "result", expected=pack.count)
        self._out.append(result[frames.HEADER_BYTES :])

    def _call_each(self, pack: _Pack) -> None:
        """Call the function once per item, all of them in one instance and from the same fuel."""
        start = frames.HEADER_BYTES + pack.start
        frame = self._memory.mapped(start + pack.size)
        for index in range(pack.count):
            item = start + frames.ENTRY_OVERHEAD_BYTES
            start = item + int.from_bytes(frame[start:item], "little")
            assert start <= len(frame), "the node has checked its frame"
            try:
                self._call_one(pack.guest, item, start - item)
            except sandbox.SandboxError as error:
                raise sandbox.SandboxError(replace(error.failure, index=index)) from None

    def _call_one(self, guest: sandbox.Sandbox, start: int, size: int) -> None:
        self._memory.read_into(guest.reserve(size), start)
        is_split = self._function == "split"
        result = guest.call(self._function, self._limits.memory if is_split else self._limits.result)
        if is_split:
            self._check_list(result, "split", self._limits.chunk, "chunk")
        self._out.append(frames.entry_header(len(result)))
        self._out.append(result)

    def _check_list(self, frame: memoryview, function: str, size_max: int, what: str, *, expected: int | None = None) -> None:
        """Check a framed list that the guest returned.

        Raises:
            SandboxError: it is malformed, has not `expected` items, too many, or one over `size_max` (the limit `what`).
        """
        try:
            count = frames.count_of(frame)
            if expected is not None and count != expected:
                raise frames.FrameError(f"{count} results for {expected} chunks")
            if count > self._limits.items:
                raise _too_large(f"{function} returned {count:,} {what}s, the limit is {self._limits.items:,}", "items")
            start = frames.HEADER_BYTES
            for index, end in enumerate(frames.ends(frame)):
                size, start = end - start - frames.ENTRY_OVERHEAD_BYTES, end
                if size > size_max:
                    text = f"{what} {index} of {function} is {human_bytes(size)}, the limit is {human_bytes(size_max)}"
                    raise _too_large(text, what, index if expected is not None else None)
        except frames.FrameError as error:
            message = f"{function} returned a malformed list: {error}"
            raise sandbox.SandboxError(Failure(kind=FailureKind.BAD_RESULT, message=message)) from None

    def _make_room(self, size: int) -> None:
        self._records.send({"need": size, "number": self._number})
        record, _ = self._records.receive(seconds=self._limits.time + 1)
        assert record.get("capacity", 0) >= size, f"asked for {size} bytes, was given {record}"

    def _prints(self, guest: sandbox.Sandbox) -> str:
        """What was printed; a guest that fails at this is not worth failing the task for: its results are there."""
        try:
            guest.refuel(self._limits.fuel)
            return guest.take_prints()
        except sandbox.SandboxError as error:
            return f"[the captured prints can't be read: {error.failure.message}]"


def _too_large(message: str, limit: str, index: int | None = None) -> sandbox.SandboxError:
    return sandbox.SandboxError(Failure(kind=FailureKind.RESULT_TOO_LARGE, message=message, limit=limit, index=index))
