"""Votes under a tolerance: what agrees, what stands, who lied, one sentence at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations

import pytest

from pangea.compute.model.ids import JobId, PeerId
from pangea.compute.model.options import VerificationMode
from pangea.compute.model.packet import JobSpec
from pangea.compute.orchestrator.rules import audit
from pangea.compute.orchestrator.rules.audit import Action, Vote
from pangea.compute.orchestrator.rules.trust import PROBATION_PASSES, TrustBook, TrustRecord, Verdict

#: Two answers are the same if their numbers are this near.
NEAR = 2
NUMBERS = range(-40, 41)


def named(number: int) -> bytes:
    return b"%d" % number


def vote(worker: str, number: int, *, fuel: int = 9, leaves: int = 1) -> Vote:
    """An answer that has been compared with all others there can be."""
    apart = tuple((named(other), 0 if abs(other - number) <= NEAR else leaves) for other in NUMBERS)
    return Vote(PeerId(worker), PeerId(worker), "", named(number), fuel, (named(number),) * leaves, apart=apart)


def own(number: int, **more: int) -> Vote:
    return replace(vote("owner", number, **more), is_trusted=True)


def judged(mode: VerificationMode, votes: Sequence[Vote], passes: int = 0) -> audit.Decision:
    spec = JobSpec(job_id=JobId("j"), module="m", verification=mode, redundancy=2, tolerance="2")
    book = TrustBook()
    for each in votes:
        book.restore(each.worker, "", TrustRecord(passes=passes))
    return audit.judge(spec, votes, book, needed=1, can_ask_more=True, is_final=True)


def test_near_answers_agree_and_others_do_not() -> None:
    assert vote("a", 0).agrees(vote("b", 2))
    assert not vote("a", 0).agrees(vote("b", 3))
    assert not vote("a", 0).agrees(vote("b", 0, fuel=10)), "a padded bill is a lie like any other"


def test_of_two_answers_it_is_enough_that_the_later_names_the_earlier() -> None:
    earlier, later = replace(vote("a", 0), apart=()), vote("b", 1)
    assert earlier.agrees(later)
    assert later.agrees(earlier)
    assert not earlier.agrees(replace(later, apart=())), "nobody has compared them"


@pytest.mark.parametrize("numbers", [(0, 1), (2, 0), (1, 0, 2)])
def test_answers_within_the_tolerance_are_accepted(numbers: tuple[int, ...]) -> None:
    decision = judged(VerificationMode.REDUNDANCY, [vote(f"w{number}", number) for number in numbers])
    assert decision.action is Action.ACCEPT


@pytest.mark.parametrize("mode", [VerificationMode.REDUNDANCY, VerificationMode.ADAPTIVE, VerificationMode.HASH])
@pytest.mark.parametrize("numbers", [(0, 3), (0, 1, 9), (0, 2, 4), (2, 0, 4)])
def test_where_any_two_are_too_far_apart_the_owner_executes(mode: VerificationMode, numbers: tuple[int, ...]) -> None:
    """0 and 4 are each near to 2: that isn't enough."""
    decision = judged(mode, [vote(f"w{number}", number) for number in numbers], passes=10 * PROBATION_PASSES)
    assert (decision.action, decision.answer) == (Action.PROBE, None)


def test_which_answer_stands_follows_from_what_they_are_and_not_from_their_order() -> None:
    votes = [vote("a", 1), vote("b", 0), vote("c", 2)]
    assert {audit.standing(order).digest for order in permutations(votes)} == {named(0)}
    for order in permutations([*votes, own(2)]):
        assert audit.standing(order).is_trusted
    decision = judged(VerificationMode.REDUNDANCY, votes)
    assert decision.answer == (named(0), 9)


def test_without_a_tolerance_the_first_stands() -> None:
    votes = [Vote(PeerId(name), PeerId(name), "", b"x", 9) for name in ("b", "a")]
    assert audit.standing(votes) is votes[0]


def test_a_liar_is_who_is_outside_of_the_owners_own_and_nobody_else() -> None:
    votes = [vote("near", 2), vote("far", 3), vote("other way", -2), vote("padder", 0, fuel=10), own(0)]
    assert audit.liars(votes, own(0)) == ("far", "padder")
    assert audit.agreed(votes) == ("near", "other way")


def test_nobody_passes_while_two_are_too_far_apart() -> None:
    assert audit.agreed([vote("a", 0), vote("b", 2)]) == ("a", "b")
    assert audit.agreed([vote("a", 2), vote("b", 0), vote("c", 4)]) == ()


def test_who_tells_nearly_the_same_lie_as_another_lied() -> None:
    one, other, third = vote("a", 20), vote("b", 21), vote("c", -20)
    assert audit.verdict_on(one, [other, third]) is Verdict.LIED
    assert audit.verdict_on(third, [one, other]) is Verdict.FAULTY


@pytest.mark.parametrize(
    ("again", "verdict"), [(20, Verdict.LIED), (21, Verdict.LIED), (1, Verdict.FAULTY), (-20, Verdict.FAULTY)]
)
def test_who_nearly_repeats_a_wrong_answer_lied(again: int, verdict: Verdict) -> None:
    assert audit.verdict_after(vote("a", 20), vote("a", again), own(0)) is verdict


def test_leaves_that_differ_within_the_tolerance_are_not_wrong_ones() -> None:
    """All leaves have another hash: what counts is how many are outside."""
    said, truth = vote("a", 20, leaves=9), own(0, leaves=9)
    assert audit.verdict_after(said, vote("a", -20, leaves=9), truth) is Verdict.LIED
    one_leaf = replace(said, apart=((named(0), 1), (named(-20), 9)))
    truth = replace(truth, apart=())
    assert audit.verdict_after(one_leaf, vote("a", -20, leaves=9), truth) is Verdict.FAULTY


def test_without_a_referee_votes_are_grouped_by_what_agrees() -> None:
    votes = [vote("a", 0), vote("b", 9), vote("c", 1), vote("d", 3)]
    assert [[each.worker for each in group] for group in audit.groups(votes)] == [["a", "c"], ["b"], ["d"]]
