"""What the bench of lying nodes makes of its runs: wrong ones are held against what they stated."""

from __future__ import annotations

import pytest
from bench.liars import HEAD, Tally


def tally(*, right: list[float], wrong: list[float]) -> Tally:
    """Runs that stated so much."""
    return Tally(
        "random",
        "hash",
        runs=len(right + wrong),
        exact=len(right),
        wrong=len(wrong),
        stated=right + wrong,
        wrong_stated=wrong,
        executions=[1.4],
        seconds=[0.7],
    )


def test_as_many_as_was_stated_may_be_wrong() -> None:
    found = tally(right=[0.2] * 10, wrong=[0.2] * 40)
    level, wrong, allowed = found.worst()
    assert (level, wrong, found.verdict) == (0.2, 40, "ok")
    assert found.may_be == pytest.approx(allowed) == pytest.approx(40.0)
    assert "40 of 40.0 at 0.200" in str(found)
    assert str(found).endswith("ok")


def test_more_are_too_often_also_where_the_others_stated_little() -> None:
    assert tally(right=[0.99] * 48, wrong=[0.99] * 5).verdict == "WRONG TOO OFTEN"
    hidden = tally(right=[0.0] * 40 + [0.99] * 5, wrong=[0.99] * 5)
    assert hidden.wrong < hidden.may_be, "those that state nothing would hide them"
    assert hidden.verdict == "WRONG TOO OFTEN"


def test_what_is_missing_and_who_is_banned_is_bad_in_all_kinds_together() -> None:
    one, in_all = tally(right=[1.0], wrong=[]), Tally("all kinds", "hash")
    one.failed, one.honest_banned = 1, {"peer"}
    in_all.add(one)
    assert in_all.verdict == one.verdict == "FAILED, HONEST BANNED"
    assert in_all.executions == [1.4]


def test_the_head_stands_over_its_columns() -> None:
    top, below = HEAD.splitlines()
    line = str(tally(right=[0.5], wrong=[]))
    assert line[: top.index("kind")].strip() == "hash"
    assert len(below) <= len(top) == line.rindex("  ok")
