"""Large content over its own socket: whole, hashed and on disk, or an error that says why; nothing is left of what isn't."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from pathlib import Path
from random import Random

import pytest

from pangea.compute.model.errors import InputError, PangeaError, QuotaError, UnavailableError
from pangea.compute.network.rpc.codec import failure_to_text
from pangea.compute.network.rpc.content import ContentLink, serve_content
from pangea.compute.network.rpc.limits import WireLimits
from pangea.compute.network.rpc.service import Caller
from pangea.compute.node.storage import blobs as blobs_module
from pangea.compute.node.storage.blobs import BlobStore
from tests.deadlines import comes_true, until

SECONDS = 50
DATA = Random(1).randbytes((5 << 20) + 12_345)
NAME = sha256(DATA).hexdigest()


class StagedContent:
    """A node's shelf for content, for one caller after the other."""

    def __init__(self, folder: Path) -> None:
        self.blobs = BlobStore(folder / "blobs")
        self.callers: list[Caller] = []
        self.ends: list[BaseException | str] = []
        self.troubles: list[BaseException] = []
        self.refusal: Exception | None = None

    def session(self, caller: Caller) -> StagedContent:
        self.callers.append(caller)
        return self

    async def receive(self, size: int, fill: Callable[[memoryview], None]) -> str:
        if self.refusal is not None:
            raise self.refusal
        try:
            name = await asyncio.to_thread(self.blobs.take, size, fill)
        except BaseException as error:
            self.ends.append(error)
            raise
        self.ends.append(name)
        return name


@asynccontextmanager
async def shelf(folder: Path, limits: WireLimits | None = None) -> AsyncIterator[tuple[StagedContent, Path]]:
    found, path = StagedContent(folder), folder / "content.sock"
    async with asyncio.timeout(SECONDS), serve_content(path, found.session, limits or WireLimits(), found.troubles.append):
        yield found, path


def play(
    folder: Path, scene: Callable[[StagedContent, Path], Awaitable[None]], limits: WireLimits | None = None, troubles: int = 0
) -> None:
    async def all_of_it() -> None:
        async with shelf(folder, limits) as (found, path):
            await scene(found, path)
        assert len(found.troubles) == troubles, found.troubles
        assert [each for each in (folder / "blobs").rglob("*") if each.is_file() and len(each.name) != 64] == []

    asyncio.run(all_of_it())


def pieces(data: bytes, size: int = 1 << 20) -> Iterator[memoryview]:
    view = memoryview(data)
    return (view[at : at + size] for at in range(0, len(data), size))


async def sent(path: Path, data: bytes, *, size: int | None = None, seconds: float = SECONDS) -> str:
    return await asyncio.to_thread(ContentLink(path, seconds).send, len(data) if size is None else size, pieces(data))


def talk(path: Path, *said: bytes) -> socket.socket:
    """A stranger who has said something."""
    stranger = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    stranger.settimeout(SECONDS)
    stranger.connect(str(path))
    for each in said:
        stranger.sendall(each)
    return stranger


def last_words(stranger: socket.socket) -> bytes:
    heard = b""
    with stranger, suppress(ConnectionResetError):  # not all of what it said was looked at
        while block := stranger.recv(1 << 16):
            heard += block
    return heard


def test_content_arrives_whole_under_its_hash(tmp_path: Path) -> None:
    async def scene(on: StagedContent, path: Path) -> None:
        for data in (b"x", DATA[: 1 << 20], DATA[: (1 << 20) + 1], DATA):
            name = await sent(path, data)
            assert name == sha256(data).hexdigest()
            assert on.blobs.path(name).read_bytes() == data
            assert (on.blobs.size(name), on.blobs.check(name)) == (len(data), True)
        assert set(on.callers) == {Caller(f"uid:{os.getuid()}", is_local=True)}
        assert path.stat().st_mode & 0o777 == 0o600

    play(tmp_path, scene)
    assert not (tmp_path / "content.sock").exists()


def test_what_is_too_large_for_the_page_cache_is_the_same_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blobs_module, "CACHED_BYTES_MAX", 1 << 20)

    async def scene(on: StagedContent, path: Path) -> None:
        for data in (DATA, DATA[: 4 << 20]):
            name = await sent(path, data)
            assert name == sha256(data).hexdigest()
            assert on.blobs.path(name).read_bytes() == data

    play(tmp_path, scene)


def test_a_path_may_be_longer_than_a_socket_s_name(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 40)
    folder.mkdir()

    async def scene(on: StagedContent, path: Path) -> None:
        assert await sent(path, DATA) == NAME

    play(folder, scene)


def test_who_hangs_up_half_way_leaves_nothing(tmp_path: Path) -> None:
    async def scene(on: StagedContent, path: Path) -> None:
        stranger = talk(path, b'{"size": 10000000}\n')
        assert await asyncio.to_thread(stranger.recv, 100) == b'{"go": true}\n'
        stranger.sendall(DATA[: 3 << 20])
        stranger.close()
        await comes_true(lambda: on.ends)
        assert isinstance(on.ends[0], ConnectionError)
        assert on.blobs.names() == []
        assert await sent(path, DATA) == NAME

    play(tmp_path, scene)


def test_what_is_less_than_was_said_is_nothing(tmp_path: Path) -> None:
    async def scene(on: StagedContent, path: Path) -> None:
        with pytest.raises(UnavailableError, match="was lost"):
            await sent(path, DATA, size=len(DATA) + 1, seconds=0.5)
        await comes_true(lambda: on.ends)
        assert on.blobs.names() == []

    play(tmp_path, scene)


@pytest.mark.parametrize(
    "said", [b"\n", b"{}\n", b"[1]\n", b'{"size": 0}\n', b'{"size": -5}\n', b'{"size": "5"}\n', b'{"size": 1e9}\n', b"x" * 200]
)
def test_who_does_not_begin_with_a_size_is_told_so(tmp_path: Path, said: bytes) -> None:
    async def scene(on: StagedContent, path: Path) -> None:
        answer = await asyncio.to_thread(last_words, talk(path, said))
        assert b"a stream of content begins with its size" in answer
        assert on.ends == []

    play(tmp_path, scene)


def test_who_says_nothing_or_stalls_has_its_time(tmp_path: Path) -> None:
    async def scene(on: StagedContent, path: Path) -> None:
        silent, stalled = talk(path), talk(path, b'{"size": 5000000}\n')
        await asyncio.to_thread(stalled.recv, 100)
        stalled.sendall(b"x" * 1000)
        for stranger in (silent, stalled):
            await asyncio.to_thread(last_words, stranger)
        await comes_true(lambda: on.ends)
        assert isinstance(on.ends[0], TimeoutError)
        assert await sent(path, DATA) == NAME

    play(tmp_path, scene, WireLimits(handshake_seconds=0.1, message_seconds=0.1))


def test_no_more_streams_come_in_at_once_than_may(tmp_path: Path) -> None:
    async def scene(_on: StagedContent, path: Path) -> None:
        def taken() -> str:
            """The name, once the holder that hung up is gone; until then the answer is to try again soon."""
            with suppress(QuotaError):
                return ContentLink(path, SECONDS).send(len(DATA), pieces(DATA))
            return ""

        holders = [talk(path, b'{"size": 5000000}\n') for _ in range(2)]
        for holder in holders:
            assert await asyncio.to_thread(holder.recv, 100)
        with pytest.raises(QuotaError, match="2 streams of content come in already"):
            await sent(path, DATA)
        holders.pop().close()
        assert await asyncio.to_thread(until, taken) == NAME
        holders.pop().close()

    play(tmp_path, scene, WireLimits(streams_max=2))


def test_a_refusal_that_comes_before_the_client_has_said_anything_is_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "content.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()

        def hung_up_first(link: socket.socket, address: str) -> None:
            connect(link, address)
            node, _ = listener.accept()
            with node:
                node.sendall(b'{"failure": %s}\n' % json.dumps(failure_to_text(QuotaError("enough of it"))).encode())

        connect = socket.socket.connect
        monkeypatch.setattr(socket.socket, "connect", hung_up_first)
        with pytest.raises(QuotaError, match="enough of it"):
            ContentLink(path, SECONDS).send(len(DATA), pieces(DATA))


def test_a_refusal_reaches_the_client_as_it_is(tmp_path: Path) -> None:
    async def scene(on: StagedContent, path: Path) -> None:
        on.refusal = QuotaError("enough of it", hint="less")
        with pytest.raises(QuotaError, match="enough of it") as caught:
            await sent(path, DATA)
        assert caught.value.hint == "less"

    play(tmp_path, scene)


def test_a_full_disk_is_said_while_the_content_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_self: object, _view: memoryview, at: int) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(blobs_module.BlobWriter, "_write", full)

    async def scene(on: StagedContent, path: Path) -> None:
        with pytest.raises(QuotaError, match="the node's disk is full"):
            await sent(path, DATA * 4)
        assert on.blobs.names() == []

    play(tmp_path, scene)


def test_a_bug_of_the_node_s_tells_nobody_its_secrets(tmp_path: Path) -> None:
    async def scene(on: StagedContent, path: Path) -> None:
        on.refusal = ValueError("the secret")
        with pytest.raises(PangeaError, match="the node failed") as caught:
            await sent(path, DATA)
        assert "secret" not in str(caught.value)

    play(tmp_path, scene, troubles=1)


def test_a_node_that_stops_hangs_up(tmp_path: Path) -> None:
    async def all_of_it() -> None:
        async with shelf(tmp_path) as (found, path):
            stranger = talk(path, b'{"size": 5000000}\n')
            assert await asyncio.to_thread(stranger.recv, 100)
        assert await asyncio.to_thread(last_words, stranger) == b""
        await comes_true(lambda: found.ends)

    asyncio.run(all_of_it())


@pytest.mark.parametrize("answer", [b"", b"nonsense\n", b"[]\n", b"{}\n", b'{"go": true}\n{"sha256": 5}\n', b"x" * 300_000])
def test_a_node_that_makes_no_sense_is_an_error(tmp_path: Path, answer: bytes) -> None:
    async def all_of_it() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            writer.write(answer)
            await writer.drain()
            writer.close()

        path = tmp_path / "content.sock"
        async with await asyncio.start_unix_server(serve, path):
            with pytest.raises(UnavailableError):
                await sent(path, DATA, seconds=2.0)

    asyncio.run(all_of_it())


def test_a_file_that_changes_its_size_is_no_content(tmp_path: Path) -> None:
    def changed() -> Iterator[memoryview]:
        yield memoryview(DATA)[:1000]
        raise InputError("the file had 5 bytes when the job began")

    async def scene(on: StagedContent, path: Path) -> None:
        with pytest.raises(InputError, match="when the job began"):
            await asyncio.to_thread(ContentLink(path, SECONDS).send, len(DATA), changed())
        await comes_true(lambda: on.ends)
        assert on.blobs.names() == []

    play(tmp_path, scene)
