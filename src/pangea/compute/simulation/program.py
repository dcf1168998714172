"""What the simulated jobs compute, and what their results are worth.

Two programs. `Synthetic` is for scale: a result is a hash that stands for the range of chunks it covers; the true answer to a
task costs one hash per leaf, once. `content.Content` is for proof: its results are real bytes in a store, which are merged in
the end. Both keep a register of what each digest stands for, lies included: so the world knows what was accepted, and a lie
that nobody noticed shows in the job's result.

A leaf depends on its own range of chunks alone, so that the owner can have any one of them executed again.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from itertools import accumulate
from struct import pack

from pangea.compute.model.packet import TaskPacket
from pangea.compute.simulation.answers import Answer, Value
from pangea.compute.simulation.scenario import Scenario
from pangea.compute.verification import merkle

#: Fuel units of a second on a core of speed 1.
FUEL_PER_SECOND = 1e9
#: Seconds on a core of speed 1 to merge one task's results: some ten small ones, at about a microsecond each in the Python guest.
MERGE_SECONDS = 1e-5


class Costs:
    """What chunks cost: all the same, or spread over a factor; sums of any range in constant time."""

    def __init__(self, scenario: Scenario) -> None:
        """Draw the costs."""
        self._each = scenario.chunk_seconds
        self._sums: list[float] | None = None
        if scenario.chunk_spread > 1.0 and scenario.chunks:
            random = scenario.stream("costs")
            raw = [scenario.chunk_spread ** random.random() for _ in range(scenario.chunks)]
            scale = self._each * scenario.chunks / sum(raw)
            self._sums = [0.0, *accumulate(cost * scale for cost in raw)]

    def seconds(self, packet: TaskPacket) -> float:
        """Seconds of a task on a core of speed 1."""
        if packet.function == "merge":
            return MERGE_SECONDS * max(1, len(packet.inputs))
        if self._sums is None:
            return self._each * packet.count
        return self._sums[packet.start + packet.count] - self._sums[packet.start]


class Synthetic:
    """Results that are nothing but the names of their ranges."""

    def __init__(self, scenario: Scenario) -> None:
        """Know nothing but the costs; digests are named when they are first computed."""
        self._costs = Costs(scenario)
        self._chunks = scenario.chunks
        self._answers: dict[tuple[int, int, tuple[int, ...]], Answer] = {}
        self._values: dict[bytes, Value] = {}

    def work(self, packet: TaskPacket) -> float:
        """Seconds on a core of speed 1."""
        return self._costs.seconds(packet)

    def answer(self, packet: TaskPacket) -> Answer:
        """The true answer; kept, as replicas ask for it again."""
        if packet.function == "merge":
            return self._merge_answer(packet)
        key = packet.start, packet.count, packet.packs
        known = self._answers.get(key)
        if known is None:
            known = self._answers[key] = self._answer_of(packet, _leaves(packet), wrong=0)
        return known

    def lie(self, packet: TaskPacket, salt: bytes, leaf: int | None) -> Answer:
        """A false answer; a lie about a merge is always whole."""
        leaves = list(self.answer(packet).leaves)
        for index in range(len(leaves)):
            if leaf is None or index == leaf % len(leaves):
                leaves[index] = sha256(b"lie" + salt + leaves[index]).digest()
        return self._answer_of(packet, tuple(leaves), wrong=1)

    def merge(self, digests: Sequence[bytes]) -> bytes:
        """The digest of the merge: the range's own name if the inputs are right neighbours, else a name of just these inputs."""
        value = join([self._values.get(digest) for digest in digests])
        if value.wrong or not value.is_contiguous:
            digest = sha256(b"tainted" + b"".join(digests)).digest()
        else:
            digest = _range_digest(value.start, value.chunks)
        self._values[digest] = value
        return digest

    def value(self, digest: bytes) -> Value | None:
        """What a digest stands for."""
        return self._values.get(digest)

    def truth(self) -> bytes:
        """The digest of the job's true result."""
        return _range_digest(0, self._chunks)

    def _merge_answer(self, packet: TaskPacket) -> Answer:
        leaf = self.merge(packet.inputs)
        answer = Answer(merkle.root((leaf,)), (leaf,), self._fuel(packet))
        self._values[answer.digest] = self._values[leaf]
        return answer

    def _answer_of(self, packet: TaskPacket, leaves: tuple[bytes, ...], wrong: int) -> Answer:
        digest = merkle.root(leaves)
        if packet.function == "merge":
            below = join([self._values.get(one) for one in packet.inputs])
            self._values[digest] = below._replace(wrong=below.wrong + wrong)
        else:
            self._values[digest] = Value(packet.start, packet.count, wrong)
        return Answer(digest, leaves, self._fuel(packet))

    def _fuel(self, packet: TaskPacket) -> int:
        return int(FUEL_PER_SECOND * self._costs.seconds(packet)) + 1


def join(values: Sequence[Value | None]) -> Value:
    """What the values together stand for, in this order. An unknown one is wrong; what it left out can't be said."""
    start, at, count, wrong = None, None, 0, 0
    is_contiguous = True
    for value in values:
        if value is None:
            at, wrong = None, wrong + 1
            continue
        start = value.start if start is None else start
        is_contiguous = is_contiguous and value.is_contiguous and at in (None, value.start)
        at, count, wrong = value.start + value.chunks, count + value.chunks, wrong + value.wrong
    return Value(start or 0, count, wrong, is_contiguous)


def _leaves(packet: TaskPacket) -> tuple[bytes, ...]:
    return tuple(sha256(pack("<QQ", *span)).digest() for span in packet.spans())


def _range_digest(start: int, count: int) -> bytes:
    return sha256(b"merged" + pack("<QQ", start, count)).digest()
