"""Row 20: a hundred thousand forged and replayed answers, at the gate that every answer passes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from pangea.compute.engine.engine import Engine
from pangea.compute.model.errors import PeerError
from pangea.compute.model.ids import PeerId
from pangea.compute.model.packet import TaskResult
from pangea.compute.network.identity import Identity
from pangea.compute.network.rpc.peer_messages import Envelope
from pangea.compute.orchestrator.core.messages import Answers
from tests.attackers import Asked, Attacker
from tests.victims import Victim, play

DATA = bytes(range(256)) * 8


def mutated(good: TaskResult, random: Random) -> TaskResult:
    """The answer with one thing changed that its signature stands for."""
    what = random.choice(("digest", "fuel", "signature", "worker"))
    if what == "worker":
        return replace(good, worker=PeerId(Identity.create().peer_id))
    if what == "fuel":
        return replace(good, fuel=good.fuel ^ 1 << random.randrange(40))
    value = bytearray(getattr(good, what))
    value[random.randrange(len(value))] ^= 1 << random.randrange(8)
    return replace(good, digest=bytes(value)) if what == "digest" else replace(good, signature=bytes(value))


def replays(child: Attacker, asked: list[Asked], random: Random, count: int) -> list[tuple[int, TaskResult]]:
    """Good answers where they don't belong: under numbers of others, numbers that never were, for tasks of old jobs."""
    good = [child.result(each) for each in asked]
    numbers = {each.attempt for each in asked}
    said: list[tuple[int, TaskResult]] = []
    while len(said) < count:
        result = random.choice(good)
        number = random.choice((random.randrange(1 << 64), random.randrange(200)))
        if number not in numbers:
            said.append((number, result))
    return said


async def forged(on: Victim, child: Attacker, asked: Asked, random: Random, count: int) -> int:
    """How many of so many forgeries pass."""
    codec, good, passed = on.node.driver.codec, child.result(asked), 0
    for _ in range(count):
        message = Answers(results=((asked.attempt, mutated(good, random)),))
        try:
            passed += len(await codec.authentic(child.peer, Envelope(message=message)))
        except PeerError:
            continue
    return passed


def assert_attack_fails(folder: Path, engine: Engine, *, forgeries: int, replayed: int) -> None:
    async def scene(on: Victim) -> None:
        random, codec = Random(20), on.node.driver.codec
        child, other = await Attacker().join(on.address), await Attacker().join(on.address)
        on.own.gate.clear()
        job = await on.submit(DATA)
        asked = await child.gets()
        state = repr(sorted(on.node.driver.core.core.attempts)), len(on.node.driver.contents._known)
        assert await forged(on, child, asked[0], random, forgeries) == 0
        for number, result in replays(child, asked, random, replayed):
            message = Envelope(message=Answers(results=((number, result),)))
            assert await codec.authentic(child.peer, message) == []
            assert codec.unpack(child.peer, [(number, result)], message) == ([], [])
        for each in asked:  # whoever else brings them, rightly signed as they are
            message = Envelope(message=Answers(results=((each.attempt, child.result(each)),)))
            assert await codec.authentic(other.peer, message) == []
        assert (repr(sorted(on.node.driver.core.core.attempts)), len(on.node.driver.contents._known)) == state
        assert await on.result(job) == DATA
        for each in asked:  # the job is over
            message = Envelope(message=Answers(results=((each.attempt, child.result(each)),)))
            assert await codec.authentic(child.peer, message) == []

    play(folder, engine, scene)


def test_row_20_of_a_hundred_thousand_replays_and_forgeries_none_counts(tmp_path: Path, engine: Engine) -> None:
    assert_attack_fails(tmp_path, engine, forgeries=2_000, replayed=98_000)


@pytest.mark.long
@pytest.mark.timeout(300)
def test_row_20_of_a_hundred_thousand_forgeries_none_counts(
    tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.victims.SECONDS", 280)
    assert_attack_fails(tmp_path, engine, forgeries=100_000, replayed=1_000)
