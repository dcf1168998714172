"""How a node becomes the child of another: it dials, proves who it is, and hears what the parent says of itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from pangea.compute.model.errors import UnavailableError
from pangea.compute.model.ids import PeerId
from pangea.compute.network.identity import Identity, client_context
from pangea.compute.network.peers.address import NodeAddress
from pangea.compute.network.peers.hello import Hello
from pangea.compute.network.peers.peering import ChildService, PeerEnd, PeerLink
from pangea.compute.network.rpc import codec, notes, rpc
from pangea.compute.network.rpc.framing import GuardedProtocol
from pangea.compute.network.rpc.limits import WireLimits
from pangea.compute.network.rpc.questions import Questions

_HELLO_SECONDS = 10.0


async def dial(
    address: NodeAddress,
    identity: Identity,
    hello: Hello,
    accept: Callable[[PeerLink, Hello], PeerEnd],
    *,
    timeout: float = _HELLO_SECONDS,
) -> None:
    """Become a child of the node at `address`.

    Args:
        address: where it listens, and who it has to prove to be.
        identity: who this node is.
        hello: what this node says of itself.
        accept: gets the link and what the parent says of itself, and gives this node's end.
        timeout: seconds for each of connecting and being taken.

    Raises:
        UnavailableError: there is nobody, or somebody else, or no answer.
        PangeaError: it doesn't take this node.
    """
    service = ChildService()
    ends: list[PeerEnd] = []
    stream, hang_up, lost = await _connect(address, identity, timeout)
    peer = PeerId(address.peer)
    answer, trouble = await rpc.answer_of(stream.service.attachPeer(service, json.dumps(hello.to_json())), timeout)
    try:
        if trouble:
            raise UnavailableError(f"the node at {address} {trouble}", retry=True)
        codec.raise_failure(str(answer.failure.json))
        link = PeerLink(stream.service, peer, address.host, hang_up)
        ends.append(accept(link, Hello.from_json(notes.record_of(str(answer.welcome)))))
    except BaseException:
        hang_up()
        raise
    service.attach(ends[0])
    lost.add_done_callback(lambda _: ends[0].lost())


async def _connect(
    address: NodeAddress, identity: Identity, timeout: float
) -> tuple[rpc.ClientStream, Callable[[], None], asyncio.Future[None]]:
    """A connection whose incoming messages are looked at before they are decoded; how to end it; what says that it has ended."""
    loop = asyncio.get_running_loop()
    lost: asyncio.Future[None] = loop.create_future()
    connected: asyncio.Future[Any] = loop.create_future()
    limits = WireLimits()

    async def on_connected(stream: Any) -> None:
        if not connected.done():
            connected.set_result(stream)
        await lost

    def on_lost() -> None:
        if not lost.done():
            lost.set_result(None)

    def protocol() -> GuardedProtocol:
        return GuardedProtocol(
            lambda: rpc.stream_protocol(on_connected),
            limits,
            on_made=lambda *_: True,
            on_lost=on_lost,
            is_busy=lambda: False,
            check=Questions().look,
        )

    trouble = ""
    try:
        async with asyncio.timeout(timeout):
            transport, _ = await loop.create_connection(
                protocol, address.host, address.port, ssl=client_context(identity, want=address.peer), server_hostname=""
            )
            stream = rpc.ClientStream(await connected, message_bytes_max=limits.message_bytes_max)
    except TimeoutError:
        trouble = f"the node at {address} didn't answer in {timeout:g} s"
    except OSError as error:
        reason = (error.strerror or str(error)).partition("\n")[0].lower()
        trouble = f"no node at {address}: {reason}"
    if trouble:
        raise UnavailableError(trouble, retry=True)
    return stream, transport.abort, lost
