"""Ready jobs in real sandboxes: each as it is natively, byte for byte; models and pictures against the libraries."""

from __future__ import annotations

import functools
import math
import random as plain_random
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage  # type: ignore[import-untyped]

from pangea.compute import JobFailedError, submit_job, templates
from pangea.compute.errors import InputError, JobDefinitionError, ManifestError
from pangea.compute.jobs import JobDefinition
from tests.examples import first, spread

RANDOM = np.random.default_rng(5)
FRAME = pd.DataFrame(
    {
        "key": RANDOM.integers(0, 7, 3_000),
        "word": RANDOM.choice(["ä", "b", "c"], 3_000),
        "x": RANDOM.normal(50.0, 3.0, 3_000),
        "n": RANDOM.integers(-(10**12), 10**12, 3_000),
    }
)
SIZED = FRAME.assign(size=pd.Categorical.from_codes(RANDOM.integers(-1, 3, 3_000), ["S", "M", "L", "XL"], ordered=True))
TEXT = "The cat's 3 hats.\nThe ß and the Ä\n" * 300
FACTOR = 3


def scaled(row: dict[str, Any]) -> dict[str, Any]:
    return {"word": row["word"].upper(), "x": row["x"] * FACTOR}


def is_hit(random: plain_random.Random) -> float:
    return float(random.random() ** 2 + random.random() ** 2 < 1.0)


def power(exponent: int, item: int) -> int:
    return int(item**exponent)


JOBS: dict[str, tuple[JobDefinition, Any]] = {
    "words": (templates.word_counts(), TEXT.encode()),
    "letters": (templates.letter_counts(), TEXT.encode()),
    "histogram": (templates.histogram(20, between=(40, 60), column="x"), FRAME),
    "extent": (templates.extent(), FRAME["x"].to_numpy()),
    "group-by": (templates.group_by(["key", "word"], {"x": templates.AGGREGATES, "n": templates.AGGREGATES}, size="rows"), FRAME),
    "sort": (templates.sort(["word", "x"], descending=[False, True]), FRAME),
    "sort an array": (templates.sort(), FRAME["x"].to_numpy()),
    "top-k": (templates.top_k(10, "x"), FRAME),
    "join": (templates.join({"key": [1, 2, 3, 3], "name": ["one", "two", "three", "drei"]}, "key", how="left"), FRAME),
    "categories": (templates.group_by(["size", "word"], {"size": ["min", "max"], "n": "sum"}), SIZED),
    "sort categories": (templates.sort("size"), SIZED),
    "join: categories": (templates.join(SIZED[["size"]].drop_duplicates(), "size", how="outer"), SIZED),
    "join: anti": (templates.join({"key": [1, 2]}, "key", how="anti"), FRAME),
    "distinct": (templates.distinct(["key", "word"]), FRAME),
    "filter rows": (templates.filter_rows(lambda row: row["x"] > FACTOR * 17), FRAME),
    "map rows": (templates.map_rows(scaled, output="table"), FRAME),
    "map-reduce": (templates.map_reduce(lambda row: {row["word"]: row["n"]}, max, input="table", keyed=True), FRAME),
    "parallel": (templates.parallel_job(functools.partial(power, 3)), b"1\n2\n3\n"),
    "monte carlo": (templates.monte_carlo(is_hit, 2_000, draws_per_chunk=300), None),
    "mandelbrot": (templates.mandelbrot(40, 30, iterations=40), None),
}


@pytest.mark.parametrize("name", spread(7, JOBS))
def test_a_ready_job_is_the_same_in_a_sandbox(name: str) -> None:
    job, data = JOBS[name]
    result = submit_job(job, data, max_chunk_size=16 << 10, min_chunk_size=1 << 10)
    assert bytes(result) == bytes(job.run_local(data, max_chunk_size=16 << 10, min_chunk_size=1 << 10))
    assert result.kind == job.output_kind
    assert len(result) > 0


def test_parallel_takes_and_gives_lists() -> None:
    items = [1, "zwei", [3, None], {"four": 4.5}]
    assert templates.parallel(repr, items) == [repr(item) for item in items]
    assert templates.parallel(repr, []) == []
    with pytest.raises(InputError, match=r"repr, call 1: an object can't travel as a value"):
        templates.parallel(repr, [0, object()])
    with pytest.raises(JobFailedError) as caught:
        templates.parallel(lambda item: 1 // item, [1, 2, 0, 3])
    assert caught.value.chunk_index == 2
    assert "ZeroDivisionError" in caught.value.traceback


def _turned(item: Any) -> Any:
    return {"back": item, 1: (item, float("nan")), (2, 3): b"\xff"}


def _hour(row: dict[str, Any]) -> dict[str, Any]:
    return {"hour": row["at"].hour, "later": row["at"] + timedelta(hours=1), "gap": (row["at"] - START).total_seconds()}


START = datetime(2023, 10, 28, 23, 30, tzinfo=UTC)
ZONED = {"at": [at.to_pydatetime() for at in pd.date_range("2023-10-28 23:30", periods=4, freq="h", tz="UTC")]}


def test_hours_are_local_and_differences_those_of_instants_over_a_change_of_clocks() -> None:
    frame = pd.DataFrame(ZONED).astype("datetime64[us, Europe/Berlin]")
    found = submit_job(templates.map_rows(_hour, output="table"), frame).as_frame()
    assert found["hour"].tolist() == frame["at"].dt.hour.tolist() == [1, 2, 2, 3]
    assert found["gap"].tolist() == [0.0, 3600.0, 7200.0, 10800.0]
    assert (found["later"] == frame["at"] + pd.Timedelta(hours=1)).all()
    assert str(found["later"].dtype) == "datetime64[us, Europe/Berlin]"


def test_items_and_results_of_parallel_keep_their_types() -> None:
    items = [(3, 1), {2, 1}, b"abc", date(2024, 2, 29), float("inf"), {1: "a", "1": "b"}, "\ud800", np.int64(7), 1 + 2j]
    found = templates.parallel(_turned, items)
    assert repr(found) == repr([*map(_turned, items)])
    with pytest.raises(JobFailedError, match="can't travel as a value"):
        templates.parallel(lambda item: object(), [1])


def _draw(_item: int) -> float:
    import random

    return random.random()


def test_equal_items_draw_different_numbers_and_a_seed_repeats_them() -> None:
    first, again, other = (templates.parallel(_draw, [1] * 5, seed=seed) for seed in (7, 7, 8))
    assert len({*first, *other}) == 10
    assert first == again


def test_a_function_that_can_not_travel_is_named() -> None:
    stays = open(__file__)
    stays.close()
    with pytest.raises(JobDefinitionError, match=r"'stays', which is of type _io\.TextIOWrapper"):
        templates.parallel(lambda item: stays.name + str(item), [1])


def test_a_histogram_finds_its_own_range() -> None:
    values = FRAME["x"].to_numpy()
    found = templates.histogram_of(FRAME, 12, column="x")
    counts, edges = np.histogram(values, 12)
    assert found["counts"] == counts.tolist()
    np.testing.assert_array_equal(found["bin_edges"], edges)
    same = templates.histogram_of(np.array([2.0, 2.0, np.inf]), 4)
    assert same["counts"] == np.histogram([2.0, 2.0], 4)[0].tolist()
    assert same["above"] == 1
    with pytest.raises(InputError, match="no finite number"):
        templates.histogram_of(np.array([np.nan]))
    with pytest.raises(ManifestError, match="can be read once"):
        templates.histogram_of(iter([1.0]))


@pytest.mark.parametrize("kind", [float, np.float32, np.int32])
def test_matrices_are_multiplied(kind: Any) -> None:
    left, right = ((RANDOM.normal(size=shape) * 100).astype(kind) for shape in ((37, 20), (20, 23)))
    product = templates.matrix_multiply(left, right, block=10)
    expected = left.astype(np.float64 if kind != np.int32 else np.int64) @ right
    np.testing.assert_allclose(
        product, expected.astype(product.value.dtype), rtol=1e-6 if kind == np.float32 else 1e-12, atol=1e-3
    )
    assert product.result.report.chunks == 12
    np.testing.assert_array_equal(templates.matrix_multiply(left, right, block=7).value, product.value)
    assert product.value.dtype == (np.int64 if kind == np.int32 else kind)
    if kind == np.int32:
        np.testing.assert_array_equal(product.value, left.astype(np.int64) @ right)


def test_matrices_without_items_have_a_product() -> None:
    assert templates.matrix_multiply(np.ones((2, 0)), np.ones((0, 3))).value.tolist() == [[0.0] * 3] * 2
    assert templates.matrix_multiply(np.ones((0, 2)), np.ones((2, 3))).value.shape == (0, 3)
    with pytest.raises(InputError, match=r"left has shape \(2, 3\) and right \(2, 3\)"):
        templates.matrix_multiply(np.ones((2, 3)), np.ones((2, 3)))
    with pytest.raises(InputError, match="it must be a matrix"):
        templates.matrix_multiply(["a"], np.ones((2, 3)))
    with pytest.raises(JobFailedError, match="int too big"):
        templates.matrix_multiply([[2**62, 2**62]], [[1], [1]])


@pytest.mark.long
def test_clusters_are_those_of_scikit_learn() -> None:
    from sklearn.cluster import KMeans  # here, as each worker that collects this file would need a second for it
    from sklearn.datasets import load_iris

    points = load_iris().data
    start = points[[0, 60, 120]]
    model = templates.kmeans(points, 3, init=start)
    theirs = KMeans(3, init=start, n_init=1, tol=0.0).fit(points)
    np.testing.assert_allclose(model.centroids, theirs.cluster_centers_, rtol=1e-12)
    assert math.isclose(model.inertia, theirs.inertia_, rel_tol=1e-12)
    assert model.has_converged
    np.testing.assert_array_equal(model.labels(points), theirs.labels_)
    assert model.predict(points.tolist()) == theirs.labels_.tolist()
    assert model.counts == tuple(np.bincount(theirs.labels_))
    assert len(model.reports) == model.rounds


@pytest.mark.long
def test_clusters_start_from_a_seed_and_from_a_table() -> None:
    from sklearn.cluster import KMeans
    from sklearn.datasets import load_iris

    frame = load_iris(as_frame=True).data
    names = frame.columns.tolist()
    model = templates.kmeans(frame, 3, seed=4, by=names)
    unnamed = templates.kmeans(frame, 3, seed=4)
    assert (unnamed.centroids, unnamed.columns) == (model.centroids, model.columns) == (model.centroids, tuple(names))
    again = templates.kmeans(frame.to_numpy(), 3, seed=4, max_chunk_size=2_000, min_chunk_size=100)
    assert model.centroids == again.centroids
    assert model.inertia < 1.9 * KMeans(3, n_init=10, random_state=0).fit(frame.to_numpy()).inertia_
    np.testing.assert_array_equal(model.labels(frame), again.labels(frame.to_numpy()))
    stopped = templates.kmeans(frame.to_numpy(), 3, seed=4, rounds=1)
    assert (stopped.rounds, stopped.has_converged) == (1, False)


def test_clusters_that_can_not_be_are_refused() -> None:
    with pytest.raises(InputError, match="there are 2 different points for 3 clusters"):
        templates.kmeans(np.array([[1.0], [1.0], [2.0]]), 3)
    with pytest.raises(ManifestError, match="init has 1 points; it must be 2"):
        templates.kmeans(np.eye(2), 2, init=[[1.0, 2.0]])
    with pytest.raises(ManifestError, match="k is 0; it must be an integer"):
        templates.kmeans(np.eye(2), 0)
    with pytest.raises(JobFailedError, match="leave such rows out first"):
        templates.kmeans(np.array([[np.nan, 1.0]]), 1, init=[[1.0, 1.0]])
    alone = templates.kmeans(np.array([[1.0, 2.0], [3.0, 4.0]]), 2, init=[[2.0, 3.0], [100.0, 100.0]])
    assert alone.centroids == ((2.0, 3.0), (100.0, 100.0))  # without points it keeps its place
    assert alone.counts == (2, 0)


def test_a_line_is_that_of_scikit_learn() -> None:
    from sklearn.datasets import load_diabetes
    from sklearn.linear_model import LinearRegression, Ridge

    frame = load_diabetes(as_frame=True, scaled=False).frame
    names = [name for name in frame.columns if name != "target"]
    model = templates.linear_regression(frame, "target", features=names)
    theirs = LinearRegression().fit(frame[names], frame["target"])
    np.testing.assert_allclose(model.coefficients, theirs.coef_, rtol=1e-9)
    assert math.isclose(model.intercept, theirs.intercept_, rel_tol=1e-9)
    assert math.isclose(model.r2, theirs.score(frame[names], frame["target"]), rel_tol=1e-12)
    x = np.column_stack([np.ones(len(frame)), frame[names]])
    left = frame["target"] - theirs.predict(frame[names])
    errors = np.sqrt(np.diag(np.linalg.inv(x.T @ x)) * (left @ left) / (len(frame) - x.shape[1]))
    np.testing.assert_allclose(model.errors, errors[1:], rtol=1e-6)
    np.testing.assert_allclose(model.predict(frame[names].to_numpy()), theirs.predict(frame[names]), rtol=1e-9)
    assert (model.features, model.rows) == (tuple(names), len(frame))
    assert templates.linear_regression(frame, "target").coefficients == model.coefficients  # all other columns
    array = templates.linear_regression(frame[["target", *names]].to_numpy(), 0)
    assert array.coefficients == model.coefficients
    ridge = templates.linear_regression(frame, "target", features=names, l2=50.0)
    np.testing.assert_allclose(ridge.coefficients, Ridge(50.0, tol=1e-12).fit(frame[names], frame["target"]).coef_, rtol=1e-7)


@pytest.mark.long
def test_chances_are_those_of_scikit_learn() -> None:
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression

    data = load_breast_cancer(as_frame=True)
    names = ["mean radius", "mean texture", "mean smoothness"]
    frame = data.frame[[*names, "target"]]
    model = templates.logistic_regression(frame, "target", features=names, l2=0.5)
    theirs = LogisticRegression(C=2.0, tol=1e-12, max_iter=100_000, solver="newton-cholesky").fit(frame[names], frame["target"])
    np.testing.assert_allclose(model.coefficients, theirs.coef_[0], rtol=1e-6)
    assert math.isclose(model.intercept, theirs.intercept_[0], rel_tol=1e-6)
    assert model.has_converged
    chances = theirs.predict_proba(frame[names])[:, 1]
    np.testing.assert_allclose(model.predict(frame[names].to_numpy()), chances, rtol=1e-5, atol=1e-12)
    hit = np.where(frame["target"] == 1, chances, 1 - chances)
    assert math.isclose(model.loss, -np.log(hit).sum(), rel_tol=1e-6)


def test_coefficients_of_chances_are_those_of_newtons_method_to_its_end() -> None:
    random = np.random.default_rng(897007)  # stops where the next step is 1e-7
    features = random.normal(size=(60, 2))
    target = (random.random(60) < 1 / (1 + np.exp(-(features @ [1.0, -0.5] + 0.3)))).astype(int)
    l2 = float(random.choice([0.0, 0.5, 2.0]))
    rows, penalty, weights = np.c_[np.ones(60), features], np.diag([0, l2, l2]), np.zeros(3)
    for _ in range(30):
        chances = 1 / (1 + np.exp(-rows @ weights))
        gradient = rows.T @ (chances - target) + penalty @ weights
        weights -= np.linalg.solve(rows.T @ (rows * (chances * (1 - chances))[:, None]) + penalty, gradient)
    model = templates.logistic_regression(np.c_[features, target], l2=l2)
    np.testing.assert_allclose([model.intercept, *model.coefficients], weights, rtol=1e-12)


@pytest.mark.long
def test_fits_without_an_answer_say_why() -> None:
    x = RANDOM.normal(size=50)
    twice = pd.DataFrame({"a": x, "b": 2 * x, "y": x + 1})
    with pytest.raises(InputError, match="the feature b is a combination of the others"):
        templates.linear_regression(twice, "y", features=["a", "b"])
    assert templates.linear_regression(twice, "y", features=["a", "b"], l2=1e-3).r2 > 0.99
    split = pd.DataFrame({"a": x, "y": x > 0})
    with pytest.raises(InputError, match="tell 0 from 1 without fail"):
        templates.logistic_regression(split, "y", features=["a"])
    assert templates.logistic_regression(split, "y", features=["a"], l2=1.0).has_converged
    with pytest.raises(InputError, match="there are 1 rows"):
        templates.linear_regression(np.array([[1.0, 2.0]]))
    with pytest.raises(ManifestError, match="target is 7; the array has 2 columns"):
        templates.linear_regression(np.ones((3, 2)), 7)
    with pytest.raises(ManifestError, match="'y' is among the features"):
        templates.linear_regression(split, "y", features=["y"])
    with pytest.raises(JobFailedError, match="must be 0 or 1"):
        templates.logistic_regression(np.array([[1.0, 2.0], [2.0, 1.0]]))


@pytest.mark.parametrize("edge", first(1, ["reflect", "mirror", "nearest", "constant", "wrap"]))
def test_images_are_filtered_as_scipy_does(edge: Any) -> None:
    image = RANDOM.integers(0, 256, (23, 17, 3), dtype=np.uint8)
    kernel = RANDOM.normal(size=(5, 3)).round(2)
    found = templates.image_filter(image, kernel, edge=edge, rows_per_tile=4)
    planes = [ndimage.convolve(image[..., channel].astype(float), kernel, mode=edge) for channel in range(3)]
    exact = np.stack(planes, axis=2)
    expected = np.clip(np.rint(exact), 0, 255)
    assert (abs(found - expected) <= (abs(exact % 1 - 0.5) < 1e-9)).all()
    assert (found.dtype, found.shape) == (image.dtype, image.shape)
    np.testing.assert_array_equal(templates.image_filter(image, kernel, edge=edge, rows_per_tile=23), found)


def test_images_that_are_none_are_refused() -> None:
    with pytest.raises(InputError, match="it must be numbers"):
        templates.image_filter(np.array(["a"]), [[1.0]])
    with pytest.raises(InputError, match="to mirror"):
        templates.image_filter(np.ones((1, 5)), [[1.0]] * 3, edge="mirror")
    for kernel in ([[1.0, 2.0]], [], [[1.0], [1.0, 2.0, 3.0]], 5, [["a"]]):
        with pytest.raises(ManifestError, match="kernel"):
            templates.image_filter_job(kernel)
