"""What a value is to a picture where that isn't plain: links are graphs, counts with edges are histograms."""

from __future__ import annotations

from typing import Any

import pytest

from pangea.compute import visualize
from pangea.compute.errors import PictureError
from tests.examples import first
from tests.pictures import rows_of


@pytest.mark.parametrize(
    ("value", "kind", "edges"),
    first(
        2,
        [
            ([("a", "b"), ("b", "c")], None, "3 nodes, 2 edges"),
            ({"a": ["b", "c"], "b": ["c"], "c": []}, None, "3 nodes, 3 edges"),
            ({"a": {"b"}, "b": {"a"}}, None, "2 nodes, 2 edges"),
            ([(1, 2), (2, 3), (3, 1), (3, 4)], "graph", "4 nodes, 4 edges"),
        ],
    ),
)
def test_links_are_graphs(value: object, kind: str | None, edges: str) -> None:
    assert visualize(value, kind).alt == f"Network: {edges}"


def test_a_histogram_that_was_counted_before_stays_as_it_is() -> None:
    counted = {"bin_edges": [0.0, 1.0, 3.0], "counts": [4, 5], "below": 1, "above": 2, "missing": 0}
    picture = visualize(counted, unit="m")
    assert rows_of(picture) == [
        {"from": 0.0, "to": 1.0, "count": 4, "density": 4 / 9},
        {"from": 1.0, "to": 3.0, "count": 5, "density": 5 / 18},
    ]
    assert picture.alt == "Histogram: 9 values of value (m), from 0 to 3"
    assert picture.notes == (
        "3 values left out: in none of the ranges, or missing",
        "the ranges differ in width: areas, not heights, are numbers of values",
        "9 values in 2 ranges",
    )
    assert visualize(counted, "table").kind == "table"
    with pytest.raises(PictureError, match="counted already"):
        visualize(counted, bins=5)


@pytest.mark.parametrize(("edges", "counts"), [([0, 1], [1, 2]), ([0, 1, 1], [1, 2]), ([0, 1, 2], [1, -2]), ([[0, 1]], [1])])
def test_counts_that_fit_no_edges_are_refused(edges: list[Any], counts: list[int]) -> None:
    with pytest.raises(PictureError, match="make no histogram"):
        visualize({"bin_edges": edges, "counts": counts})


def test_columns_of_text_are_no_graph() -> None:
    assert visualize({"name": ["a", "b"], "city": ["c", "d"]}, "table").kind == "table"
