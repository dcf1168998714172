"""What a simulated job's functions answer, and what the world asks of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from pangea.compute.model.packet import TaskPacket


class Answer(NamedTuple):
    """What an execution gives."""

    digest: bytes
    leaves: tuple[bytes, ...]
    fuel: int


class Value(NamedTuple):
    """What a digest stands for: the chunks from `start` on, in order, and how many executions' results in it are wrong."""

    start: int
    chunks: int
    wrong: int = 0
    is_contiguous: bool = True
    "whether it was made of neighbours, none missing and none twice"


class Program(Protocol):
    """A job's functions, as the world sees them."""

    def work(self, packet: TaskPacket) -> float:
        """Seconds on a core of speed 1."""

    def answer(self, packet: TaskPacket) -> Answer:
        """The true answer."""

    def lie(self, packet: TaskPacket, salt: bytes, leaf: int | None) -> Answer:
        """A false answer: leaf number `leaf` is wrong (None: all are). Equal salts tell equal lies."""

    def merge(self, digests: Sequence[bytes]) -> bytes:
        """The digest of the merge of what these stand for, in this order."""

    def value(self, digest: bytes) -> Value | None:
        """What a digest stands for; None if nobody ever computed it."""

    def truth(self) -> bytes:
        """The digest of the job's true result."""
