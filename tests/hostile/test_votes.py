"""Voters that want to count for more than they are: many keys, borrowed ones, shed bans, and a swarm against the book."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import partial
from random import Random

import pytest

from pangea.compute.model.ids import JobId, PeerId
from pangea.compute.model.options import VerificationMode
from pangea.compute.model.packet import JobSpec
from pangea.compute.orchestrator.rules import audit
from pangea.compute.orchestrator.rules.audit import Action, Vote
from pangea.compute.orchestrator.rules.trust import BAN_SECONDS, PROBATION_PASSES, TrustBook, TrustRecord, joint_weight, work_of

RUNTIME = "python-runtime"
NOW = 1e9
SPEC = JobSpec(job_id=JobId("job"), module="m", runtime=RUNTIME, verification=VerificationMode.ADAPTIVE)


def vote(worker: str, branch: str = "", network: str = "", digest: bytes = b"wrong") -> Vote:
    return Vote(PeerId(worker), PeerId(branch or worker), network, digest, 9, (digest,))


def book_of(**passes: int) -> TrustBook:
    book = TrustBook()
    for worker, count in passes.items():
        book.restore(PeerId(worker), RUNTIME, TrustRecord(passes=count))
    return book


def final(votes: list[Vote], book: TrustBook, *, needed: int = 1, spec: JobSpec = SPEC) -> Action:
    return audit.judge(spec, votes, book, needed=needed, can_ask_more=True, is_final=True).action


SWARMS = {
    "one branch": [vote(f"sybil-{index}", branch="child") for index in range(50)],
    "one network": [vote(f"sybil-{index}", network="203.0.113.0/24") for index in range(50)],
    "one key": [vote("sybil", branch=f"child-{index}", network=f"net-{index}") for index in range(50)],
}


@pytest.mark.parametrize("swarm", SWARMS.values(), ids=SWARMS)
def test_a_swarm_counts_once(swarm: list[Vote]) -> None:
    assert len(audit.independent(swarm)) == 1
    assert final(swarm, TrustBook()) is Action.MORE
    assert final(swarm, TrustBook(), spec=replace(SPEC, verification=VerificationMode.REDUNDANCY)) is Action.MORE
    assert final(swarm, book_of(**{"sybil-0": 10_000, "sybil": 10_000}), needed=2) is Action.MORE


@pytest.mark.parametrize("swarm", SWARMS.values(), ids=SWARMS)
def test_a_swarm_can_t_pass_checks_by_agreeing_with_itself(swarm: list[Vote]) -> None:
    assert audit.agreed(swarm) == ()


def test_one_honest_answer_lets_one_of_a_swarm_pass_and_not_all() -> None:
    swarm = SWARMS["one branch"]
    assert audit.agreed([*swarm, vote("honest")]) == ("sybil-0", "honest")
    assert audit.agreed([*swarm, replace(vote("owner"), is_trusted=True)]) == ("sybil-0",)


def test_of_related_votes_the_heaviest_counts_whatever_the_order() -> None:
    light, heavy, other = vote("light", "x"), vote("heavy", "x"), vote("other", "y")
    book = book_of(heavy=50)
    expected = joint_weight(2, 50)
    for votes in itertools.permutations([light, heavy, other]):
        decision = audit.judge(SPEC, votes, book, needed=1, can_ask_more=True, is_final=False)
        assert decision.confidence == pytest.approx(expected / (1 + expected))


def test_workers_that_name_no_network_are_not_one_network() -> None:
    assert len(audit.independent([vote("a"), vote("b"), vote("c")])) == 3


def test_a_majority_of_liars_outvotes_nobody() -> None:
    crowd = [vote(f"liar-{index}") for index in range(20)]
    trusted = book_of(**{f"liar-{index}": 1_000 for index in range(20)})
    assert final([*crowd, vote("honest", digest=b"right")], trusted) is Action.PROBE
    assert audit.liars([*crowd, vote("honest", digest=b"right")], vote("owner", digest=b"right")) == tuple(
        v.worker for v in crowd
    )
    assert audit.liars_at([vote("honest", digest=b"right")], 0, b"right") == ()


def test_who_executes_honestly_may_lie_in_merging() -> None:
    pair = [vote("a"), vote("b")]
    book = book_of(a=10_000, b=10_000)
    assert final(pair, book) is Action.ACCEPT
    merged = partial(audit.judge, SPEC, pair, needed=2, can_ask_more=True, is_final=True, function="merge")
    assert merged(book).action is Action.MORE
    assert merged(book, can_prove=True).action is Action.PROVE
    for worker in ("a", "b"):
        book.restore(PeerId(worker), work_of(RUNTIME, "merge"), TrustRecord(passes=10_000))
    assert merged(book).action is Action.ACCEPT


def test_padded_fuel_is_a_lie_like_any_other() -> None:
    honest, padder = vote("honest", digest=b"right"), replace(vote("padder", digest=b"right"), fuel=10)
    assert final([honest, padder], book_of(padder=10_000)) is Action.PROBE
    assert audit.liars([honest, padder], honest) == ("padder",)


def test_what_is_checked_can_t_be_known_from_the_answers_before() -> None:
    book, answer = book_of(w=60), vote("w")
    drawn = [audit.check_is_due(SPEC, answer, book, Random(seed), is_first_of_worker=False) for seed in range(400)]
    assert 0 < sum(drawn) < 400  # by the owner's own random numbers, and by nothing that the worker sees


# Bans.


def banned(worker: PeerId) -> TrustBook:
    book = TrustBook()
    book.restore(worker, RUNTIME, TrustRecord(passes=500))
    book.restore(worker, "other", TrustRecord(passes=500))
    book.ban(worker, RUNTIME, NOW)
    return book


LIAR = PeerId("liar")


def test_a_ban_can_t_be_shed_in_another_runtime() -> None:
    book = banned(LIAR)
    assert book.record(LIAR, "other").bans == book.record(LIAR, "never heard of").bans == 1
    assert book.passes(LIAR, "other") == 0


def test_a_ban_can_t_be_shed_by_an_older_record_or_an_empty_one() -> None:
    book = banned(LIAR)
    for record in (TrustRecord(passes=500), TrustRecord(), TrustRecord(passes=9, bans=1, banned_until=NOW)):
        book.restore(LIAR, "other", record)
        assert book.is_banned(LIAR, NOW + 1)
    assert book.passes(LIAR, "other") == 4


def test_a_ban_can_t_be_shed_by_failing_succeeding_or_passing() -> None:
    book = banned(LIAR)
    for _ in range(100):
        book.failed(LIAR, RUNTIME)
        book.succeeded(LIAR, RUNTIME)
        book.passed(LIAR, RUNTIME, NOW + 1)
    assert book.is_banned(LIAR, NOW + 1)
    assert book.passes(LIAR, RUNTIME) == 0


def test_a_ban_can_t_be_shed_by_filling_the_book_with_other_keys() -> None:
    book = TrustBook(records_max=64)
    book.ban(LIAR, RUNTIME, NOW)
    for index in range(10_000):
        book.passed(PeerId(f"sybil-{index}"), RUNTIME, NOW)
        book.succeeded(PeerId(f"other-{index}"), RUNTIME)
    assert book.is_banned(LIAR, NOW + 1)


def test_a_worker_that_lies_again_is_off_for_longer_and_needs_twice_the_checks() -> None:
    book = banned(LIAR)
    back = NOW + BAN_SECONDS
    book.ban(LIAR, RUNTIME, back)
    assert book.is_banned(LIAR, back + 1.9 * BAN_SECONDS)
    needed = 0
    while book.passes(LIAR, RUNTIME) < PROBATION_PASSES:
        book.passed(LIAR, RUNTIME, back + 2 * BAN_SECONDS)
        needed += 1
    assert needed == 4 * PROBATION_PASSES


# The book.


def swarmed(book: TrustBook, *, keys: int, passes: int = 0, are_liars: bool = False) -> None:
    for index in range(keys):
        worker = PeerId(f"sybil-{index}")
        book.succeeded(worker, RUNTIME)
        for _ in range(passes):
            book.passed(worker, RUNTIME, NOW + index)
        if are_liars:
            book.ban(worker, RUNTIME, NOW + index)


@pytest.mark.parametrize(("passes", "are_liars"), [(0, False), (3, False), (0, True), (3, True)])
def test_a_swarm_neither_fills_memory_nor_pushes_out_trusted_keys(passes: int, are_liars: bool) -> None:
    limit = 160
    book = TrustBook(records_max=limit)
    trusted = [PeerId(f"trusted-{index}") for index in range(limit - limit // 16)]
    for worker in trusted:
        book.restore(worker, RUNTIME, TrustRecord(passes=10, last_check=1.0))
    swarmed(book, keys=100 * limit, passes=passes, are_liars=are_liars)
    assert len(book) <= limit
    assert [worker for worker in trusted if book.passes(worker, RUNTIME) != 10] == []


def test_a_swarm_that_wants_a_place_must_do_as_much_checked_work_as_who_held_it() -> None:
    book = TrustBook(records_max=160)
    for index in range(160):
        book.restore(PeerId(f"trusted-{index}"), RUNTIME, TrustRecord(passes=5 + index % 2))
    swarmed(book, keys=10_000, passes=4)
    lost = [index for index in range(160) if not book.passes(PeerId(f"trusted-{index}"), RUNTIME)]
    assert len(lost) == 160 // 16  # once, to make room for newcomers; and those with the fewest passes
    assert all(index % 2 == 0 for index in lost)
