"""Ready jobs against NumPy, pandas, scikit-learn and plain Python, on random data, run natively; merges in any grouping."""

from __future__ import annotations

import functools
import json
import math
import operator
import random as plain_random
import re
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy import ndimage  # type: ignore[import-untyped]

from pangea.compute import templates
from pangea.compute.data import DataError, Table
from pangea.compute.data.array import Array
from pangea.compute.jobs import JobDefinition
from tests.examples import share_of
from tests.merging import cut_at, executed, merged, merged_in_groups

CUTS = st.lists(st.integers(0, 60), max_size=5)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=60) | st.sampled_from(
    ["", "a b\na", "Ä ä\nß SS", "it's"]
)
NUMBERS = st.floats() | st.floats(-3, 3) | st.sampled_from([0.0, -0.0, 1.0, math.nan])


def any_grouping(job: JobDefinition, chunks: list[Any], groups: list[int]) -> bytes:
    """The result, which is the same bytes whatever is merged first."""
    results = executed(job, chunks)
    whole = merged(job, results)
    assert merged_in_groups(job, results, groups) == whole
    return whole


def json_of(data: bytes) -> Any:
    return json.loads(data)


def lines_of(text: str, cuts: list[int]) -> list[bytes]:
    """The text as the host cuts it: between lines."""
    return ["".join(lines).encode() for lines in cut_at(re.findall(r"[^\n]*\n|[^\n]+\Z", text), cuts)]


# Words, letters, histograms


@given(TEXT, CUTS, CUTS, st.booleans())
def test_words_are_counted(text: str, cuts: list[int], groups: list[int], ignore_case: bool) -> None:
    found = json_of(any_grouping(templates.word_counts(ignore_case=ignore_case), lines_of(text, cuts), groups))
    held = text.casefold() if ignore_case else text
    assert found == Counter(re.findall(r"\w+(?:['’]\w+)*", held))
    assert list(found) == sorted(found)


@given(TEXT, CUTS, CUTS)
def test_letters_are_counted(text: str, cuts: list[int], groups: list[int]) -> None:
    found = json_of(any_grouping(templates.letter_counts(), lines_of(text, cuts), groups))
    assert found == Counter(character for character in text.lower() if character.isalpha())


def test_what_is_no_utf8_is_in_no_word() -> None:
    assert templates.word_counts().run_local(b"a \xff b").as_json() == {"a": 1, "b": 1}


@given(
    npst.arrays(np.float64, st.integers(0, 30), elements=NUMBERS),
    CUTS,
    CUTS,
    st.integers(1, 9),
    st.floats(-5, 5),
    st.floats(0.01, 9),
)
def test_histograms_are_numpys(array: Any, cuts: list[int], groups: list[int], bins: int, low: float, width: float) -> None:
    job = templates.histogram(bins, between=(low, low + width))
    chunks = [Array.of(piece.tolist(), "<f8") for piece in cut_at(array, cuts)]
    found = json_of(any_grouping(job, chunks, groups))
    present = array[~np.isnan(array)]
    counts, edges = np.histogram(present, bins, range=(low, low + width))
    assert found["counts"] == counts.tolist()
    np.testing.assert_array_equal(found["bin_edges"], edges)
    assert found["missing"] == np.isnan(array).sum()
    assert (found["below"], found["above"]) == ((present < low).sum(), (present > low + width).sum())


@given(st.lists(st.none() | st.integers(-9, 9), max_size=30), CUTS)
def test_histograms_of_columns_with_edges(values: list[int | None], cuts: list[int]) -> None:
    chunks = [Table.of({"x": piece}, {"x": "int64"}) for piece in cut_at(values, cuts)]
    found = json_of(any_grouping(templates.histogram([-3, 0, 4], column="x"), chunks, cuts))
    present = [value for value in values if value is not None]
    assert found["counts"] == np.histogram(present, [-3, 0, 4])[0].tolist()
    assert found["missing"] == len(values) - len(present)


@given(npst.arrays(np.float64, st.integers(0, 30), elements=NUMBERS), CUTS, CUTS)
def test_extents(array: Any, cuts: list[int], groups: list[int]) -> None:
    found = json_of(any_grouping(templates.extent(), [Array.of(piece.tolist(), "<f8") for piece in cut_at(array, cuts)], groups))
    finite = array[np.isfinite(array)]
    assert found == {
        "count": len(finite),
        "low": finite.min() if len(finite) else None,
        "high": finite.max() if len(finite) else None,
    }


# Sort, top-k, join


ROWS = st.lists(
    st.tuples(st.none() | st.integers(-3, 3), st.none() | st.floats(-2, 2) | st.just(math.nan), st.text(max_size=2)), max_size=25
)
TYPES = {"n": "int64", "x": "float64", "s": "string", "row": "int64"}
BY = st.lists(st.sampled_from(["n", "x", "s"]), min_size=1, max_size=3, unique=True)


def table_of(rows: list[Any]) -> Table:
    numbered = [(*row, index) for index, row in enumerate(rows)]
    return Table.of({name: [row[at] for row in numbered] for at, name in enumerate(TYPES)}, TYPES)


@given(ROWS, CUTS, CUTS, BY, st.lists(st.booleans(), min_size=3, max_size=3), st.integers(1, 30))
@settings(max_examples=share_of(200))
def test_sort_and_top_k_are_stable_and_pandas(
    rows: list[Any], cuts: list[int], groups: list[int], by: list[str], falls: list[bool], count: int
) -> None:
    table, falls = table_of(rows), falls[: len(by)]
    found = Table.from_arrow(any_grouping(templates.sort(by, descending=falls), cut_at(table, cuts), groups))
    frame = pd.DataFrame(rows, columns=["n", "x", "s"])
    for name, is_falling in reversed(list(zip(by, falls, strict=True))):
        frame = frame.sort_values(name, ascending=not is_falling, kind="stable", na_position="last")
    assert found["row"].tolist() == frame.index.tolist()
    first = Table.from_arrow(any_grouping(templates.top_k(count, by, descending=falls), cut_at(table, cuts), groups))
    assert first["row"].tolist() == frame.index.tolist()[:count]


@given(npst.arrays(npst.integer_dtypes() | npst.floating_dtypes(sizes=(32, 64)), st.integers(0, 30)), CUTS, CUTS, st.booleans())
def test_arrays_are_sorted(array: Any, cuts: list[int], groups: list[int], is_falling: bool) -> None:
    chunks = [Array.of(np.ascontiguousarray(piece)) for piece in cut_at(array, cuts)]
    found = np.asarray(Array.from_npy(any_grouping(templates.sort(descending=is_falling), chunks, groups)))
    present = np.sort(array[~np.isnan(array)])
    expected = np.concatenate([present[::-1] if is_falling else present, array[np.isnan(array)]]).astype(array.dtype)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == array.dtype


# Map, map-reduce, parallel


@given(ROWS, CUTS)
def test_rows_are_mapped(rows: list[Any], cuts: list[int]) -> None:
    job = templates.map_rows(
        lambda row: {"twice": row["n"] * 2} if row["n"] is not None else None, output="table", types={"twice": "int64"}
    )
    found = Table.concat(map(Table.from_arrow, executed(job, cut_at(table_of(rows), cuts))))
    assert found["twice"].tolist() == [2 * row[0] for row in rows if row[0] is not None]


@given(npst.arrays(np.int64, st.tuples(st.integers(0, 9), st.integers(1, 3)), elements=st.integers(-9, 9)))
def test_rows_of_an_array_are_mapped(array: Any) -> None:
    job = templates.map_rows(sum, input="array", output="array", dtype="int32")
    found = Array.from_npy(executed(job, [Array.of(array)])[0])
    np.testing.assert_array_equal(np.asarray(found), array.sum(axis=1))
    assert found.dtype == "<i4"


@given(TEXT)
def test_lines_are_mapped(text: str) -> None:
    job = templates.map_rows(str.upper, input="text", output="text")
    expected = "".join(line.upper() + "\n" for line in text.removesuffix("\n").split("\n")) if text else ""
    assert executed(job, [text])[0].decode() == expected


@given(st.lists(st.none() | st.integers(-99, 99), max_size=20), CUTS, CUTS)
def test_map_and_reduce(values: list[int | None], cuts: list[int], groups: list[int]) -> None:
    job = templates.map_reduce(lambda value: value, max)
    found = json_of(any_grouping(job, cut_at(values, cuts), groups))
    assert found == max((value for value in values if value is not None), default=None)
    texts = [str(value) for value in values]
    joined = templates.map_reduce(str, operator.add, input="text")  # associative, but not commutative: the order is kept
    chunks = ["".join(f"{text}\n" for text in piece) for piece in cut_at(texts, cuts)]
    assert json_of(any_grouping(joined, chunks, groups)) == ("".join(texts) or None)


@given(ROWS, CUTS, CUTS)
def test_map_and_reduce_by_key(rows: list[Any], cuts: list[int], groups: list[int]) -> None:
    job = templates.map_reduce(
        lambda row: [(row["s"], row["n"] or 0)], functools.partial(operator.add), input="table", keyed=True
    )
    found = json_of(any_grouping(job, cut_at(table_of(rows), cuts), groups))
    expected: dict[str, int] = {}
    for n, _, s in rows:
        expected[s] = expected.get(s, 0) + (n or 0)
    assert found == expected
    assert list(found) == sorted(expected)


def test_functions_of_map_reduce_are_held_to_their_word() -> None:
    with pytest.raises(TypeError, match="keys are text, and the map function returned the key 3"):
        templates.map_reduce(lambda value: [(3, value)], operator.add, keyed=True).run_local([1])
    with pytest.raises(TypeError, match="the reduce function returned None"):
        templates.map_reduce(lambda value: value, lambda _one, _other: None).run_local([1, 2])


@given(
    st.lists(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=3), st.lists, max_leaves=5), max_size=9)
)
def test_items_are_processed_one_by_one(items: list[Any]) -> None:
    lines = "".join(f"{json.dumps(item)}\n" for item in items).encode()
    assert templates.parallel_job(repr).run_local(lines).as_json() == [repr(item) for item in items]


# Monte Carlo


def test_a_monte_carlo_estimate_has_the_error_it_says() -> None:
    def is_hit(random: plain_random.Random) -> bool:
        return random.random() ** 2 + random.random() ** 2 < 1

    estimates = [templates.monte_carlo(is_hit, 4_000, seed=seed).run_local().as_json() for seed in range(60)]
    off = [(found["estimate"] - math.pi / 4) / found["error"] for found in estimates]
    assert 0.7 < np.std(off) < 1.3  # in units of its own error
    assert sum(abs(each) < 1.96 for each in off) >= 51  # 95 of 100, less four standard deviations
    assert estimates[0] != estimates[1]
    assert estimates[0] == templates.monte_carlo(is_hit, 4_000, seed=0).run_local().as_json()


@given(st.integers(2, 200), st.integers(1, 70), CUTS)
def test_the_error_is_that_of_numpy_in_any_grouping(draws: int, per_chunk: int, groups: list[int]) -> None:
    job = templates.monte_carlo(lambda random: random.gauss(3.0, 2.0), draws, draws_per_chunk=per_chunk)
    assert job.split is not None
    chunks = list(job.split(b""))
    found = json_of(any_grouping(job, chunks, groups))
    values = [
        generator.gauss(3.0, 2.0)
        for chunk in chunks
        for generator in [plain_random.Random(f"0:{chunk['counter']}")]
        for _ in range(chunk["draws"])
    ]
    assert found["draws"] == draws == len(values)
    assert math.isclose(found["estimate"], math.fsum(values) / draws, rel_tol=1e-15)
    assert math.isclose(found["deviation"], np.std(values, ddof=1), rel_tol=1e-12)
    assert math.isclose(found["error"], np.std(values, ddof=1) / math.sqrt(draws), rel_tol=1e-12)


def test_draws_without_a_mean_are_refused() -> None:
    with pytest.raises(ValueError, match="sample returned inf"):
        templates.monte_carlo(lambda random: math.inf, 10).run_local()


# Pictures


@given(
    npst.arrays(
        st.sampled_from([np.float64, np.float32, np.uint8, np.int16]),
        st.tuples(st.integers(1, 7), st.integers(1, 7)),
        elements=st.integers(0, 255),
    ),
    st.sampled_from([1, 3, 5]),
    st.sampled_from([1, 3]),
    st.integers(0, 1 << 30),
)
def test_tiles_are_convolved_as_scipy_does(image: Any, rows: int, columns: int, seed: int) -> None:
    kernel = np.random.default_rng(seed).normal(size=(rows, columns)).round(2)
    padded = np.pad(image, [(rows // 2,) * 2, (columns // 2,) * 2], mode="symmetric")
    found = np.asarray(Array.from_npy(executed(templates.image_filter_job(kernel), [Array.of(padded)])[0]))
    expected = ndimage.convolve(image.astype(float), kernel, mode="reflect")
    if image.dtype.kind in "iu":
        limits = np.iinfo(image.dtype)
        expected = np.clip(np.rint(expected), limits.min, limits.max)
        assert (abs(found - expected) <= (abs(expected % 1 - 0.5) < 1e-9)).all()
    else:
        np.testing.assert_allclose(found, expected, rtol=1e-6 if image.dtype == np.float32 else 1e-12, atol=1e-9)
    assert found.dtype == image.dtype


@given(
    st.integers(1, 30),
    st.integers(1, 20),
    st.integers(1, 60),
    st.integers(1, 9),
    st.floats(-2, 1),
    st.floats(-1, 1),
    st.floats(1e-3, 4),
)
@settings(max_examples=share_of(40))
def test_mandelbrot_counts_are_numpys(width: int, height: int, limit: int, rows: int, x: float, y: float, across: float) -> None:
    job = templates.mandelbrot(
        width, height, center=complex(x, y), across=across, iterations=limit, rows_per_tile=rows, output="array"
    )
    found = job.run_local().as_array()
    pixel = across / width
    left, top = x - pixel * (width - 1) / 2, y + pixel * (height - 1) / 2
    real, imaginary = np.meshgrid(left + pixel * np.arange(width), top - pixel * np.arange(height))
    expected = np.full((height, width), limit)
    a, b = np.zeros_like(real), np.zeros_like(real)
    for count in range(limit):
        gone = (a * a + b * b > 4.0) & (expected == limit)
        expected[gone] = count
        stays = expected == limit
        a, b = np.where(stays, a * a - b * b + real, 0.0), np.where(stays, 2.0 * a * b + imaginary, 0.0)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.uint32


def test_the_mandelbrot_picture_is_dark_where_nothing_leaves() -> None:
    image = templates.mandelbrot(64, 48, iterations=50).run_local().as_image()
    counts = templates.mandelbrot(64, 48, iterations=50, output="array").run_local().as_array()
    pixels = np.asarray(image)
    assert pixels.shape == (48, 64, 3)
    assert (pixels[counts == 50] == 0).all()
    assert (pixels[counts < 50].sum(axis=1) > 0).all()
    light = pixels.astype(int).sum(axis=2)
    assert light[counts == counts[counts < 50].max()].mean() > light[counts == counts.min()].mean()


# Matrices


@given(
    st.integers(1, 6),
    st.integers(0, 6),
    st.integers(1, 6),
    st.integers(0, 1 << 30),
    st.sampled_from([np.float64, np.float32, np.int64, np.uint8, bool]),
)
def test_blocks_are_multiplied_as_numpy_does(m: int, k: int, n: int, seed: int, dtype: Any) -> None:
    random = np.random.default_rng(seed)
    left, right = ((random.normal(size=shape) * 9).astype(dtype) for shape in ((m, k), (n, k)))
    kind = "<f8" if np.dtype(dtype).kind == "f" else "<i8"
    job = templates.matrix_multiply_job(kind)
    chunk = Array.of(left).to_npy() + Array.of(right).to_npy()
    found = np.asarray(Array.from_npy(executed(job, [chunk])[0]))
    expected = left.astype(kind) @ right.astype(kind).T
    if kind == "<f8":
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-9)
    else:
        np.testing.assert_array_equal(found, expected)


def test_what_is_not_finite_multiplies_as_ieee_says() -> None:
    left = Array.of([[math.inf, 1.0], [1e308, 1e308], [math.nan, 0.0], [math.inf, -math.inf]])
    right = Array.of([[1.0, 1.0], [10.0, -10.0]])
    found = np.asarray(Array.from_npy(executed(templates.matrix_multiply_job("<f8"), [left.to_npy() + right.to_npy()])[0]))
    np.testing.assert_array_equal(found[0], [math.inf, math.inf])
    np.testing.assert_array_equal(found[1], [math.inf, math.nan])
    assert np.isnan(found[2]).all()
    assert np.isnan(found[3, 0])


def test_whole_numbers_beyond_64_bits_are_refused() -> None:
    big = Array.of([[1 << 62, 1 << 62]])
    with pytest.raises(DataError, match="int too big"):
        executed(templates.matrix_multiply_job("<i8"), [big.to_npy() + Array.of([[1, 1]]).to_npy()])
