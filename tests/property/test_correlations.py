"""Correlations and covariances are pandas', over frames with nulls, NaN and columns that don't vary, wherever they are cut."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pangea.compute import templates
from pangea.compute.data import DataError, Table
from pangea.compute.errors import ManifestError
from pangea.compute.templates import correlations
from tests.examples import share_of
from tests.merging import executed, merged_in_groups

SETTINGS = settings(max_examples=share_of(60), deadline=None)
NUMBERS = st.none() | st.sampled_from([0.0, 0.1, 1.5, 2.5, -3.25, 1e6, math.nan])
FRAMES = st.lists(st.tuples(NUMBERS, NUMBERS, st.integers(-3, 3)), min_size=1, max_size=30).map(
    lambda rows: pd.DataFrame(rows, columns=["x", "y", "n"]).astype({"x": "float64", "y": "float64"})
)


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the jobs in this process: what sandboxes do with them is tested elsewhere."""
    monkeypatch.setattr(
        correlations, "submit_job", lambda job, data, **options: job.run_local(data, **{"max_chunk_size": 8192, **options})
    )


@SETTINGS
@given(FRAMES, st.integers(0, 5))
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_correlations_are_pandas(frame: Any, least: int) -> None:
    found = templates.corr(frame, min_periods=least)
    assert (list(found.index), list(found.columns)) == (["x", "y", "n"], ["x", "y", "n"])
    for one in frame:
        for other in frame:
            pair = frame[[one, other]].dropna() if one != other else frame[[one]].dropna()
            varies = all(pair[name].nunique() > 1 for name in pair)  # pandas gives 0 / 0's remainder where a sum is rounded
            if varies and len(pair) >= max(1, least):
                assert found.loc[one, other] == pytest.approx(frame[one].corr(frame[other]), abs=1e-9)
            else:
                assert math.isnan(found.loc[one, other])


@SETTINGS
@given(FRAMES, st.integers(0, 5), st.integers(0, 2))
def test_covariances_are_pandas(frame: Any, least: int, ddof: int) -> None:
    found = templates.cov(frame, ["y", "n", "x"], min_periods=least, ddof=ddof)
    assert list(found.columns) == ["y", "n", "x"]
    for one in frame:
        for other in frame:
            pair = pd.DataFrame({"one": frame[one], "other": frame[other]}).dropna()
            if len(pair) >= max(1, least) and len(pair) > ddof:
                xs, ys = ([Fraction(value) for value in pair[name]] for name in pair)
                n = len(pair)
                exact = (sum(x * y for x, y in zip(xs, ys, strict=True)) - sum(xs) * sum(ys) / n) / (n - ddof)
                assert found.loc[one, other] == float(exact), "rounded once"
            else:
                assert math.isnan(found.loc[one, other])


@SETTINGS
@given(FRAMES, st.lists(st.integers(0, 40), max_size=3), st.lists(st.integers(0, 40), max_size=3))
def test_no_cut_shows(frame: Any, cuts: list[int], groups: list[int]) -> None:
    table = Table.of({name: frame[name].to_numpy() for name in frame})
    job = correlations.pair_sums(None)
    edges = sorted({0, len(table), *(cut % (len(table) + 1) for cut in cuts)})
    parts = [table[start:end] for start, end in itertools.pairwise(edges)] or [table]
    assert merged_in_groups(job, executed(job, parts), groups) == merged_in_groups(job, executed(job, [table]), [])


def test_infinities_make_nan_and_nothing_else() -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0, math.inf], "y": [1.0, 2.0, 4.0], "z": [3.0, 1.0, math.nan]})
    found = templates.corr(frame)
    assert np.isnan(found.loc["x", ["x", "y"]]).all()
    assert found.loc["y", "y"] == 1.0
    assert found.loc["x", "z"] == -1.0, "the infinity has no partner there"
    assert math.isnan(templates.cov(frame).loc["x", "y"])


def test_what_is_no_number_is_refused_by_name() -> None:
    for frame in (pd.DataFrame({"x": [1.0], "w": ["a"]}), pd.DataFrame({"x": [1.0], "w": pd.to_timedelta([1])})):
        with pytest.raises(DataError, match="'w' is of type"):
            templates.corr(frame)
        assert templates.cov(frame, "x", ddof=0).loc["x", "x"] == 0.0
    with pytest.raises(ManifestError, match="ddof is -1"):
        templates.cov(frame, ddof=-1)
