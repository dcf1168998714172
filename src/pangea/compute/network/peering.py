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
from dataclasses import dataclass
from typing import Any, Protocol

from pangea.compute.model.errors import PangeaError, PeerError, UnavailableError
from pangea.compute.model.frames import Buffer
from pangea.compute.model.ids import PeerId
from pangea.compute.network import codec, notes, parcels, rpc
from pangea.compute.network.address import NodeAddress
from pangea.compute.network.framing import GuardedProtocol
from pangea.compute.network.identity import Identity, client_context
from pangea.compute.network.limits import WireLimits
from pangea.compute.network.pacing import Turns, Way
from pangea.compute.network.parcels import Parcel
from pangea.compute.network.service import BLOCK_BYTES, BLOCKS_IN_FLIGHT
from pangea.compute.orchestrator.messages import Answers, Delegate

#: A neighbour that leaves a call unanswered for so long is gone: a lease and a bit.
CALL_SECONDS = 12.0
_HELLO_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """What each end says of itself when a link comes up.

    Attributes:
        site: where it says it is: a label that its operator chose, or "".
        path: of the parent: the nodes above it, root first, then itself.
        cores: of the child: tasks that its own engine runs at once.
        height: of the child: hops to the deepest node below it.
    """

    site: str = ""
    path: tuple[PeerId, ...] = ()
    cores: int = 0
    height: int = 0

    def to_json(self) -> dict[str, Any]:
        """As it crosses."""
        return {"site": self.site, "path": list(self.path), "cores": self.cores, "height": self.height}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Hello:
        """What `to_json` gave; a later version may say more.

        Raises:
            PeerError: a field is of the wrong type or out of range.
        """
        site, path = record.get("site", ""), record.get("path", [])
        numbers = {name: record.get(name, 0) for name in ("cores", "height")}
        if not isinstance(site, str) or len(site) > 64 or not site.isprintable():
            raise PeerError("a site is a label of at most 64 printable characters")
        return cls(site=site, path=path_of(path), **{name: _small(name, value) for name, value in numbers.items()})


def path_of(value: object) -> tuple[PeerId, ...]:
    """A path from a root down, as a neighbour says it.

    Raises:
        PeerError: it is none, or longer than any tree is deep.
    """
    if not isinstance(value, list) or len(value) > 64 or not all(map(_is_label, value)):
        raise PeerError("a path is a list of at most 64 peer ids")
    return tuple(map(PeerId, value))


def _is_label(value: object) -> bool:
    """Whether something is short text that does nothing to a terminal."""
    return isinstance(value, str) and len(value) <= 70 and value.isprintable()


def _small(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 1_000_000:
        raise PeerError(f"{name} is {str(value)[:40]!r}; it must be a whole number up to a million")
    return value


#: (peer, its parent, its site).
Place = tuple[PeerId, PeerId, str]
#: Nodes below that are told of.
BELOW_MAX = 4_096


def places_of(value: object) -> tuple[Place, ...]:
    """What a neighbour says stands behind it.

    Raises:
        PeerError: it makes no sense.
    """
    if not isinstance(value, list) or len(value) > BELOW_MAX:
        raise PeerError(f"what stands behind a node is a list of at most {BELOW_MAX:,}")
    for each in value:
        if not isinstance(each, list) or len(each) != 3 or not all(map(_is_label, each)):
            raise PeerError("a place in a tree is a peer, its parent and its site")
    return tuple((PeerId(peer), PeerId(parent), site) for peer, parent, site in value)


class PeerEnd(Protocol):
    """This node, for the neighbour at the other end of one link."""

    def told(self, parcel: Parcel) -> float:
        """Take in what the neighbour says; of a `Delegate`, the seconds that it will take, as far as can be said.

        Raises:
            PangeaError: it isn't taken.
        """

    async def answered(self, parcel: Parcel) -> None:
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

    async def tell(self, parcel: Parcel) -> None:
        """Say something; returns when the neighbour has taken it in.

        Raises:
            UnavailableError: the link is down, or the neighbour doesn't answer.
            PangeaError: it doesn't take it.
        """
        await (await self.send(parcel))

    async def send(self, parcel: Parcel) -> asyncio.Future[Any]:
        """Say something, no faster than the link takes it; once this returns, what is said next comes after it.

        Returns:
            Done when the neighbour has taken it in; it raises as `tell` does.

        Raises:
            UnavailableError: the link was closed.
        """
        message = parcel.message
        calls: list[asyncio.Future[Any]] = []
        try:
            if isinstance(message, Delegate):
                await self._delegate(parcel, message, calls)
            elif isinstance(message, Answers):
                await self._answer(parcel, message, calls)
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
        await self._call(self._far().tellPeer(json.dumps({"kind": "below", "places": places})))

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

    def close(self) -> None:
        """Hang up."""
        self._service = None
        self._hang_up()

    async def _delegate(self, parcel: Parcel, message: Delegate, calls: list[asyncio.Future[Any]]) -> None:
        assert parcel.job is not None, "tasks belong to a job"
        tasks = [(attempt, packet, parcel.contents.get(packet.input, b"")) for attempt, packet in message.tasks]
        sizes = [parcels.size_of_packet(packet, data) for _, packet, data in tasks]
        for run in parcels.batches(sizes, bytes_max=self._sending.pace.block_bytes):
            request = self._far().delegateTask_request()
            parcels.delegation_to_wire(message.spec, message.budget, parcel.job, request.delegation)
            more = request.init("more", len(tasks[run]) - 1)
            for index, (attempt, packet, data) in enumerate(tasks[run]):
                wire = more[index - 1] if index else request.task
                parcels.packet_to_wire(attempt, packet, message.spec, message.budget, data, wire)
            calls.append(await self._in_turn(request, sum(sizes[run])))

    async def _answer(self, parcel: Parcel, message: Answers, calls: list[asyncio.Future[Any]]) -> None:
        results = [(attempt, result, parcel.contents.get(result.body, b"")) for attempt, result in message.results]
        sizes = [parcels.size_of_result(result, data) for _, result, data in results]
        for run in parcels.batches(sizes, bytes_max=self._sending.pace.block_bytes):
            request = self._far().returnTaskResult_request()
            more = request.init("more", len(results[run]) - 1)
            for index, (attempt, result, data) in enumerate(results[run]):
                parcels.result_to_wire(attempt, result, data, more[index - 1] if index else request.result)
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


class PeerMethods:
    """The schema's methods between neighbours, for a server of it. They reach `end`, once there is a link."""

    end: PeerEnd | None = None

    async def _is_attached(self) -> None:
        """Wait until there is a link, if there is to be one."""

    def _turn(self) -> AbstractAsyncContextManager[None]:
        """A turn to answer with much."""
        return nullcontext()

    def _failed(self, results: Any, error: Exception) -> None:
        """Say what went wrong: what is ours is told here, for its text would travel with its traceback."""
        if not isinstance(error, PangeaError):
            context = {"message": "a neighbour's call failed", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)
            error = UnavailableError("the node failed to do this", hint="its log says more")
        results.failure.json = codec.failure_to_text(error)

    async def delegateTask(self, task: Any, more: Any, delegation: Any, _context: Any, **_: Any) -> None:
        """Take tasks of the parent."""

        def take() -> None:
            spec, budget, job = parcels.delegation_from_wire(delegation)
            wires = [task, *more]
            tasks = tuple(map(parcels.packet_from_wire, wires))
            contents = {
                packet.input: data for (_, packet), wire in zip(tasks, wires, strict=True) if (data := bytes(wire.chunkData))
            }
            message = Delegate(spec=spec, budget=budget, tasks=tasks)
            seconds = self._end().told(Parcel(message=message, job=job, contents=contents))
            _context.results.accepted = True
            _context.results.estimatedTimeMs = min(round(seconds * 1000), 2**32 - 1) if math.isfinite(seconds) else 0

        await self._take(_context.results, take)

    async def returnTaskResult(self, result: Any, more: Any, _context: Any, **_: Any) -> None:
        """Take answers of a child. `verified` says that they are authentic; what they are worth is found out later."""
        results = _context.results
        try:
            await self._is_attached()
            wires = [result, *more]
            answers = tuple(map(parcels.result_from_wire, wires))
            sent = zip(answers, (bytes(wire.resultData) for wire in wires), strict=True)
            contents = {each.body: data for (_, each), data in sent if data}
            await self._end().answered(Parcel(message=Answers(results=answers), contents=contents))
            results.verified = True
        except Exception as error:
            self._failed(results, error)

    async def tellPeer(self, message: str, _context: Any, **_: Any) -> None:
        """Take in a note."""

        def take() -> None:
            record = notes.record_of(message)
            if record.get("kind") == "path":
                self._end().moved(path_of(record.get("path")))
            elif record.get("kind") == "below":
                self._end().told_below(places_of(record.get("places")))
            else:
                self._end().told(Parcel(message=notes.message_of(record)))

        await self._take(_context.results, take)

    async def fetchContent(self, sha256: bytes, offset: int, count: int, _context: Any, **_: Any) -> None:
        """Give a block of content."""
        results = _context.results
        try:
            if len(sha256) != parcels.HASH_BYTES or count > BLOCK_BYTES:
                raise PeerError(f"a block of {count:,} bytes was asked for; it may have {BLOCK_BYTES:,} at most")
            async with self._turn():
                block = await self._end().fetch(bytes(sha256), offset, count)
                if block is None:
                    results.isComing = True
                else:
                    results.data = block
        except Exception as error:
            self._failed(results, error)

    def _end(self) -> PeerEnd:
        if self.end is None:
            raise PeerError("this connection is no link between nodes", hint="attachPeer makes it one")
        return self.end

    async def _take(self, results: Any, take: Callable[[], None]) -> None:
        try:
            await self._is_attached()
            take()
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


async def dial(
    address: NodeAddress,
    identity: Identity,
    hello: Hello,
    accept: Callable[[PeerLink, Hello], PeerEnd],
    *,
    timeout: float = _HELLO_SECONDS,
) -> None:
    """Become a child of the node at `address`.

    Args:
        address: where it listens, and who it has to prove to be.
        identity: who this node is.
        hello: what this node says of itself.
        accept: gets the link and what the parent says of itself, and gives this node's end.
        timeout: seconds for each of connecting and being taken.

    Raises:
        UnavailableError: there is nobody, or somebody else, or no answer.
        PangeaError: it doesn't take this node.
    """
    service = ChildService()
    ends: list[PeerEnd] = []
    stream, hang_up, lost = await _connect(address, identity, timeout)
    peer = PeerId(address.peer)
    answer, trouble = await rpc.answer_of(stream.service.attachPeer(service, json.dumps(hello.to_json())), timeout)
    try:
        if trouble:
            raise UnavailableError(f"the node at {address} {trouble}", retry=True)
        codec.raise_failure(str(answer.failure.json))
        link = PeerLink(stream.service, peer, address.host, hang_up)
        ends.append(accept(link, Hello.from_json(notes.record_of(str(answer.welcome)))))
    except BaseException:
        hang_up()
        raise
    service.attach(ends[0])
    lost.add_done_callback(lambda _: ends[0].lost())


async def _connect(
    address: NodeAddress, identity: Identity, timeout: float
) -> tuple[rpc.ClientStream, Callable[[], None], asyncio.Future[None]]:
    """A connection whose incoming messages are looked at before they are decoded; how to end it; what says that it has ended."""
    loop = asyncio.get_running_loop()
    lost: asyncio.Future[None] = loop.create_future()
    connected: asyncio.Future[Any] = loop.create_future()
    limits = WireLimits()

    async def on_connected(stream: Any) -> None:
        if not connected.done():
            connected.set_result(stream)
        await lost

    def on_lost() -> None:
        if not lost.done():
            lost.set_result(None)

    def protocol() -> GuardedProtocol:
        return GuardedProtocol(
            rpc.stream_protocol(on_connected), limits, on_made=lambda _: True, on_lost=on_lost, is_busy=lambda: False
        )

    trouble = ""
    try:
        async with asyncio.timeout(timeout):
            transport, _ = await loop.create_connection(
                protocol, address.host, address.port, ssl=client_context(identity, want=address.peer), server_hostname=""
            )
            stream = rpc.ClientStream(await connected, message_bytes_max=limits.message_bytes_max)
    except TimeoutError:
        trouble = f"the node at {address} didn't answer in {timeout:g} s"
    except OSError as error:
        reason = (error.strerror or str(error)).partition("\n")[0].lower()
        trouble = f"no node at {address}: {reason}"
    if trouble:
        raise UnavailableError(trouble, retry=True)
    return stream, transport.abort, lost
