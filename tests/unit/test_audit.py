"""The five policies, one sentence of each at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest

from pangea.compute.model.ids import JobId, PeerId
from pangea.compute.model.options import VerificationMode
from pangea.compute.model.packet import JobSpec
from pangea.compute.orchestrator.rules import audit
from pangea.compute.orchestrator.rules.audit import Action, Decision, Vote
from pangea.compute.orchestrator.rules.trust import PROBATION_PASSES, TrustBook, TrustRecord, Verdict
from tests.examples import spread

NONE, HASH, REDUNDANCY, MERKLE, ADAPTIVE = VerificationMode
CHECKING = [HASH, REDUNDANCY, MERKLE, ADAPTIVE]
RUNTIME = "python-runtime"
RIGHT, WRONG = b"right", b"wrong"


def spec(mode: VerificationMode = ADAPTIVE, *, confidence: float = 0.999, redundancy: int = 1, expected: bytes = b"") -> JobSpec:
    return JobSpec(
        job_id=JobId("job"),
        module="m",
        runtime=RUNTIME,
        verification=mode,
        confidence=confidence,
        redundancy=redundancy,
        expected=expected,
    )


def vote(worker: str, digest: bytes = RIGHT, *, branch: str = "", network: str = "", fuel: int = 9) -> Vote:
    return Vote(PeerId(worker), PeerId(branch or worker), network, digest, fuel, (b"0", digest, digest))


def own(digest: bytes = RIGHT) -> Vote:
    return replace(vote("owner", digest), is_trusted=True)


def book_of(**passes: int) -> TrustBook:
    book = TrustBook()
    for worker, count in passes.items():
        book.restore(PeerId(worker), RUNTIME, TrustRecord(passes=count))
    return book


def judged(
    mode: VerificationMode,
    votes: Sequence[Vote],
    book: TrustBook | None = None,
    *,
    needed: int = 1,
    can_ask_more: bool = True,
    is_final: bool = False,
    can_prove: bool = False,
    mutual: int = 0,
    redundancy: int = 1,
) -> Decision:
    known = TrustBook() if book is None else book
    return audit.judge(
        spec(mode, redundancy=redundancy),
        votes,
        known,
        needed=needed,
        can_ask_more=can_ask_more,
        is_final=is_final,
        can_prove=can_prove,
        mutual=mutual,
    )


# Whatever the mode.


@pytest.mark.parametrize("mode", VerificationMode)
@pytest.mark.parametrize("needed", [1, 2])
def test_the_owner_s_own_execution_decides_everything(mode: VerificationMode, needed: int) -> None:
    votes = [vote("a", WRONG), vote("b", WRONG), own()]
    decision = judged(mode, votes, book_of(a=10_000, b=10_000), needed=needed)
    assert (decision.action, decision.answer, decision.confidence) == (Action.ACCEPT, (RIGHT, 9), 1.0)


@pytest.mark.parametrize("mode", CHECKING)
@pytest.mark.parametrize("other", [vote("b", WRONG), vote("b", fuel=10)])
def test_different_answers_are_settled_by_the_referee_and_never_by_weight(mode: VerificationMode, other: Vote) -> None:
    book = book_of(a=10**6, c=10**6)
    for votes in ([vote("a"), other], [other, vote("a"), vote("c")], [vote("a"), vote("c"), other]):
        decision = judged(mode, votes, book, is_final=True)
        assert (decision.action, decision.answer, decision.confidence) == (Action.PROBE, None, None)


@pytest.mark.parametrize("mode", VerificationMode)
def test_a_task_without_answers_wants_one(mode: VerificationMode) -> None:
    assert judged(mode, []).action is Action.MORE
    assert judged(mode, [], can_ask_more=False).action is Action.AUDIT


@pytest.mark.parametrize("mode", VerificationMode)
def test_the_owner_is_never_checked(mode: VerificationMode) -> None:
    assert not audit.check_is_due(spec(mode), own(), TrustBook(), Random(0), is_first_of_worker=True)


# none


def test_none_takes_the_first_answer_and_says_nothing_of_it() -> None:
    decision = judged(NONE, [vote("a", WRONG), vote("b")])
    assert (decision.action, decision.answer, decision.confidence) == (Action.ACCEPT, (WRONG, 9), None)
    assert not audit.check_is_due(spec(NONE), vote("a"), TrustBook(), Random(0), is_first_of_worker=True)


# hash


def test_hash_has_the_first_task_of_each_worker_executed_again() -> None:
    assert audit.check_is_due(spec(HASH), vote("a"), book_of(a=10_000), Random(0), is_first_of_worker=True)


def test_hash_samples_a_twentieth_of_the_rest() -> None:
    rng = Random(1)
    drawn = sum(audit.check_is_due(spec(HASH), vote("a"), TrustBook(), rng, is_first_of_worker=False) for _ in range(20_000))
    assert drawn / 20_000 == pytest.approx(audit.SAMPLE_SHARE, rel=0.1)


def test_hash_executes_what_is_sampled_here_and_accepts_what_is_not() -> None:
    assert judged(HASH, [vote("a")], needed=2).action is Action.AUDIT
    decision = judged(HASH, [vote("a")], needed=1)
    assert (decision.action, decision.answer) == (Action.ACCEPT, (RIGHT, 9))
    assert decision.confidence == pytest.approx(0.8)


def test_hash_samples_nothing_when_the_job_s_digest_is_known() -> None:
    known = spec(HASH, expected=b"digest")
    assert not audit.check_is_due(known, vote("a"), TrustBook(), Random(0), is_first_of_worker=True)


# redundancy


@pytest.mark.parametrize(("redundancy", "wanted"), [(1, 2), (2, 2), (3, 3), (7, 7)])
def test_redundancy_wants_so_many_independent_workers_and_two_at_least(redundancy: int, wanted: int) -> None:
    votes = [vote(f"w{index}") for index in range(wanted)]
    assert judged(REDUNDANCY, votes[:-1], redundancy=redundancy).action is Action.MORE
    decision = judged(REDUNDANCY, votes, redundancy=redundancy)
    assert (decision.action, decision.answer) == (Action.ACCEPT, (RIGHT, 9))
    assert decision.confidence == pytest.approx(1 - 1 / (1 + 4.0**wanted))


def test_redundancy_executes_here_when_workers_are_too_few() -> None:
    assert judged(REDUNDANCY, [vote("a")], can_ask_more=False).action is Action.AUDIT


def test_redundancy_never_parks() -> None:
    assert not audit.check_is_due(spec(REDUNDANCY), vote("a"), TrustBook(), Random(0), is_first_of_worker=True)
    assert judged(REDUNDANCY, [vote("a")], book_of(a=10_000)).action is Action.MORE


# merkle


@pytest.mark.parametrize("needed", [1, 2])
def test_merkle_samples_each_answer_however_trusted(needed: int) -> None:
    assert audit.check_is_due(spec(MERKLE), vote("a"), book_of(a=10_000), Random(0), is_first_of_worker=False)
    assert judged(MERKLE, [vote("a")], book_of(a=10_000), needed=needed).action is Action.SAMPLE


def test_merkle_accepts_once_the_sample_was_right() -> None:
    decision = judged(MERKLE, [vote("a")], needed=0)
    assert (decision.action, decision.answer) == (Action.ACCEPT, (RIGHT, 9))


def leaves_drawn(passes: int, count: int, seed: int = 0) -> tuple[int, ...]:
    answer = replace(vote("a"), leaves=tuple(b"%d" % index for index in range(count)))
    return audit.sample_leaves(spec(MERKLE), answer, book_of(a=passes), Random(seed))


@pytest.mark.parametrize(("passes", "count", "wanted"), [(0, 64, 64), (2, 64, 64), (3, 64, 4), (9, 64, 4), (9, 20, 1), (9, 1, 1)])
def test_merkle_draws_all_leaves_of_newcomers_and_a_twentieth_later(passes: int, count: int, wanted: int) -> None:
    drawn = leaves_drawn(passes, count)
    assert len(set(drawn)) == len(drawn) == wanted
    assert list(drawn) == sorted(drawn)
    assert all(0 <= leaf < count for leaf in drawn)


def test_merkle_draws_any_leaf_by_the_owner_s_own_chance() -> None:
    assert {leaf for seed in range(400) for leaf in leaves_drawn(3, 64, seed)} == set(range(64))
    assert leaves_drawn(3, 0) == ()


# adaptive


@pytest.mark.parametrize("passes", range(PROBATION_PASSES))
def test_adaptive_checks_everything_on_probation(passes: int) -> None:
    rng = Random(0)
    book = book_of(a=passes)
    assert all(audit.check_is_due(spec(), vote("a"), book, rng, is_first_of_worker=False) for _ in range(100))


@pytest.mark.parametrize(
    ("confidence", "passes", "share"),
    spread(
        3,
        [
            (0.99, 3, 1.0),
            (0.99, 6, 0.5),
            (0.99, 30, 0.1),
            (0.99, 10**9, 0.05),
            (0.999, 10, 1.0),
            (0.999, 100, 0.1),
            (0.999, 10**9, 0.05),
            (0.9999, 200, 0.5),
            (0.5, 10, 0.3),
        ],
    ),
)
def test_adaptive_checks_thin_out_to_a_twentieth_and_no_further(confidence: float, passes: int, share: float) -> None:
    assert audit.check_probability(passes, confidence) == pytest.approx(share)
    book, rng, job = book_of(a=passes), Random(passes), spec(confidence=confidence)
    drawn = sum(audit.check_is_due(job, vote("a"), book, rng, is_first_of_worker=False) for _ in range(20_000))
    assert drawn / 20_000 == pytest.approx(share, rel=0.1)


def test_adaptive_accepts_one_answer_of_a_worker_that_is_credible_enough() -> None:
    assert judged(ADAPTIVE, [vote("a")], book_of(a=91)).action is Action.PARK
    decision = judged(ADAPTIVE, [vote("a")], book_of(a=92))
    assert (decision.action, decision.answer) == (Action.ACCEPT, (RIGHT, 9))
    assert decision.confidence == pytest.approx(0.999, abs=1e-5)


def test_adaptive_wants_the_second_answer_of_a_check_however_credible_the_first_is() -> None:
    book = book_of(a=10_000, b=10_000)
    assert judged(ADAPTIVE, [vote("a")], book, needed=2).action is Action.MORE
    assert judged(ADAPTIVE, [vote("a")], book, needed=2, can_ask_more=False).action is Action.AUDIT
    assert judged(ADAPTIVE, [vote("a"), vote("b")], book, needed=2).action is Action.ACCEPT


def test_adaptive_waits_for_credibility_while_there_is_other_work() -> None:
    votes = [vote("a"), vote("b")]
    decision = judged(ADAPTIVE, votes)
    assert (decision.action, decision.answer) == (Action.PARK, None)
    assert decision.confidence == pytest.approx(16 / 17)
    assert judged(ADAPTIVE, votes, is_final=True).action is Action.MORE
    assert judged(ADAPTIVE, votes, is_final=True, can_ask_more=False).action is Action.AUDIT


@pytest.mark.parametrize("count", [2, 5, 50])
def test_no_number_of_unproven_workers_convinces_adaptive(count: int) -> None:
    unproven = {f"w{index}": PROBATION_PASSES - 1 for index in range(count)}
    votes, book = [vote(worker) for worker in unproven], book_of(**unproven)
    assert judged(ADAPTIVE, votes, book).action is Action.PARK
    assert judged(ADAPTIVE, votes, book, is_final=True).action is Action.MORE
    assert judged(ADAPTIVE, votes, book, is_final=True, can_ask_more=False).action is Action.AUDIT


@pytest.mark.parametrize("votes", [[vote("a")], [vote("a"), vote("b")]])
@pytest.mark.parametrize("needed", [1, 2])
def test_the_owner_executes_what_unproven_workers_say_when_it_has_time(votes: list[Vote], needed: int) -> None:
    assert judged(ADAPTIVE, votes, needed=needed, can_prove=True).action is Action.PROVE
    assert judged(ADAPTIVE, votes, book_of(a=PROBATION_PASSES), needed=needed, can_prove=True).action is not Action.PROVE


@pytest.mark.parametrize(("passes", "action"), [(11, Action.PARK), (12, Action.ACCEPT)])
def test_adaptive_adds_up_what_those_who_agree_have_passed(passes: int, action: Action) -> None:
    decision = judged(ADAPTIVE, [vote("a"), vote("b")], book_of(a=passes, b=passes))
    odds = 4**2 * math.e * 2 * passes - 1
    assert decision.action is action
    assert decision.confidence == pytest.approx(odds / (1 + odds))


def test_what_two_have_passed_by_each_other_s_word_alone_says_nothing() -> None:
    votes, book = [vote("a"), vote("b")], book_of(a=20, b=20)
    assert judged(ADAPTIVE, votes, book, mutual=16).action is Action.ACCEPT
    assert judged(ADAPTIVE, votes, book, mutual=18).action is Action.PARK


def test_a_doubtful_second_opinion_takes_nothing_from_a_worker_that_is_credible_alone() -> None:
    votes = [vote("stranger"), vote("veteran")]
    assert judged(ADAPTIVE, votes, book_of(veteran=92), mutual=92).action is Action.ACCEPT


def test_even_infinite_odds_are_a_probability() -> None:
    votes = [vote(f"w{index}") for index in range(60)]
    book = book_of(**{f"w{index}": 10**9 for index in range(60)})
    assert judged(ADAPTIVE, votes, book).confidence == 1.0


# What votes say about each other.


def test_agreeing_independent_workers_pass_a_check() -> None:
    assert audit.agreed([vote("a"), vote("b")]) == ("a", "b")
    assert audit.agreed([vote("a"), vote("b"), vote("c")]) == ("a", "b", "c")
    assert audit.agreed([vote("a")]) == audit.agreed([]) == ()


def test_nobody_passes_while_answers_differ() -> None:
    assert audit.agreed([vote("a"), vote("b"), vote("c", WRONG)]) == ()


def test_who_agrees_with_the_owner_passes() -> None:
    assert audit.agreed([vote("a"), vote("b", WRONG), own()]) == ("a",)
    assert audit.agreed([own()]) == ()


def test_liars_are_those_whose_answer_is_not_the_true_one() -> None:
    votes = [vote("a"), vote("b", WRONG), vote("c", fuel=10), own()]
    assert audit.liars(votes, own()) == ("b", "c")


def test_a_probe_convicts_whose_leaf_is_wrong_or_missing() -> None:
    votes = [vote("a"), vote("b", WRONG), replace(vote("c"), leaves=(b"0",)), replace(own(), leaves=())]
    assert audit.liars_at(votes, 1, RIGHT) == ("b", "c")
    assert audit.liars_at(votes, 0, b"0") == ()


def test_the_first_difference_is_the_leaf_to_execute() -> None:
    assert audit.first_difference(vote("a"), vote("b", WRONG)) == 1


@pytest.mark.parametrize("other", [vote("b", fuel=10), replace(vote("b", WRONG), leaves=(b"0", WRONG))])
def test_without_a_leaf_that_differs_the_whole_task_must_be_executed(other: Vote) -> None:
    assert audit.first_difference(vote("a"), other) is None


# What a wrong answer says of who gave it.


def of_leaves(worker: str, *leaves: bytes) -> Vote:
    return replace(vote(worker), digest=b"".join(leaves), leaves=leaves)


@pytest.mark.parametrize(("wrong", "verdict"), [(1, Verdict.FAULTY), (2, Verdict.FAULTY), (3, Verdict.LIED), (9, Verdict.LIED)])
def test_who_is_wrong_in_one_place_may_be_faulty_who_is_wrong_in_many_lied(wrong: int, verdict: Verdict) -> None:
    truth = of_leaves("owner", *[b"%d" % n for n in range(9)])
    said = of_leaves("a", *[b"x%d" % n if n < wrong else b"%d" % n for n in range(9)])
    another = replace(said, digest=b"yet another")
    assert audit.verdict_after(said, another, truth) is verdict
    assert audit.verdict_after(said, another, None) is Verdict.FAULTY  # a leaf alone says nothing of the others


@pytest.mark.parametrize("wrong", [1, 9])
def test_who_repeats_a_wrong_answer_lied_and_who_is_right_when_asked_again_or_silent_may_be_faulty(wrong: int) -> None:
    truth = of_leaves("owner", *[b"%d" % n for n in range(9)])
    said = of_leaves("a", *[b"x%d" % n if n < wrong else b"%d" % n for n in range(9)])
    for known in (truth, None):
        assert audit.verdict_after(said, said, known) is Verdict.LIED
        assert audit.verdict_after(said, replace(truth, worker=said.worker), known) is Verdict.FAULTY
        assert audit.verdict_after(said, None, known) is Verdict.FAULTY


def test_no_two_machines_are_wrong_with_the_same_words() -> None:
    one, other, third = of_leaves("a", b"x"), of_leaves("b", b"x"), of_leaves("c", b"y")
    assert audit.verdict_on(one, [other, third]) is Verdict.LIED
    assert audit.verdict_on(third, [one, other]) is Verdict.FAULTY
