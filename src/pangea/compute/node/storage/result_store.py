"""Where results and split outputs are: small ones in memory and in the journal's row, large ones in a blob."""

from __future__ import annotations

import asyncio
import mmap
from collections.abc import Sequence

from pangea.compute.model.errors import InputError
from pangea.compute.model.frames import Buffer
from pangea.compute.node.storage.blobs import BlobStore
from pangea.compute.node.storage.records import INLINE_BYTES_MAX, Stored


class ResultStore:
    """Keeps bytes and finds them again."""

    def __init__(self, blobs: BlobStore) -> None:
        """Keep large ones in `blobs`."""
        self.blobs = blobs

    async def keep(self, parts: Sequence[Buffer], *, durable: bool = False) -> Stored:
        """Keep bytes. A large body is pinned: whoever keeps it lets go with `forget`.

        Args:
            parts: the bytes, in pieces.
            durable: whether they must outlive a power cut; without it they outlive the process, and a torn file is noticed.

        Raises:
            QuotaError: the disk is full.
        """
        size = sum(map(len, parts))
        if size <= INLINE_BYTES_MAX:
            return Stored(data=b"".join(parts), blob="", size=size)
        name = await asyncio.to_thread(lambda: self.blobs.put(parts, durable=durable, is_pinned=True))
        return Stored(data=None, blob=name, size=size)

    def read(self, stored: Stored) -> Buffer:
        """The bytes, mapped if they are in a blob. May touch the disk: not for the event loop.

        Raises:
            InputError: the blob is gone.
        """
        if stored.data is not None:
            return stored.data
        try:
            with open(self.blobs.path(stored.blob), "rb") as file:
                return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        except (OSError, ValueError) as error:
            raise InputError(f"the node's blob {stored.blob} can't be read") from error

    def is_whole(self, stored: Stored) -> bool:
        """Whether the bytes are there and undamaged, as their hash says."""
        if stored.data is not None:
            return len(stored.data) == stored.size
        return self.blobs.has(stored.blob) and self.blobs.size(stored.blob) == stored.size and self.blobs.check(stored.blob)

    def pin(self, stored: Stored) -> None:
        """Keep what was kept before a restart."""
        if stored.blob:
            self.blobs.pin(stored.blob)

    def forget(self, stored: Stored) -> None:
        """Nobody needs these any more: the next collection may have them."""
        if stored.blob:
            self.blobs.unpin(stored.blob)
