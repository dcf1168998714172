"""How long messages take, and which don't arrive.

A message leaves when its sender's uplink is free, needs its size over the slower end's bandwidth, then the latency between the
two regions, with jitter. Messages of a link keep their order, as on one connection. Data too large to travel inside a message is
fetched beside it: it waits for other data alone, so that beats and leases get through, and a task begins when its data is there.
Faults lose, double or reorder messages; a partition stops all that crosses it; a clogged node loses most of what it sends, or of
what it should receive.
"""

from __future__ import annotations

from random import Random
from typing import Final

from pangea.compute.orchestrator.core.messages import Answers, Cancel, Delegate, Exclude, Message, Reveal
from pangea.compute.simulation.faults import Faults
from pangea.compute.simulation.node import Link, Node
from pangea.compute.simulation.scenario import Scenario

#: Bytes of a message as such, on the wire; of one packet, of one result, and of one key, digest or number in a list.
MESSAGE_BYTES: Final = 120
PACKET_BYTES: Final = 80
RESULT_BYTES: Final = 160
DIGEST_BYTES: Final = 32
NUMBER_BYTES: Final = 8
#: Data up to this size travels inside its message (design, section 8).
INLINE_BYTES: Final = 64 << 10
#: Share of messages that a clogged node loses.
CLOGGED_LOSS: Final = 0.7
#: How far behind a reordered message falls, in latencies.
REORDER_LATENCIES: Final = 3.0


class Network:
    """Latencies between regions, bandwidths of nodes, and the faults of both."""

    def __init__(self, scenario: Scenario) -> None:
        """Draw the latencies; nothing is faulty until `set_faults`."""
        self._random = scenario.stream("network")
        self._jitter = scenario.jitter
        self._result_bytes = scenario.result_bytes
        self._latencies = _latencies(scenario)
        self.is_faulty: bool = False
        self.is_partitioned: bool = False
        self._loss = self._duplicate = self._reorder = 0.0

    def set_faults(self, faults: Faults) -> None:
        """Lose, double and reorder messages from now on."""
        self._loss, self._duplicate, self._reorder = faults.loss, faults.duplicate, faults.reorder
        self.is_faulty = bool(faults.loss or faults.duplicate or faults.reorder or faults.clogged or faults.partitions)

    def heal(self) -> None:
        """All messages arrive again, once, and in order."""
        self.is_faulty = self.is_partitioned = False

    def latency(self, one: Node, other: Node) -> float:
        """Seconds one way, without jitter."""
        return self._latencies[one.region][other.region]

    def size(self, message: Message) -> int:
        """Bytes on the wire, the data of chunks and results included."""
        if isinstance(message, Answers):
            each = DIGEST_BYTES + self._result_bytes
            return MESSAGE_BYTES + sum([RESULT_BYTES + each * len(result.leaves) for _, result in message.results])
        if isinstance(message, Delegate):
            size = MESSAGE_BYTES
            for _, packet in message.tasks:
                size += PACKET_BYTES + packet.size_bytes + DIGEST_BYTES * (len(packet.inputs) + len(packet.avoid))
            return size
        if isinstance(message, Cancel | Reveal):
            return MESSAGE_BYTES + NUMBER_BYTES * len(message.attempts)
        if isinstance(message, Exclude):
            return MESSAGE_BYTES + DIGEST_BYTES * len(message.workers)
        return MESSAGE_BYTES

    def arrival(self, link: Link, size: int, now: float) -> float:
        """When a message sent now arrives, if it does."""
        source, target = link.source, link.target
        up, down = source.up_free, target.down_free
        up = (up if up > now else now) + size / source.bandwidth
        down = (down if down > now else now) + size / target.bandwidth
        source.up_free, target.down_free = up, down
        when = (up if up > down else down) + link.latency * (1.0 + self._jitter * self._random.random())
        if when < link.last:
            return link.last
        link.last = when
        return when

    def fetch(self, link: Link, message: Delegate, now: float) -> None:
        """Have the data of these tasks follow their message; a middle node passes on what it has when it has it."""
        source, target = link.source, link.target
        up, down = max(source.data_up, now), max(target.data_down, now)
        for _, packet in message.tasks:
            up += packet.size_bytes / source.bandwidth
            down += packet.size_bytes / target.bandwidth
            target.data[packet.task_id] = max(up, down, source.data.get(packet.task_id, now)) + link.latency
        source.data_up, target.data_down = up, down

    def upload(self, link: Link, size: int, now: float) -> float:
        """When results that are fetched beside their message have left."""
        source, target = link.source, link.target
        source.data_up = max(source.data_up, now) + size / source.bandwidth
        target.data_down = max(target.data_down, now) + size / target.bandwidth
        return max(source.data_up, target.data_down)

    def faulty_arrivals(self, link: Link, size: int, now: float) -> list[float]:
        """When a message sent now arrives under faults: never, once or twice, and perhaps out of order."""
        random = self._random.random
        if self.is_partitioned and link.source.half != link.target.half:
            return []
        if (link.loss and random() < link.loss) or (self._loss and random() < self._loss):
            return []
        if self._reorder and random() < self._reorder:
            late = now + link.latency * (1.0 + REORDER_LATENCIES * random())
            arrivals = [late]
        else:
            arrivals = [self.arrival(link, size, now)]
        if self._duplicate and random() < self._duplicate:
            arrivals.append(arrivals[0] + link.latency * random())
        return arrivals


def _latencies(scenario: Scenario) -> list[list[float]]:
    """A symmetric matrix: half to one and a half times the average between regions, a tenth of it within one."""
    random: Random = scenario.stream("latencies")
    count, latency = scenario.regions, scenario.latency
    matrix = [[latency / 10] * count for _ in range(count)]
    for one in range(count):
        for other in range(one):
            matrix[one][other] = matrix[other][one] = latency * (0.5 + random.random())
    return matrix
