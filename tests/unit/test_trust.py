"""Trust: credibility as in the formula, probation, bans and the way back, and a book that stays small."""

from __future__ import annotations

import json
import math

import pytest

from pangea.compute.model.ids import PeerId
from pangea.compute.orchestrator.rules.trust import (
    ASSUMED_FAULTY,
    BAN_SECONDS,
    BAN_SECONDS_MAX,
    PROBATION_PASSES,
    READMISSIONS_MAX,
    RELIABILITY_NEW,
    STRANGER_WEIGHT,
    TrustBook,
    TrustRecord,
    Verdict,
    ban_seconds,
    weight_of,
)

ADA, BOB = PeerId("ada"), PeerId("bob")
RUNTIME, OTHER = "python-runtime", "another-runtime"
NOW = 1_000_000.0


def book_with(passes: int, worker: PeerId = ADA, *, bans: int = 0) -> TrustBook:
    book = TrustBook()
    book.restore(worker, RUNTIME, TrustRecord(passes=passes, bans=bans))
    return book


def credibility(weight: float) -> float:
    return weight / (1 + weight)


def test_a_stranger_is_as_credible_as_the_assumed_share_of_honest_workers() -> None:
    assert credibility(TrustBook().weight(ADA, RUNTIME)) == pytest.approx(1 - ASSUMED_FAULTY)
    assert TrustBook().passes(ADA, RUNTIME) == 0


@pytest.mark.parametrize("passes", [1, 2, 10, 92, 920, 10**6])
def test_credibility_is_sarmenta_s_formula_with_blacklisting(passes: int) -> None:
    f = ASSUMED_FAULTY
    assert credibility(weight_of(passes)) == pytest.approx(1 - f / (1 - f) / (passes * math.e))


@pytest.mark.parametrize(("target", "passes"), [(0.99, 10), (0.999, 92), (0.9999, 920)])
def test_one_answer_suffices_after_as_many_passes_as_the_formula_says(target: float, passes: int) -> None:
    assert credibility(weight_of(passes)) >= target > credibility(weight_of(passes - 1))


def test_two_workers_just_off_probation_make_three_nines_together() -> None:
    assert credibility(weight_of(PROBATION_PASSES) ** 2) >= 0.999 > credibility(weight_of(PROBATION_PASSES - 1) ** 2)


def test_passes_count_one_at_a_time_per_worker_and_runtime() -> None:
    book = TrustBook()
    for count in range(1, 6):
        book.passed(ADA, RUNTIME, NOW)
        assert book.passes(ADA, RUNTIME) == count
        assert book.weight(ADA, RUNTIME) == weight_of(count)
    assert book.passes(ADA, OTHER) == book.passes(BOB, RUNTIME) == 0


def test_a_lie_costs_all_passes_in_all_runtimes() -> None:
    book = book_with(1000)
    book.restore(ADA, OTHER, TrustRecord(passes=50))
    book.ban(ADA, RUNTIME, NOW)
    assert book.passes(ADA, RUNTIME) == book.passes(ADA, OTHER) == 0
    assert book.weight(ADA, RUNTIME) == book.weight(ADA, OTHER) == STRANGER_WEIGHT


def test_a_ban_lasts_a_week_and_concerns_the_key_alone() -> None:
    book = TrustBook()
    book.ban(ADA, RUNTIME, NOW)
    assert book.is_banned(ADA, NOW)
    assert book.is_banned(ADA, NOW + 7 * 86_400 - 1)
    assert not book.is_banned(ADA, NOW + 7 * 86_400)
    assert not book.is_banned(BOB, NOW)


def test_each_ban_lasts_twice_as_long_as_the_one_before_up_to_a_limit() -> None:
    book, now = TrustBook(), NOW
    for count in range(1, 12):
        book.ban(ADA, RUNTIME, now)
        until = book.record(ADA, RUNTIME).banned_until
        assert until is not None
        assert until - now == min(BAN_SECONDS * 2 ** (count - 1), BAN_SECONDS_MAX)
        now = until
    assert ban_seconds(10**9) == BAN_SECONDS_MAX


def test_lies_that_come_to_light_during_a_ban_do_not_prolong_it() -> None:
    book = TrustBook()
    book.ban(ADA, RUNTIME, NOW)
    before = book.record(ADA, RUNTIME)
    book.ban(ADA, RUNTIME, NOW + 5)
    assert book.record(ADA, RUNTIME) == before


def test_nothing_is_earned_during_a_ban() -> None:
    book = TrustBook()
    book.ban(ADA, RUNTIME, NOW)
    book.passed(ADA, RUNTIME, NOW + 1)
    assert book.passes(ADA, RUNTIME) == 0


@pytest.mark.parametrize("bans", [1, 2, 3])
def test_after_a_ban_passes_count_half_as_much_for_each(bans: int) -> None:
    book, now = TrustBook(), NOW
    for _ in range(bans):
        book.ban(ADA, RUNTIME, now)
        now += BAN_SECONDS_MAX
    for count in range(1, 40):
        book.passed(ADA, RUNTIME, now)
        assert book.passes(ADA, RUNTIME) == count // 2**bans
        assert book.weight(ADA, RUNTIME) == weight_of(count // 2**bans)


def test_reliability_follows_the_machine_and_says_nothing_of_honesty() -> None:
    book = book_with(10)
    assert book.reliability(ADA, RUNTIME) == book.reliability(BOB, RUNTIME) == RELIABILITY_NEW
    for _ in range(30):
        book.failed(ADA, RUNTIME)
        book.succeeded(BOB, RUNTIME)
    assert book.reliability(ADA, RUNTIME) < 0.1 < 0.9 < book.reliability(BOB, RUNTIME) <= 1.0
    assert book.passes(ADA, RUNTIME) == 10
    assert not book.is_banned(ADA, NOW)
    assert book.passes(BOB, RUNTIME) == 0


def test_what_is_written_down_comes_back() -> None:
    book = book_with(7, bans=1)
    book.passed(ADA, RUNTIME, NOW)
    book.failed(ADA, RUNTIME)
    record = TrustRecord.from_json(json.loads(json.dumps(book.record(ADA, RUNTIME).to_json())))
    assert record == book.record(ADA, RUNTIME)
    again = TrustBook()
    again.restore(ADA, RUNTIME, record)
    assert again.record(ADA, RUNTIME) == record
    assert again.passes(ADA, RUNTIME) == book.passes(ADA, RUNTIME) == 4
    assert again.weight(ADA, RUNTIME) == book.weight(ADA, RUNTIME)


def test_of_an_unknown_worker_there_is_an_empty_record() -> None:
    assert TrustBook().record(ADA, RUNTIME) == TrustRecord()
    assert TrustRecord.from_json({}) == TrustRecord()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"passes": -1}, "passes is -1"),
        ({"passes": 1.5}, "passes is 1.5"),
        ({"passes": True}, "passes is True"),
        ({"bans": None}, "bans is None"),
        ({"reliability": 1.1}, "reliability is 1.1"),
        ({"reliability": math.nan}, "reliability is nan"),
        ({"reliability": "1"}, "reliability is '1'"),
        ({"banned_until": math.inf}, "banned_until is inf"),
        ({"last_check": True}, "last_check is True"),
        ({"credit": 5}, "unknown fields of a trust record: credit"),
    ],
)
def test_a_damaged_record_is_refused_by_name(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrustRecord.from_json(values)


def test_records_come_back_in_any_order_without_bringing_lost_passes_back() -> None:
    old, new = TrustRecord(passes=50), TrustRecord(passes=3, bans=1, banned_until=NOW)
    for order in ([(OTHER, old), (RUNTIME, new)], [(RUNTIME, new), (OTHER, old)]):
        book = TrustBook()
        for runtime, record in order:
            book.restore(ADA, runtime, record)
        assert book.passes(ADA, OTHER) == 0
        assert book.passes(ADA, RUNTIME) == 1
        assert book.is_banned(ADA, NOW - 1)


def test_of_two_records_of_one_ban_the_longer_one_holds() -> None:
    book = TrustBook()
    for until in (NOW + 9, NOW):
        book.restore(ADA, RUNTIME, TrustRecord(bans=1, banned_until=until))
    assert book.is_banned(ADA, NOW + 8)


def test_a_full_book_keeps_whoever_passed_most_and_was_checked_last() -> None:
    book = TrustBook(records_max=32)
    for index in range(32):
        for _ in range(1 + index // 4):
            book.passed(PeerId(f"{index}"), RUNTIME, NOW - index)
    book.passed(ADA, RUNTIME, NOW - 100)
    assert len(book) == 31  # a sixteenth left, one came
    assert [index for index in range(32) if not book.passes(PeerId(f"{index}"), RUNTIME)] == [2, 3]
    assert book.passes(ADA, RUNTIME) == 1


def test_a_full_register_of_bans_lets_the_one_go_that_ends_first() -> None:
    book = TrustBook(records_max=16)
    for index in range(17):
        book.ban(PeerId(f"{index}"), RUNTIME, NOW + index)
    assert [index for index in range(17) if not book.is_banned(PeerId(f"{index}"), NOW + 17)] == [0]


# Three verdicts.


def test_a_faulty_machine_is_let_back_once_its_test_is_newer_than_its_fault() -> None:
    book = TrustBook()
    book.passed(ADA, RUNTIME, 1.0)
    book.ban(ADA, RUNTIME, NOW, Verdict.FAULTY)
    assert (book.verdict(ADA), book.is_banned(ADA, NOW + 1)) == (Verdict.FAULTY, True)
    assert not book.readmit(ADA, NOW - 1, NOW + 9)  # tested before it was found out
    assert not book.readmit(ADA, NOW + 10, NOW + 9)  # in a time to come
    assert book.readmit(ADA, NOW + 5, NOW + 9)
    assert not book.is_banned(ADA, NOW + 9)
    assert book.passes(ADA, RUNTIME) == 0


def test_no_test_lets_a_liar_back_or_one_that_fails_again_and_again() -> None:
    book, now = TrustBook(), NOW
    book.ban(ADA, RUNTIME, now, Verdict.LIED)
    assert not book.readmit(ADA, now + 1, now + 2)
    other = TrustBook()
    for count in range(1, READMISSIONS_MAX + 2):
        other.ban(ADA, RUNTIME, now, Verdict.FAULTY)
        assert other.readmit(ADA, now + 1, now + 2) == (count <= READMISSIONS_MAX)
        now += 10.0


def test_a_fault_may_turn_out_to_be_a_lie_and_no_lie_a_fault() -> None:
    book = TrustBook()
    book.ban(ADA, RUNTIME, NOW, Verdict.FAULTY)
    book.ban(ADA, RUNTIME, NOW + 1, Verdict.LIED)
    assert book.verdict(ADA) == Verdict.LIED
    book.ban(ADA, RUNTIME, NOW + 2, Verdict.FAULTY)
    assert book.verdict(ADA) == Verdict.LIED
    other = TrustBook()
    other.restore(ADA, RUNTIME, book.record(ADA, RUNTIME))
    assert other.verdict(ADA) == Verdict.LIED
    assert book.record(ADA, RUNTIME).bans == 1
