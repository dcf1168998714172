"""Content on its way to a node: in blocks, or in a stream. What it holds is given back on every way out, hang-ups included."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from pangea.compute.model.errors import InputError, PangeaError, QuotaError
from pangea.compute.network.rpc.service import BLOCK_BYTES
from pangea.compute.node.service.node import Node
from pangea.compute.node.storage.blobs import BlobWriter
from pangea.compute.node.storage.quotas import Reservation
from pangea.compute.node.storage.to_end import to_end


async def begin_upload(node: Node, owner: str, sha256: str, size: int) -> Receiving | None:
    """Begin to receive content in blocks; None if it is there and its owner's.

    Raises:
        InputError: that is no hash.
        QuotaError: the owner or the disk has no room.
    """
    admission = node.admission
    more = 0 if admission.shelf.has(owner, sha256) else size  # sent once more after a link was lost, it counts already
    return await to_end(_begin(node, admission.quotas.take_bytes(owner, more), sha256, size), unwanted=_drop)


async def _begin(node: Node, holding: Reservation, sha256: str, size: int) -> Receiving | None:
    try:
        if node.admission.may_name(holding.owner, sha256) and await asyncio.to_thread(_is_whole, node, sha256, size):
            node.admission.shelf.put(holding, sha256, asyncio.get_running_loop().time())
            return None
        return Receiving(node, holding, await asyncio.to_thread(node.blobs.writer, size, sha256), sha256)
    except BaseException:
        holding.release()
        raise


def _is_whole(node: Node, sha256: str, size: int) -> bool:
    if not (node.blobs.has(sha256) and node.blobs.size(sha256) == size):
        return False
    with suppress(InputError):  # damaged, and so deleted: send it again
        node.blobs.believe(sha256)
        return True
    return False


def _drop(receiving: Receiving | None) -> None:
    """Whoever began an upload is gone."""
    if receiving is not None:
        receiving.close()


async def take_stream(node: Node, owner: str, size: int, fill: Callable[[memoryview], None]) -> str:
    """Take content as it comes; its SHA-256.

    Args:
        node: takes it.
        owner: whose it is.
        size: bytes.
        fill: fills a buffer with the next of them. Called in a thread; its errors end this.

    Raises:
        QuotaError: the owner or the disk has no room.
    """
    return await to_end(_take_stream(node, node.admission.quotas.take_bytes(owner, size), fill))


async def _take_stream(node: Node, holding: Reservation, fill: Callable[[memoryview], None]) -> str:
    loop = asyncio.get_running_loop()
    try:
        name = await loop.run_in_executor(node.streams, node.blobs.take, holding.size, fill)
    except BaseException:
        holding.release()
        raise
    node.admission.shelf.put(holding, name, loop.time())
    return name


class Receiving:
    """Content that arrives in blocks. Implements `network.rpc.service.Upload`.

    What writes goes on to its end, whoever waits for it: the file is closed between writes only, so that no other file gets its
    number while a thread writes to it.
    """

    def __init__(self, node: Node, holding: Reservation, writer: BlobWriter, sha256: str) -> None:
        """Receive what `holding` is for into `writer`; both are this object's from now on."""
        self._node = node
        self._holding = holding
        self._writer = writer
        self._sha256 = sha256
        self._is_open = True
        self._turn = asyncio.Lock()

    async def write(self, block: bytes) -> None:
        """Append a block."""
        await to_end(self._write(block))

    async def finish(self) -> None:
        """Check the content and keep it."""
        await to_end(self._finish())

    async def abort(self) -> None:
        """Forget what was sent."""
        await to_end(self._abort())

    def close(self) -> None:
        """Likewise, for who can't wait."""
        closing = asyncio.ensure_future(to_end(self._abort()))
        closing.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def _write(self, block: bytes) -> None:
        async with self._turn:  # blocks come in order; several may be waiting
            self._check_open()
            if len(block) > BLOCK_BYTES:
                raise QuotaError(f"a block of {len(block):,} bytes; it may have {BLOCK_BYTES:,} at most")
            try:
                await asyncio.to_thread(self._writer.write, block)
            except PangeaError:
                await self._end()
                raise

    async def _finish(self) -> None:
        async with self._turn:
            self._check_open()
            try:
                await asyncio.to_thread(self._writer.finish)
            except BaseException:
                await self._end()
                raise
            self._is_open = False
            self._node.admission.shelf.put(self._holding, self._sha256, asyncio.get_running_loop().time())

    async def _abort(self) -> None:
        async with self._turn:
            if self._is_open:
                await self._end()

    def _check_open(self) -> None:
        if not self._is_open:
            raise InputError("this upload is over")

    async def _end(self) -> None:
        self._is_open = False
        self._holding.release()
        await asyncio.to_thread(self._writer.abort)
