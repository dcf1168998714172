"""Messages that cost their reader more than their sender: what they unfold to is found out before anything walks it."""

from __future__ import annotations

import asyncio
import struct
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import capnp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pangea.compute.model.errors import PeerError
from pangea.compute.model.frames import Buffer
from pangea.compute.network.peers import peering
from pangea.compute.network.peers.peering import PeerMethods
from pangea.compute.network.rpc import notes, peer_messages, rpc
from pangea.compute.network.rpc.fair_queue import FairQueue
from pangea.compute.network.rpc.framing import WireError
from pangea.compute.network.rpc.unfolding import unfold
from pangea.compute.orchestrator.limits import BATCH_MAX
from tests.property.test_framing import Scene, message

BOMBS: Any = capnp.load(str(Path(__file__).parent.parent / "data" / "bombs.capnp"))
_LIBRARY = Path(capnp.__file__).parent
#: The RPC's own messages, around the calls of ours.
ENVELOPE: Any = capnp.load(str(_LIBRARY / "rpc.capnp"), imports=[str(_LIBRARY.parent)])
WORD = 8
#: Ordinal of `returnTaskResult`.
RETURN = 6


def call(content: Any, *, steps: int = 0, caps: int = 0, first_segment: int = 1 << 16) -> bytes:
    """A call of one of our methods, as framed; in one segment, unless the first has few words."""
    whole = ENVELOPE.Message.new_message(num_first_segment_words=first_segment)
    inner = whole.init("call")
    inner.interfaceId, inner.methodId = rpc.SCHEMA.ComputeService.schema.node.id, RETURN
    if steps:
        inner.target.init("promisedAnswer").init("transform", steps)
    else:
        inner.target.importedCap = 0
    inner.params.content = content
    if caps:
        inner.params.init("capTable", caps)
    return bytes(whole.to_bytes())


def check(frame: Buffer) -> None:
    for _ in unfold(frame):
        pass


def walk(frame: bytes) -> Any:
    """Words that can be reached from the root of a message of one segment, each as often as it can; an independent count."""
    words = [frame[at : at + WORD] for at in range(WORD, len(frame), WORD)]

    def struct_words(at: int, data: int, pointers: int) -> Any:
        return data + pointers + sum(pointer_words(at + data + index) for index in range(pointers))

    def pointer_words(at: int) -> Any:
        low, high = struct.unpack("<iI", words[at])
        if (not low and not high) or low & 3 == 3:
            return 0
        target = at + 1 + (low >> 2)
        if low & 3 == 0:
            return struct_words(target, high & 0xFFFF, high >> 16)
        kind, count = high & 7, high >> 3
        if kind == 7:
            elements, shape = struct.unpack("<iI", words[target])
            data, pointers = shape & 0xFFFF, shape >> 16
            size = data + pointers
            return 1 + sum(struct_words(target + 1 + n * size, data, pointers) for n in range(elements >> 2)) if size else 1
        if kind == 6:
            return count + sum(pointer_words(target + n) for n in range(count))
        return -(-count * (0, 1, 8, 16, 32, 64)[kind] // 64)

    return 1 + pointer_words(0)


def results(count: int, size: int = 10) -> Any:
    params = rpc.SCHEMA.ComputeTaskResult.new_message(taskId="job:1", resultData=bytes(size))
    params.init("merkleProof", count)
    for index in range(count):
        params.merkleProof[index] = "ab" * 32
    return params


@given(st.integers(0, 64), st.integers(0, 100_000), st.sampled_from([1, 2, 7, 60, 1 << 16]))
def test_what_is_written_in_the_ordinary_way_passes(count: int, size: int, first_segment: int) -> None:
    check(call(results(count, size), first_segment=first_segment))


def test_pointers_from_one_segment_to_another_are_followed_too() -> None:
    frame = bytearray(aliased(400, 399, first_segment=1))
    assert struct.unpack_from("<I", frame)[0] > 0, "several segments"
    with pytest.raises(WireError, match="unfolds to more than that"):
        check(frame)


@pytest.mark.parametrize("field", ["caps", "steps"])
def test_lists_of_nothing_are_refused_also_where_the_rpc_itself_would_walk_them(field: str) -> None:
    """A composite list of structs without fields: its words stay few whatever it claims."""
    frame = bytearray(call(results(1), **{field: 1}))
    tags = [at for at in range(WORD, len(frame), WORD) if struct.unpack_from("<iHH", frame, at) in {(4, 1, 1), (4, 1, 0)}]
    assert tags
    for at in tags:
        struct.pack_into("<iHH", frame, at, 1_000_000 << 2, 0, 0)
    with pytest.raises(WireError, match="unfolds to more than that"):
        check(frame)


def test_lists_of_nothing_among_a_method_s_own_parameters_are_refused() -> None:
    content = BOMBS.Hollow.new_message()
    content.init("more", 100_000)
    with pytest.raises(WireError, match="unfolds to more than that"):
        check(call(content))


def aliased(lists: int, items: int, *, first_segment: int = 1 << 16) -> bytes:
    """A message of many pointers to one list of many pointers to one blob."""
    content = BOMBS.Shared.new_message()
    content.init("lists", lists)
    content.lists.init(0, items)
    for index in range(items):
        content.lists[0][index] = b"h" * 32
    frame = bytearray(call(content, first_segment=first_segment))
    at = next(at for at in range(WORD, len(frame), WORD) if struct.unpack_from("<iI", frame, at)[1] == items << 3 | 6)
    offset, size = struct.unpack_from("<iI", frame, at)
    for index in range(1, lists):
        struct.pack_into("<iI", frame, at + WORD * index, offset - (index << 2), size)
    return bytes(frame)


def test_many_pointers_to_one_place_are_refused() -> None:
    check(aliased(1, 399))
    bomb = aliased(400, 399)
    assert len(bomb) < 64 << 10
    assert walk(bomb) * WORD > 50 * len(bomb)
    with pytest.raises(WireError, match="unfolds to more than that"):
        check(bomb)


@given(st.data())
def test_no_message_with_a_few_words_changed_unfolds_to_more_than_it_is(data: st.DataObject) -> None:
    frame = bytearray(call(results(20)))
    own = [bytes(frame[at : at + WORD]) for at in range(0, len(frame), WORD)]
    word = st.binary(min_size=WORD, max_size=WORD) | st.sampled_from(own)
    for _ in range(data.draw(st.integers(0, 4))):
        at = WORD * data.draw(st.integers(1, len(frame) // WORD - 1))
        frame[at : at + WORD] = data.draw(word)
    try:
        check(frame)
    except WireError:
        return
    assert walk(bytes(frame)) * WORD <= len(frame)


@given(st.binary(max_size=512).map(lambda data: data + bytes(-len(data) % WORD)))
def test_bytes_that_are_no_message_are_refused_or_cost_nothing(data: bytes) -> None:
    frame = struct.pack("<II", 0, len(data) // WORD) + data
    with suppress(WireError):
        check(frame)
        assert walk(frame) * WORD <= len(frame)


# What passes, and claims lists of nothing among a method's own parameters.


class Claim:
    """A list that says it is long, and fails whoever looks at an element."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, _index: int) -> Any:
        raise AssertionError("an element was looked at")


class Peer(PeerMethods):
    """The methods between neighbours, with a neighbour or without."""

    def __init__(self, *, is_attached: bool = True) -> None:
        self.heard: list[str] = []
        if is_attached:
            self.end = self  # type: ignore[assignment]

    def told(self, envelope: Any) -> float:
        self.heard.append(type(envelope.message).__name__)
        return 0.0

    async def answered(self, envelope: Any) -> None:
        self.heard.append(f"{len(envelope.message.results)} answers")


def context() -> Any:
    return SimpleNamespace(results=SimpleNamespace(failure=SimpleNamespace(json="")))


def test_a_message_with_a_million_empty_answers_or_tasks_is_refused_by_their_number() -> None:
    async def scene() -> None:
        for count in (BATCH_MAX, 1_000_000):
            for method in ("returnTaskResult", "delegateTask"):
                said, peer = context(), Peer()
                one = (
                    results(1)
                    if method == "returnTaskResult"
                    else rpc.SCHEMA.ComputeTaskPacket.new_message(jobSpecHash=bytes(32))
                )
                what = {"result": one} if method == "returnTaskResult" else {"task": one, "delegation": delegation()}
                await getattr(peer, method)(more=Claim(count), _context=said, **what)
                assert f"{count + 1:,} tasks or answers in one message" in said.results.failure.json
                assert peer.heard == []

    asyncio.run(scene())


def delegation() -> Any:
    wire = rpc.SCHEMA.Delegation.new_message()
    wire.spec, wire.limits = '{"job_id": "j", "module": "%s"}' % ("a" * 64), "{}"
    wire.ancestors = ["12D3KooWA"]
    return wire


@pytest.mark.parametrize("method", ["returnTaskResult", "delegateTask", "tellPeer"])
def test_for_who_is_no_neighbour_nothing_is_decoded(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def decoded(*_: Any) -> Any:
        raise AssertionError("something was decoded")

    for module, name in (
        (peer_messages, "delegation_from_wire"),
        (peer_messages, "packet_from_wire"),
        (peer_messages, "result_from_wire"),
    ):
        monkeypatch.setattr(module, name, decoded)
    monkeypatch.setattr(notes, "record_of", decoded)
    said = context()
    whole: dict[str, Any] = {"result": None, "task": None, "more": Claim(3), "delegation": None, "message": "{}"}
    asyncio.run(getattr(Peer(is_attached=False), method)(_context=said, **whole))
    assert "this connection is no link between nodes" in said.results.failure.json


def test_what_a_stranger_says_of_itself_is_short() -> None:
    with pytest.raises(PeerError, match=r"a note of 16,385 characters; at most 16,384"):
        notes.record_of("x" * 16_385, notes.HELLO_CHARACTERS_MAX)


def test_long_messages_give_others_turns_and_keep_their_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch is decoded in slices; what its sender says next is taken in behind it."""
    monkeypatch.setattr(peer_messages, "result_from_wire", lambda wire: (wire, SimpleNamespace(body=b"")))
    turns = 0

    async def scene() -> None:
        nonlocal turns
        peer, wires = Peer(), [SimpleNamespace(resultData=b"") for _ in range(8 * peering._SLICE)]
        many = asyncio.ensure_future(peer.returnTaskResult(wires[0], wires[1:], context()))
        then = asyncio.ensure_future(peer.tellPeer('{"kind": "lease", "jobs": []}', context()))
        while not then.done():
            turns += 1
            await asyncio.sleep(0)
        await many
        assert peer.heard == [f"{len(wires)} answers", "Lease"]

    asyncio.run(scene())
    assert turns >= 8


async def decoded_between_turns(peers: list[Peer], monkeypatch: pytest.MonkeyPatch) -> int:
    """The most answers that are decoded between two turns of somebody else while each peer has sent a long message."""
    decoded = most = 0

    def read(wire: Any) -> tuple[Any, Any]:
        nonlocal decoded
        decoded += 1
        return wire, SimpleNamespace(body=b"")

    monkeypatch.setattr(peer_messages, "result_from_wire", read)
    wires = [SimpleNamespace(resultData=b"") for _ in range(8 * peering._SLICE)]
    calls = [asyncio.ensure_future(each.returnTaskResult(wires[0], wires[1:], context())) for each in peers]
    while not all(call.done() for call in calls):
        before = decoded
        await asyncio.sleep(0)
        most = max(most, decoded - before)
    assert decoded == len(peers) * len(wires)
    return most


def test_of_all_long_messages_one_slice_is_decoded_between_two_turns_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FairQueue, "_cost", lambda _queue, _owner: 1.0)  # as if all of them had sent much before

    async def scene(*, is_shared: bool) -> int:
        peers, queue = [Peer() for _ in range(8)], FairQueue()
        for number, each in enumerate(peers):
            each._queue, each._owner = queue if is_shared else FairQueue(), f"flood {number}"
        return await decoded_between_turns(peers, monkeypatch)

    assert asyncio.run(scene(is_shared=True)) == peering._SLICE
    assert asyncio.run(scene(is_shared=False)) == 8 * peering._SLICE


LEASE = '{"kind": "lease", "jobs": []}'


def test_of_long_notes_each_link_has_so_many_in_a_second_and_others_dont_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take milliseconds each, in one piece. What is said behind one is taken in behind it."""
    note = '{"kind": "lease", "jobs": []' + " " * (peering._LONG_CHARACTERS_A_SECOND // 2) + "}"

    now = 1_000.0

    async def scene() -> None:
        nonlocal now
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)
        flood, friend = Peer(), Peer()
        said = [asyncio.ensure_future(flood.tellPeer(text, context())) for text in (note, note, note, "{}", LEASE)]
        taken = []
        for _ in range(4):
            for _ in range(20):
                await asyncio.sleep(0)
            taken.append(sum(each.done() for each in said))
            now += 0.51
        assert taken == [1, 2, 5, 5]
        assert flood.heard == ["Lease"] * 4
        await friend.tellPeer(note, context())
        assert friend.heard == ["Lease"]

    asyncio.run(scene())


# Turns.


def test_who_sends_a_thousand_messages_is_decoded_no_faster_than_who_sends_one() -> None:
    async def scene() -> None:
        queue = FairQueue()
        flood, friend = Scene(queue=queue, owner="flood"), Scene(queue=queue, owner="friend")
        one = message([1])
        flood.receive(one * 60)
        friend.receive(one)
        assert (len(flood.decoder.got), bytes(friend.decoder.got)) == (len(one), one)  # the first of each at once
        while len(flood.decoder.got) < 60 * len(one):
            await asyncio.sleep(0)
        flood.end()
        friend.end()

    asyncio.run(scene())


def test_a_connection_whose_messages_wait_is_read_from_no_more() -> None:
    async def scene() -> None:
        on = Scene(owner="flood")
        on.receive(message([1]) * 200)
        assert not on.wire.is_read
        while len(on.decoder.got) < 200 * len(message([1])):
            await asyncio.sleep(0)
        assert on.wire.is_read
        on.end()

    asyncio.run(scene())


def test_a_decoder_that_asks_for_no_more_is_given_no_more() -> None:
    async def scene() -> None:
        on = Scene()
        on.protocol._reading.pause_reading()
        on.receive(message([1]) * 3)
        for _ in range(50):  # turns of the loop: whatever was to be handed over is
            await asyncio.sleep(0)
        assert on.decoder.got == message([1])  # one may wait in it
        on.protocol._reading.resume_reading()
        await asyncio.sleep(0)
        assert len(on.decoder.got) > len(message([1]))
        on.end()

    asyncio.run(scene())
