"""What the engine is asked to do: one task of one job, in plain data."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from pangea.compute.flow.chunks import Run, between
from pangea.compute.flow.packs import Pack
from pangea.compute.model import frames
from pangea.compute.model.frames import Buffer
from pangea.compute.model.gpu import GpuProgram
from pangea.compute.model.ids import Function
from pangea.compute.model.limits import Limits


@dataclass(frozen=True)
class Guest:
    """A job as the engine sees it: a module, and what its `init` receives.

    Attributes:
        module: SHA-256 of the WebAssembly module, in hex.
        code: bytes for `init`, or empty for a module without.
        limits: limits with the fuel of the job's kind filled in.
        is_strangers: whether somebody else has brought the module: its compiled code lies apart.
        gpu: a shader in place of the module; None: it is one.
    """

    module: str
    code: bytes
    limits: Limits
    is_strangers: bool = False
    gpu: GpuProgram | None = None

    @cached_property
    def key(self) -> str:
        """Names what a warmed process holds: equal keys are interchangeable."""
        return f"{self.module}:{hashlib.sha256(self.code).hexdigest()}:{self.limits}"


@dataclass(frozen=True, slots=True)
class Task:
    """A run of whole packs for one function: each gets a fresh sandbox instance.

    Attributes:
        guest: the job.
        function: for split and execute, `parts` is a framed list of inputs, each a call of its own; for merge it is the
            framed list of results, passed whole.
        count: items in the frame.
        parts: the frame, in pieces that are written one after the other.
        packs: in order; none: all of it is one.
    """

    guest: Guest
    function: Function
    count: int
    parts: Sequence[Buffer] = field(repr=False)
    packs: Sequence[Pack] = ()

    @classmethod
    def of(cls, guest: Guest, function: Function, run: Run) -> Task:
        """The task of a run of `guest`'s items."""
        return cls(guest, function, run.count, run.parts, run.packs)

    @property
    def spans(self) -> list[tuple[int, int]]:
        """Of each pack, the number of items and the bytes of their entries in the frame."""
        if len(self.packs) < 2:
            return [(self.count, sum(map(len, self.parts)) - frames.HEADER_BYTES)]
        return [(each.count, each.size_bytes + each.count * frames.ENTRY_OVERHEAD_BYTES) for each in self.packs]

    def part(self, first: int, end: int) -> Task:
        """The task of packs `first` to `end`, the last one not included, of this one's. Nothing is copied."""
        spans = self.spans
        if (first, end) == (0, len(spans)):
            return self
        begin = frames.HEADER_BYTES + sum(size for _, size in spans[:first])
        count = sum(items for items, _ in spans[first:end])
        entries = between(self.parts, begin, begin + sum(size for _, size in spans[first:end]))
        return Task(self.guest, self.function, count, [frames.header(count), *entries], self.packs[first:end])
