"""The program for proof: chunks and results are real bytes, kept by their digests; a lie puts other bytes into the result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final

from pangea.compute.model.packet import TaskPacket
from pangea.compute.simulation.answers import Answer, Value
from pangea.compute.simulation.program import FUEL_PER_SECOND, MERGE_SECONDS, join
from pangea.compute.verification import merkle

Execute = Callable[[bytes], bytes]
Merge = Callable[[Sequence[bytes]], bytes]
#: How the result of a lie starts.
LIE: Final = b"lie:"


class Content:
    """A job over real bytes. Whether its merge may be applied early is what its functions say, not what is claimed."""

    def __init__(self, chunks: Sequence[bytes], execute: Execute, merge: Merge, *, chunk_seconds: float) -> None:
        """A job of these chunks and functions; a chunk costs `chunk_seconds` on a core of speed 1."""
        self._chunks = tuple(chunks)
        self._execute = execute
        self._merge = merge
        self._chunk_seconds = chunk_seconds
        self._store: dict[bytes, tuple[bytes, ...]] = {}
        self._values: dict[bytes, Value] = {}

    def serial(self) -> bytes:
        """The reference: everything in order, on one machine."""
        return self._merge([self._execute(chunk) for chunk in self._chunks])

    def result(self, digest: bytes) -> bytes:
        """The bytes of a merged result."""
        (result,) = self._store[digest]
        return result

    def work(self, packet: TaskPacket) -> float:
        """Seconds on a core of speed 1."""
        return MERGE_SECONDS * len(packet.inputs) if packet.function == "merge" else self._chunk_seconds * packet.count

    def answer(self, packet: TaskPacket) -> Answer:
        """The true answer."""
        return self._keep(packet, self._results(packet), wrong=0)

    def lie(self, packet: TaskPacket, salt: bytes, leaf: int | None) -> Answer:
        """A false answer: the results of one leaf, or all, are other bytes."""
        results = list(self._results(packet))
        first, end = 0, len(results)
        if leaf is not None and packet.function == "execute":
            start, count = packet.spans()[leaf % packet.runs]
            first, end = start - packet.start, start - packet.start + count
        results[first:end] = [LIE + sha256(salt + result).digest()[:4] for result in results[first:end]]
        return self._keep(packet, tuple(results), wrong=1)

    def merge(self, digests: Sequence[bytes]) -> bytes:
        """The digest of the merge of what these stand for: lists of results, or results merged early."""
        value = join([self._values.get(digest) for digest in digests])
        merged = self._merge([result for digest in digests for result in self._store.get(digest, (LIE,))])
        digest = sha256(merged).digest()
        self._store[digest], self._values[digest] = (merged,), value
        return digest

    def value(self, digest: bytes) -> Value | None:
        """What a digest stands for."""
        return self._values.get(digest)

    def truth(self) -> bytes:
        """The digest of the job's true result."""
        return sha256(self.serial()).digest()

    def _results(self, packet: TaskPacket) -> tuple[bytes, ...]:
        if packet.function == "merge":
            return (self._merge([result for digest in packet.inputs for result in self._store.get(digest, (LIE,))]),)
        return tuple(map(self._execute, self._chunks[packet.start : packet.start + packet.count]))

    def _keep(self, packet: TaskPacket, results: tuple[bytes, ...], wrong: int) -> Answer:
        """Put results into the store under the digest that their leaves have."""
        if packet.function == "merge":
            below = join([self._values.get(digest) for digest in packet.inputs])
            value, spans = below._replace(wrong=below.wrong + wrong), [(0, 1)]
        else:
            value = Value(packet.start, packet.count, wrong)
            spans = [(start - packet.start, count) for start, count in packet.spans()]
        leaves = tuple(self._leaf(packet, start, results[start : start + count]) for start, count in spans)
        digest = merkle.root(leaves)
        self._store[digest], self._values[digest] = results, value
        return Answer(digest, leaves, int(FUEL_PER_SECOND * self.work(packet)) + 1)

    @staticmethod
    def _leaf(packet: TaskPacket, offset: int, results: Sequence[bytes]) -> bytes:
        framed = b"".join(len(result).to_bytes(4, "little") + result for result in results)
        place = b"merge" if packet.function == "merge" else (packet.start + offset).to_bytes(8, "little")
        return sha256(place + framed).digest()
