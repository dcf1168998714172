"""Ready jobs refuse wrong options before anything runs, in words; what travels with them is theirs alone."""

from __future__ import annotations

import functools
import io
import math
import os
import zipfile
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from pangea.compute import PangeaError, templates
from pangea.compute.errors import InputError, JobDefinitionError, ManifestError
from pangea.compute.jobs import JobDefinition

SMALL = {"k": [1], "v": ["a"]}


def drawn(random: Random) -> float:
    return random.random()


WRONG: dict[str, tuple[Callable[[], Any], type[PangeaError], str]] = {
    "no function": (lambda: templates.map_rows(3), JobDefinitionError, "function is a int, not a function"),  # type: ignore[arg-type]
    "no reduce": (lambda: templates.map_reduce(len, None), JobDefinitionError, "reduce_function is a NoneType"),  # type: ignore[arg-type]
    "input": (lambda: templates.map_rows(len, input="tabel"), ManifestError, "input is 'tabel'; it must be one of table"),  # type: ignore[arg-type]
    "types": (lambda: templates.map_rows(len, types={"a": "int64"}), ManifestError, "types are a table's"),
    "dtype": (lambda: templates.map_rows(len, dtype="<i4"), ManifestError, "dtype is an array's"),
    "no range": (lambda: templates.histogram(5), ManifestError, "between isn't given"),
    "falling": (lambda: templates.histogram(5, between=(2, 1)), ManifestError, "must rise"),
    "endless": (lambda: templates.histogram(5, between=(0, math.inf)), ManifestError, "between finite numbers"),
    "no bins": (lambda: templates.histogram(0, between=(0, 1)), ManifestError, "bins is 0; it must be an integer between 1"),
    "equal edges": (lambda: templates.histogram([1, 1]), ManifestError, "2 edges that don't rise"),
    "column": (lambda: templates.extent(column=3), ManifestError, "column is 3"),  # type: ignore[arg-type]
    "k": (lambda: templates.top_k(0, "x"), ManifestError, "count is 0"),
    "by": (lambda: templates.sort([]), ManifestError, "by is"),
    "descending": (lambda: templates.sort(["a", "b"], descending=[True]), ManifestError, "for each of 2 columns"),
    "how": (lambda: templates.join(SMALL, "k", how="cross"), ManifestError, "how is 'cross'"),  # type: ignore[arg-type]
    "no key": (lambda: templates.join(SMALL, "x"), ManifestError, "the small table has no column 'x'"),
    "keys": (lambda: templates.join(SMALL, "x", small_on=["k", "v"]), ManifestError, "on has 1 columns and small_on has 2"),
    "suffix": (lambda: templates.join(SMALL, "k", suffix=""), ManifestError, "suffix is ''"),
    "large": (lambda: templates.join({"k": [os.urandom(5 << 20)]}, "k"), InputError, "6.0 MiB travel with a job"),
    "draws": (lambda: templates.monte_carlo(drawn, 1), ManifestError, "draws is 1"),
    "per chunk": (lambda: templates.monte_carlo(drawn, 10**9, draws_per_chunk=5), ManifestError, "draws_per_chunk is 5"),
    "center": (lambda: templates.mandelbrot(center=math.nan), ManifestError, "center is nan"),
    "across": (lambda: templates.mandelbrot(across=0), ManifestError, "across is 0"),
    "output": (lambda: templates.mandelbrot(output="png"), ManifestError, "output is 'png'"),  # type: ignore[arg-type]
    "block": (lambda: templates.matrix_multiply([[1]], [[1]], block=0), ManifestError, "block is 0"),
    "kernel": (lambda: templates.image_filter_job([[1.0, 2.0]]), ManifestError, "they must be odd"),
    "target": (lambda: templates.linear_regression([[1.0, 2.0]], 0.5), ManifestError, "target is 0.5"),  # type: ignore[arg-type]
    "l2": (lambda: templates.linear_regression([[1.0, 2.0]], l2=-1), ManifestError, "l2 is -1"),
    "once": (lambda: templates.kmeans(io.BytesIO(), 2), ManifestError, "can be read once"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_options_are_refused_at_once(name: str) -> None:
    make, kind, message = WRONG[name]
    with pytest.raises(kind) as caught:
        make()
    assert message in str(caught.value)
    assert len(str(caught.value)) < 300


def texts_of(job: JobDefinition) -> str:
    with zipfile.ZipFile(io.BytesIO(job.archive())) as archive:
        assert sorted(archive.namelist()) == ["graph.json", "job.json", "job.py"]
        return archive.read("job.py").decode()


RATE = 7


def rated(row: Any) -> Any:
    return row * RATE


def execute(row: Any) -> Any:
    return rated(row)


@pytest.mark.parametrize("function", [rated, execute, lambda row: rated(row) + 1, functools.partial(rated), abs, str.upper])
def test_functions_travel_with_what_they_use_and_nothing_else(function: Any) -> None:
    job = templates.map_rows(function, input="jsonl")
    texts_of(job)
    with zipfile.ZipFile(io.BytesIO(job.archive())) as archive:
        graph = archive.read("graph.json")
    assert (b'"RATE":7' in graph) == (function not in (abs, str.upper))
    assert b"pytest" not in graph


def test_equal_jobs_are_equal_bytes() -> None:
    one, other = (templates.group_by("k", {"x": ["mean", "var"]}).archive() for _ in range(2))
    assert one == other
    assert one != templates.group_by("k", {"x": ["mean"]}).archive()
