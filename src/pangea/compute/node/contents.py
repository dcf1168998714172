"""Bytes that messages between neighbours name by their hash: where they can be had, here or at whoever named them.

What is small travels inside the message. The rest is pulled by who needs it, in blocks, several at once; a manager in between
pulls for those below it. What can be had again is kept in memory only as long as there is room.
"""

from __future__ import annotations

import asyncio
import mmap
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Hashable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from pangea.compute.model.errors import InputError, PangeaError, UnavailableError
from pangea.compute.model.frames import Buffer
from pangea.compute.model.ids import PeerId
from pangea.compute.model.units import GIB, KIB, MIB
from pangea.compute.network.service import BLOCK_BYTES, BLOCKS_IN_FLIGHT

#: Content up to this size travels inside the message that names it.
PARCEL_BYTES_MAX = 64 * KIB
#: Of what can be had again, so much stays in memory.
CACHE_BYTES_MAX = 128 * MIB
#: Nothing that one task needs or gives is larger: it has to fit into a guest's memory.
CONTENT_BYTES_MAX = 4 * GIB
#: A content is fetched at this pace or given up: a minute, and a second for each megabyte.
_FETCH_SECONDS, _BYTES_PER_SECOND = 60.0, MIB
#: Half-fetched contents that are kept, to go on from there.
_PARTIAL_MAX = 4
#: Larger contents are hashed in a thread.
_SMALL_BYTES = 256 * KIB

Fetch = Callable[[PeerId, bytes, int, int], Awaitable[bytes]]
Make = Callable[[], Buffer]


@dataclass(slots=True, eq=False)
class _Content:
    """One content that was named."""

    size: int
    data: Buffer | None = None
    make: Make | None = None
    peers: dict[PeerId, None] = field(default_factory=dict)
    users: dict[Hashable, None] = field(default_factory=dict)


class _Partial:
    """A content that is being fetched: the blocks that are here already, and the hash of those before the first gap."""

    def __init__(self, size: int) -> None:
        self.data = _room(size)
        self.missing = list(range(0, size, BLOCK_BYTES))[::-1]
        self._here: set[int] = set()
        self._digest = sha256()
        self._hashed = 0
        self.is_over = False

    def put(self, offset: int, block: bytes) -> None:
        """Take in a block."""
        self.data[offset : offset + len(block)] = block
        self._here.add(offset)

    async def digest(self, has_more: asyncio.Event) -> bytes:
        """The hash of the whole, made while blocks come in: `has_more` is set with each, and when no more will come."""
        while self._hashed < len(self.data) and not self.is_over:
            end = self._hashed
            while end in self._here:
                end = min(end + BLOCK_BYTES, len(self.data))
            if end == self._hashed:
                has_more.clear()
                await has_more.wait()  # as long as the fetch lasts, which has its deadline
                continue
            part = self.data[self._hashed : end]
            if len(part) > _SMALL_BYTES:
                await asyncio.to_thread(self._digest.update, part)
            else:
                self._digest.update(part)
            self._hashed = end
        return self._digest.digest()


class Contents:
    """All content that was named to this node or by it."""

    def __init__(self, fetch: Fetch) -> None:
        """Know nothing. `fetch` gets a block from a neighbour."""
        self._fetch = fetch
        self._known: dict[bytes, _Content] = {}
        self._of: dict[Hashable, dict[bytes, None]] = {}
        self._cache: OrderedDict[bytes, int] = OrderedDict()
        self._cached = 0
        self._fetching: dict[bytes, asyncio.Task[Buffer]] = {}
        self._partial: OrderedDict[bytes, _Partial] = OrderedDict()
        #: Bytes that came from neighbours, for the account.
        self.fetched_bytes: dict[PeerId, int] = {}

    def put(self, user: Hashable, name: bytes, data: Buffer) -> None:
        """Keep content that is here, for `user`. The caller has checked its hash."""
        self._note(user, name, len(data)).data = data
        if name in self._cache:
            self._cached -= self._cache.pop(name)

    def offer(self, user: Hashable, name: bytes, size: int, make: Make) -> None:
        """Note that content can be made here; `make` may read files."""
        self._note(user, name, size).make = make

    def hear(self, user: Hashable, name: bytes, size: int, peer: PeerId) -> None:
        """Note that a neighbour has content."""
        if size > CONTENT_BYTES_MAX:
            raise InputError(f"content of {size:,} bytes was named; at most {CONTENT_BYTES_MAX:,} are fetched")
        self._note(user, name, size).peers[peer] = None

    def at_hand(self, name: bytes) -> Buffer | None:
        """The content, if it is in memory."""
        content = self._known.get(name)
        return content.data if content is not None else None

    def users(self, name: bytes) -> Collection[Hashable]:
        """Who needs the content."""
        content = self._known.get(name)
        return content.users if content is not None else ()

    async def whole(self, name: bytes) -> Buffer:
        """The content, from wherever it can be had.

        Raises:
            InputError: nobody has named it, or whoever has gives something else.
            UnavailableError: it can't be had now.
        """
        content = self._known.get(name)
        if content is None:
            raise InputError(f"content {name.hex()} was never named here")
        if content.data is not None:
            if name in self._cache:
                self._cache.move_to_end(name)
            return content.data
        if content.make is not None:
            data = await asyncio.to_thread(content.make)
            self._keep(name, content, data)
            return data
        fetching = self._fetching.get(name)
        if fetching is None:
            fetching = self._fetching[name] = asyncio.create_task(self._fetch_whole(name, content))
            fetching.add_done_callback(lambda done: self._fetched(name, done))
        return await asyncio.shield(fetching)

    async def block(self, name: bytes, offset: int, count: int) -> bytes:
        """A block of the content."""
        return bytes(memoryview(await self.whole(name))[offset : offset + count])

    def drop(self, user: Hashable, name: bytes) -> None:
        """`user` needs it no more."""
        if (content := self._known.get(name)) is None:
            return
        content.users.pop(user, None)
        self._of.get(user, {}).pop(name, None)
        if not content.users:
            del self._known[name]
            if name in self._cache:
                self._cached -= self._cache.pop(name)

    def forget(self, user: Hashable) -> None:
        """`user` needs nothing any more."""
        for name in list(self._of.get(user, {})):
            self.drop(user, name)
        self._of.pop(user, None)

    def lose(self, peer: PeerId) -> None:
        """A neighbour is gone: nothing can be had there."""
        for content in self._known.values():
            content.peers.pop(peer, None)

    def close(self) -> None:
        """Stop fetching."""
        for task in self._fetching.values():
            task.cancel()

    def _note(self, user: Hashable, name: bytes, size: int) -> _Content:
        content = self._known.get(name)
        if content is None:
            content = self._known[name] = _Content(size)
        content.users[user] = None
        self._of.setdefault(user, {})[name] = None
        return content

    def _keep(self, name: bytes, content: _Content, data: Buffer) -> None:
        """Keep what can be had again, as long as there is room."""
        if self._known.get(name) is not content or len(data) > CACHE_BYTES_MAX // 2:
            return
        content.data = data
        self._cache[name] = len(data)
        self._cached += len(data)
        while self._cached > CACHE_BYTES_MAX:
            oldest, size = self._cache.popitem(last=False)
            self._cached -= size
            self._known[oldest].data = None

    def _fetched(self, name: bytes, done: asyncio.Task[Buffer]) -> None:
        self._fetching.pop(name, None)
        if not done.cancelled():
            done.exception()  # whoever waits gets it; perhaps nobody does any more

    async def _fetch_whole(self, name: bytes, content: _Content) -> Buffer:
        trouble: PangeaError | None = None
        for peer in list(content.peers):
            try:
                async with asyncio.timeout(_FETCH_SECONDS + content.size / _BYTES_PER_SECOND):
                    data = await self._fetch_from(peer, name, content.size)
            except TimeoutError:
                trouble = UnavailableError(
                    f"content {name.hex()} of {content.size:,} bytes didn't come in time from {peer}", retry=True
                )
            except PangeaError as error:
                trouble = error
            else:
                self._keep(name, content, data)
                self.fetched_bytes[peer] = self.fetched_bytes.get(peer, 0) + content.size
                return data
        raise trouble or UnavailableError(f"whoever had content {name.hex()} is gone", retry=True)

    async def _fetch_from(self, peer: PeerId, name: bytes, size: int) -> Buffer:
        """All blocks, several at once; what is here from an earlier try isn't fetched again."""
        partial = self._partial.pop(name, None)
        if partial is None or len(partial.data) != size:
            partial = _Partial(size)
        partial.is_over, has_more = False, asyncio.Event()
        hashing = asyncio.ensure_future(partial.digest(has_more))
        try:
            await self._fill(peer, name, partial, has_more)
            found = await asyncio.shield(hashing)
        except BaseException:
            partial.is_over = True
            has_more.set()
            await asyncio.gather(hashing, return_exceptions=True)  # a thread may be at it: what it does counts next time
            self._partial[name] = partial
            if len(self._partial) > _PARTIAL_MAX:
                self._partial.popitem(last=False)
            raise
        if found != name:
            raise InputError(f"peer {peer} gave something else for content {name.hex()}")
        return partial.data

    async def _fill(self, peer: PeerId, name: bytes, partial: _Partial, has_more: asyncio.Event) -> None:
        size = len(partial.data)

        async def fetch_some() -> None:
            while partial.missing:
                offset = partial.missing.pop()
                count = min(BLOCK_BYTES, size - offset)
                try:
                    block = await self._fetch(peer, name, offset, count)
                    if len(block) != count:
                        raise InputError(f"peer {peer} gave {len(block):,} bytes of {count:,} of content {name.hex()}")
                except BaseException:
                    partial.missing.append(offset)
                    raise
                partial.put(offset, block)
                has_more.set()

        await all_of([fetch_some() for _ in range(min(BLOCKS_IN_FLIGHT, len(partial.missing)))])


async def all_of(work: Sequence[Awaitable[None]]) -> None:
    """Do all of it at once; the first failure ends the rest, and is raised."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _room(size: int) -> memoryview:
    """Room for content of a size that a stranger says: it takes memory only as blocks arrive.

    Raises:
        UnavailableError: this machine hasn't so much.
    """
    if size <= BLOCK_BYTES:
        return memoryview(bytearray(size))
    try:
        return memoryview(mmap.mmap(-1, size))
    except OSError as error:
        raise UnavailableError(f"this machine has no room for content of {size:,} bytes", retry=True) from error
