"""Charts: what is drawn of which values, with which axes; looked up in the specifications."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from typing import Any

import networkx
import numpy as np
import pandas
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pangea.compute import visualize
from pangea.compute.errors import PictureError
from pangea.compute.pictures.values import histograms, theme
from pangea.compute.pictures.values.lines import POINTS_MAX, thinned
from pangea.compute.pictures.values.totals import TOP
from pangea.compute.pictures.values.wording import axis_format, distinct, figure, label_format
from tests.examples import first, long, spread
from tests.pictures import marks_of, rows_of, spec_of, unit_of

NAN = float("nan")
SALES = pandas.DataFrame(
    {
        "shop": ["north", "south", "north", "east", None],
        "goods": ["tea", "tea", "rice", "rice", "tea"],
        "sold": [3.0, 5.0, 4.0, NAN, 9.0],
        "day": [datetime.date(2024, 1, day) for day in (3, 1, 2, 1, 2)],
    }
)


def axis(picture: Any, mark: str, channel: str) -> Any:
    return unit_of(picture, mark)["encoding"][channel]


def test_bars_stand_by_size_with_their_figures_and_their_unit() -> None:
    picture = visualize({"b": 2, "a": 2, "c": 30}, x_label="letter", y_label="time", unit="ms", title="Letters")

    assert [row["name"] for row in rows_of(picture)] == ["c", "a", "b"]
    assert axis(picture, "bar", "x")["axis"]["title"] == "time (ms)"
    assert axis(picture, "bar", "y")["axis"]["title"] == "letter"
    assert axis(picture, "bar", "x")["scale"]["zero"] is True
    assert axis(picture, "bar", "y")["sort"] == ["c", "a", "b"]
    assert axis(picture, "text", "text")["format"] == ",d"
    assert picture.alt == "Letters: time (ms) by letter; largest is c with 30"


def test_bars_of_one_name_are_summed_and_say_so() -> None:
    picture = visualize(SALES, "bar", x="shop")

    assert {row["name"]: row["value"] for row in rows_of(picture)} == {"north": 7.0, "south": 5.0}
    assert picture.notes == ("2 rows of 5 left out: something is missing, or not finite", "sums over 3 rows")
    assert axis(picture, "bar", "x")["axis"]["title"] == "sum of sold"


@pytest.mark.parametrize(("how", "north"), [("mean", 3.5), ("min", 3.0), ("max", 4.0), ("count", 2.0)])
def test_bars_aggregate_as_they_are_told(how: Any, north: float) -> None:
    rows = rows_of(visualize(SALES, "bar", x="shop", y="sold", aggregate=how))

    assert next(row["value"] for row in rows if row["name"] == "north") == north


def test_bars_count_rows_where_there_is_nothing_to_add() -> None:
    picture = visualize({"k": ["a", "b", "a"]}, "bar", x="k")

    assert [(row["name"], row["value"]) for row in rows_of(picture)] == [("a", 2.0), ("b", 1.0)]
    assert axis(picture, "bar", "x")["axis"]["title"] == "number of rows"


def test_of_many_bars_the_largest_are_shown_and_the_others_counted() -> None:
    words = {f"word {index}": 1000 - index for index in range(1000)}

    assert len(rows_of(visualize(words))) == TOP
    assert visualize(words).notes == ("the largest 20 are shown, and 980 more are not",)
    assert [row["name"] for row in rows_of(visualize(words, top=2))] == ["word 0", "word 1"]


def test_bars_of_numbers_and_dates_stand_in_their_own_order() -> None:
    months = visualize({3: 5.0, 1: 2.0, 2: 9.0})
    days = visualize(SALES, "bar", x="day", y="sold")

    assert axis(months, "bar", "x")["sort"] == ["1", "2", "3"]
    assert axis(days, "bar", "x")["sort"] == ["2024-01-01", "2024-01-02", "2024-01-03"]
    assert axis(visualize({3: 5.0, 1: 2.0, 2: 9.0}, sort=True), "bar", "y")["sort"] == ["2", "3", "1"]
    assert axis(visualize({"z": 1, "a": 5}, sort=False), "bar", "y")["sort"] == ["z", "a"]


def test_parts_that_add_up_are_stacked_and_others_stand_side_by_side() -> None:
    sums = visualize(SALES, "bar", x="shop", y="sold", color="goods")
    means = visualize(SALES, "bar", x="shop", y="sold", color="goods", aggregate="mean")

    assert axis(sums, "bar", "color")["scale"] == {"domain": ["rice", "tea"], "range": list(theme.PALETTE[:2])}
    assert "yOffset" not in unit_of(sums, "bar")["encoding"]
    assert axis(means, "bar", "yOffset")["field"] == "group"


def test_more_groups_than_colours_become_others_in_grey() -> None:
    table = {"x": ["a"] * 60, "group": [f"g{index % 10}" for index in range(60)], "v": [1] * 60}
    picture = visualize(table, "bar", x="x", y="v", color="group")

    assert axis(picture, "bar", "color")["scale"]["domain"] == ["g0", "g1", "g2", "g3", "g4", "g5", "others"]
    assert axis(picture, "bar", "color")["scale"]["range"][-1] == theme.QUIET
    assert next(row["value"] for row in rows_of(picture) if row["group"] == "others") == 24.0
    assert "4 smaller groups together as 'others'" in picture.notes


def test_figures_stand_beyond_the_ends_of_bars_that_go_below_zero() -> None:
    picture = visualize({"a": 3.0, "b": -1.0})

    assert [unit["mark"].get("align") for unit in spec_of(picture)["layer"]] == [None, "left", "right"]
    assert axis(picture, "bar", "x")["scale"]["domain"] == pytest.approx([-1.48, 3.48])
    assert marks_of(visualize({"a": 3.0, "b": 1.0})) == ["bar", "text"]


def test_names_that_look_alike_once_they_are_shortened_stay_apart() -> None:
    picture = visualize({"x" * 200 + "1": 2, "x" * 200 + "2": 1, "": 0.5})

    names = [row["name"] for row in rows_of(picture)]
    assert len(set(names)) == 3
    assert all(len(name) <= 90 for name in names)
    assert names[2] == "(empty)"


def test_lines_keep_gaps_and_the_order_of_x() -> None:
    picture = visualize({"when": [3.0, 1.0, 2.0], "v": [30.0, NAN, 20.0]}, "line", unit="m")

    assert [(row["x"], row["y"]) for row in rows_of(picture)] == [(1.0, None), (2.0, 20.0), (3.0, 30.0)]
    assert axis(picture, "line", "y")["axis"]["title"] == "v (m)"
    assert axis(picture, "line", "x")["axis"]["title"] == "when"


def test_whole_numbers_have_no_halves_on_their_axis() -> None:
    whole, halves = (visualize({"x": [1, 2], "v": [1.0, last]}, "line", x="x", y="v") for last in (3.0, 2.5))

    assert axis(whole, "line", "x")["axis"]["values"] == [1.0, 2.0]
    assert axis(whole, "line", "y")["axis"]["tickMinStep"] == 1
    assert "tickMinStep" not in axis(halves, "line", "y")["axis"]


def test_years_are_written_without_a_comma() -> None:
    years = {"year": [2011, 2012], "v": [1500.0, 2500.0]}

    assert axis(visualize(years, "line", x="year", y="v"), "line", "x")["axis"]["format"] == "d"
    assert "format" not in axis(visualize(years, "bar", x="year", y="v"), "bar", "y")["axis"]
    assert [row["name"] for row in rows_of(visualize(years, "bar", x="year", y="v"))] == ["2011", "2012"]
    assert rows_of(visualize(years | {"w": [1, 2]}, "heatmap", x="year", y="w"))[0]["column"] == "2011"
    assert axis(visualize({"n": [1, 2012], "v": [1, 2]}, "line", x="n", y="v"), "line", "x")["axis"]["format"] == ",d"


def test_dates_are_shown_as_the_clock_shows_them_wherever_the_picture_is_opened() -> None:
    hours = pandas.date_range("2024-07-01 12:00", periods=3, freq="h", tz="Europe/Berlin")
    picture = visualize(pandas.DataFrame({"t": hours, "v": [1, 2, 3]}))

    assert axis(picture, "line", "x")["scale"] == {"type": "utc"}
    assert [row["at"] for row in rows_of(picture)] == ["2024-07-01 12:00", "2024-07-01 13:00", "2024-07-01 14:00"]


def test_several_values_at_one_place_are_told_apart_by_the_first_column_of_few_words() -> None:
    table = {"day": [1, 1, 2, 2], "v": [1.0, 5.0, 2.0, 6.0], "place": ["in", "out", "in", "out"]}
    picture = visualize(table, "line", x="day", y="v")

    assert [(row["group"], row["x"], row["y"]) for row in rows_of(picture)] == [
        ("in", 1.0, 1.0), ("in", 2.0, 2.0), ("out", 1.0, 5.0), ("out", 2.0, 6.0)
    ]  # fmt: skip
    assert axis(picture, "line", "strokeDash")["scale"]["range"] == [list(dash) for dash in theme.DASHES[:2]]


def test_several_values_at_one_place_without_words_become_their_mean_which_is_said() -> None:
    picture = visualize({"day": [1, 1, 2], "v": [1.0, 5.0, 2.0]}, "line", x="day", y="v")

    assert [row["y"] for row in rows_of(picture)] == [3.0, 2.0]
    assert picture.notes == ("means, where several rows have the same day",)


def test_several_columns_are_several_lines() -> None:
    picture = visualize({"x": [1, 2], "low": [1.0, 2.0], "high": [3.0, 4.0]}, "line", x="x", y=["low", "high"])

    assert {row["group"] for row in rows_of(picture)} == {"low", "high"}
    assert axis(picture, "line", "y")["axis"]["title"] == "value"


def test_all_columns_of_numbers_are_lines_unless_some_are_named() -> None:
    days = [datetime.date(2024, 1, day) for day in range(1, 4)]
    picture = visualize({"day": days, "low": [1.0, 2.0, 3.0], "high": [3.0, 4.0, 5.0]}, "line")
    assert {row["group"] for row in rows_of(picture)} == {"low", "high"}
    assert picture.notes == ()
    many = {"day": days} | {f"c{index}": [1.0, 2.0, 3.0] for index in range(len(theme.PALETTE) + 2)}
    picture = visualize(many, "line")
    assert len({row["group"] for row in rows_of(picture)}) == len(theme.PALETTE)
    assert picture.notes == (f"{len(theme.PALETTE)} columns of {len(theme.PALETTE) + 2}: y=[…] names others",)


def test_a_long_line_keeps_its_peaks() -> None:
    values = np.zeros(1_000_000)
    values[[123_456, 765_432]] = [100.0, -50.0]
    picture = visualize(values, "line")

    shown = [row["y"] for row in rows_of(picture)]
    assert max(shown) == 100.0
    assert min(shown) == -50.0
    assert rows_of(picture)[-1]["x"] == 999_999
    assert "1,000,000 values" in picture.notes[0]


@given(arrays.arrays("f8", st.integers(1, 300)), st.integers(2, 50))
def test_thinning_keeps_ends_and_extremes_in_order(values: Any, room: int) -> None:
    x, y = thinned(np.arange(len(values), dtype=float), values, room)

    known = values[np.abs(values) <= 1e300]
    assert (np.diff(x) > 0).all()
    assert (x[0], x[-1]) == (0, len(values) - 1)
    assert len(x) <= max(2 * room + 2, 4)
    if len(known):
        assert np.nanmax(np.where(np.abs(y) <= 1e300, y, np.nan)) == known.max()
        assert np.nanmin(np.where(np.abs(y) <= 1e300, y, np.nan)) == known.min()


def test_no_line_has_more_points_than_can_be_seen() -> None:
    grid = {f"c{index}": np.arange(10_000.0) for index in range(7)}

    assert len(rows_of(visualize(grid, "line", y=list(grid)))) <= POINTS_MAX + 50


def test_points_have_a_shape_beside_their_colour_and_say_what_is_left_out() -> None:
    table = {"a": [1.0, 2.0, NAN], "b": [4.0, 5.0, 6.0], "sort": ["x", "y", "x"]}
    picture = visualize(table, "scatter", color="sort", unit="kg")

    assert [(row["x"], row["y"], row["group"]) for row in rows_of(picture)] == [(1.0, 4.0, "x"), (2.0, 5.0, "y")]
    assert axis(picture, "point", "shape")["scale"]["range"] == list(theme.SHAPES[:2])
    assert axis(picture, "point", "y")["axis"]["title"] == "b (kg)"
    assert axis(picture, "point", "x")["scale"]["zero"] is False
    assert picture.notes == ("1 row of 3 left out: missing, or not finite",)


def test_points_can_be_coloured_by_a_number() -> None:
    picture = visualize({"a": [1.0, 2.0], "b": [4.0, 5.0], "c": [0.5, NAN]}, "scatter", x="a", y="b", color="c")

    assert axis(picture, "point", "color")["scale"]["scheme"] == "viridis"
    assert [row["amount"] for row in rows_of(picture)] == [0.5, None]


def test_the_same_points_of_many_are_chosen_each_time() -> None:
    many = np.random.default_rng(2).normal(size=(20_000, 2))

    assert rows_of(visualize(many)) == rows_of(visualize(many))
    assert visualize(many).notes == ("3,000 of 20,000 points, chosen by chance",)


@given(arrays.arrays("f8", st.integers(1, 200), elements=st.floats(-1e9, 1e9)), st.one_of(st.none(), st.integers(1, 80)))
def test_a_histogram_counts_each_value_once(values: Any, bins: int | None) -> None:
    edges = histograms.bins_of(values, bins)
    counts, _ = np.histogram(values, edges)

    assert counts.sum() == len(values)
    assert (np.diff(edges) > 0).all()
    assert len(edges) - 1 == bins if bins else len(edges) - 1 <= histograms.BINS_MAX + 1


def test_a_histogram_begins_at_zero_and_ends_with_the_values() -> None:
    picture = visualize(np.linspace(2.0, 12.0, 1000), bins=5, unit="s", x_label="time")

    assert [row["count"] for row in rows_of(picture)] == [200] * 5
    assert axis(picture, "bar", "y2") == {"datum": 0}
    assert axis(picture, "bar", "x")["scale"]["domain"] == [2.0, 12.0]
    assert axis(picture, "bar", "x")["axis"]["title"] == "time (s)"
    assert picture.notes == ("1,000 values in 5 ranges",)


def test_whole_numbers_have_a_range_each() -> None:
    rows = rows_of(visualize([1, 1, 2, 4] * 50))

    assert [(row["from"], row["count"]) for row in rows] == [(0.5, 100), (1.5, 50), (2.5, 0), (3.5, 50)]


def test_ranges_of_huge_whole_numbers_hold_equally_many_of_them() -> None:
    rows = rows_of(visualize([0.0, 1.0, 2.0**51 - 1.0] * 50))

    assert len({row["to"] - row["from"] for row in rows}) == 1
    assert len(rows) <= histograms.BINS_MAX
    assert (rows[0]["count"], rows[-1]["count"]) == (100, 50)


def test_a_heat_map_names_its_cells_and_writes_in_few() -> None:
    frame = pandas.DataFrame({"who": ["ann", "bob"], "tea": [1.0, NAN], "rice": [0.123456, 3.0]})
    picture = visualize(frame, "heatmap", unit="kg")

    assert [(row["row"], row["column"], row["text"]) for row in rows_of(picture)] == [
        ("ann", "tea", "1"), ("ann", "rice", "0.123"), ("bob", "tea", "–"), ("bob", "rice", "3")
    ]  # fmt: skip
    assert marks_of(picture) == ["rect", "text"]
    assert axis(picture, "rect", "color")["legend"]["title"] == "kg"
    assert axis(picture, "rect", "color")["scale"] == {"domain": [0.123456, 3.0], "scheme": "viridis"}
    assert marks_of(visualize(np.arange(400.0).reshape(20, 20))) == ["rect"]


def test_amounts_on_both_sides_of_zero_have_colours_on_both_sides_of_white() -> None:
    picture = visualize([[1.0, -3.0], [2.0, 0.0]])

    assert axis(picture, "rect", "color")["scale"] == {"domain": [-3.0, 3.0], "scheme": "purpleorange"}


@pytest.mark.parametrize("value", [0.0, -2.5, 1e16, -1e16])
def test_a_heat_map_of_one_amount_has_a_range_of_colours(value: float) -> None:
    first, last = axis(visualize(np.full((2, 2), value)), "rect", "color")["scale"]["domain"]

    assert first == value < last


def test_a_heat_map_of_long_form_shows_means_of_its_cells() -> None:
    table = {"hour": ["10", "9", "9", "9"], "day": ["mo", "mo", "tu", "tu"], "wait": [1.0, 2.0, 4.0, 6.0]}
    rows = rows_of(visualize(table, "heatmap", x="hour", y="day"))

    assert [(row["row"], row["column"], row["value"]) for row in rows] == [
        ("mo", "9", 2.0), ("mo", "10", 1.0), ("tu", "9", 5.0), ("tu", "10", None)
    ]  # fmt: skip


def test_coefficients_stand_by_size_with_their_intervals() -> None:
    model = {"coefficients": {"age": 1.0, "bmi": -4.0}, "standard_errors": {"age": 0.5, "bmi": 1.0}, "intercept": 2.5}
    picture = visualize(model, unit="points")

    assert [(row["name"], row["low"], row["high"], row["group"]) for row in rows_of(picture)] == [
        ("bmi", -5.96, -2.04, "negative"), ("age", pytest.approx(0.02), 1.98, "positive")
    ]  # fmt: skip
    assert picture.notes == ("intercept 2.5", "lines are intervals of 95 %")
    assert axis(picture, "bar", "x")["axis"]["title"] == "coefficient (points)"
    assert marks_of(visualize({"coefficients": [1, 2]})) == ["bar", "rule"]


def test_coefficients_of_several_classes_are_a_heat_map() -> None:
    picture = visualize({"coefficients": [[1, 2], [3, -4]], "classes": ["a", "b"], "names": ["x", "y"]})

    assert [(row["row"], row["column"]) for row in rows_of(picture)] == [("a", "x"), ("a", "y"), ("b", "x"), ("b", "y")]


def test_clusters_lie_in_the_plane_of_their_principal_components() -> None:
    rng = np.random.default_rng(3)
    far = np.array([[10.0, 0, 0, 0], [-10.0, 0, 0, 0]])
    points = np.repeat(far, 50, axis=0) + rng.normal(size=(100, 4)) * [1, 1, 0.01, 0.01]
    picture = visualize({"centroids": far, "points": points})

    assert axis(picture, "point", "x")["axis"]["title"].startswith("first principal component (9")
    assert [row["group"] for row in rows_of(picture, "points")] == ["cluster 0: 50 points"] * 50 + ["cluster 1: 50 points"] * 50
    centres = rows_of(picture, "centres")
    assert abs(centres[0]["x"] - centres[1]["x"]) == pytest.approx(20.0, abs=0.5)


def test_centres_of_many_features_alone_are_a_heat_map() -> None:
    assert marks_of(visualize({"centroids": [[1, 2, 3], [4, 5, 6]], "counts": [7, 8]}))[0] == "rect"


def test_a_confusion_matrix_says_how_much_is_right() -> None:
    picture = visualize({"confusion": [[8, 2], [0, 10]], "labels": ["cat", "dog"]})

    assert [(row["row"], row["column"], row["share"], row["text"]) for row in rows_of(picture)] == [
        ("cat", "cat", 0.8, "8"), ("cat", "dog", 0.2, "2"), ("dog", "cat", 0.0, "0"), ("dog", "dog", 1.0, "10")
    ]  # fmt: skip
    assert picture.notes == ("90.0 % of 20 are on the diagonal, which is right",)
    assert axis(picture, "rect", "x")["axis"]["title"] == "what it was taken for"


def test_a_tree_goes_from_its_root_to_the_right_and_no_name_hides_another() -> None:
    tree = networkx.DiGraph([("root", "a"), ("root", "b"), ("a", "c"), ("a", "d")])
    nodes = {row["name"]: row for row in rows_of(visualize(tree), "nodes")}

    assert nodes["root"]["x"] < nodes["a"]["x"] == nodes["b"]["x"] < nodes["c"]["x"]
    assert nodes["a"]["y"] == (nodes["c"]["y"] + nodes["d"]["y"]) / 2
    assert len({row["y"] for row in nodes.values() if row["side"]}) == 3
    assert len(rows_of(visualize(tree), "arrows")) == 4


@pytest.mark.parametrize(
    "make",
    [
        lambda: networkx.disjoint_union(networkx.cycle_graph(5), networkx.star_graph(6)),
        lambda: networkx.empty_graph(9),
        lambda: networkx.MultiDiGraph([(1, 2), (1, 2), (2, 1), (2, 2)]),
        lambda: networkx.path_graph(1),
        *long(networkx.karate_club_graph),
    ],
)
def test_nodes_keep_their_distance_within_the_picture_and_lie_alike_each_time(make: Callable[[], Any]) -> None:
    picture = visualize(make())

    nodes = rows_of(picture, "nodes")
    places = np.array([[row["x"], row["y"]] for row in nodes])
    far = np.hypot(*np.moveaxis(places[:, None] - places[None], 2, 0)) + 1e9 * np.eye(len(nodes))
    assert nodes == rows_of(visualize(make()), "nodes")
    assert far.min() > 25
    assert (places > 0).all()
    assert (places < [spec_of(picture)["width"], spec_of(picture)["height"]]).all()


def test_a_table_of_edges_is_a_graph() -> None:
    picture = visualize({"from": ["a", "a", None], "to": ["b", "c", "d"]}, "graph")

    assert {row["name"] for row in rows_of(picture, "nodes")} == {"a", "b", "c"}
    assert len(rows_of(picture, "arrows")) == 2


def test_nodes_are_coloured_by_an_attribute() -> None:
    graph = {"nodes": [{"id": 1, "role": "owner", "label": "the owner"}, {"id": 2, "role": "worker"}], "links": [[1, 2, 5.0]]}
    picture = visualize(graph, color="role")

    assert [(row["name"], row["group"]) for row in rows_of(picture, "nodes")] == [("the owner", "owner"), ("2", "worker")]
    assert rows_of(picture, "edges")[0]["width"] == 4.0


def test_the_look_is_the_same_whatever_theme_somebody_has_set() -> None:
    import altair

    with altair.theme.enable("dark"):
        dark = visualize({"a": 1})

    assert spec_of(dark)["config"] == spec_of(visualize({"a": 1}))["config"] == theme.vega_config()


@pytest.mark.parametrize(
    "name", spread(4, ["a.b", "a[0]", "it's", 'say "so"', "back\\slash", "datum.value", "a:Q", "", " ", "image"])
)
def test_columns_may_be_called_anything(name: str) -> None:
    table = {name: [1.0, 2.0, 3.0], "other": [3.0, 4.0, 6.0]}
    picture = visualize(table, "scatter", x=name, y="other")

    assert [row["x"] for row in rows_of(picture)] == [1.0, 2.0, 3.0]
    fields = {channel["field"] for channel in unit_of(picture, "point")["encoding"].values() if isinstance(channel, dict)}
    assert fields <= {"x", "y"}
    assert axis(picture, "point", "x")["axis"]["title"] == name.strip()
    assert picture.svg()


def test_no_expression_has_a_stranger_s_text_in_it() -> None:
    name = "datum.value) || alert(1"
    text = json.dumps([visualize({name: 1, "b": -2}, title=name, unit=name).spec, visualize({"nodes": [name], "edges": []}).spec])
    filters = [part.split('"')[0] for part in text.split('"filter": "')[1:]]

    assert set(filters) == {"datum.value < 0", "datum.value >= 0", "datum.side", "!datum.side"}
    assert '"expr"' not in text
    assert "labelExpr" not in text


def test_a_column_called_image_is_not_loaded_by_the_pointer() -> None:
    picture = visualize({"image": ["http://example.invalid/x.png", "b"], "n": [1, 2]})

    assert [tip["title"] for tip in axis(picture, "bar", "tooltip")] == ["image\u200b", "n"]


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (12345, "12,345"), (0.000012345, "1.234e-05"), (3.14159, "3.142"), (-0.5, "−0.5"), (123456.7, "1.235e+05"),
     (1234.5, "1,234"), (1e300, "1e+300"), (NAN, "nan"), (20.0, "20")],
)  # fmt: skip
def test_figures_are_written_as_people_write_them(number: float, text: str) -> None:
    assert figure(number) == text


@given(st.lists(st.floats(-1e300, 1e300)))
def test_every_row_of_numbers_has_a_format(numbers: list[float]) -> None:
    assert axis_format(numbers) in (None, "~s", "~e", "~g")
    assert label_format(numbers)


@example(["a", "a [2]", "a", "a"])
@given(st.lists(st.text(max_size=4), max_size=8))
def test_distinct_names_are_as_many_as_names(names: list[str]) -> None:
    assert len(set(distinct(names))) == len(names)


def test_something_asked_of_all_rows_that_none_has_is_an_error() -> None:
    with pytest.raises(PictureError, match="has 2 values, and none can be drawn"):
        visualize({"a": ["x", "y"], "b": [NAN, NAN]})


@pytest.mark.parametrize("kind", first(2, ["bar", "line", "histogram", "heatmap", "scatter"]))
def test_numbers_whose_differences_are_no_numbers_are_left_out(kind: str) -> None:
    huge = [-1.7e308, 1.7e308, 1.0, 2.0, 3.0]
    picture = visualize({"a": huge, "b": huge}, kind, x="a") if kind == "scatter" else visualize({"a": huge}, kind)

    numbers = [value for row in rows_of(picture) for value in row.values() if isinstance(value, float)]
    assert all(abs(number) < 10 for number in numbers)
    assert picture.svg()
