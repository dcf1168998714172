"""Ready jobs: what people do with data most often, each as a job to submit, or as a function that submits its rounds.

    from pangea.compute import submit_job
    from pangea.compute import templates

    submit_job(templates.group_by("country", {"price": ["mean", "var"]}), frame).as_frame()
    templates.kmeans(array, 8, seed=1).centroids

docs/templates.md has a table of them, with an example of each.
They are made of what any user's job is made of: nothing below may know them.
"""

from __future__ import annotations

from pangea.compute.templates.aggregates import AGGREGATES
from pangea.compute.templates.asof import join_asof
from pangea.compute.templates.chance import monte_carlo
from pangea.compute.templates.choosing import distinct, filter_rows
from pangea.compute.templates.clusters import KMeansModel, kmeans
from pangea.compute.templates.correlations import corr, cov
from pangea.compute.templates.groups import group_by
from pangea.compute.templates.histograms import extent, histogram, histogram_of
from pangea.compute.templates.joins import join
from pangea.compute.templates.matrices import MatrixProduct, matrix_multiply, matrix_multiply_job
from pangea.compute.templates.missing import dropna, fillna
from pangea.compute.templates.order import sort, top_k
from pangea.compute.templates.pictures import image_filter, image_filter_job, mandelbrot
from pangea.compute.templates.regressions import LinearModel, LogisticModel, linear_regression, logistic_regression
from pangea.compute.templates.resampling import resample
from pangea.compute.templates.reshaping import melt, pivot
from pangea.compute.templates.rows import map_reduce, map_rows, parallel, parallel_job
from pangea.compute.templates.sampling import sample, train_test_split
from pangea.compute.templates.summaries import describe, median, mode, nunique, quantile, value_counts
from pangea.compute.templates.texts import letter_counts, word_counts
from pangea.compute.templates.windows import cumsum, diff, pct_change, rank, rolling, shift
from pangea.compute.templates.writing import to_csv, to_parquet

__all__ = [
    "AGGREGATES",
    "KMeansModel",
    "LinearModel",
    "LogisticModel",
    "MatrixProduct",
    "corr",
    "cov",
    "cumsum",
    "describe",
    "diff",
    "distinct",
    "dropna",
    "extent",
    "fillna",
    "filter_rows",
    "group_by",
    "histogram",
    "histogram_of",
    "image_filter",
    "image_filter_job",
    "join",
    "join_asof",
    "kmeans",
    "letter_counts",
    "linear_regression",
    "logistic_regression",
    "mandelbrot",
    "map_reduce",
    "map_rows",
    "matrix_multiply",
    "matrix_multiply_job",
    "median",
    "melt",
    "mode",
    "monte_carlo",
    "nunique",
    "parallel",
    "parallel_job",
    "pct_change",
    "pivot",
    "quantile",
    "rank",
    "resample",
    "rolling",
    "sample",
    "shift",
    "sort",
    "to_csv",
    "to_parquet",
    "top_k",
    "train_test_split",
    "value_counts",
    "word_counts",
]
