"""Pictures show what is there: judged by the values that they draw."""

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pangea.compute import visualize
from pangea.compute.errors import PictureError
from pangea.compute.pictures.values import histograms
from tests.examples import share_of
from tests.pictures import rows_of, spec_of

NIGHT = pd.date_range("2023-10-28 23:00", periods=5, freq="h", tz="UTC")
LOAD = [10.0, 20.0, 40.0, 30.0, 50.0]


def fills(picture: Any, folder: Path) -> list[str]:
    """The colours of the cells as they are drawn."""
    picture.save(folder / "cells.svg")
    text = (folder / "cells.svg").read_text()
    at = text.find("mark-rect role-mark")
    return re.findall(r'fill="([^"]+)"', text[at : text.find("</g>", at)].partition(">")[2])


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
def test_each_hour_has_a_place_and_a_name_of_its_own_when_clocks_go_back(zone: str) -> None:
    year = pd.date_range("2023-01-01", "2024-01-01", freq="h", tz="UTC").tz_convert(zone)
    local = year.tz_localize(None)
    around = np.flatnonzero(np.diff(local) <= pd.Timedelta(0))[0] if (np.diff(local) <= pd.Timedelta(0)).any() else None
    around = around if around is not None else int(np.flatnonzero(np.diff(local) != pd.Timedelta(hours=1))[0])
    hours = year[around - 2 : around + 3]
    frame = pd.DataFrame({"at": hours, "load": LOAD})
    line = rows_of(visualize(frame, "line", x="at", y="load"))
    assert [row["y"] for row in line] == LOAD
    assert np.diff([row["x"] for row in line]).tolist() == [3_600_000.0] * 4
    bars = rows_of(visualize(frame, "bar", x="at", y="load"))
    assert [row["value"] for row in bars] == LOAD
    assert len({row["name"] for row in bars}) == 5
    for row, hour in zip(line, hours, strict=True):
        assert row["at"].startswith(f"{hour:%Y-%m-%d %H:%M}")


def test_the_names_of_the_hour_that_comes_twice_say_which_is_which() -> None:
    frame = pd.DataFrame({"at": NIGHT.tz_convert("Europe/Berlin"), "load": LOAD})
    picture = visualize(frame, "line", x="at", y="load")
    assert [row["at"] for row in rows_of(picture)] == [
        "2023-10-29 01:00",
        "2023-10-29 02:00 UTC+02:00",
        "2023-10-29 02:00 UTC+01:00",
        "2023-10-29 03:00",
        "2023-10-29 04:00",
    ]
    assert picture.notes == ("the clocks of Europe/Berlin are changed in between: the axis keeps UTC+02:00 throughout",)
    assert spec_of(picture)["layer"][0]["encoding"]["x"]["axis"]["title"] == "at, Europe/Berlin"
    summer = visualize(frame[:2], "line", x="at", y="load")
    assert summer.notes == ()
    assert [row["at"] for row in rows_of(summer)] == ["2023-10-29 01:00", "2023-10-29 02:00"]


IDS = [1234567890123456789, 1234567890123456790]


def test_ids_have_all_their_digits() -> None:
    orders = pd.DataFrame({"order": IDS, "items": [1.0, 2.0], "day": ["Mo", "Tu"]})
    bars = rows_of(visualize(orders, "bar", x="order", y="items"))
    assert [[row["name"], row["value"]] for row in bars] == [[str(IDS[0]), 1.0], [str(IDS[1]), 2.0]]
    cells = rows_of(visualize(orders, "heatmap", x="order", y="day", color="items"))
    assert {row["column"] for row in cells} == set(map(str, IDS))
    page = visualize(orders, "table")._repr_mimebundle_()["text/html"]
    assert all(str(order) in page for order in IDS)
    small = visualize(pd.DataFrame({"n": [1_234_567, 2]}), "table")._repr_mimebundle_()["text/html"]
    assert "1,234,567" in small


@pytest.mark.parametrize("grid", [[[0.0, math.nan], [5.0, 9.0]], [[-4.0, 0.0, math.nan], [2.0, 4.0, 1.0]]])
def test_a_missing_cell_has_a_colour_that_no_amount_has(grid: Any, tmp_path: Path) -> None:
    picture = visualize(np.array(grid), "heatmap")
    found = fills(picture, tmp_path)
    missing = [colour for colour, value in zip(found, np.ravel(grid), strict=True) if math.isnan(value)]
    assert missing == ["#B4B4B4"]
    assert found.count("#B4B4B4") == 1
    assert "their cells are grey" in picture.notes[0]


def test_a_large_grid_paints_missing_values_grey_too(tmp_path: Path) -> None:
    from PIL import Image

    grid = np.zeros((100, 100))
    grid[:50] = np.nan
    grid[60:] = 1.0
    visualize(grid, "heatmap").save(tmp_path / "grid.png")
    pixels = np.asarray(Image.open(tmp_path / "grid.png").convert("RGB")).reshape(-1, 3)
    grey = (pixels == (0xB4, 0xB4, 0xB4)).all(axis=1).mean()
    assert 0.1 < grey < 0.5


def test_cells_and_bars_of_several_rows_say_what_was_made_of_them() -> None:
    sales = pd.DataFrame({"day": ["Mo", "Mo", "Tu"], "shop": ["north", "north", "south"], "sold": [1.0, 9.0, 4.0]})
    picture = visualize(sales, "heatmap", x="day", y="shop", color="sold")
    assert picture.notes[0] == "means of sold, over up to 2 rows a cell"
    assert [row["value"] for row in rows_of(picture) if row["value"] is not None] == [5.0, 4.0]
    assert "sums over 3 rows" in visualize(sales, "bar", x="day", y="sold").notes
    assert "sums over 3 rows" in visualize(sales, "bar", x="day", y="sold", color="shop").notes
    single = visualize(sales[1:], "heatmap", x="day", y="shop", color="sold")
    assert not any(note.startswith("means") for note in single.notes)


@settings(max_examples=share_of(40), deadline=None)
@given(
    hnp.arrays("f8", st.integers(1, 60), elements=st.floats(0, 10)),
    st.lists(st.floats(0.1, 4), min_size=2, max_size=6).map(lambda widths: np.cumsum([0.0, *widths])),
)
def test_heights_of_unequal_ranges_are_numpy_s_densities(values: Any, edges: Any) -> None:
    counts = np.histogram(values, edges)[0]
    picture = visualize({"bin_edges": edges.tolist(), "counts": counts.tolist()}, "histogram")
    rows = rows_of(picture)
    if "density" in rows[0]:
        wanted = np.histogram(values, edges, density=True)[0] if counts.sum() else np.zeros(len(counts))
        assert [row["density"] for row in rows] == pytest.approx(wanted.tolist())
        assert any("differ in width" in note for note in picture.notes)
    assert [row["count"] for row in rows] == counts.tolist()


@settings(max_examples=share_of(60), deadline=None)
@given(hnp.arrays("i8", st.integers(2, 300), elements=st.integers(-500, 500)), st.one_of(st.none(), st.integers(1, 40)))
def test_ranges_hold_equally_many_whole_numbers_or_say_that_they_dont(values: Any, bins: int | None) -> None:
    picture = visualize(values, "histogram", bins=bins)
    rows = rows_of(picture)
    ends = [math.ceil(row["to"]) for row in rows]
    ends[-1] = math.floor(rows[-1]["to"]) + 1
    held = {end - math.ceil(row["from"]) for row, end in zip(rows, ends, strict=True)}
    assert sum(row["count"] for row in rows) == len(values)
    if len(held) > 1:
        assert bins is not None
        assert "heights differ by that alone" in picture.notes[-1]
    if bins is not None:
        assert len(rows) == bins


def test_the_last_range_of_whole_numbers_is_as_full_as_the_others_can_be() -> None:
    rows = rows_of(visualize(np.arange(100).repeat(50), "histogram"))
    assert {row["count"] for row in rows} == {rows[0]["count"]}
    picture = visualize(np.arange(101).repeat(50), "histogram")
    assert picture.notes[-1].endswith("the last of which reaches 1 beyond the greatest value")


@settings(max_examples=share_of(60), deadline=None)
@given(hnp.arrays("f8", st.integers(30, 300), elements=st.floats(-1e6, 1e6)))
def test_edges_of_other_numbers_are_round(values: Any) -> None:
    assume((values != np.rint(values)).any())  # whole numbers have ranges that hold equally many
    edges = histograms.bins_of(values, None)
    assert edges[0] <= values.min()
    assert values.max() <= edges[-1]
    steps = np.diff(edges)
    assert np.ptp(steps) <= 1e-6 * steps.max()
    step = float(steps[0])
    if np.ptp(values) > 0 and (edges[0] < values.min() or values.max() < edges[-1]):
        mantissa = step / 10.0 ** math.floor(math.log10(step) + 1e-9)
        assert any(mantissa == pytest.approx(each, rel=1e-6) for each in (0.5, 1.0, 2.0, 2.5, 5.0, 10.0))


@pytest.mark.parametrize("hours", [48, 20_000])
def test_a_line_is_broken_where_hours_have_no_row(hours: int) -> None:
    at = pd.date_range("2024-01-01", periods=hours, freq="h")
    frame = pd.DataFrame({"at": at, "load": np.arange(float(hours))})
    holed = pd.concat([frame[:13], frame[31:]], ignore_index=True)
    picture = visualize(holed, "line", x="at", y="load")
    (gap,) = (place for place, row in enumerate(rows_of(picture)) if row["y"] is None)
    assert [row["y"] for row in rows_of(picture)[gap - 1 : gap + 2]] == [12.0, None, 31.0]
    assert "broken at 1 gap: steps of at that are longer than usual" in picture.notes
    assert not any(row["y"] is None for row in rows_of(visualize(frame, "line", x="at", y="load")))


@pytest.mark.parametrize("days", [pd.date_range("2024-01-31", periods=14, freq="ME"), pd.bdate_range("2024-01-01", periods=3)])
def test_months_and_a_few_days_have_no_gaps(days: Any) -> None:
    picture = visualize(pd.DataFrame({"at": days, "load": np.arange(float(len(days)))}), "line", x="at", y="load")
    assert len(rows_of(picture)) == len(days)
    assert picture.notes == ()


def test_a_line_says_how_many_amounts_it_lacks() -> None:
    found = visualize(np.array([1.0, math.inf, math.nan, 2.0]), "line")
    assert found.notes == ("2 values of 4 left out: value is missing, or not finite",)
    assert [row["y"] for row in rows_of(found)] == [1.0, None, None, 2.0]


def test_a_line_doesnt_take_ids_for_one_another() -> None:
    ids = [2**53, 2**53 + 1, 2**53 + 2]
    with pytest.raises(PictureError, match="nearer to each other than an axis can tell apart"):
        visualize({"id": ids, "v": [1.0, 2.0, 3.0]}, "line", x="id", y="v")
    assert len(rows_of(visualize({"id": ids[::2], "v": [1.0, 3.0]}, "line", x="id", y="v"))) == 2


@pytest.mark.parametrize("unit", ["s", "ms"])
def test_dates_that_no_axis_has_are_refused(unit: str) -> None:
    frame = pd.DataFrame({"at": np.array([0, -(2**60)], f"M8[{unit}]"), "v": [1.0, 2.0]})
    for kind in ("line", "bar", "table"):
        with pytest.raises(PictureError, match="dates beyond the year 275760"):
            visualize(frame, kind)


@pytest.mark.parametrize("values", [np.arange(300) * 5e-324, 1.0 + np.arange(5) * 2.3e-16, 2.0**60 + np.arange(9.0) * 256])
def test_ranges_too_narrow_to_be_equal_are_one(values: Any) -> None:
    (row,) = rows_of(visualize(values, "histogram"))
    assert row["count"] == len(values)
    assert row["from"] < values.min() <= values.max() < row["to"]


def test_pictures_whose_size_follows_from_values_or_options_are_refused_in_time() -> None:
    many = pd.DataFrame({"a": np.arange(30_000), "b": np.arange(30_000), "c": 1.0})
    with pytest.raises(PictureError, match=r"30,000 and 30,000 different values: 900,000,000 cells"):
        visualize(many, "heatmap", x="a", y="b")
    with pytest.raises(PictureError, match="bins is 1000000000; it must be a whole number from 1 to 10,000"):
        visualize(np.arange(9), "histogram", bins=10**9)
    with pytest.raises(PictureError, match="top is 10001"):
        visualize(np.arange(9), "bar", top=10_001)
