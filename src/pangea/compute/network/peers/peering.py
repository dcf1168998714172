"""A link between two nodes, on one connection over which both ends serve.

Whoever is behind a NAT dials: it calls `attachPeer` with its own service, and from then on tasks come down the same connection.
What is said keeps its order: calls arrive as they were sent, and are taken in before anything is awaited.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from pangea.compute.model.errors import PangeaError, PeerError, UnavailableError
from pangea.compute.model.frames import Buffer
from pangea.compute.model.ids import PeerId
from pangea.compute.model.packet import JobSpec, TaskPacket
from pangea.compute.model.units import KIB
from pangea.compute.network.peers.hello import Place, path_of, places_of
from pangea.compute.network.rpc import codec, notes, peer_messages, rpc
from pangea.compute.network.rpc.fair_queue import FairQueue
from pangea.compute.network.rpc.pacing import Turns, Way
from pangea.compute.network.rpc.peer_messages import Envelope
from pangea.compute.network.rpc.service import BLOCK_BYTES, BLOCKS_IN_FLIGHT
from pangea.compute.orchestrator.core.messages import Answers, Delegate
from pangea.compute.orchestrator.limits import BATCH_MAX

#: A neighbour that leaves a call unanswered for so long is gone: a lease and a bit.
CALL_SECONDS = 12.0
#: More than the line of a signature has.
_LINE_CHARACTERS_MAX = 500
#: So many tasks or answers are decoded before others have a turn on the loop: a tenth of a millisecond's.
_SLICE = 4
#: Notes that are longer take milliseconds to read, in one piece: each link may have so many characters of them in a second.
_LONG_CHARACTERS, _LONG_CHARACTERS_A_SECOND = 64 * KIB, 512 * KIB
T = TypeVar("T")
#: Job specs that the far end of a link may be expected to remember; it keeps twice as many.
SPECS_TOLD_MAX = 512


class PeerEnd(Protocol):
    """This node, for the neighbour at the other end of one link."""

    def told(self, envelope: Envelope) -> float:
        """Take in what the neighbour says; of a `Delegate`, the seconds that it will take, as far as can be said.

        Raises:
            PangeaError: it isn't taken.
        """

    async def answered(self, envelope: Envelope) -> None:
        """Take in answers, once their signatures are checked.

        Raises:
            PangeaError: one isn't authentic.
        """

    def moved(self, path: tuple[PeerId, ...]) -> None:
        """The neighbour's place in its tree has changed."""

    def told_below(self, places: tuple[Place, ...]) -> None:
        """What stands behind the neighbour has changed."""

    async def fetch(self, sha256: bytes, offset: int, count: int) -> Buffer | None:
        """A block of content that was named to the neighbour; None while that is on its way here.

        Raises:
            PangeaError: it can't be had here.
        """

    async def cosign(self, growth: str) -> tuple[str, int]:
        """As a witness, sign what the neighbour's own log is now: the line; or "" and the entries that were signed last.

        Raises:
            PangeaError: it isn't signed.
        """

    def lost(self) -> None:
        """The link is down."""


class PeerLink:
    """The neighbour, as this node calls it."""

    def __init__(self, service: Any, peer: PeerId, host: str, hang_up: Callable[[], None]) -> None:
        """Call `service`.

        Args:
            service: what the far end serves.
            peer: who it is, as the handshake proved.
            host: where it connects from or to.
            hang_up: closes the connection.
        """
        self._service = service
        self.peer = peer
        self.host = host
        self._hang_up = hang_up
        self._way = Way()
        self._sending, self._fetching = Turns(self._way), Turns(self._way)
        #: Hashes of job specs that this link has carried, the latest last.
        self._told: dict[bytes, bool] = {}

    async def tell(self, envelope: Envelope) -> None:
        """Say something; returns when the neighbour has taken it in.

        Raises:
            UnavailableError: the link is down, or the neighbour doesn't answer.
            PangeaError: it doesn't take it.
        """
        await (await self.send(envelope))

    async def send(self, envelope: Envelope) -> asyncio.Future[Any]:
        """Say something, no faster than the link takes it; once this returns, what is said next comes after it.

        Returns:
            Done when the neighbour has taken it in; it raises as `tell` does.

        Raises:
            UnavailableError: the link was closed.
        """
        message = envelope.message
        calls: list[asyncio.Future[Any]] = []
        try:
            if isinstance(message, Delegate):
                await self._delegate(envelope, message, calls)
            elif isinstance(message, Answers):
                await self._answer(envelope, message, calls)
            else:
                calls.append(asyncio.ensure_future(self._call(self._far().tellPeer(notes.note_of(message)))))
        except BaseException:
            for call in calls:
                call.cancel()
            raise
        taken = asyncio.gather(*calls)
        taken.add_done_callback(_look_at)
        return taken

    async def move(self, path: tuple[PeerId, ...]) -> None:
        """Say where in its tree this node is now."""
        clock = asyncio.get_running_loop().time
        began = clock()
        await self._call(self._far().tellPeer(json.dumps({"kind": "path", "path": list(path)})))
        self._way.took(clock() - began)

    async def map(self, places: tuple[Place, ...]) -> None:
        """Say what stands behind this node."""
        await self._call(self._far().tellPeer(notes.map_of(places)))

    async def fetch(self, sha256: bytes, offset: int, count: int) -> bytes | None:
        """A block of content that the neighbour named: `count` bytes, fewer while the link is slow; None if it isn't there yet.

        Raises:
            UnavailableError: the link is down, or the neighbour doesn't answer.
            PangeaError: the neighbour hasn't got it, or gives something else than was asked for.
        """
        async with self._fetching.turn(count) as turn:
            answer = await self._call(self._far().fetchContent(sha256, offset, turn.size))
            turn.tells = not answer.isComing
        if answer.isComing:
            return None
        block: bytes = answer.data
        if len(block) > turn.size:
            raise PeerError(f"a block of {len(block):,} bytes where {turn.size:,} were asked for")
        return block

    async def cosign(self, growth: str) -> tuple[str, int]:
        """Have the neighbour sign, as a witness, what this node's log is now: its line; or "" and the entries it has signed last.

        Raises:
            UnavailableError: the link is down, or the neighbour doesn't answer.
            PangeaError: it doesn't sign that.
        """
        answer = await self._call(self._far().cosignLog(growth))
        line = str(answer.cosignature)
        if len(line) > _LINE_CHARACTERS_MAX:
            raise PeerError(f"a signature of {len(line):,} characters; at most {_LINE_CHARACTERS_MAX:,}")
        return line, int(answer.size)

    def close(self) -> None:
        """Hang up."""
        self._service = None
        self._hang_up()

    async def _delegate(self, envelope: Envelope, message: Delegate, calls: list[asyncio.Future[Any]]) -> None:
        assert envelope.job is not None, "tasks belong to a job"
        tasks = [(attempt, packet, envelope.contents.get(packet.input, b"")) for attempt, packet in message.tasks]
        sizes = [peer_messages.size_of_packet(packet, data) for _, packet, data in tasks]
        for run in peer_messages.batches(sizes, bytes_max=self._sending.pace.block_bytes):
            request = self._far().delegateTask_request()
            job = envelope.job if self._has_to_be_told(message.spec) else replace(envelope.job, signed=None)
            peer_messages.delegation_to_wire(message.spec, message.budget, job, request.delegation)
            more = request.init("more", len(tasks[run]) - 1)
            for index, (attempt, packet, data) in enumerate(tasks[run]):
                wire = more[index - 1] if index else request.task
                peer_messages.packet_to_wire(attempt, packet, message.spec, message.budget, data, wire)
            calls.append(await self._in_turn(request, sum(sizes[run])))

    def _has_to_be_told(self, spec: JobSpec) -> bool:
        """Whether the link hasn't carried a job's spec yet, or so long ago that it may be forgotten there."""
        is_new = self._told.pop(spec.signed, None) is None
        self._told[spec.signed] = True
        if len(self._told) > SPECS_TOLD_MAX:
            self._told.pop(next(iter(self._told)))
        return is_new

    async def _answer(self, envelope: Envelope, message: Answers, calls: list[asyncio.Future[Any]]) -> None:
        results = [(attempt, result, envelope.contents.get(result.body, b"")) for attempt, result in message.results]
        sizes = [peer_messages.size_of_result(result, data) for _, result, data in results]
        for run in peer_messages.batches(sizes, bytes_max=self._sending.pace.block_bytes):
            request = self._far().returnTaskResult_request()
            more = request.init("more", len(results[run]) - 1)
            for index, (attempt, result, data) in enumerate(results[run]):
                peer_messages.result_to_wire(attempt, result, data, more[index - 1] if index else request.result)
            calls.append(await self._in_turn(request, sum(sizes[run])))

    async def _in_turn(self, request: Any, size: int) -> asyncio.Future[Any]:
        """Send a request once the link can take it; what to wait for, for its answer."""
        turn = await self._sending.begin(size, is_whole=True)
        call = asyncio.ensure_future(self._call(request.send()))
        self._sending.ends_with(turn, call)
        return call

    def _far(self) -> Any:
        """The far end's service.

        Raises:
            UnavailableError: the link was closed.
        """
        if self._service is None:
            raise UnavailableError(f"the link to {self.peer} was closed", retry=True)
        return self._service

    async def _call(self, promise: Awaitable[Any]) -> Any:
        answer, trouble = await rpc.answer_of(promise, CALL_SECONDS)
        if trouble:
            raise UnavailableError(f"peer {self.peer} {trouble}", retry=True)
        codec.raise_failure(str(answer.failure.json))
        return answer


def _look_at(done: asyncio.Future[Any]) -> None:
    """Whoever waits for it gets its error; perhaps nobody does any more."""
    if not done.cancelled():
        done.exception()


def _hear(end: PeerEnd, note: str) -> None:
    """Read a note, and have it taken in."""
    record = notes.record_of(note)
    if record.get("kind") == "path":
        end.moved(path_of(record.get("path")))
    elif record.get("kind") == "below":
        end.told_below(places_of(record.get("places")))
    else:
        end.told(Envelope(message=notes.message_of(record)))


class PeerMethods:
    """The schema's methods between neighbours, for a server of it. They reach `end`, once there is a link."""

    end: PeerEnd | None = None
    _order: asyncio.Lock | None = None
    #: Turns to decode a slice of a long message, or to take in one, and who pays. A node's connections share them.
    _queue: FairQueue | None = None
    _owner: str = ""
    #: When the next long note may be read, on the loop's clock.
    _long_from: float = 0.0

    async def _is_attached(self) -> None:
        """Wait until there is a link, if there is to be one."""

    def _turn(self) -> AbstractAsyncContextManager[None]:
        """A turn to answer with much."""
        return nullcontext()

    def _piece(self) -> AbstractAsyncContextManager[None]:
        """A turn for a piece of work, at the neighbour's cost."""
        self._queue = self._queue or FairQueue()
        return self._queue.turn(self._owner)

    async def _pace(self, characters: int) -> None:
        """Wait until the neighbour may have another long note read; what comes behind it waits, too."""
        now = asyncio.get_running_loop().time()
        if self._long_from > now:
            await asyncio.sleep(self._long_from - now)
        self._long_from = max(self._long_from, now) + characters / _LONG_CHARACTERS_A_SECOND

    def _failed(self, results: Any, error: Exception) -> None:
        """Say what went wrong: what is ours is told here, for its text would travel with its traceback."""
        if not isinstance(error, PangeaError):
            context = {"message": "a neighbour's call failed", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)
            error = UnavailableError("the node failed to do this", hint="its log says more")
        results.failure.json = codec.failure_to_text(error)

    async def delegateTask(self, task: Any, more: Any, delegation: Any, _context: Any, **_: Any) -> None:
        """Take tasks of the parent."""

        async def take(end: PeerEnd) -> None:
            spec, budget, job = peer_messages.delegation_from_wire(delegation)
            name = peer_messages.spec_hash_of(task)

            def read(wire: Any) -> tuple[int, TaskPacket]:
                if peer_messages.spec_hash_of(wire) != name:
                    raise PeerError("packets of one delegation that name different job specs")
                return peer_messages.packet_from_wire(wire)

            tasks, contents = await self._decoded(task, more, read, "chunkData", lambda packet: packet.input)
            message = Delegate(spec=replace(spec, signed=name), budget=budget, tasks=tuple(tasks))
            async with self._piece():
                seconds = end.told(Envelope(message=message, job=job, contents=contents))
            _context.results.accepted = True
            _context.results.estimatedTimeMs = min(round(seconds * 1000), 2**32 - 1) if math.isfinite(seconds) else 0

        await self._take(_context.results, take)

    async def returnTaskResult(self, result: Any, more: Any, _context: Any, **_: Any) -> None:
        """Take answers of a child. `verified` says that they are authentic; what they are worth is found out later."""
        heard: list[Envelope] = []

        async def take(_end: PeerEnd) -> None:
            answers, contents = await self._decoded(
                result, more, peer_messages.result_from_wire, "resultData", lambda each: each.body
            )
            heard.append(Envelope(message=Answers(results=tuple(answers)), contents=contents))

        await self._take(_context.results, take)
        try:
            for envelope in heard:  # what comes behind them needn't wait until they are checked
                await self._end().answered(envelope)
                _context.results.verified = True
        except Exception as error:
            self._failed(_context.results, error)

    async def _decoded(
        self, first: Any, more: Any, read: Callable[[Any], tuple[int, T]], data: str, name: Callable[[T], bytes]
    ) -> tuple[list[tuple[int, T]], dict[bytes, bytes]]:
        """What `read` makes of a list, and the content that travels in each one's field `data`, by its name.

        Others have turns on the loop meanwhile.

        Raises:
            PeerError: there are more than one message may have, or one makes no sense.
        """
        if len(more) >= BATCH_MAX:
            raise PeerError(f"{1 + len(more):,} tasks or answers in one message; at most {BATCH_MAX:,}")
        found: list[tuple[int, T]] = []
        contents: dict[bytes, bytes] = {}
        count = 1 + len(more)
        for start in range(0, count, _SLICE):
            async with self._piece():
                for index in range(start, min(start + _SLICE, count)):
                    wire = more[index - 1] if index else first
                    found.append(read(wire))
                    if content := bytes(getattr(wire, data)):
                        contents[name(found[-1][1])] = content
                if start + _SLICE < count:
                    await asyncio.sleep(0)
        return found, contents

    async def tellPeer(self, message: str, _context: Any, **_: Any) -> None:
        """Take in a note."""

        async def take(end: PeerEnd) -> None:
            if len(message) > _LONG_CHARACTERS:
                await self._pace(len(message))
            async with self._piece():
                _hear(end, message)

        await self._take(_context.results, take)

    async def fetchContent(self, sha256: bytes, offset: int, count: int, _context: Any, **_: Any) -> None:
        """Give a block of content."""
        results = _context.results
        try:
            if len(sha256) != peer_messages.HASH_BYTES or count > BLOCK_BYTES:
                raise PeerError(f"a block of {count:,} bytes was asked for; it may have {BLOCK_BYTES:,} at most")
            async with self._turn():
                block = await self._end().fetch(bytes(sha256), offset, count)
                if block is None:
                    results.isComing = True
                else:
                    results.data = block
        except Exception as error:
            self._failed(results, error)

    async def cosignLog(self, growth: str, _context: Any, **_: Any) -> None:
        """Sign what the neighbour's log is now."""
        results = _context.results
        try:
            await self._is_attached()
            results.cosignature, results.size = await self._end().cosign(growth)
        except Exception as error:
            self._failed(results, error)

    def _end(self) -> PeerEnd:
        if self.end is None:
            raise PeerError("this connection is no link between nodes", hint="attachPeer makes it one")
        return self.end

    async def _take(self, results: Any, take: Callable[[PeerEnd], Awaitable[None]]) -> None:
        """Take something in, behind whatever came before; for who is no neighbour nothing is decoded."""
        try:
            await self._is_attached()
            self._end()
            self._order = self._order or asyncio.Lock()
            async with self._order:
                await take(self._end())
        except Exception as error:
            self._failed(results, error)


class ChildService(PeerMethods, rpc.SCHEMA.ComputeService.Server):  # type: ignore[misc]  # made at run time, from the schema
    """What a node that has dialled serves to its parent: neighbours' methods, and nothing else."""

    def __init__(self) -> None:
        """Nobody's child yet."""
        self._attached = asyncio.Event()
        self._turns = asyncio.Semaphore(2 * BLOCKS_IN_FLIGHT)

    def attach(self, end: PeerEnd) -> None:
        """The parent has taken this node: what it has said meanwhile is taken in now, in order."""
        self.end = end
        self._attached.set()

    async def _is_attached(self) -> None:
        async with asyncio.timeout(CALL_SECONDS):
            await self._attached.wait()

    def _turn(self) -> AbstractAsyncContextManager[None]:
        return self._turns
