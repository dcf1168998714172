"""How a node is doing: load, rates over the last seconds, how late its event loop was."""

from __future__ import annotations

import asyncio
import os
from collections import Counter, deque
from importlib.metadata import version

from pangea.compute.model.status import Capacity, NodeInfo
from pangea.compute.model.units import MIB
from pangea.compute.network.rpc.turns import in_turns
from pangea.compute.node.service.garbage import Garbage
from pangea.compute.node.service.node import Node

#: How often the loop's lateness and the rates are looked at.
_TICK_SECONDS = 0.05
_RATE_SECONDS = 10.0
_STALL_SECONDS = 60.0
_SAMPLE_SECONDS = 1.0
#: Jobs that are counted before others have a turn.
_COUNTED = 300


class Monitor:
    """Watches one node."""

    def __init__(self, node: Node) -> None:
        """Watch `node` from now on; `run` has to be kept running."""
        self._node = node
        self._version = version("pangea-compute")  # asking takes a millisecond
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.time()
        self._stalls: deque[tuple[float, float]] = deque()
        self._samples: deque[tuple[float, dict[str, float]]] = deque()
        self._beat = self._started
        self._garbage = Garbage(is_resting=lambda: not node.driver.running)

    async def run(self) -> None:
        """Measure until cancelled."""
        next_sample = 0.0
        while True:
            before = self._loop.time()
            await asyncio.sleep(_TICK_SECONDS)
            now = self._loop.time()
            self._beat = now
            self._note_stall(now, now - before - _TICK_SECONDS)
            if now >= next_sample:
                next_sample = now + _SAMPLE_SECONDS
                self._sample(now)
            self._garbage.look()

    def _note_stall(self, now: float, late: float) -> None:
        while self._stalls and (self._stalls[0][0] < now - _STALL_SECONDS):
            self._stalls.popleft()
        while self._stalls and self._stalls[-1][1] <= late:
            self._stalls.pop()  # a later, longer one outlives it
        self._stalls.append((now, late))

    def _sample(self, now: float) -> None:
        self._samples.append((now, dict(self._node.metrics.totals)))
        while self._samples[0][0] < now - _RATE_SECONDS:
            self._samples.popleft()
        driver, metrics = self._node.driver, self._node.metrics
        metrics.loop_stall(self.stall_ms / 1000)
        metrics.standing(
            jobs=len(self._node.book.unfinished()),
            running=driver.running,
            waiting=max(0, driver.waiting),
            parents=int(driver.neighbours.parent is not None),
            children=len(driver.neighbours.children),
        )

    @property
    def stall_ms(self) -> float:
        """The longest that the loop was late in the last minute, in milliseconds."""
        return max(0.0, self._stalls[0][1] * 1000) if self._stalls else 0.0

    @property
    def silence(self) -> float:
        """Seconds since the loop last came round. Safe to ask from any thread."""
        return self._loop.time() - self._beat

    def capacity(self) -> Capacity:
        """What the node can do."""
        workers = self._node.engine.workers
        ram = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // MIB
        return Capacity(
            cpu_cores=workers,
            ram_mb=ram,
            current_load=min(1.0, self._node.driver.running / workers),
            adapter=self._node.engine.adapter,
            adapter_bytes=self._node.engine.adapter_bytes,
        )

    async def info(self, owner: str) -> NodeInfo:
        """The node, as `owner` may see it."""
        own = Counter([str(job.state) async for job in in_turns(self._node.book.latest(owner), _COUNTED)])
        now = self._loop.time()
        running = self._node.driver.running
        return NodeInfo(
            peer_id=self._node.peer,
            version=self._version,
            capacity=self.capacity(),
            uptime=now - self._started,
            jobs=dict(own),
            tasks={"running": running, "waiting": self._node.driver.waiting},
            rates=self._rates(),
            loop_stall_ms=self.stall_ms,
            stored_bytes=self._node.blobs.total_bytes,
            owner_fuel=self._node.book.fuel.get(owner, 0),
            lends=self._node.lending.words,
        )

    def _rates(self) -> dict[str, float]:
        if len(self._samples) < 2:
            return {}
        (first_at, first), (last_at, last) = self._samples[0], self._samples[-1]
        return {name: (last[name] - first.get(name, 0.0)) / (last_at - first_at) for name in last}
