"""Bytes that messages between neighbours name by their hash: where they can be had, here or at whoever named them.

What is small travels inside the message. The rest is pulled by who needs it, in blocks, several at once; a manager in between
pulls for those below it. What can be had again is kept in memory only as long as there is room.

A hash is a name, not a right: what one of this node's jobs brought is known to that job alone, and what a parent did to that
parent's. Who names the hash of another's content has named something that isn't here yet, and has to give it.
"""

from __future__ import annotations

import asyncio
import mmap
from bisect import insort
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256

from pangea.compute.model.errors import InputError, PangeaError, UnavailableError
from pangea.compute.model.frames import Buffer
from pangea.compute.model.ids import PeerId
from pangea.compute.model.units import GIB, KIB, MIB
from pangea.compute.network.rpc.service import BLOCK_BYTES, BLOCKS_IN_FLIGHT
from pangea.compute.node.storage.memory import POOLED_BYTES_MAX

#: Content up to this size travels inside the message that names it.
ENVELOPE_BYTES_MAX = 64 * KIB
#: Of what can be had again, so much stays in memory.
CACHE_BYTES_MAX = 128 * MIB
#: Nothing that one task needs or gives is larger: it has to fit into a guest's memory.
CONTENT_BYTES_MAX = 4 * GIB
#: A content is fetched at this pace or given up. Many may share a slow link; what keeps a job waiting is found out earlier, by
#: the orchestrator, and done elsewhere, too.
_FETCH_SECONDS, _BYTES_PER_SECOND = 60.0, 4 * KIB
#: It is given up as well when nothing of it comes for so long, though it isn't said to be on its way.
_STALL_SECONDS = 60.0
#: Until it is asked for again when it is.
_AGAIN_SECONDS = 0.25
#: A content that nobody waits for any more is fetched on for so long.
ABANDONED_SECONDS = 10.0
#: Half-fetched contents that are kept, to go on from there.
_PARTIAL_MAX = 4
#: Larger contents are hashed in a thread.
_SMALL_BYTES = 256 * KIB

Fetch = Callable[[PeerId, bytes, int, int], Awaitable[bytes | None]]
Make = Callable[[], Buffer]
#: Who needs a content: an own job, or something of a parent's, in a tuple that begins with the parent.
User = Hashable
#: Whose it is: an own job's, or a parent's.
Whose = Hashable
_Key = tuple[Whose, bytes]


@dataclass(slots=True, eq=False)
class _Content:
    """One content that was named."""

    size: int
    data: Buffer | None = None
    make: Make | None = None
    peers: dict[PeerId, None] = field(default_factory=dict)
    users: dict[User, None] = field(default_factory=dict)


class _Partial:
    """A content that is being fetched: the blocks that are here already, and the hash of those before the first gap."""

    def __init__(self, size: int, hashing: Executor) -> None:
        self.data = room_for(size)
        self._hashing = hashing
        self._gaps = [(0, size)] if size else []
        self._here: dict[int, int] = {}
        self._digest = sha256()
        self._whole_until = 0
        self._hashed: Future[None] | None = None

    @property
    def is_missing_some(self) -> bool:
        """Whether there are bytes that nobody fetches yet."""
        return bool(self._gaps)

    def next(self) -> tuple[int, int]:
        """Where the first block that nobody fetches yet begins, and its bytes. Whoever takes it puts it, or gives it back."""
        start, end = self._gaps.pop(0)
        count = min(BLOCK_BYTES, end - start)
        if start + count < end:
            self._gaps.insert(0, (start + count, end))
        return start, count

    def give_back(self, start: int, count: int) -> None:
        """Nobody fetches this part any more."""
        insort(self._gaps, (start, start + count))

    def put(self, offset: int, block: Buffer) -> None:
        """Take in a block, and have it hashed as soon as all before it is here: in a thread, while others come."""
        end = offset + len(block)
        self.data[offset:end] = block
        self._here[offset] = end
        start = self._whole_until
        while (end := self._here.pop(self._whole_until, 0)) > 0:
            self._whole_until = end
        if self._whole_until > start:
            part = self.data[start : self._whole_until]
            if len(self.data) <= _SMALL_BYTES:
                self._digest.update(part)
            else:
                self._hashed = self._hashing.submit(self._digest.update, part)

    async def digest(self) -> bytes:
        """The hash of the whole, once all is here."""
        if self._hashed is not None:
            await asyncio.wrap_future(self._hashed)  # the last of them: one thread does one after the other
        return self._digest.digest()


class Contents:
    """All content that was named to this node or by it."""

    def __init__(self, fetch: Fetch) -> None:
        """Know nothing. `fetch` gets a block from a neighbour."""
        self._fetch = fetch
        self._known: dict[_Key, _Content] = {}
        self._of: dict[User, dict[bytes, None]] = {}
        #: What was put here for each user, in bytes, and for each owner together.
        self._put: dict[User, dict[bytes, int]] = {}
        self._put_bytes: Counter[Whose] = Counter()
        self._cache: OrderedDict[_Key, int] = OrderedDict()
        self._cached = 0
        self._fetching: dict[_Key, asyncio.Task[Buffer]] = {}
        self._waiting: Counter[_Key] = Counter()
        self._partial: OrderedDict[_Key, _Partial] = OrderedDict()
        self._hashing = ThreadPoolExecutor(1, "pangea-hash")  # for all contents: it hashes faster than any link brings
        #: Bytes that came from neighbours, for the account.
        self.fetched_bytes: dict[PeerId, int] = {}

    def put(self, user: User, name: bytes, data: Buffer) -> None:
        """Keep content that is here, for `user`. The caller has checked its hash."""
        content = self._note(user, name, len(data))
        if name not in self._put.setdefault(user, {}):
            self._put[user][name] = len(data)
            self._put_bytes[whose(user)] += len(data)
        content.data = data
        self._uncache((whose(user), name))

    def keep(self, user: User, name: bytes, data: Buffer) -> None:
        """Keep content that `user` has heard of and that is here now, while there is room. The caller has checked its hash."""
        key = (whose(user), name)
        content = self._known[key]
        if content.data is None:
            self._keep(key, content, data)

    def offer(self, user: User, name: bytes, size: int, make: Make) -> None:
        """Note that content can be made here; `make` may read files."""
        self._note(user, name, size).make = make

    def hear(self, user: User, name: bytes, size: int, peer: PeerId) -> None:
        """Note that a neighbour has content."""
        if size > CONTENT_BYTES_MAX:
            raise InputError(f"content of {size:,} bytes was named; at most {CONTENT_BYTES_MAX:,} are fetched")
        self._note(user, name, size).peers[peer] = None

    def at_hand(self, owner: Whose, name: bytes) -> Buffer | None:
        """The content, if it is in memory."""
        content = self._known.get((owner, name))
        return content.data if content is not None else None

    def put_bytes(self, owner: Whose) -> int:
        """Bytes that were put here for somebody, and stay until they aren't needed."""
        return self._put_bytes[owner]

    def has(self, owner: Whose, name: bytes) -> bool:
        """Whether the content is known here as somebody's."""
        return (owner, name) in self._known

    async def whole(self, owner: Whose, name: bytes) -> Buffer:
        """The content, from wherever it can be had.

        Raises:
            InputError: nobody has named it, or whoever has gives something else.
            UnavailableError: it can't be had now.
        """
        key = (owner, name)
        content = self._known.get(key)
        if content is None:
            raise InputError(f"content {name.hex()} was never named here")
        if content.data is not None:
            if key in self._cache:
                self._cache.move_to_end(key)
            return content.data
        if content.make is not None:
            data = await asyncio.to_thread(content.make)
            self._keep(key, content, data)
            return data
        fetching = self._fetching.get(key)
        if fetching is None:
            fetching = self._fetching[key] = asyncio.create_task(self._fetch_whole(key, content))
            fetching.add_done_callback(lambda done: self._fetched(key, done))
        self._waiting[key] += 1
        try:
            return await asyncio.shield(fetching)
        finally:
            self._waiting[key] -= 1
            if not self._waiting[key]:
                del self._waiting[key]
                if not fetching.done():  # who has given up may ask again: over a slow link it does so every few seconds
                    asyncio.get_running_loop().call_later(ABANDONED_SECONDS, self._abandon, key, fetching)

    async def block(self, owner: Whose, name: bytes, offset: int, count: int) -> Buffer:
        """A block of the content."""
        return memoryview(await self.whole(owner, name))[offset : offset + count]

    def drop(self, user: User, name: bytes) -> None:
        """`user` needs it no more."""
        key = (whose(user), name)
        if (content := self._known.get(key)) is None:
            return
        content.users.pop(user, None)
        self._of.get(user, {}).pop(name, None)
        self._take_off(user, name)
        if not content.users:
            del self._known[key]
            self._uncache(key)

    def _take_off(self, user: User, name: bytes) -> None:
        owner, put = whose(user), self._put.get(user, {})
        self._put_bytes[owner] -= put.pop(name, 0)
        if not put:
            self._put.pop(user, None)
        if not self._put_bytes[owner]:
            del self._put_bytes[owner]

    def forget(self, user: User) -> None:
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
        self._hashing.shutdown(wait=False, cancel_futures=True)

    def _note(self, user: User, name: bytes, size: int) -> _Content:
        key = (whose(user), name)
        content = self._known.get(key)
        if content is None:
            content = self._known[key] = _Content(size)
        content.users[user] = None
        self._of.setdefault(user, {})[name] = None
        return content

    def _keep(self, key: _Key, content: _Content, data: Buffer) -> None:
        """Keep what can be had again, as long as there is room."""
        if self._known.get(key) is not content or len(data) > CACHE_BYTES_MAX // 2:
            return
        content.data = data
        self._cache[key] = len(data)
        self._cached += len(data)
        while self._cached > CACHE_BYTES_MAX:
            oldest, size = self._cache.popitem(last=False)
            self._cached -= size
            self._known[oldest].data = None

    def _uncache(self, key: _Key) -> None:
        self._cached -= self._cache.pop(key, 0)

    def _abandon(self, key: _Key, fetching: asyncio.Task[Buffer]) -> None:
        """Stop a fetch that nobody waits for any more."""
        if key not in self._waiting and self._fetching.get(key) is fetching:
            fetching.cancel()

    def _fetched(self, key: _Key, done: asyncio.Task[Buffer]) -> None:
        self._fetching.pop(key, None)
        if not done.cancelled():
            done.exception()  # whoever waits gets it; perhaps nobody does any more

    async def _fetch_whole(self, key: _Key, content: _Content) -> Buffer:
        trouble: PangeaError | None = None
        name = key[1]
        for peer in list(content.peers):
            try:
                async with asyncio.timeout(None) as patience:
                    data = await self._fetch_from(peer, key, content.size, _Patience(content.size, patience))
            except TimeoutError:
                trouble = UnavailableError(
                    f"content {name.hex()} of {content.size:,} bytes didn't come in time from {peer}", retry=True
                )
            except PangeaError as error:
                trouble = error
            else:
                self._keep(key, content, data)
                self.fetched_bytes[peer] = self.fetched_bytes.get(peer, 0) + content.size
                return data
        raise trouble or UnavailableError(f"whoever had content {name.hex()} is gone", retry=True)

    async def _fetch_from(self, peer: PeerId, key: _Key, size: int, patience: _Patience) -> Buffer:
        """All blocks, several at once; what is here from an earlier try isn't fetched again."""
        name = key[1]
        partial = self._partial.pop(key, None)
        if partial is None or len(partial.data) != size:
            partial = _Partial(size, self._hashing)
        try:
            await self._fill(peer, name, partial, patience)
        except BaseException:
            self._partial[key] = partial
            if len(self._partial) > _PARTIAL_MAX:
                self._partial.popitem(last=False)
            raise
        if await partial.digest() != name:
            raise InputError(f"peer {peer} gave something else for content {name.hex()}")
        return partial.data

    async def _fill(self, peer: PeerId, name: bytes, partial: _Partial, patience: _Patience) -> None:
        async def fetch_some() -> None:
            while partial.is_missing_some:
                offset, count = partial.next()
                try:
                    while (block := await self._fetch(peer, name, offset, count)) is None:
                        patience.renew()
                        await asyncio.sleep(_AGAIN_SECONDS)
                    if not 0 < len(block) <= count:
                        raise InputError(f"peer {peer} gave {len(block):,} bytes of {count:,} of content {name.hex()}")
                except BaseException:
                    partial.give_back(offset, count)
                    raise
                patience.renew()
                partial.put(offset, block)
                if len(block) < count:
                    partial.give_back(offset + len(block), count - len(block))

        blocks = -(-len(partial.data) // BLOCK_BYTES)
        await all_of([fetch_some() for _ in range(min(BLOCKS_IN_FLIGHT, blocks))])


class _Patience:
    """How long a content is waited for."""

    def __init__(self, size: int, timeout: asyncio.Timeout) -> None:
        """`timeout` ends the wait."""
        self._timeout = timeout
        self._end = asyncio.get_running_loop().time() + _FETCH_SECONDS + size / _BYTES_PER_SECOND
        self.renew()

    def renew(self) -> None:
        """Something has come, or was said to come."""
        self._timeout.reschedule(min(self._end, asyncio.get_running_loop().time() + _STALL_SECONDS))


def whose(user: User) -> Whose:
    """Whose content it is that a user needs."""
    return user[0] if isinstance(user, tuple) else user


async def all_of(work: Sequence[Awaitable[None]]) -> None:
    """Do all of it at once; the first failure ends the rest, and is raised."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def room_for(size: int) -> memoryview:
    """Room for content of a size that a stranger says: it takes memory only as blocks arrive.

    Most rooms are made of memory that the process has had before. Large ones are made of huge pages, where the kernel has them:
    to be given memory in small ones costs more than to hash what comes into it.

    Raises:
        UnavailableError: this machine hasn't so much.
    """
    if size < POOLED_BYTES_MAX:
        return memoryview(bytearray(size))
    try:
        room = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as error:
        raise UnavailableError(f"this machine has no room for content of {size:,} bytes", retry=True) from error
    with suppress(OSError):  # a kernel without them
        room.madvise(mmap.MADV_HUGEPAGE)
    return memoryview(room)
