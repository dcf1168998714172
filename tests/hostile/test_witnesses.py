"""Logs between real links: a node that tells two stories, floods its witness, or lies about what it has signed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pangea.compute.engine.engine import Engine
from pangea.compute.model.errors import PangeaError, PeerError, QuotaError, UnverifiedError
from pangea.compute.network.identity import Identity
from pangea.compute.node.storage.witnessed import FOLDER, Witnessed
from pangea.compute.node.tree.witnessing import BURST
from pangea.compute.verification import merkle
from pangea.compute.verification.log_proof import GROWTH_BYTES_MAX, Growth, Story
from pangea.compute.verification.signed_note import Checkpoint
from tests.attackers import Attacker
from tests.unit.test_receipt_log import entry
from tests.victims import Scene, Victim
from tests.victims import play as played

Play = Callable[[Scene], None]
pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def play(tmp_path: Path, engine: Engine) -> Play:
    return lambda scene: played(tmp_path, engine, scene)


def story(by: Identity, old: int, entries: list[bytes]) -> Growth:
    """Growth of a log that has these entries."""
    checkpoint = Checkpoint(peer=by.peer_id, size=len(entries), root=merkle.root(entries)).signed(by.sign)
    return Growth(old=old, proof=merkle.consistency(entries, min(old, len(entries))), checkpoint=checkpoint)


async def asks(child: Attacker, growth: Growth) -> tuple[str, int]:
    assert child.link is not None
    return await child.link.cosign(growth.text())


def known(on: Victim, child: Attacker) -> Witnessed:
    return Witnessed(on.node.config.data_dir, "", lambda _: b"", lambda *_: True)


def test_a_node_that_tells_two_stories_gets_one_signed_and_is_named(play: Play) -> None:
    async def scene(on: Victim) -> None:
        child = await Attacker().join(on.address)
        me, first, other = child.identity, [entry(0), entry(1)], [entry(0), entry(9)]
        line, size = await asks(child, story(me, 0, first))
        assert (bool(line), size) == (True, 2)
        with pytest.raises(UnverifiedError, match="two stories"):
            await asks(child, story(me, 2, other))
        account = known(on, child).of(child.peer)
        assert account.story is Story.TWO
        assert account.shown is not None
        assert (account.signed.root, account.shown.root) == (merkle.root(first), merkle.root(other))
        with pytest.raises(UnverifiedError, match="signs nothing of it any more"):
            await asks(child, story(me, 2, [*first, entry(2)]))
        child.leave()
        again = await Attacker(me).join(on.address)
        with pytest.raises(UnverifiedError, match="signs nothing of it any more"):
            await asks(again, story(me, 2, [*first, entry(2)]))

    play(scene)


def test_nobody_has_another_s_log_signed_or_spoken_ill_of(play: Play) -> None:
    async def scene(on: Victim) -> None:
        owner, child = await Attacker().join(on.address), await Attacker().join(on.address)
        await asks(owner, story(owner.identity, 0, [entry(0)]))
        for growth in (story(owner.identity, 1, [entry(0), entry(1)]), story(owner.identity, 1, [entry(7)])):
            with pytest.raises(PeerError, match="its own log"):
                await asks(child, growth)
        assert known(on, owner).of(owner.peer).shown is None

    play(scene)


def test_who_floods_its_witness_is_refused_and_costs_it_no_file(play: Play) -> None:
    async def scene(on: Victim) -> None:
        child, friend = await Attacker().join(on.address), await Attacker().join(on.address)
        refused = 0
        for number in range(300):
            text = ("old 0\n" * 1_000)[: GROWTH_BYTES_MAX * 2] if number % 2 else "x" * number
            try:
                await child.raw("cosignLog", text)
            except QuotaError:
                refused += 1
            except PangeaError:
                continue
        assert refused >= 300 - BURST - 60, "what it may ask comes back with time alone"
        line, _ = await asks(friend, story(friend.identity, 0, [entry(0)]))
        assert line, "nobody else waits for it"
        assert not (on.node.config.data_dir / FOLDER / child.peer).exists()

    play(scene)


def test_a_parent_or_child_that_gives_false_signatures_witnesses_nothing(play: Play) -> None:
    async def scene(on: Victim) -> None:
        on.node.receipt_logging._log.add([entry(0)])
        child = Attacker()
        stranger = Identity.create()

        def as_another(text: str) -> tuple[str, int]:
            signed = Growth.parse(text).checkpoint.cosigned(stranger.peer_id, 1, stranger.sign)
            return signed.signatures[-1].line(), signed.size

        child.cosigning = as_another
        await child.join(on.address)
        await on.node.cosigning.ask_all()
        assert child.growths
        assert on.node.cosigning._cosigned.all() == []
        record = on.node.cosigning.record(child.peer)
        assert record is not None
        assert record["signed_entries"] == 0

    play(scene)
