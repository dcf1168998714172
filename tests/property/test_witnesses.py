"""A witness over every story that a log may tell: what it has signed is always one growing log, and who differs is named."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from pangea.compute.model.errors import UnverifiedError
from pangea.compute.network.identity import is_signed_by
from pangea.compute.node.storage.witnessed import Witnessed
from pangea.compute.verification import merkle
from pangea.compute.verification.log_proof import GROWTH_BYTES_MAX, Growth, Story, story
from pangea.compute.verification.signed_note import Checkpoint
from tests.signing import identity

LOG, WITNESS = identity(0), identity(1)
#: Two logs of one node: the second is another from entry `fork` on.
STORIES = st.integers(0, 8).map(
    lambda fork: ([b"a%d" % n for n in range(12)], [b"%s%d" % (b"ab"[n >= fork :][:1], n) for n in range(12)])
)


def growth(entries: list[bytes], old: int, new: int) -> Growth:
    checkpoint = Checkpoint(peer=LOG.peer_id, size=new, root=merkle.root(entries[:new])).signed(LOG.sign)
    return Growth(old=old, proof=merkle.consistency(entries[:new], min(old, new)), checkpoint=checkpoint)


@given(STORIES, st.lists(st.tuples(st.booleans(), st.integers(0, 12), st.integers(1, 12)), max_size=12), st.data())
def test_what_is_signed_is_one_log_that_grows(
    stories: tuple[list[bytes], list[bytes]], asked: list[tuple[bool, int, int]], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as name:
        witness = Witnessed(Path(name), WITNESS.peer_id, WITNESS.sign, is_signed_by)
        signed: list[tuple[int, list[bytes]]] = [(0, [])]
        for second, old, new in asked:
            entries, size = stories[second], data.draw(st.sampled_from([old, signed[-1][0]]), "old")
            shown = growth(entries, size, new)
            if data.draw(st.booleans(), "truncated") and shown.proof:
                shown = replace(shown, proof=shown.proof[:-1])
            before, is_fork = signed[-1], witness.of(LOG.peer_id).story is Story.TWO
            try:
                cosigned = witness.cosign(shown, 1_790_000_000)
            except UnverifiedError:
                assert witness.last(LOG.peer_id).size == before[0], "what was signed stays"
                told = witness.of(LOG.peer_id)
                if before[0] and new == before[0] and entries[:new] != before[1]:
                    assert told.story is Story.TWO
                elif new < before[0] and not is_fork:
                    assert told.story is Story.BACK
                if told.story is not None:
                    assert told.shown is not None
                    assert told.shown.is_signed(is_signed_by), "each of the two is the log's own word"
                    assert told.signed.is_signed(is_signed_by)
            else:
                assert not is_fork
                assert WITNESS.peer_id in cosigned.witnesses(is_signed_by)
                assert new >= before[0]
                assert entries[: before[0]] == before[1], "it begins with what was signed before"
                assert witness.of(LOG.peer_id).shown is None
                signed.append((new, entries[:new]))


@given(STORIES, st.integers(1, 11), st.data())
def test_no_bit_of_a_proof_may_be_another(stories: tuple[list[bytes], list[bytes]], old: int, data: st.DataObject) -> None:
    """What a witness is sent now and then to see whether it looks."""
    true = growth(stories[0], old, 12)
    at, bit = data.draw(st.integers(0, len(true.proof) - 1)), data.draw(st.integers(0, 255))
    spoilt = [*true.proof]
    spoilt[at] = (int.from_bytes(spoilt[at], "big") ^ (1 << bit)).to_bytes(32, "big")
    before = growth(stories[0], 0, old).checkpoint
    assert true.findings(is_signed_by, before) == []
    assert replace(true, proof=tuple(spoilt)).findings(is_signed_by, before)
    assert len(replace(true, proof=tuple(spoilt)).text()) == len(true.text()), "nothing but the check tells them apart"


@given(st.integers(0, 40), st.integers(0, 40))
def test_two_checkpoints_say_what_they_prove(one: int, other: int) -> None:
    entries = [b"%d" % number for number in range(40)]
    signed, shown = (growth(entries, 0, size).checkpoint for size in (one, other))
    expected = None if one == other else Story.BACK if other < one else Story.OPEN
    assert story(signed, shown) is expected
    assert story(signed, replace(signed, root=bytes(32))) is Story.TWO


def test_the_longest_proof_there_can_be_is_read() -> None:
    checkpoint = Checkpoint(peer=LOG.peer_id, size=2**63 - 1, root=bytes(32)).signed(LOG.sign)
    longest = Growth(old=2**62 + 1, proof=(bytes(32),) * 63, checkpoint=checkpoint)
    assert len(longest.text()) <= GROWTH_BYTES_MAX
    assert Growth.parse(longest.text()) == longest
