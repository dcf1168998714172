"""What a function of `map_rows` returns of nanoseconds as they came is of their type; what it reckons with them is a number."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pangea.compute import templates

TIMES = np.array(["2024-10-27T00:30:00.123456789", "NaT", "2024-10-27T01:30:00", "1960-01-01T00:00:00.5"], "M8[ns]")
FRAME = pd.DataFrame(
    {
        "n": range(4),
        "t": TIMES,
        "local": pd.Series(TIMES).dt.tz_localize("UTC").dt.tz_convert("Europe/Berlin"),
        "span": np.array([1, "NaT", -3, 0], "m8[ns]"),
    }
)


def made(function: Any, frame: pd.DataFrame = FRAME, **options: Any) -> pd.DataFrame:
    found: pd.DataFrame = templates.map_rows(function, output="table", **options).run_local(frame).as_frame()
    return found


def test_what_comes_back_as_it_came_keeps_its_type() -> None:
    pd.testing.assert_frame_equal(made(lambda row: row), FRAME)
    pd.testing.assert_frame_equal(made(lambda row: {"at": row["local"]}), FRAME[["local"]].rename(columns={"local": "at"}))


def test_what_is_reckoned_is_a_number_and_so_is_what_is_mixed_or_declared() -> None:
    later = made(lambda row: {"t": (row["t"] or 0) + 1, "mixed": row["t"] if row["n"] else row["span"], "n": row["n"]})
    assert [str(kind) for kind in later.dtypes] == ["int64", "Int64", "int64"]
    assert later["t"][0] == TIMES.view("i8")[0] + 1
    assert str(made(lambda row: row, types={"t": "int64"}).dtypes["t"]) == "Int64"


def test_instants_are_text_in_json_lines_in_the_places_that_they_have() -> None:
    lines = templates.map_rows(lambda row: row | {"in": [{"t": row["t"]}]}).run_local(FRAME).as_json()
    for name in ("t", "local"):
        assert [line[name] for line in lines] == [None if pd.isna(time) else time.isoformat() for time in FRAME[name]]
    assert [line["in"] for line in lines] == [[{"t": line["t"]}] for line in lines]
    assert [line["span"] for line in lines] == [1, None, -3, 0]


def test_dates_and_times_are_text_in_json_lines() -> None:
    day, hour = dt.date(2024, 2, 29), dt.time(5, 6)
    lines = templates.map_rows(lambda row: [row["day"], row["hour"]]).run_local({"day": [day], "hour": [hour]}).as_json()
    assert lines == [["2024-02-29", "05:06:00"]]


@pytest.mark.parametrize("unit", ["s", "ms", "us"])
def test_text_is_that_of_coarser_units(unit: str) -> None:
    coarse = pd.DataFrame({"t": TIMES.astype(f"M8[{unit}]")})
    fine = coarse.astype("M8[ns]")
    job = templates.map_rows(lambda row: row)
    assert job.run_local(fine) == job.run_local(coarse)
