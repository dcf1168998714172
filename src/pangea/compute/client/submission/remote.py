"""A node as a client keeps it: reconnected when it was lost, safely asked twice. On the link thread."""

from __future__ import annotations

import asyncio
import random
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pangea.compute.inputs.inputs import Input
from pangea.compute.model.answers import unreadable
from pangea.compute.model.errors import InputError, PangeaError, QuotaError, UnavailableError
from pangea.compute.model.ids import JobId, PeerId
from pangea.compute.model.manifest import Content, JobManifest
from pangea.compute.model.order import Order
from pangea.compute.model.status import JobOutcome, JobStatus
from pangea.compute.network.peers.address import CONTENT_NAME, LOCK_NAME, NodeAddress
from pangea.compute.network.peers.connection import Connection, connect
from pangea.compute.network.rpc import rpc
from pangea.compute.network.rpc.content import ContentLink
from pangea.compute.network.rpc.service import BLOCK_BYTES, BLOCKS_IN_FLIGHT, INLINE_BYTES_MAX
from pangea.compute.verification import ordering
from pangea.compute.verification.signed_spec import inputs_hash

if TYPE_CHECKING:  # it brings cryptography, for which users of this machine's node have no use
    from pangea.compute.network.identity import Identity

#: First wait before connecting again, and the longest; doubled each time, give or take half.
_BACKOFF_SECONDS, _BACKOFF_SECONDS_MAX = 0.05, 2.0
#: One wait for an outcome, of many: a link that silently broke is noticed after that.
_WAIT_SECONDS = 60.0
#: One wait for a job's prints, of many.
_PRINTS_SECONDS = 10.0
#: Such waits at once; if there are more, they take turns of a second.
_WAITS_MAX = 256

#: How long a node may take from being started to holding its data directory, and from there to serving.
_STARTING_SECONDS, _OPENING_SECONDS = 3.0, 20.0

T = TypeVar("T")


class RemoteNode:
    """One node, over as many connections as it takes, one at a time."""

    def __init__(self, address: NodeAddress, *, identity: Identity | None, timeout: float, reconnect_timeout: float) -> None:
        """A node that isn't connected yet.

        Args:
            address: where it is.
            identity: who we are, for TCP.
            timeout: seconds for one call.
            reconnect_timeout: seconds to look for a node that was lost.
        """
        self.address = address
        self._identity = identity
        self._timeout = timeout
        self._reconnect_timeout = reconnect_timeout
        self._connection: Connection | None = None
        self._peer = ""
        self._turn = asyncio.Lock()
        self._was_there = False
        self._is_closed = False
        self._waits = asyncio.Semaphore(_WAITS_MAX)

    async def close(self) -> None:
        """Hang up, for good."""
        self._is_closed = True
        await self._hang_up()

    def check_open(self) -> None:
        """Raise UnavailableError if it was closed."""
        if self._is_closed:
            raise _closed()

    async def _hang_up(self) -> None:
        if self._connection is not None:
            self._forgotten.detach()
            await self._connection.close()
            self._connection = None

    async def call(self, ask: Callable[[Connection], Awaitable[T]]) -> T:
        """Ask the node; if it was lost, once it is back, again. `ask` must be safe to repeat.

        Raises:
            UnavailableError: it isn't there, or didn't come back in time.
        """
        loop = asyncio.get_running_loop()
        begun = loop.time()
        until, wait = loop.time() + self._reconnect_timeout, _BACKOFF_SECONDS
        while True:
            try:
                connection = await self._connected()
                until, wait = loop.time() + self._reconnect_timeout, _BACKOFF_SECONDS  # it is back: patience begins anew
                return await ask(connection)
            except UnavailableError as error:
                if self._is_closed:
                    raise _closed() from error
                end = until if self._was_there else min(until, begun + _patience(self.address))
                left = end - loop.time()
                if left <= 0 or not error.details.get("retry"):
                    raise
            await asyncio.sleep(min(wait * random.uniform(0.5, 1.5), left))  # noqa: S311  # jitter
            wait = min(2 * wait, _BACKOFF_SECONDS_MAX)

    async def _connected(self) -> Connection:
        async with self._turn:
            self.check_open()
            if self._connection is not None and self._connection.is_lost:
                await self._hang_up()
            if self._connection is None:
                connection = await connect(self.address, identity=self._identity, timeout=self._timeout)
                try:
                    await connection.capacity()  # under TLS 1.3 it is only now that we hear whether we are welcome
                except UnavailableError as error:
                    await connection.close()
                    if not self._is_refusal(error):
                        raise
                    raise self._refused(error) from error
                self._connection, self._was_there = connection, True
                self._forgotten = weakref.finalize(self, _hang_up, connection, asyncio.get_running_loop())
                self._forgotten.atexit = False  # the thread's end sees to it
            return self._connection

    def _is_refusal(self, error: UnavailableError) -> bool:
        """Whether a new connection ended as if we weren't let in: a node tells strangers nothing, not even that: it hangs up."""
        return self._identity is not None and self.address.path is None and rpc.LOST in error.message

    def _refused(self, error: UnavailableError) -> UnavailableError:
        assert self._identity is not None
        me = self._identity.peer_id
        return UnavailableError(
            f"the node at {self.address} hung up before it said anything: it doesn't know {me}, or has just stopped",
            hint=f"ask whoever runs it to let you in: pangea node start … --allow {me}",
            **error.details,
        )

    async def outcome(self, job_id: JobId, timeout: float | None, *, is_named: bool = False) -> JobOutcome:
        """Wait for a job's end, over restarts of the node. With `is_named`, a result that has a name on the node stays there.

        Raises:
            NotDoneError: `timeout` seconds are over.
        """
        loop = asyncio.get_running_loop()
        until = None if timeout is None else loop.time() + timeout
        while True:
            most = 1.0 if self._waits.locked() else _WAIT_SECONDS
            left = most if until is None else max(0.0, min(most, until - loop.time()))
            try:
                async with self._waits:
                    return await self.call(partial(_outcome, job_id, left, is_named))
            except PangeaError as error:
                if error.code != "NOT_DONE" or (until is not None and loop.time() >= until):
                    raise

    async def result(self, outcome: JobOutcome) -> bytes:
        """The result of a complete job, in blocks if it is large."""
        if outcome.data is not None:
            return outcome.data
        job_id, whole = outcome.status.job_id, bytearray(outcome.size)
        await self._fill(whole, 0, lambda node, at, count: node.read_result(job_id, at, count))
        return bytes(whole)

    async def receipt(self, job_id: JobId) -> bytes:
        """The receipt of a job that has ended, in blocks.

        Raises:
            NotDoneError: it has none, or hasn't ended.
        """
        first, size = await self.call(lambda node: node.read_receipt(job_id, 0, BLOCK_BYTES))
        whole = bytearray(size)
        whole[: len(first)] = first
        await self._fill(whole, len(first), partial(_receipt_block, job_id))
        return bytes(whole)

    async def _fill(self, whole: bytearray, start: int, read: Callable[[Connection, int, int], Awaitable[bytes]]) -> None:
        """Fetch what is missing of `whole` from `start` on, several blocks at once."""
        turns, size = asyncio.Semaphore(BLOCKS_IN_FLIGHT), len(whole)

        async def fetch(at: int) -> None:
            async with turns:
                count = min(BLOCK_BYTES, size - at)
                block = await self.call(lambda node: read(node, at, count))
                if len(block) != count:
                    raise unreadable(f"a block of {len(block):,} bytes where {count:,} were asked for")
                whole[at : at + count] = block

        await asyncio.gather(*(fetch(at) for at in range(start, size, BLOCK_BYTES)))

    async def watch(self, job_id: JobId) -> AsyncIterator[JobStatus]:
        """Every change of a job's status until its end, over restarts of the node."""
        while True:
            connection = await self.call(_itself)
            try:
                async for status in connection.watch(job_id):
                    yield status
                    if status.state.is_final:
                        return
            except UnavailableError:
                await self.call(lambda node: node.status(job_id))  # it is back, or this raises

    async def prints(self, job_id: JobId, *, follow: bool) -> AsyncIterator[str]:
        """What a job has printed so far; if it is followed, then what it prints until its end, over restarts of the node."""
        offset, is_ended = 0, False
        while not is_ended:
            text, is_ended = await self.call(partial(_prints, job_id, offset, _PRINTS_SECONDS if follow else 0.0))
            offset += len(text)
            if text:
                yield text
            if not follow:
                return

    async def send(self, item: Input) -> Content:
        """Make an input's bytes known to the node: inline if they are few.

        Raises:
            InputError: the file can't be read, or changes meanwhile.
            QuotaError: the node has no room.
        """
        if item.size <= INLINE_BYTES_MAX:
            return Content(b"".join(item.blocks(BLOCK_BYTES)))
        name = await self._stream(item)
        if name is None:
            name = known = await asyncio.to_thread(_hash, item)
            await self.call(lambda connection: _upload(connection, item, known))
        return Content(sha256=name, size=item.size)

    async def _stream(self, item: Input) -> str | None:
        """Send what is large over a socket of its own, if the node is on this machine; None if it has none."""
        if self.address.path is None:
            return None
        path = self.address.path.with_name(CONTENT_NAME)
        try:
            name = await self.call(lambda _connection: _send(path, item, self._timeout))
        except FileNotFoundError:
            return None
        if self._identity is not None and name != (known := await asyncio.to_thread(_hash, item)):
            raise UnavailableError(
                f"the node calls {item.name} {name}; it is {known}", hint="what a client signs, it has looked at"
            )
        return name

    async def ordered(self, manifest: JobManifest, *, start: bytes) -> JobManifest:
        """The same job with this client's order, if it has a key; `start` are the first bytes of the module, if they are known.

        Without them, and without a limit on fuel, the order can't say what the limit is, and the node signs for this client.
        """
        who = self._identity
        if who is None or not (start or manifest.options.limits.fuel) or manifest.order is not None:
            return manifest
        node = self.address.peer or self._peer or (await self.call(lambda connection: connection.info())).peer_id
        self._peer = node
        signed = await asyncio.to_thread(_order, manifest, who, PeerId(node), start)
        return replace(manifest, order=signed)

    async def send_bytes(self, data: bytes) -> Content:
        """Likewise for bytes in hand."""
        if len(data) <= INLINE_BYTES_MAX:
            return Content(data)
        return await self.send(Input(name="the module", size=len(data), _source=memoryview(data)))


def _closed() -> UnavailableError:
    return UnavailableError("this client is closed", hint="make another: jobs go on, and client.job(job_id) finds them")


def _patience(address: NodeAddress) -> float:
    """Seconds to wait for a node that was never there: it may just be starting, in the background."""
    if address.path is None or not address.path.parent.is_dir():
        return 0.0
    try:
        pid = int((address.path.parent / LOCK_NAME).read_text())
    except (OSError, ValueError):
        return _STARTING_SECONDS
    return _OPENING_SECONDS if Path(f"/proc/{pid}").exists() else _STARTING_SECONDS


def _hang_up(connection: Connection, loop: asyncio.AbstractEventLoop) -> None:
    """End the connection of a node that nobody closed and nobody has any more, on whatever thread that was noticed."""
    if not loop.is_closed():
        asyncio.run_coroutine_threadsafe(connection.close(), loop)


async def _outcome(job_id: JobId, seconds: float, is_named: bool, connection: Connection) -> JobOutcome:
    return await connection.outcome(job_id, seconds, is_named=is_named)


async def _prints(job_id: JobId, offset: int, wait: float, connection: Connection) -> tuple[str, bool]:
    return await connection.prints(job_id, offset, wait)


async def _receipt_block(job_id: JobId, connection: Connection, at: int, count: int) -> bytes:
    return (await connection.read_receipt(job_id, at, count))[0]


async def _itself(connection: Connection) -> Connection:
    return connection


def _order(manifest: JobManifest, who: Identity, node: PeerId, start: bytes) -> Order:
    named = [each.sha256 or sha256(each.data or b"").hexdigest() for each in (manifest.module, *manifest.inputs)]
    sizes = [each.size for each in manifest.inputs]
    return ordering.order(
        who.sign,
        client=PeerId(who.peer_id),
        job_id=JobId(manifest.job_id),
        node=node,
        module=named[0],
        inputs=inputs_hash(zip(named[1:], sizes, strict=True)),
        options=ordering.ordered(manifest.options, is_python=start[:2] == b"PK"),
    )


async def _send(path: Path, item: Input, timeout: float) -> str:
    stream = ContentLink(path, timeout)
    try:
        return await asyncio.to_thread(stream.send, item.size, item.blocks(BLOCK_BYTES))
    except asyncio.CancelledError:
        stream.close()
        raise


async def _upload(connection: Connection, item: Input, name: str) -> None:
    upload = await connection.upload(name, item.size)
    if upload is None:
        return
    try:
        for block in item.blocks(BLOCK_BYTES):
            await upload.write(bytes(block))
        await upload.finish()
    except (InputError, QuotaError, UnavailableError, asyncio.CancelledError):
        await upload.abort()
        raise


def _hash(item: Input) -> str:
    digest = sha256()
    for block in item.blocks(BLOCK_BYTES):
        digest.update(block)
    return digest.hexdigest()
