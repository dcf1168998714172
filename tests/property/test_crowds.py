"""How sure a whole job is: what crowds and single liars leave in doubt, against sums and frequencies reckoned otherwise."""

from __future__ import annotations

from math import comb
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pangea.compute.orchestrator.rules.crowds import (
    BOLD_RATE,
    CROWD_SHARE,
    Crowd,
    anchors_for,
    anchors_wanted,
    crowds,
    joint,
    leaf_doubt,
    likely_doubt,
    lone_doubt,
    worst_doubt,
)

COUNTS = st.integers(0, 2_000)
TARGETS = st.sampled_from([0.5, 0.9, 0.99, 0.999, 0.9999])


def escapes(rate: float, anchors: int, unseen: int) -> float:
    """How likely a crowd that lies so often is right about all anchors, and not about all that is unseen."""
    return (1 - rate) ** anchors * (1 - (1 - rate) ** unseen)


@given(COUNTS, COUNTS)
def test_more_anchors_leave_less_doubt_and_more_unseen_tasks_more(anchors: int, unseen: int) -> None:
    for said in (likely_doubt, worst_doubt):
        assert 0.0 <= said(anchors + 1, unseen) <= said(anchors, unseen) <= said(anchors, unseen + 1) <= 1.0
    assert likely_doubt(anchors, 0) == worst_doubt(anchors, 0) == 0.0


@given(COUNTS, COUNTS, st.floats(BOLD_RATE, 1.0))
def test_a_bold_crowd_is_wrong_no_more_often_than_is_said_whatever_its_rate(anchors: int, unseen: int, rate: float) -> None:
    wanted = anchors_for(0.999)
    assert escapes(rate, max(anchors, wanted), unseen) <= 0.001
    assert worst_doubt(anchors, unseen) >= escapes(rate, anchors, unseen) - 1e-12


@given(st.integers(0, 60), st.integers(1, 60), st.floats(0.0, 1.0))
def test_nothing_is_worse_than_the_worst(anchors: int, unseen: int, rate: float) -> None:
    assert worst_doubt(anchors, unseen) >= escapes(rate, anchors, unseen) - 1e-12
    whole = anchors + unseen  # of which so many are drawn, by lot; none of w lies is among them:
    hidden = [comb(whole - lies, anchors) / comb(whole, anchors) for lies in range(1, unseen + 1)]
    assert worst_doubt(anchors, unseen) == pytest.approx(max(hidden))


@given(st.lists(st.integers(1, 64), min_size=1, max_size=6), st.data())
def test_nobody_who_hides_wrong_leaves_anywhere_comes_through_more_often_than_is_said(
    leaves: list[int], data: st.DataObject
) -> None:
    drawn = [data.draw(st.integers(1, count)) for count in leaves]
    wrong = [data.draw(st.integers(0, count)) for count in leaves]
    escaped = 1.0
    for count, taken, hidden in zip(leaves, drawn, wrong, strict=True):
        escaped *= comb(count - hidden, taken) / comb(count, taken)
    said = leaf_doubt(zip(drawn, leaves, strict=True))
    assert not any(wrong) or escaped <= said + 1e-12
    assert leaf_doubt(zip(drawn, leaves, strict=True), lies=1) == pytest.approx(min(1.0, 2 * said))
    assert leaf_doubt([]) == leaf_doubt(zip(leaves, leaves, strict=True)) == 0.0


@given(st.integers(0, 100), st.integers(0, 100))
def test_a_shy_crowd_s_doubt_is_the_mean_over_all_rates(anchors: int, unseen: int) -> None:
    steps = 20_000
    mean = sum(escapes((step + 0.5) / steps, anchors, unseen) for step in range(steps)) / steps
    assert likely_doubt(anchors, unseen) >= CROWD_SHARE / (1 - CROWD_SHARE) * mean - 1e-6


def test_jobs_of_crowds_are_wrong_no_more_often_than_they_say() -> None:
    """A fair share of jobs meet a crowd of any rate; this node executes as many as it wants of each job's tasks."""
    random, tasks, wrong, stated = Random(5), 60, 0, 0.0
    for _ in range(40_000):
        rate = random.random() if random.random() < CROWD_SHARE else 0.0
        lies = [random.random() < rate for _ in range(tasks)]
        wanted = anchors_wanted(Crowd(0, 0, tasks), 0.02)
        if any(lies[:wanted]):
            continue  # caught: all is executed here
        wrong += any(lies[wanted:])
        stated += likely_doubt(wanted, tasks - wanted)
    assert 0 < wrong <= stated


@given(COUNTS, COUNTS, TARGETS)
def test_so_many_anchors_are_wanted_as_are_enough_and_no_more(anchors: int, unseen: int, target: float) -> None:
    crowd, allowed = Crowd(0, anchors, unseen), 1 - target
    wanted = anchors_wanted(crowd, allowed)
    assert 0 <= wanted <= unseen
    assert likely_doubt(anchors + wanted, unseen - wanted) <= allowed
    assert wanted == 0 or likely_doubt(anchors + wanted - 1, unseen - wanted + 1) > allowed


@given(
    st.lists(st.integers(0, 5), max_size=20), st.lists(st.integers(0, 5), max_size=20), st.lists(st.integers(0, 5), max_size=20)
)
def test_whoever_is_known_better_lends_nothing_to_those_known_less(
    known: list[int], anchored: list[int], vouched: list[int]
) -> None:
    found = crowds(known, anchored, vouched)
    assert [each.level for each in found] == sorted(set(vouched))
    for each in found:
        assert each.anchors == sum(one for one in known if one <= each.level) + sum(one <= each.level for one in anchored)
        assert each.unseen == sum(one <= each.level for one in vouched) > 0
    richer = crowds([*known, 10**6], [*anchored, 10**6], vouched)
    assert richer == found, "an old acquaintance says nothing of strangers"


def test_of_workers_alone_as_many_lie_as_are_reckoned_with_and_as_it_serves_them_best() -> None:
    assert lone_doubt([]) == lone_doubt([(5, 0)]) == 0.0
    assert lone_doubt([(0, 1)]) == 1.0
    assert lone_doubt([(90, 110)]) == lone_doubt([(90, 110), *[(500, 3)] * 4]) == pytest.approx(worst_doubt(90, 110))
    assert lone_doubt([(90, 110)] * 20) == pytest.approx(1 - (1 - worst_doubt(90, 110)) ** 4)
    assert lone_doubt([(10**6, 100)] * 20) < 0.001


def test_a_worker_that_lies_now_and_then_is_in_no_more_jobs_than_is_said() -> None:
    random, jobs, passes, unseen = Random(6), 20_000, 90, 110
    for rate in (0.002, 0.01, 0.05):
        slipped = sum(
            all(random.random() >= rate for _ in range(passes)) and any(random.random() < rate for _ in range(unseen))
            for _ in range(jobs)
        )
        assert 0 < slipped / jobs <= lone_doubt([(passes, unseen)]) + 0.01


def test_doubts_of_different_reasons_add_up() -> None:
    assert joint([]) == 1.0
    assert joint([0.1, 0.5]) == pytest.approx(0.45)
    assert joint([0.3, 1.0]) == 0.0
