"""The process that has the adapter: jailed, and given one job's shader at a time.

Its records are those of `worker`, so that the node keeps its time, kills it, and believes it no more than any other. A driver
can't be forked, so tasks run in the process itself. Shaders have no memory that lasts: buffers are kept for chunks of the same
size, of which every row is written anew. A process serves one job, the node starts another for the next; buffers begin as zeros.
"""

from __future__ import annotations

import contextlib
import json
import operator
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import accumulate, product
from pathlib import Path
from typing import Any

from pangea.compute.data import npy
from pangea.compute.data.dtypes import parse_dtype
from pangea.compute.data.errors import DataError
from pangea.compute.engine import gpu, jail
from pangea.compute.engine.channel import ChannelError, Progress, Records, SharedMemory, SharedWriter
from pangea.compute.engine.gpu import Fault, GpuError
from pangea.compute.model import frames
from pangea.compute.model.errors import JobDefinitionError
from pangea.compute.model.frames import Buffer
from pangea.compute.model.gpu import ITEM_BYTES, GpuProgram, Metered, is_driver
from pangea.compute.model.limits import Limits
from pangea.compute.model.outcome import Failure, FailureKind
from pangea.compute.model.units import human_bytes

_TEXT_MAX = 8_192
_FAULTS = {
    Fault.SHADER: FailureKind.BAD_MODULE,
    Fault.MEMORY: FailureKind.HOST_MEMORY,
    Fault.DEVICE: FailureKind.WORKER_LOST,
}
#: What is run once, before the jail closes: more turns than the drivers take that are known to cut loops short.
_WARM_UP_TURNS = 70_000
_WARM_UP = GpuProgram(
    "fn count(n: u32) -> u32 { var i = 0u; while i < n { i += 1u; } return i; }"
    " fn main(index: u32) -> u32 { return count(input(index)); }",
    turns=2 * _WARM_UP_TURNS,
)


class _FailedError(Exception):
    """A task can't be done; carries the outcome."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class GpuWorker:
    """The state of the process: its ends of the channel, the device, and the job's program."""

    def __init__(self, records: Records, memory: SharedMemory, progress: Progress, device: gpu.Device, held: int) -> None:
        """Serve over `records` and `memory`, telling `progress`; `held`: bytes of memory that the process needs for itself."""
        self._held = held
        self._records = records
        self._memory = memory
        self._progress = progress
        self._device = device
        self._program: GpuProgram | None = None
        self._compiled: gpu.Program | None = None
        self._type = parse_dtype("uint32")
        self._limits = Limits()
        self._number = 0

    def serve(self) -> None:
        """Answer records until the node closes the channel."""
        while True:
            record, descriptors = self._records.receive()
            for descriptor in descriptors:  # none is of any use here
                os.close(descriptor)
            for name, work in (("load", self._load), ("run", self._run)):
                if name in record:
                    self._number = record[name]["number"]
                    self._records.send({**_answer(work, record[name]), "number": self._number})

    def _load(self, load: dict[str, Any]) -> dict[str, Any]:
        self._limits = Limits(**load["limits"])
        jail.limit_gpu(self._held, self._limits.memory)
        text = json.loads(self._memory.read(0, load["code_bytes"]))
        try:
            self._program = GpuProgram.of_json(text["program"], text["shader"])
        except JobDefinitionError as error:
            raise _FailedError(Failure(kind=FailureKind.BAD_MODULE, message=error.message)) from None
        self._type = parse_dtype(self._program.returned.dtype)
        self._compiled = self._device.build(self._program)
        return {"loaded": True}

    def _run(self, run: dict[str, Any]) -> dict[str, Any]:
        """Run the packs, and leave their results in shared memory."""
        assert run["function"] == "execute", "split and merge are no shaders"
        started = time.perf_counter()
        frame = self._memory.mapped(run["size"])
        out = SharedWriter(self._memory, run["size"], self._make_room)
        out.append(frames.header(sum(count for count, _ in run["packs"])))
        fuel, at = 0, frames.HEADER_BYTES
        for done, (count, _) in enumerate(run["packs"], 1):
            used = 0
            for index in range(count):
                start = at + frames.ENTRY_OVERHEAD_BYTES
                at = start + int.from_bytes(frame[at:start], "little")
                try:
                    used += self._execute(frame[start:at], self._limits.fuel * count - used, out)
                except _FailedError as error:
                    raise _FailedError(replace(error.failure, index=index, fuel=used)) from None
            fuel += used
            self._progress.packs = done
        out.close()
        place = {"start": out.start, "size": out.size, "packs": len(run["packs"])}
        return {**place, "fuel": fuel, "seconds": time.perf_counter() - started, "prints": ""} | {"done": True}

    def _execute(self, chunk: Buffer, fuel: int, out: SharedWriter) -> int:
        """Append one chunk's result to `out`; what it is billed, which is no more than `fuel`."""
        assert self._program is not None, "run before load"
        assert self._compiled is not None, "run before load"
        program, (size, numbers) = self._program, _numbers(chunk, self._program)
        shape = program.returned.shape(size)
        spent = program.fuel(size, shape[0])
        self._check(size * ITEM_BYTES, shape)
        _check_fuel(spent, fuel)

        def take(data: memoryview) -> None:
            header = npy.header_bytes(self._type, shape)
            for part in (frames.entry_header(len(header) + len(data)), header, data):
                out.append(part)

        if not shape[0]:
            take(memoryview(b""))
            return spent
        metered = self._compiled.run(numbers, shape[0], take)
        spent += self._turns(program, metered)
        _check_fuel(spent, fuel)
        return spent

    def _turns(self, program: GpuProgram, metered: Metered) -> int:
        """What turns of loops are billed; if there were too many, whose failure that is."""
        if metered.is_cut:  # whether they were too many for the job, too, nobody knows
            driver = f"{self._device.name} ({self._device.driver})"
            text = f"execute's loops have more turns than {driver} takes before it cuts them short"
            raise _failed(FailureKind.NO_ADAPTER, text, "turns")
        is_exact = program.tolerance is None
        if metered.is_over:
            text = f"an invocation of execute took more than {program.turns:,} turns of its loops"
            # With floating point they may hang on the last bit, so another adapter may take fewer: nobody is to blame.
            raise _failed(FailureKind.OUT_OF_FUEL if is_exact else FailureKind.TIMED_OUT, text, "turns")
        return metered.turns if is_exact else 0

    def _check(self, input_bytes: int, shape: tuple[int, ...]) -> None:
        """Refuse before anything runs what goes beyond a limit, by its figures: the same on every machine."""
        assert self._program is not None
        limits, rows = self._limits, shape[0]
        output_bytes = rows * ITEM_BYTES * (shape[1] if len(shape) > 1 else 1)
        what = f"execute makes {rows:,} rows, {human_bytes(output_bytes)}"
        if rows > self._program.rows_max:
            text = f"{what}; with workgroup={self._program.workgroup} there are at most {self._program.rows_max:,} rows"
            raise _failed(FailureKind.RESULT_TOO_LARGE, text, "result")
        if output_bytes > limits.result:
            raise _failed(FailureKind.RESULT_TOO_LARGE, f"{what}; the limit is {human_bytes(limits.result)}", "result")
        if input_bytes + output_bytes > limits.memory:
            text = f"execute's buffers take {human_bytes(input_bytes + output_bytes)}; the limit is {human_bytes(limits.memory)}"
            raise _failed(FailureKind.OUT_OF_MEMORY, text, "memory")

    def _make_room(self, size: int) -> None:
        self._records.send({"need": size, "number": self._number})
        record, _ = self._records.receive(seconds=self._limits.time + 1)
        assert record.get("capacity", 0) >= size, f"asked for {size} bytes, was given {record}"


def _numbers(chunk: Buffer, program: GpuProgram) -> tuple[int, memoryview]:
    """How many numbers a chunk has, and these, in C order: without NumPy, as this process is jailed."""
    view = memoryview(chunk).cast("B")
    try:
        header = npy.read_header(view)
    except DataError as error:
        raise _failed(FailureKind.GUEST_ERROR, f"execute is given what is no array: {error}") from None
    if header.stop != len(view):
        raise _failed(FailureKind.GUEST_ERROR, f"execute is given an array with {len(view) - header.stop:,} bytes behind it")
    wanted, given = program.taken.dtype, header.dtype.descr
    if given != parse_dtype(wanted).descr:
        raise _failed(FailureKind.GUEST_ERROR, f"execute takes an array of {wanted}, and is given one of {given}")
    numbers = view[header.start : header.stop]
    if not numbers and program.returned.shape(0)[0]:
        raise _failed(FailureKind.GUEST_ERROR, "execute is given an empty array, and a shader has no empty input")
    is_turned = header.is_fortran and sum(side > 1 for side in header.shape) > 1
    return len(numbers) // ITEM_BYTES, _turned(numbers, header.shape) if is_turned else numbers


def _turned(numbers: memoryview, shape: tuple[int, ...]) -> memoryview:
    """The numbers in C order, of which the first axis lies together."""
    words = memoryview(bytes(numbers)).cast("I")
    steps = list(accumulate(shape, operator.mul, initial=1))
    last = shape[-1] * steps[-2]
    starts = (sum(map(operator.mul, place, steps)) for place in product(*map(range, shape[:-1])))
    return memoryview(b"".join(words[start : start + last : steps[-2]].tobytes() for start in starts))


def _check_fuel(spent: int, fuel: int) -> None:
    if spent > fuel:
        raise _failed(FailureKind.OUT_OF_FUEL, f"execute takes {spent:,} units of fuel, and may take {max(0, fuel):,}", "fuel")


def _failed(kind: FailureKind, message: str, limit: str = "") -> _FailedError:
    return _FailedError(Failure(kind=kind, message=message, limit=limit))


def _answer(work: Callable[[dict[str, Any]], dict[str, Any]], asked: dict[str, Any]) -> dict[str, Any]:
    """What `work` answers, or the failure that it ended with."""
    try:
        answer = work(asked)
        return {"done": answer} if answer.pop("done", False) else answer
    except _FailedError as error:
        failure = error.failure
    except GpuError as error:
        failure = Failure(kind=_FAULTS[error.fault], message=error.message)
    except MemoryError:
        failure = Failure(kind=FailureKind.HOST_MEMORY, message="the adapter's process ran out of memory")
    return {"failure": {**asdict(failure), "message": failure.message[:_TEXT_MAX]}}


def _open(which: str) -> tuple[gpu.Device, dict[str, Any]]:
    device = gpu.Device(which)
    _check_loops(device)
    hello = {"adapter": device.name, "driver": device.driver, "memory_bytes": device.memory_bytes}
    return device, hello | {"is_software": device.is_software}


def _check_loops(device: gpu.Device) -> None:
    """Refuse a driver that cuts loops short and doesn't let it show. That loads what the driver needs, too.

    Raises:
        GpuError: it does; or the device fails.
    """
    given = bytearray()
    metered = device.build(_WARM_UP).run(_WARM_UP_TURNS.to_bytes(ITEM_BYTES, "little"), 1, given.extend)
    if not metered.is_cut and int.from_bytes(given, "little") != _WARM_UP_TURNS:
        raise GpuError(
            Fault.DEVICE, f"the driver of {device.name} cuts loops short without a sign: no result of it could be trusted"
        )


def main(socket_descriptor: int, memory_descriptor: int, progress_descriptor: int, parent: int, which: str) -> None:
    """Run the process until the node goes away.

    Args:
        socket_descriptor: its end of the records' socket.
        memory_descriptor: the shared memory.
        progress_descriptor: the number of packs done.
        parent: process id of the node.
        which: the kind of adapter: see `gpu.Device`.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the node's to handle
    os.environ.update(jail.DRIVER_ENVIRONMENT)
    records = Records(socket.socket(fileno=socket_descriptor))
    driver = [str(Path(which).resolve().parent)] if is_driver(which) else []
    taken = jail.prepare_gpu(parent, [*sys.path, sys.prefix, sys.base_prefix, *driver])
    try:
        device, hello = _open(which)
    except GpuError as error:
        records.send({"hello": {"problem": error.message}})
        return
    held = jail.held_data()
    hello |= asdict(jail.enter_gpu(taken, is_software=device.is_software)) | {"problem": None}
    records.send({"hello": hello})
    with contextlib.suppress(ChannelError):
        GpuWorker(records, SharedMemory(memory_descriptor), Progress(progress_descriptor), device, held).serve()
