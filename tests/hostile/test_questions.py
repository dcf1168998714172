"""Questions that are asked and never finished: a connection has the other end keep only so many answers."""

from __future__ import annotations

import asyncio
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pangea.compute.model.errors import UnavailableError
from pangea.compute.model.ids import JobId
from pangea.compute.network.identity import Identity
from pangea.compute.network.peers import dialling
from pangea.compute.network.peers.address import NodeAddress
from pangea.compute.network.rpc.framing import WireError
from pangea.compute.network.rpc.questions import BOOTSTRAPS_MAX, Questions
from pangea.compute.network.rpc.unfolding import head
from tests.hostile.test_bombs import ENVELOPE, call, results
from tests.hostile.test_wire import _rest
from tests.integration.test_rpc import ID, MANIFEST, Stage, play

SEGMENTS = st.sampled_from([1, 2, 3, 7, 60, 1 << 16])


def bootstrap(number: int, *, first_segment: int = 1 << 16) -> bytes:
    whole = ENVELOPE.Message.new_message(num_first_segment_words=first_segment)
    whole.init("bootstrap").questionId = number
    return bytes(whole.to_bytes())


def kept(number: int, *, first_segment: int = 1 << 16) -> bytes:
    """A call whose answer is to be fetched later."""
    with ENVELOPE.Message.from_bytes(call(results(1))) as given:
        whole = given.as_builder(num_first_segment_words=first_segment)
    whole.call.questionId = number
    whole.call.sendResultsTo.yourself = None
    return bytes(whole.to_bytes())


def look(on: Questions, frame: bytes) -> None:
    for _ in on.look(frame):
        pass


@given(SEGMENTS, st.integers(0, 2**32 - 1))
def test_the_outer_words_of_a_message_are_found_however_it_lies_in_segments(first_segment: int, number: int) -> None:
    outer, inner = head(bootstrap(number, first_segment=first_segment))
    assert (outer & 0xFFFF, inner & 0xFFFF_FFFF) == (ENVELOPE.Message.schema.fields["bootstrap"].proto.discriminantValue, number)
    outer, inner = head(kept(number, first_segment=first_segment))
    assert outer & 0xFFFF == ENVELOPE.Message.schema.fields["call"].proto.discriminantValue
    assert (inner & 0xFFFF_FFFF, inner >> 48) == (number, 1)


@given(SEGMENTS)
def test_a_call_whose_answer_is_to_be_kept_is_refused_and_others_are_not(first_segment: int) -> None:
    with pytest.raises(WireError, match="kept here"):
        look(Questions(), kept(7, first_segment=first_segment))
    questions = Questions()
    for _ in range(10 * BOOTSTRAPS_MAX):
        look(questions, call(results(1), first_segment=first_segment))


@pytest.mark.parametrize("frame", [bytes(16), struct.pack("<II", 0, 0), struct.pack("<IIQ", 0, 1, 0)])
def test_messages_of_nothing_have_no_words(frame: bytes) -> None:
    try:
        look(Questions(), frame)
    except WireError:
        return
    assert head(frame) == (0, 0)


async def sent(on: Stage, frames: list[bytes]) -> Any:
    reader, writer = await asyncio.open_unix_connection(str(on.path))
    writer.write(b"".join(frames))
    return reader, writer


def test_row_11_a_connection_that_bootstraps_for_ever_ends_and_others_go_on(tmp_path: Path) -> None:
    """A server keeps something of each, as long as nobody says that it is done."""

    async def scene(on: Stage) -> None:
        await on.connection.submit(MANIFEST)
        reader, writer = await sent(on, [bootstrap(number) for number in range(BOOTSTRAPS_MAX)])
        await asyncio.wait_for(reader.readexactly(1), 25)  # so many are answered
        writer.write(bootstrap(BOOTSTRAPS_MAX))
        await asyncio.wait_for(_rest(reader), 25)
        writer.close()
        assert (await on.connection.status(JobId(ID))).total_chunks == 4

    play(tmp_path, scene)


def test_row_11_a_connection_that_has_answers_kept_ends(tmp_path: Path) -> None:
    async def scene(on: Stage) -> None:
        reader, writer = await sent(on, [bootstrap(0), kept(1)])
        await asyncio.wait_for(_rest(reader), 25)
        writer.close()
        assert (await on.connection.capacity()).cpu_cores == 3

    play(tmp_path, scene)


def test_who_dials_looks_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ends of a link serve."""
    looks = list[object]()

    class Recorded(asyncio.Protocol):
        def __init__(self, *_: object, check: Any, **__: object) -> None:
            looks.append(check.__self__)

    async def scene() -> None:
        server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
        port, me = server.sockets[0].getsockname()[1], Identity.create()
        with pytest.raises(UnavailableError):
            await dialling._connect(NodeAddress(host="127.0.0.1", port=port, peer=me.peer_id), me, 20.0)
        server.close()

    monkeypatch.setattr(dialling, "GuardedProtocol", Recorded)
    asyncio.run(scene())
    assert [type(each) for each in looks] == [Questions]
