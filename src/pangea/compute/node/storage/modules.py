"""Modules of parents' jobs: fetched once, kept over restarts, the least recently used go first."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from pathlib import Path

from pangea.compute.model.errors import InputError
from pangea.compute.model.frames import Buffer
from pangea.compute.model.units import GIB
from pangea.compute.node.storage.blobs import BlobStore

#: Bytes of modules that are kept.
MODULES_BYTES_MAX = GIB


class Modules:
    """A folder of modules, by SHA-256."""

    def __init__(self, folder: Path) -> None:
        """Keep modules in `folder`.

        Raises:
            UnavailableError: the folder can't be made or read.
        """
        self._store = BlobStore(folder)
        self._used: OrderedDict[str, None] = OrderedDict.fromkeys(self._store.names())

    async def get(self, name: str) -> bytes | None:
        """A module, if it is here and undamaged."""
        if name not in self._used:
            return None
        self._used.move_to_end(name)
        try:
            return await asyncio.to_thread(self._read, name)
        except InputError:  # damaged, and so deleted: it is fetched again
            self._used.pop(name, None)
            return None

    def _read(self, name: str) -> bytes:
        self._store.believe(name)
        return self._store.read(name, 0, self._store.size(name))

    async def keep(self, name: str, module: Buffer) -> bytes:
        """Keep a module that was fetched; its bytes.

        Raises:
            QuotaError: the disk is full.
        """
        await asyncio.to_thread(self._store.put, [module], durable=False)
        self._used[name] = None
        while self._store.total_bytes > MODULES_BYTES_MAX and len(self._used) > 1:
            oldest, _ = self._used.popitem(last=False)
            await asyncio.to_thread(self._store.delete, oldest)
        return bytes(module)
