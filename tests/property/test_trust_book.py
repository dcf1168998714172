"""The trust book under any history: it falls faster than it rises, stays in its bounds and survives a restart."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pangea.compute.model.ids import PeerId
from pangea.compute.orchestrator.rules.trust import BAN_SECONDS, STRANGER_WEIGHT, TrustBook, TrustRecord, weight_of

RECORDS_MAX = 16
WORKERS = st.integers(0, 5).map(lambda index: PeerId(f"w{index}"))
RUNTIMES = st.sampled_from(["r0", "r1"])


class History(RuleBasedStateMachine):
    """A few workers, and a model that keeps only what the rules say; the book has room for all of them."""

    def __init__(self) -> None:
        super().__init__()
        self.book = TrustBook(records_max=RECORDS_MAX)
        self.now = 0.0
        self.passed: dict[tuple[PeerId, str], int] = {}
        self.bans: dict[PeerId, int] = {}
        self.until: dict[PeerId, float] = {}

    def is_banned(self, worker: PeerId) -> bool:
        return self.now < self.until.get(worker, 0.0)

    @rule(worker=WORKERS, runtime=RUNTIMES)
    def passes(self, worker: PeerId, runtime: str) -> None:
        before = self.book.weight(worker, runtime)
        self.book.passed(worker, runtime, self.now)
        if not self.is_banned(worker):
            self.passed[worker, runtime] = self.passed.get((worker, runtime), 0) + 1
        assert before <= self.book.weight(worker, runtime) <= before + weight_of(1) + 1.5

    @rule(worker=WORKERS, runtime=RUNTIMES)
    def lies(self, worker: PeerId, runtime: str) -> None:
        self.book.ban(worker, runtime, self.now)
        if not self.is_banned(worker):
            self.bans[worker] = self.bans.get(worker, 0) + 1
            self.until[worker] = self.now + BAN_SECONDS * 2 ** min(self.bans[worker] - 1, 6)
            self.passed = {key: count for key, count in self.passed.items() if key[0] != worker}
        assert self.book.is_banned(worker, self.now)
        assert self.book.weight(worker, runtime) == STRANGER_WEIGHT

    @rule(worker=WORKERS, runtime=RUNTIMES, is_good=st.booleans())
    def answers_or_fails(self, worker: PeerId, runtime: str, is_good: bool) -> None:
        (self.book.succeeded if is_good else self.book.failed)(worker, runtime)
        assert 0 <= self.book.reliability(worker, runtime) <= 1

    @rule(days=st.floats(0, 20))
    def time_goes_on(self, days: float) -> None:
        self.now += days * 86_400

    @precondition(lambda self: self.passed or self.bans)
    @rule(data=st.data())
    def restarts(self, data: st.DataObject) -> None:
        keys = [(PeerId(f"w{index}"), runtime) for index in range(6) for runtime in ("r0", "r1")]
        book = TrustBook(records_max=RECORDS_MAX)
        for worker, runtime in data.draw(st.permutations(keys)):
            record = self.book.record(worker, runtime)
            book.restore(worker, runtime, TrustRecord.from_json(record.to_json()))
        self.book = book

    @invariant()
    def the_book_says_what_the_rules_say(self) -> None:
        for index in range(6):
            worker = PeerId(f"w{index}")
            assert self.book.is_banned(worker, self.now) == self.is_banned(worker)
            for runtime in ("r0", "r1"):
                credit = self.passed.get((worker, runtime), 0) >> self.bans.get(worker, 0)
                assert self.book.passes(worker, runtime) == credit
                assert self.book.weight(worker, runtime) == weight_of(credit) >= STRANGER_WEIGHT


TestHistory: Any = History.TestCase


@given(st.integers(1, 200), st.integers(0, 3))
def test_what_a_lie_costs_takes_longer_to_earn_again(passes: int, bans: int) -> None:
    book, worker = TrustBook(), PeerId("w")
    book.restore(worker, "r", TrustRecord(passes=passes << bans, bans=bans))
    weight = book.weight(worker, "r")
    book.ban(worker, "r", 0.0)
    now = BAN_SECONDS * 64
    for _ in range(2 * (passes << bans) - 1):
        book.passed(worker, "r", now)
        assert book.weight(worker, "r") < weight or weight == STRANGER_WEIGHT
    for _ in range(1 + (2 << bans)):
        book.passed(worker, "r", now)
    assert book.weight(worker, "r") >= weight


@given(st.lists(st.tuples(st.sampled_from("pbsf"), st.integers(0, 60)), max_size=300), st.integers(1, 20))
def test_no_history_makes_the_book_larger_than_its_limit(history: list[tuple[str, int]], limit: int) -> None:
    book = TrustBook(records_max=limit)
    for index, (event, number) in enumerate(history):
        worker = PeerId(f"w{number}")
        if event == "p":
            book.passed(worker, "r", float(index))
        elif event == "b":
            book.ban(worker, "r", float(index))
        else:
            (book.succeeded if event == "s" else book.failed)(worker, f"r{number % 3}")
        assert len(book) <= limit
