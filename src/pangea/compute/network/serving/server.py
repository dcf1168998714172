"""The serving end: unix sockets and TLS, who is at the other end, limits on everybody."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from pangea.compute.model.errors import ConfigError, PeerError
from pangea.compute.network.identity import Identity, PeerSSLObject, server_context
from pangea.compute.network.peers.handshakes import Door, HandshakeListener
from pangea.compute.network.rpc import rpc
from pangea.compute.network.rpc.fair_queue import FairQueue
from pangea.compute.network.rpc.framing import GuardedProtocol, LargeBudget
from pangea.compute.network.rpc.limits import WireLimits
from pangea.compute.network.rpc.questions import Questions
from pangea.compute.network.rpc.service import Caller
from pangea.compute.network.rpc.unix import bound, caller_at
from pangea.compute.network.serving.adapter import Adapter, OnTrouble, Session

Sessions = Callable[[Caller], Session]

_BACKLOG = 128
_CLOSE_SECONDS = 2.0


class Server:
    """One listening endpoint and its connections."""

    def __init__(self, sessions: Sessions, limits: WireLimits, on_trouble: OnTrouble, queue: FairQueue | None = None) -> None:
        """Serve `sessions` within `limits`; `on_trouble` hears of errors that are this program's own.

        All endpoints of a node share one `queue`: so that who comes by one isn't held up by those at another.
        """
        self._sessions = sessions
        self._limits = limits
        self._on_trouble = on_trouble
        self._links: set[_Link] = set()
        self._per_owner: Counter[str] = Counter()
        #: Turns of all connections, what large messages may take, and large answers.
        self.queue: FairQueue = queue or FairQueue()
        self.budget: LargeBudget = LargeBudget(limits.large_bytes_in_all)
        self.large_answers: asyncio.Semaphore = asyncio.Semaphore(limits.large_answers_max)
        self._listener: asyncio.Server | Door | None = None
        #: Of a TCP endpoint: where connections wait for their handshake.
        self.door: HandshakeListener | None = None

    @property
    def connections(self) -> int:
        """Live connections."""
        return len(self._links)

    @property
    def port(self) -> int:
        """The TCP port."""
        assert self._listener is not None, "not listening"
        return int(self._listener.sockets[0].getsockname()[1])

    def listen(self, listener: asyncio.Server | Door) -> None:
        """Note what is to be closed at the end."""
        self._listener = listener

    def full(self) -> None:
        """Somebody was turned away for want of descriptors."""
        self._on_trouble(OSError(errno.EMFILE, "a connection was turned away: this process has no descriptors left"))

    def protocol(self) -> GuardedProtocol:
        """A protocol for a connection that is about to be accepted."""
        return _Link(self).begun()

    def admit(self, link: _Link, caller: Caller) -> bool:
        """Whether one more connection of `caller` may stay. When all places are taken, one that is used for nothing gives way."""
        limits, owner = self._limits, caller.owner
        if self._per_owner[owner] >= limits.connections_per_owner_max:
            # Nobody but its owner loses by it, so who has said nothing gives way at once: who speaks does so when it comes.
            own = [each for each in self._links if each.caller.owner == owner]
            if not self._make_room([each for each in own if each.has_said_nothing or each.is_silent]):
                return False
        if len(self._links) >= limits.connections_max and not self._make_room([each for each in self._links if each.is_silent]):
            return False
        self._links.add(link)
        self._per_owner[owner] += 1
        return True

    def _make_room(self, silent: list[_Link]) -> bool:
        """Hang up on one of those that are used for nothing: of the address that has most of them, the one silent for longest."""
        if not silent:
            return False
        crowds = Counter(each.host for each in silent)
        victim = max(silent, key=lambda each: (crowds[each.host], -each.last_used))
        self.leave(victim, victim.caller)
        victim.abort()
        return True

    def leave(self, link: _Link, caller: Caller) -> None:
        """A connection is gone."""
        if link in self._links:
            self._links.discard(link)
            self._per_owner[caller.owner] -= 1
            if not self._per_owner[caller.owner]:
                del self._per_owner[caller.owner]  # of strangers there is no end

    async def close(self) -> None:
        """Stop accepting, hang up on everybody."""
        if self._listener is not None:
            self._listener.close()
        for link in list(self._links):
            link.abort()
        tasks = [link.task for link in self._links if link.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=_CLOSE_SECONDS)


class _Link:
    """One connection. It knows its protocol while that lives, and no longer: what comes to nothing is free at once."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._caller: Caller | None = None
        self._session: Session | None = None
        self._bytes_max = server._limits.message_bytes_max
        self._protocol: GuardedProtocol | None = None
        #: When it was last made or used, on the loop's clock.
        self.last_used: float = 0.0
        self._adapter: Adapter | None = None
        self._transport: asyncio.Transport | None = None
        self.task: asyncio.Task[Any] | None = None

    def begun(self) -> GuardedProtocol:
        """The protocol for a connection that begins."""
        server = self._server
        return GuardedProtocol(
            lambda: rpc.stream_protocol(self._serve),
            server._limits,
            on_made=self._made,
            on_lost=self._lost,
            is_busy=lambda: self._adapter is not None and self._adapter.calls > 0,
            check=Questions().look,
            queue=server.queue,
            budget=server.budget,
        )

    @property
    def caller(self) -> Caller:
        """Who is at the other end of an admitted connection."""
        assert self._caller is not None, "admitted"
        return self._caller

    @property
    def host(self) -> str:
        """Where it comes from: of users of this machine, each counts as a place of its own."""
        return self.caller.host or self.caller.owner

    @property
    def has_said_nothing(self) -> bool:
        """Whether it has never made a call."""
        return self._adapter is None or not self._adapter.last_call

    @property
    def is_silent(self) -> bool:
        """Whether it has come to nothing for a while: no call, no link between nodes."""
        adapter, limits = self._adapter, self._server._limits
        if adapter is not None and (adapter.calls or adapter.end is not None):
            return False
        self.last_used = max(self.last_used, adapter.last_call if adapter is not None else 0.0)
        silence = asyncio.get_running_loop().time() - self.last_used
        return silence > (limits.silent_seconds if self.has_said_nothing else limits.unused_seconds)

    def _made(self, protocol: GuardedProtocol, transport: asyncio.Transport) -> bool:
        self._protocol, self._transport = protocol, transport
        self.last_used = asyncio.get_running_loop().time()
        if self._server.door is not None:
            self._server.door.enter(transport.get_extra_info("socket").fileno())
        self._caller = _caller_of(transport)
        if self._caller is None or not self._server.admit(self, self._caller):
            return False
        protocol.owner = self._caller.owner
        self._session = self._server._sessions(self._caller)
        with suppress(PeerError):
            self._session.may_submit()
            self._bytes_max = self._server._limits.large_bytes_max
        protocol.allow(self._bytes_max)
        return True

    async def _serve(self, stream: Any) -> None:
        assert self._session is not None, "only admitted connections are served"
        assert self._protocol is not None and self._caller is not None, "and such that are up"  # noqa: PT018
        self.task = asyncio.current_task()
        self._adapter = adapter = Adapter(
            self._session,
            self._server._limits,
            self._server._on_trouble,
            is_read=self._protocol.is_read,
            hang_up=self.abort,
            large_answers=self._server.large_answers,
            queue=self._server.queue,
            owner=self._caller.owner,
        )
        try:
            await rpc.serve_stream(stream, adapter, message_bytes_max=self._bytes_max)
        finally:
            await adapter.gone()
            self.task = self._adapter = None

    def _lost(self) -> None:
        if self._caller is not None:
            self._server.leave(self, self._caller)
        self._protocol = self._transport = None

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def _caller_of(transport: asyncio.Transport) -> Caller | None:
    """Who is at the other end, as the kernel or the handshake says."""
    tls = transport.get_extra_info("ssl_object")
    if isinstance(tls, PeerSSLObject):
        host = str((transport.get_extra_info("peername") or ("",))[0])
        return Caller(tls.peer_id, is_local=False, host=host) if tls.peer_id else None
    connection = transport.get_extra_info("socket")
    if connection is None or connection.family != socket.AF_UNIX:
        return None
    return caller_at(connection)


@asynccontextmanager
async def serve_unix(
    path: Path, sessions: Sessions, limits: WireLimits, on_trouble: OnTrouble, queue: FairQueue | None = None
) -> AsyncIterator[Server]:
    """Serve on a unix socket that only this user can open.

    Raises:
        UnavailableError: the socket can't be made.
    """
    server = Server(sessions, limits, on_trouble, queue)
    with bound(path) as listener:
        listener.on_full = server.full
        server.listen(await asyncio.get_running_loop().create_unix_server(server.protocol, sock=listener, backlog=_BACKLOG))
        try:
            yield server
        finally:
            await server.close()


@asynccontextmanager
async def serve_tcp(
    host: str,
    port: int,
    identity: Identity,
    is_allowed: Callable[[str], bool],
    sessions: Sessions,
    limits: WireLimits,
    on_trouble: OnTrouble,
    queue: FairQueue | None = None,
) -> AsyncIterator[Server]:
    """Serve on TCP under mutual TLS, to peers that are allowed.

    Raises:
        ConfigError: the address can't be listened on.
    """
    server = Server(sessions, limits, on_trouble, queue)
    try:
        door = HandshakeListener.listen_at(host, port, waiting_max=limits.handshakes_max, backlog=_BACKLOG)
        server.door, door.on_full = door, server.full
    except OSError as error:
        message = f"{host}:{port} can't be listened on: {(error.strerror or str(error)).lower()}"
        raise ConfigError(message, hint="choose another --listen address") from error
    server.listen(Door(door, server.protocol, server_context(identity, is_allowed), limits.handshake_seconds))
    try:
        yield server
    finally:
        await server.close()
