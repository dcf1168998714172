"""Logarithmic scales: offered where one amount or a tail rules, and drawn where amounts really stand."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from pangea.compute import visualize
from pangea.compute.errors import PictureError
from pangea.compute.pictures.values.logarithms import Logarithm, offer
from pangea.compute.pictures.values.picture import Picture

TAIL = np.random.default_rng(1).lognormal(3, 2, 5_000)


def spec_of(picture: Picture) -> dict[str, Any]:
    assert picture.spec is not None
    return picture.spec


def test_a_scale_is_offered_where_one_amount_or_a_tail_rules() -> None:
    counts = np.arange(1.0, 73.0).reshape(8, 9)
    counts[2, 3] = 90_000.0
    bars = {**dict.fromkeys("abcdefgh", 3.0), "i": 4_000.0}

    for value, kind in ((TAIL, "histogram"), (counts, "heatmap"), (bars, "bar"), ([1.0] * 40 + [500.0], "line")):
        notes = visualize(value, kind).notes
        assert any("scale='log' tells the small ones apart" in note for note in notes), kind
        assert not any("scale='log'" in note for note in visualize(value, kind, scale="linear").notes), kind
    assert "nine tenths are at most 65, the greatest is 90,000" in visualize(counts, "heatmap").notes[0]


@pytest.mark.parametrize("values", [np.arange(100.0), np.ones(50), np.zeros(9), np.array([1.0, 1e9]), np.array([-3.0, 4.0] * 20)])
def test_none_is_offered_where_none_is_needed(values: np.ndarray) -> None:
    assert offer(values) == []


def test_ranges_of_a_histogram_are_equally_wide_by_factor_with_powers_of_ten_among_them() -> None:
    picture = visualize(TAIL, "histogram", scale="log", unit="ms")
    rows = spec_of(picture)["datasets"]["rows"]
    edges = [row["from"] for row in rows] + [rows[-1]["to"]]

    assert spec_of(picture)["encoding"]["x"]["scale"] == {"type": "log", "domain": [edges[0], edges[-1]], "nice": False}
    assert spec_of(picture)["encoding"]["x"]["axis"]["values"] == [0.1, 1.0, 10.0, 100.0, 1_000.0, 10_000.0]
    assert {0.1, 1.0, 10.0, 100.0, 1_000.0, 10_000.0} <= {float(f"{edge:.9g}") for edge in edges}
    assert np.allclose(np.diff(np.log10(edges)), math.log10(edges[1] / edges[0]))
    assert [row["count"] for row in rows] == np.histogram(TAIL, edges)[0].tolist()
    assert sum(row["count"] for row in rows) == len(TAIL)
    assert "density" not in rows[0]
    assert "each range ends at 1.58 times what it begins with" in picture.notes[-1]
    assert len(spec_of(visualize(TAIL, "histogram", scale="log", bins=7))["datasets"]["rows"]) == 7
    assert spec_of(visualize([5.0] * 40, "histogram", scale="log"))["datasets"]["rows"][0]["count"] == 40


def test_what_has_no_logarithm_is_refused_by_name_in_a_histogram() -> None:
    with pytest.raises(PictureError, match=r"21 values of 120 are zero or below, the least −1") as caught:
        visualize([-1.0] + [0.0] * 20 + [3.0] * 99, "histogram", scale="log")
    assert "x[x > 0]" in caught.value.hint
    with pytest.raises(PictureError, match="counted already"):
        visualize({"bin_edges": [1.0, 2.0, 4.0], "counts": [3, 4]}, scale="log")
    with pytest.raises(PictureError, match="scale is 'logarithmic'; it must be 'linear' or 'log'"):
        visualize(TAIL, "histogram", scale="logarithmic")  # type: ignore[arg-type]
    with pytest.raises(PictureError, match="a scatter picture has no option scale"):
        visualize([[1.0, 2.0]] * 20, "scatter", scale="log")


def test_cells_have_colours_by_their_logarithm_and_zero_is_the_lowest() -> None:
    picture = visualize([[0.0, 1.0, 10.0], [100.0, 1_000.0, None]], "heatmap", scale="log")
    rows = {row["value"]: row for row in spec_of(picture)["datasets"]["rows"]}

    places = [rows[value]["place"] for value in (0.0, 1.0, 10.0, 100.0, 1_000.0)]
    assert places == pytest.approx([math.log1p(value) / math.log1p(1_000.0) for value in (0.0, 1.0, 10.0, 100.0, 1_000.0)])
    assert "place" not in rows[None]
    colour = spec_of(picture)["layer"][0]["encoding"]["color"]
    shown = json.dumps(colour)
    assert '"field": "place"' in shown
    assert '"domain": [0.0, 1.0]' in shown
    assert all(f'\\"{text}\\"' in shown for text in ("0", "10", "100", "1,000"))
    assert picture.notes[-1] == "logarithmic scale from 1 on, even between that and zero"


def test_bars_begin_at_zero_and_are_even_up_to_the_least() -> None:
    picture = visualize({"a": 2.0, "b": 20.0, "c": 2_000.0}, "bar", scale="log")
    axis = spec_of(picture)["layer"][0]["encoding"]["x"]

    assert axis["scale"] == {"type": "symlog", "constant": 2.0, "domain": [0.0, 2_000.0], "nice": False}
    assert axis["axis"]["values"][0] == 0.0 or axis["axis"]["values"] == [10.0, 100.0, 1_000.0]
    assert picture.notes[-1] == "logarithmic scale from 2 on, even between that and zero"
    table = {"name": ["a", "a", "b"], "kind": ["x", "y", "x"], "n": [1.0, 2.0, 900.0]}
    with pytest.raises(PictureError, match="lengths on a logarithmic scale don't"):
        visualize(table, "bar", x="name", y="n", color="kind", scale="log")


def test_lines_are_logarithmic_on_both_sides_of_zero_if_need_be() -> None:
    rising = spec_of(visualize([1.0, 10.0, 100.0] * 5, "line", scale="log"))["layer"][0]["encoding"]["y"]
    assert rising["scale"] == {"type": "log", "domain": [1.0, 100.0], "nice": False}
    assert rising["axis"]["values"] == [1.0, 10.0, 100.0]

    crossing = visualize([-100.0, -1.0, 0.0, 10.0] * 5, "line", scale="log")
    axis = spec_of(crossing)["layer"][0]["encoding"]["y"]
    assert axis["scale"] == {"type": "symlog", "constant": 1.0, "domain": [-100.0, 10.0], "nice": False}
    assert axis["axis"]["values"] == [-100.0, -10.0, -1.0, 0.0, 1.0, 10.0]


@pytest.mark.parametrize("values", [[1e-5, 3.0, 2e7], [0.0, 1e-3, 8.0], [-7e5, -2.0, 0.5, 1e6]])
def test_where_amounts_stand_and_back(values: list[float]) -> None:
    log = Logarithm.of(np.array(values))

    assert log.unplaced(log.placed(values)) == pytest.approx(values)
    assert log.placed(values)[0] == 0.0
    assert log.placed(values)[-1] == 1.0
    assert log.ticks() == sorted(set(log.ticks()))
    assert all(log.low <= tick <= log.high for tick in log.ticks())


def test_a_large_grid_is_painted_by_logarithms_too(tmp_path: object) -> None:
    grid = np.geomspace(1e-3, 1e6, 100 * 100).reshape(100, 100)
    even, log = (visualize(grid, "heatmap", scale=scale) for scale in ("linear", "log"))

    assert even.png() != log.png()
    assert "equal steps are equal factors" in log.notes[-1]
