"""What the engine is asked to do: one task of one job, in plain data."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from pangea.compute.model.frames import Buffer
from pangea.compute.model.limits import Limits

Function = Literal["split", "execute", "merge"]


@dataclass(frozen=True)
class Guest:
    """A job as the engine sees it: a module, and what its `init` receives.

    Attributes:
        module: SHA-256 of the WebAssembly module, in hex.
        code: bytes for `init`, or empty for a module without.
        limits: limits with the fuel of the job's kind filled in.
    """

    module: str
    code: bytes
    limits: Limits

    @cached_property
    def key(self) -> str:
        """Names what a warmed process holds: equal keys are interchangeable."""
        return f"{self.module}:{hashlib.sha256(self.code).hexdigest()}:{self.limits}"


@dataclass(frozen=True, slots=True)
class Task:
    """A run of consecutive inputs for one function, in one fresh sandbox.

    Attributes:
        guest: the job.
        function: for split and execute, `parts` is a framed list of inputs, each a call of its own; for merge it is the
            framed list of results, passed whole.
        count: items in the frame.
        parts: the frame, in pieces that are written one after the other.
        singly: call `execute` once per chunk with fuel of its own, so that a failure names its chunk.
    """

    guest: Guest
    function: Function
    count: int
    parts: Sequence[Buffer] = field(repr=False)
    singly: bool = False
