"""Short jobs among accomplices and in crowds are wrong no more often than they say; without the drawn checks they are."""

from __future__ import annotations

import pytest
from bench.confidence import CASES, tally_of

from pangea.compute.model.options import VerificationMode
from pangea.compute.orchestrator.judging import closing, judging
from pangea.compute.orchestrator.rules import crowds
from tests.examples import first

HASH, REDUNDANCY, MERKLE, ADAPTIVE = list(VerificationMode)[1:]
PAIRS = [name for name in CASES if name.startswith("2 of 7") and name.endswith(" 5 packs")]


@pytest.mark.parametrize("mode", [HASH, REDUNDANCY, MERKLE, ADAPTIVE])
@pytest.mark.parametrize("name", first(1, PAIRS))
def test_two_accomplices_in_five_packs(name: str, mode: VerificationMode) -> None:
    tally = tally_of(mode, CASES[name], 60)
    assert not tally.is_too_often
    assert tally.innocent == 0
    assert mode is HASH or not tally.wrong


OFTEN, RARELY = "19 of 21, 30 %, 20 packs", "19 of 21, 5 %, 20 packs"


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        (RARELY, ADAPTIVE),
        pytest.param(OFTEN, REDUNDANCY, marks=pytest.mark.long),
        pytest.param(OFTEN, ADAPTIVE, marks=pytest.mark.long),
        pytest.param(RARELY, REDUNDANCY, marks=pytest.mark.long),
    ],
)
def test_a_crowd_of_nine_in_ten_gets_nothing_through(name: str, mode: VerificationMode) -> None:
    tally = tally_of(mode, CASES[name], 30)
    assert (tally.wrong, tally.below, tally.innocent) == ([], 0, 0)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(240)
def test_a_crowd_that_lies_rarely_gets_through_no_more_often_than_is_said() -> None:
    tally = tally_of(ADAPTIVE, CASES["19 of 21, 5 %, 120 packs"], 20)
    assert not tally.is_too_often
    assert tally.innocent == 0


@pytest.mark.long
@pytest.mark.timeout(900)
def test_under_redundancy_neither() -> None:
    tally = tally_of(REDUNDANCY, CASES["19 of 21, 5 %, 120 packs"], 40)
    assert not tally.is_too_often
    assert tally.innocent == 0


@pytest.mark.long
@pytest.mark.timeout(900)
def test_one_that_lies_rarely_by_itself_gets_through_no_more_often_than_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    case = CASES["1 of 21, 1 %, 4,000, single"]
    tally = tally_of(ADAPTIVE, case, 12)
    assert not tally.is_too_often
    assert tally.innocent == 0
    monkeypatch.setattr(crowds, "worst_doubt", crowds.likely_doubt)
    assert tally_of(ADAPTIVE, case, 12).is_too_often


def test_one_wrong_leaf_gets_through_a_sample_no_more_often_than_is_said() -> None:
    """Workers that are looked at as strangers know it, and are right then: that says nothing of what they do later."""
    tally = tally_of(MERKLE, CASES["6 of 7, late, leaves"], 6)
    assert tally.wrong
    assert max(tally.wrong) < 0.1
    assert tally.innocent == 0


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("mode", [ADAPTIVE, REDUNDANCY])
def test_a_crowd_that_lies_once_gets_through_no_more_often_than_is_said(mode: VerificationMode) -> None:
    tally = tally_of(mode, CASES["19 of 21, one lie, 200 packs"], 30)
    assert tally.wrong
    assert max(tally.wrong) < 0.55  # it was 0.64 and more
    assert not tally.is_too_often


@pytest.mark.parametrize(("mode", "name"), [(ADAPTIVE, RARELY), pytest.param(REDUNDANCY, OFTEN, marks=pytest.mark.long)])
def test_without_anchors_such_a_crowd_is_believed(monkeypatch: pytest.MonkeyPatch, name: str, mode: VerificationMode) -> None:
    monkeypatch.setattr(closing, "SAMPLED_MODES", ())
    monkeypatch.setattr(judging, "anchors_for", lambda _: 0)
    assert tally_of(mode, CASES[name], 30).wrong


def test_the_honest_pay_little_for_it_in_long_jobs() -> None:
    tally = tally_of(ADAPTIVE, {"nodes": 7, "fan_out": 2, "chunks": 400}, 1)
    assert tally.executions < 2.2
    assert not tally.wrong
