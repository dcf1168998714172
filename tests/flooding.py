"""Peers that send a node the worst there is, from a process of their own.

`python -m tests.flooding KIND MULTIADDR` goes on until stdin ends, and writes a line when it has begun.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress

from pangea.compute.model.errors import PangeaError
from pangea.compute.network.rpc import rpc
from tests.attackers import Attacker

PEERS = 8
_AHEAD = 16
#: Answers in one message: as many as about 64 KiB hold.
_ANSWERS = 400


def _begun() -> None:
    """Say that something was sent."""
    if not _said:
        _said.append(True)
        print(flush=True)


_said: list[bool] = []


async def knocks(where: str) -> None:
    """A new key, a handshake, nonsense, and away."""
    while True:
        with suppress(PangeaError):
            stranger = await Attacker().join(where, cores=0)
            with suppress(PangeaError):
                await stranger.note("x" * 100_000)
            _begun()
            stranger.leave()


async def notes(where: str) -> None:
    """A child whose notes are nonsense, many under way."""
    await _many(where, lambda child: child.note("[" * 60_000))


async def answers(where: str) -> None:
    """A child that answers what nobody asked, hundreds at once."""

    async def say(child: Attacker) -> None:
        request = child._link._service.returnTaskResult_request()
        request.init("more", _ANSWERS)
        await child._link._call(request.send())

    await _many(where, say)


async def results(where: str) -> None:
    """A child that answers what nobody asked, in full."""

    async def say(child: Attacker) -> None:
        request = child._link._service.returnTaskResult_request()
        for wire in request.init("more", _ANSWERS // 4):
            wire.init("merkleProof", 1)
            wire.taskId, wire.status, wire.workerId, wire.resultHash = "job:1", "done", child.peer, "ab" * 32
            wire.merkleRoot, wire.seconds, wire.merkleProof[0] = bytes(32), 0.1, "ab" * 32
        await child._link._call(request.send())

    await _many(where, say)


async def maps(where: str) -> None:
    """A child that says a thousand times a second that four thousand nodes stand behind it."""
    note = json.dumps({"kind": "below", "places": [["p" * 52, "q" * 52, "site"]] * 4_000})
    await _many(where, lambda child: child.note(note))


async def beats(where: str) -> None:
    """A child that has nothing to say, and says it all the time."""
    await _many(where, lambda child: child.note({"kind": "beat", "cores": 1, "window": 1, "nodes": 1, "height": 0}))


async def fetches(where: str) -> None:
    """A child that asks for what it was never named."""

    async def say(child: Attacker) -> None:
        await child._link.fetch(bytes(32), 0, 1 << 20)

    await _many(where, say)


async def _many(where: str, say: Callable[[Attacker], Awaitable[None]]) -> None:
    while True:
        child = Attacker()
        with suppress(PangeaError):
            await child.join(where)

        async def talk(child: Attacker = child) -> None:
            while child.link is not None and not child.is_lost:
                with suppress(PangeaError):
                    await say(child)
                _begun()
                await asyncio.sleep(0)

        await asyncio.gather(*(talk() for _ in range(_AHEAD)))


KINDS = {each.__name__: each for each in (knocks, notes, answers, results, maps, beats, fetches)}


async def flood(kind: str, where: str) -> None:
    """All of them, until stdin ends."""
    async with rpc.event_loop():
        peers = [asyncio.create_task(KINDS[kind](where)) for _ in range(PEERS)]
        await asyncio.to_thread(sys.stdin.read)
        for each in peers:
            each.cancel()


if __name__ == "__main__":
    os.nice(5)  # it is the node's work that is measured, not theirs
    asyncio.run(flood(*sys.argv[1:]))
