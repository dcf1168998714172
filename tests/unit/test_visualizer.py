"""`visualize`: which picture a value has, and what is said of values that have none."""

from __future__ import annotations

import datetime
import inspect
import io
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import altair
import networkx
import numpy as np
import pandas
import polars
import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from pangea.compute import visualize
from pangea.compute.client.results.result import Value
from pangea.compute.data import Table
from pangea.compute.data.array import Array
from pangea.compute.errors import PictureError, UnavailableError
from pangea.compute.model import libraries
from pangea.compute.model.kinds import ResultKind
from pangea.compute.pictures.values.kinds import KINDS
from pangea.compute.templates.clusters import KMeansModel
from pangea.compute.templates.regressions import LinearModel
from tests.examples import first, share_of, spread
from tests.pictures import rows_of, spec_of

ROOT = Path(__file__).parents[2]
NAN = float("nan")
DAYS = [datetime.date(2024, 1, day) for day in (1, 2, 3)]


def png(size: tuple[int, int] = (5, 4)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, "red").save(file, "PNG")
    return file.getvalue()


KNOWN: list[tuple[str, Any, str]] = [
    ("a few numbers", [3, 1, 4], "bar"),
    ("numbers in a row", np.arange(50.0), "line"),
    ("many numbers", np.arange(500.0), "histogram"),
    ("a row of a grid", np.arange(500.0).reshape(1, -1), "histogram"),
    ("numbers of any order and size", np.arange(400, dtype=">i4")[::-2], "histogram"),
    ("a grid", np.eye(5), "heatmap"),
    ("lists of lists", [[1, 2], [3, None]], "heatmap"),
    ("pairs of numbers", np.ones((30, 2)), "scatter"),
    ("bytes in a grid", np.zeros((6, 7), np.uint8), "image"),
    ("bytes in three colours", np.zeros((6, 7, 3), np.uint8), "image"),
    ("colours as numbers", np.full((6, 7, 4), 0.5), "image"),
    ("grids", np.ones((9, 8, 8)), "images"),
    ("colour images", np.zeros((9, 6, 5, 3), np.uint8), "images"),
    ("a PNG", png(), "image"),
    ("a PNG in a bytearray", bytearray(png()), "image"),
    ("PNGs", [png(), png()], "images"),
    ("a PIL image", Image.new("P", (4, 4)), "image"),
    ("a PIL image of 16 bits", Image.new("I;16", (4, 4)), "heatmap"),
    ("names and numbers", {"a": 3, "b": 1}, "bar"),
    ("half a letter in a name", {"\ud800": 1, "b": 2}, "bar"),
    ("half a letter in a column's name", {"\ud800": [1, 2], "b": [2, 3]}, "scatter"),
    ("pairs of name and number", [("a", 3), ("b", 1)], "bar"),
    ("numbers by numbers", {3: 1, 1: 2}, "bar"),
    ("rows", [{"a": "x", "b": 1}, {"b": 2, "a": "y"}], "bar"),
    ("columns", {"a": [1, 2, 3], "b": [2.0, 3.0, 4.0]}, "scatter"),
    ("dates and numbers", {"day": DAYS, "value": [1, 2, 3]}, "line"),
    ("one row", pandas.DataFrame({"a": [1], "b": [2]}), "bar"),
    ("a pandas frame", pandas.DataFrame({"a": ["x", "y"], "b": [1, 2]}), "bar"),
    ("a pandas series with names", pandas.Series({"a": 1, "b": 2}), "bar"),
    ("a pandas series in time", pandas.Series(range(3), index=pandas.DatetimeIndex(DAYS)), "line"),
    ("a pandas series of many", pandas.Series(range(300)), "histogram"),
    ("pandas groups", pandas.DataFrame({"k": list("aab"), "v": [1, 2, 3]}).groupby("k").agg({"v": ["sum"]}), "bar"),
    ("pandas integers with nulls", pandas.DataFrame({"v": pandas.array([1, None], dtype="Int64")}), "bar"),
    ("a polars frame", polars.DataFrame({"a": ["x", "y"], "b": [1, 2]}), "bar"),
    ("a lazy polars frame", polars.LazyFrame({"a": [1.0, 2.0], "b": [1, 2]}), "scatter"),
    ("an Arrow table", pyarrow.table({"a": pyarrow.array(["x", "y"]).dictionary_encode(), "b": [1, 2]}), "bar"),
    ("Arrow batches", pyarrow.table({"a": [1, 2]}).to_reader(), "bar"),
    ("an array with names", np.array([(1, 2.0), (3, 4.0)], dtype=[("a", "i4"), ("b", "f8")]), "scatter"),
    ("a job's array", Array.of([1.0, 2.0, 3.0]), "bar"),
    ("a job's table", Table.of({"a": ["x", "y"], "b": [1, 2]}), "bar"),
    ("a graph", networkx.path_graph(3), "graph"),
    ("nodes and edges", {"nodes": ["a", "b"], "edges": [["a", "b"]]}, "graph"),
    ("coefficients", {"coefficients": [1, 2], "names": ["a", "b"]}, "coefficients"),
    ("clusters", {"centroids": [[1, 2], [3, 4]]}, "clusters"),
    ("what was taken for what", {"confusion": [[3, 1], [0, 4]]}, "confusion"),
    ("a result", Value(Array.of([1.0] * 300).to_npy(), ResultKind("array")), "histogram"),
    ("a result that is JSON", Value(b'{"a": 3, "b": 1}', ResultKind("json", is_joined=False)), "bar"),
    ("a result that is a table", Value(Table.of({"a": ["x"], "b": [1]}).to_arrow(), ResultKind("table")), "bar"),
    ("a result that is an image", Value(png(), ResultKind("image", is_joined=False)), "image"),
]  # fmt: skip

NOTHING: list[tuple[str, Any, str, str]] = [
    ("none", None, "no picture of None", "does the job return"),
    ("bytes", b"abc", "no picture of 3 bytes", "declare what the job gives"),
    ("text", "to be or not", "no picture of text of 12 letters", "Counter"),
    ("words", ["to", "be"], "a list of 2 items", "Counter"),
    ("a number", 2.5, "the number 2.5", "2.5"),
    ("an array of one number", np.array(2.5), "an array of one float64", "2.5"),
    ("an empty list", [], "an empty list", "docs/visualizer.md"),
    ("an empty dict", {}, "an empty dict", "docs/visualizer.md"),
    ("a function", png, "a function", "docs/visualizer.md"),
    ("no values", np.zeros((0, 3)), "0 x 3 float64", ""),
    ("only NaN", np.full(300, NAN), "none is a finite number", "NaN"),
    ("only NaN in a grid", np.full((3, 3), NAN), "9 values, and none is a finite", "NaN"),
    ("only NaN in bars", {"a": NAN, "b": None}, "'value' has 2 values, and none", "made them so"),
    ("objects", np.array([1, "a", None], dtype=object), "3 object", "astype"),
    ("complex numbers", np.ones(3, complex), "complex128", "abs"),
    ("dates alone", np.array(DAYS, "M8[D]"), "datetime64", "beside numbers"),
    ("text in an array", np.array(["a", "b"]), "<U1", "Counter"),
    ("five dimensions", np.zeros((2,) * 5), "2 x 2 x 2 x 2 x 2", "array[0]"),
    ("a ragged list", [[1, 2], [3]], "its rows have 1, 2 values", "one length"),
    ("columns of different lengths", {"a": [1], "b": [1, 2]}, "'a' has 1, 'b' has 2", "one length"),
    ("a column of all sorts", {"a": [1, "x"], "b": [1, 2]}, "'a' mixes types", "all text"),
    ("a number without end", {"a": 10**400}, "too large", "log10"),
    ("a frame without columns", pandas.DataFrame(), "no columns", "one column"),
    ("a frame without rows", pandas.DataFrame({"a": [], "b": []}), "no rows: only the columns a, b", "filtered"),
    ("a frame without numbers", pandas.DataFrame({"a": ["x"]}), "no column of numbers: a", "'bar', x='a'"),
    ("a frame of dates", pandas.DataFrame({"a": DAYS}), "no column of numbers: a (date32", "'table'"),
    ("two columns of one name", pandas.DataFrame([[1, 2]], columns=["a", "a"]), "several columns are called a", "own name"),
    ("an index like a column", pandas.DataFrame({"a": [1, 2]}, pandas.Index([1, 2], name="a")), "index has the name", "rename"),
    ("a broken PNG", png()[:40], "the PNG is broken", "make it again"),
    ("images of different sizes", [png(), png((3, 3))], "different sizes: 3 x 3 x 3, 4 x 5 x 3", "resize"),
    ("no nodes", networkx.Graph(), "no nodes", "at least one"),
    ("an edge with one end", {"nodes": ["a"], "edges": [["a"]]}, "an edge is a list of 1 item", "pair"),
    ("no coefficients", {"coefficients": []}, "have no numbers", "end well"),
    ("coefficients of text", {"coefficients": ["x"]}, "aren't numbers", ""),
    ("names that are too few", {"coefficients": [1, 2], "names": ["a"]}, "1 names for 2", "a name"),
    ("labels that don't fit", {"centroids": [[1, 2]], "points": [[1, 2]], "labels": [4]}, "labels don't fit", "index"),
    ("points of other features", {"centroids": [[1, 2]], "points": [[1, 2, 3]]}, "1 x 3", "same features"),
    ("counts of nothing", {"confusion": [[0, 0], [0, 0]]}, "counts nothing", "some above"),
    ("counts below zero", {"confusion": [[-3, 9], [0, 1]]}, "counts nothing", "none below zero"),
    ("counts out of square", {"confusion": [[1, 2]]}, "1 x 2", ""),
    ("an image beyond all measure", Image.new("1", (20_000, 6_000)), "20,000 x 6,000 dots is too large", "thumbnail"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "kind"), spread(13, [case[1:] for case in KNOWN]), ids=[case[0] for case in KNOWN])
def test_a_value_is_shown_by_what_it_is(value: Any, kind: str) -> None:
    picture = visualize(value)
    assert picture.kind == kind
    if picture.spec is not None:
        altair.Root.validate(picture.spec)  # all of it, by Vega-Lite's schema: drawing leaves that to this test


@pytest.mark.parametrize(("value", "message", "hint"), [case[1:] for case in NOTHING], ids=[case[0] for case in NOTHING])
def test_what_has_no_picture_is_told_so_in_words(value: Any, message: str, hint: str) -> None:
    with pytest.raises(PictureError) as caught:
        visualize(value)

    assert message in caught.value.message
    assert hint in caught.value.hint


def said_of(value: Any) -> str:
    """What the picture of a value shows, or why it has none."""
    try:
        return visualize(value).alt
    except PictureError as error:
        return error.message


_TYPES = st.sampled_from(["f4", "f8", "i8", "u1", "?", "c8", "U2"])


@settings(max_examples=share_of(40))
@given(arrays.arrays(_TYPES, arrays.array_shapes(min_dims=0, max_dims=4, max_side=6)))
def test_an_array_has_a_picture_or_an_error_in_words(array: Any) -> None:
    assert said_of(array)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=share_of(40))
@given(_JSON)
def test_json_has_a_picture_or_an_error_in_words(value: Any) -> None:
    assert said_of(value)


def test_models_of_the_ready_jobs_are_shown_as_what_they_are() -> None:
    line = LinearModel((1.0, -2.0), 3.0, (NAN, NAN), 0.5, 2, ("age", "weight"), ())
    centres = KMeansModel(
        centroids=((0.0, 1.0), (2.0, 3.0)), counts=(5, 6), inertia=1.0, rounds=2, has_converged=True, reports=()
    )

    assert [row["name"] for row in rows_of(visualize(line))] == ["weight", "age"]
    assert [row["group"] for row in rows_of(visualize(centres), "centres")] == ["cluster 0: 5 points", "cluster 1: 6 points"]


@pytest.mark.parametrize(
    ("value", "options", "message", "hint"),
    [
        ([1, 2], {"kind": "bars"}, "no kind of picture called 'bars'", "did you mean 'bar'?"),
        ([1, 2], {"kind": "pie"}, "'pie'", "there are bar, line"),
        ([1, 2], {"kind": "bar", "bins": 4}, "a bar picture has no option bins", "aggregate, color, labels"),
        ([1, 2], {"kind": "bar", "top": 0}, "top is 0", ""),
        ([1, 2], {"kind": "bar", "top": True}, "top is True", ""),
        ([1, 2], {"labels": ["a"]}, "1 labels for 2 values", "one for each"),
        ({"a": [1, 2]}, {"x": "b"}, "no column 'b'", "there are a"),
        ({"a": ["x", "y"], "b": [1, 2]}, {"kind": "bar", "y": "a"}, "where numbers are needed", "columns with such: b"),
        ({"a": [1], "b": [1]}, {"kind": "bar", "y": ["a", "b"]}, "y names 2", "'line'"),
        ({"a": [1, 2]}, {"kind": "scatter"}, "the table has 1", "columns of numbers: a"),
        ([1.0, 2.0], {"kind": "image"}, "no image picture can be drawn of numbers in a row", "uint8"),
        ({"a": [1, 2]}, {"kind": "clusters"}, "no clusters picture can be drawn of a table", "centroids"),
        ({"coefficients": [1]}, {"kind": "graph"}, "no graph picture can be drawn of coefficients", "networkx"),
        (np.ones((3, 5)), {"kind": "images"}, "rows of 5 numbers aren't square", "reshape"),
        (np.ones((2, 4, 4)), {"labels": ["a"]}, "1 labels for 2 images", "one for each"),
        ({"a": [1, 2], "b": [3, 4]}, {"kind": "heatmap", "x": "a"}, "one column for x and one for y", "both"),
        ({"day": DAYS, "v": [1, 2, 3]}, {"kind": "line", "y": ["v"] * 8}, "8 lines", "at most 7"),
    ],
)  # fmt: skip
def test_a_wish_that_cannot_be_granted_is_told_so(value: Any, options: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(PictureError) as caught:
        visualize(value, **options)

    assert message in caught.value.message
    assert hint in f"{caught.value.hint} {caught.value.message}"


def test_a_missing_library_is_named_with_the_way_to_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(libraries, "import_module", missing)

    with pytest.raises(UnavailableError) as caught:
        visualize([1, 2, 3])

    assert "a picture needs numpy" in caught.value.message
    assert caught.value.hint == "pip install 'pangea-compute[data]'"


def test_a_missing_library_of_charts_is_named_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libraries, "find_spec", lambda name: None if name == "vl_convert" else name)
    with pytest.raises(UnavailableError, match="a picture needs vl-convert-python, which isn't installed"):
        visualize([1, 2, 3])


IMPORTING = "import sys; from pangea.compute import visualize, Picture, PictureError\n"


def loaded_by(code: str, *modules: str) -> list[str]:
    """Which of these an interpreter has loaded at the end."""
    command = [sys.executable, "-c", f"{code}\nprint(*sorted({set(modules)!r} & set(sys.modules)))"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split()


def test_nothing_heavy_is_loaded_before_the_first_picture() -> None:
    heavy = ("numpy", "pandas", "pyarrow", "altair", "matplotlib", "networkx", "PIL", "vl_convert", "narwhals")
    assert loaded_by(IMPORTING, *heavy) == []


@pytest.mark.long
def test_a_chart_loads_nothing_of_what_draws_others() -> None:
    assert loaded_by(IMPORTING + "visualize({'a': 1})", "matplotlib.pyplot", "networkx") == []
    assert loaded_by(IMPORTING + "visualize([[[0, 0, 0]]], kind='image')", "altair", "vl_convert") == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_docstring_names_each_option_of_each_kind(kind: str) -> None:
    said = inspect.getdoc(visualize)
    assert said
    assert all(f"\n    {option}: " in said for option in KINDS[kind].options)


def test_the_page_names_each_kind_with_its_options() -> None:
    table = re.findall(r"^\| (`.*?) \|.*\| (.*?) ?\|$", (ROOT / "docs" / "visualizer.md").read_text(), re.MULTILINE)
    shared = {"x_label", "y_label", "unit"}
    said = {kind: set(re.findall("`(.*?)`", options)) for kinds, options in table for kind in re.findall("`(.*?)`", kinds)}

    assert set(said) == set(KINDS)
    for kind, known in KINDS.items():
        assert said[kind] - {"images"} == known.options - shared or kind == "image"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "kind"),
    first(2, [
        (lambda: np.random.default_rng(1).gamma(3, 2, 300_000), "histogram"),
        (lambda: np.cumsum(np.ones(300_000)), "line"),
        (lambda: np.ones((100_000, 2)), "scatter"),
        (lambda: pyarrow.table({"k": pyarrow.array([f"k{i % 50_000}" for i in range(100_000)]), "v": np.ones(100_000)}), "bar"),
        (lambda: {"nodes": list(range(1_000)), "edges": [[i, i // 2] for i in range(1_000)]}, "graph"),
    ]),
)  # fmt: skip
def test_of_much_data_little_goes_into_the_picture(make: Callable[[], Any], kind: str) -> None:
    picture = visualize(make(), kind)

    assert sum(len(rows) for rows in spec_of(picture)["datasets"].values()) < 5_000
    assert picture.notes
