"""What tasks did: bounded, and exact in all that is counted."""

from __future__ import annotations

import json
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pangea.compute.model.errors import UnavailableError
from pangea.compute.model.trace import OTHERS, SPANS_MAX, Check, Span, Trace, Tracer, thin
from tests.examples import share_of

TIMES = st.floats(0, 1000).map(lambda value: round(value, 4))
SPANS = st.builds(
    Span,
    function=st.sampled_from(["split", "execute", "merge"]),
    worker=st.sampled_from(["1", "2", "12D3Koo"]),
    start=st.integers(0, 1000),
    count=st.integers(1, 100),
    size_bytes=st.integers(0, 1 << 40),
    began=TIMES,
    ended=TIMES,
    seconds=TIMES,
    fuel=st.integers(0, 1 << 50),
    attempts=st.integers(1, 4),
    check=st.sampled_from(Check),
    votes=st.integers(1, 7),
).map(lambda span: replace(span, ended=max(span.began, span.ended)))


def task(number: int, *, worker: str = "1", function: str = "execute") -> Span:
    return Span(
        function=function,
        worker=worker,
        start=number,
        count=1,
        size_bytes=10,
        began=float(number),
        ended=number + 0.5,
        seconds=0.5,
        fuel=100 + number,
    )


def totals(spans: list[Span]) -> dict[str, Any]:
    names = ("tasks", "count", "size_bytes", "fuel", "attempts")
    return {name: sum(getattr(span, name) for span in spans) for name in names}


@given(st.lists(SPANS, max_size=60), st.integers(20, 70))
def test_thinning_keeps_the_bound_and_every_total(spans: list[Span], limit: int) -> None:
    thinned = thin(spans, limit)
    assert len(thinned) <= max(limit, 0)
    assert totals(thinned) == totals(spans)
    assert sum(span.seconds for span in thinned) == pytest.approx(sum(span.seconds for span in spans))
    if spans:
        assert min(span.began for span in thinned) == min(span.began for span in spans)
        assert max(span.ended for span in thinned) == max(span.ended for span in spans)
    assert len(spans) > limit or thinned == spans


def drawn(random: Random, start: int) -> Span:
    """A span of few times and kinds, so that many begin together and many may join."""
    began = random.randrange(20) / 4
    return replace(
        task(start, worker=random.choice("12"), function=random.choice(["split", "execute"])),
        began=began,
        ended=began + random.randrange(4) / 4,
        check=random.choice(list(Check)[:2]),
    )


@settings(max_examples=share_of(40))
@given(st.integers(0, 1 << 32), st.integers(30, 60))
def test_what_is_told_together_doesn_t_depend_on_the_order_of_telling(seed: int, count: int) -> None:
    random = Random(seed)  # all from one number: to draw each field through Hypothesis takes a hundred times as long
    spans = [drawn(random, place) for place in range(count)]  # no two alike
    shuffled = list(spans)
    random.shuffle(shuffled)
    assert sorted(map(repr, thin(spans, 20))) == sorted(map(repr, thin(shuffled, 20)))


def test_a_tracer_holds_so_many_entries_and_all_the_counts() -> None:
    tracer, count = Tracer(), 4 * SPANS_MAX
    most = 0
    for number in range(count):
        tracer.add(task(number, worker=str(number % 3)))
        most = max(most, len(tracer._spans))
    trace = Trace.of(tracer)
    assert most <= 2 * SPANS_MAX
    assert SPANS_MAX / 4 < len(trace.spans) <= SPANS_MAX
    assert (trace.tasks, trace.is_thinned, trace.seconds) == (count, True, count - 0.5)
    assert sum(span.fuel for span in trace.spans) == sum(100 + number for number in range(count))
    sizes = {span.tasks for span in trace.spans}
    assert max(sizes) <= 2 * sorted(sizes)[len(sizes) // 2], f"entries grow evenly, not like {sizes}"


def test_neighbours_join_only_with_their_own_kind() -> None:
    kinds = [
        ("1", "execute", Check.HERE),
        ("2", "execute", Check.HERE),
        ("1", "merge", Check.HERE),
        ("1", "execute", Check.VOTES),
    ]
    spans = [replace(task(n), worker=w, function=f, check=c) for n in range(100) for w, f, c in kinds]
    thinned = thin(spans, 100)
    for kind in kinds:
        assert sum(span.tasks for span in thinned if (span.worker, span.function, span.check) == kind) == 100


def test_more_workers_than_entries_share_one_name() -> None:
    spans = [task(number, worker=f"w{number}") for number in range(1_000)] + [task(n, worker="busy") for n in range(50)]
    thinned = thin(spans, 100)
    assert len(thinned) <= 100
    assert totals(thinned) == totals(spans)
    names = {span.worker for span in thinned}
    assert {"busy", OTHERS} <= names


@given(st.lists(SPANS, max_size=20))
def test_a_trace_travels_as_json(spans: list[Span]) -> None:
    trace = Trace.of(spans)
    assert Trace.from_json(json.loads(json.dumps(trace.to_json()))) == trace


def test_a_full_trace_is_small() -> None:
    trace = Trace.of([task(n, worker=str(n % 8)) for n in range(SPANS_MAX)])
    assert len(json.dumps(trace.to_json())) < 100 * SPANS_MAX


GOOD = Trace.of([task(0)]).to_json()


def changed(place: int, value: Any) -> dict[str, Any]:
    row = list(GOOD["rows"][0])
    row[place] = value
    return {**GOOD, "rows": [row]}


@pytest.mark.parametrize(
    "record",
    [
        None,
        [],
        {},
        {**GOOD, "columns": ["other"]},
        {**GOOD, "workers": "1"},
        {**GOOD, "workers": [1]},
        {**GOOD, "workers": ["x" * 1_000]},
        {**GOOD, "rows": None},
        {**GOOD, "rows": ["row"]},
        {**GOOD, "rows": [[1, 2]]},
        {**GOOD, "rows": GOOD["rows"] * (SPANS_MAX + 1)},
        *(changed(0, value) for value in (3, -1, True, "execute")),
        changed(1, 1),
        *(changed(3, value) for value in (-1, 1.5, "1", None, 1 << 62)),
        *(changed(5, value) for value in (-1.0, float("nan"), float("inf"), "0", True, 1e300, 10**400)),
        changed(11, 9),
    ],
)
def test_a_trace_that_makes_no_sense_is_refused(record: object) -> None:
    with pytest.raises(UnavailableError, match="the node's answer can't be read"):
        Trace.from_json(record)


def test_the_end_isn_t_before_the_beginning_whatever_a_node_says() -> None:
    (span,) = Trace.from_json(changed(6, 0.0) | {"workers": GOOD["workers"]}).spans
    assert span.ended >= span.began


def test_checking_again_is_said_of_every_task() -> None:
    trace = Trace.of([task(0), task(1)]).checked(Check.AGAIN)
    assert {span.check for span in trace.spans} == {Check.AGAIN}
