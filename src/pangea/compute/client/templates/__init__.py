"""Ready jobs: what people do with data most often, each as a job to submit, or as a function that submits its rounds.

    from pangea.compute import submit_job
    from pangea.compute.client import templates

    submit_job(templates.group_by("country", {"price": ["mean", "var"]}), frame).as_frame()
    templates.kmeans(array, 8, seed=1).centroids

docs/templates.md has a table of them, with an example of each.
"""

from __future__ import annotations

from pangea.compute.client.templates.chance import monte_carlo
from pangea.compute.client.templates.clusters import KMeansModel, kmeans
from pangea.compute.client.templates.groups import AGGREGATES, group_by
from pangea.compute.client.templates.histograms import extent, histogram, histogram_of
from pangea.compute.client.templates.joins import join
from pangea.compute.client.templates.matrices import MatrixProduct, matrix_multiply, matrix_multiply_job
from pangea.compute.client.templates.order import sort, top_k
from pangea.compute.client.templates.pictures import image_filter, image_filter_job, mandelbrot
from pangea.compute.client.templates.regressions import LinearModel, LogisticModel, linear_regression, logistic_regression
from pangea.compute.client.templates.rows import map_reduce, map_rows, parallel, parallel_job
from pangea.compute.client.templates.texts import letter_counts, word_counts

__all__ = [
    "AGGREGATES",
    "KMeansModel",
    "LinearModel",
    "LogisticModel",
    "MatrixProduct",
    "extent",
    "group_by",
    "histogram",
    "histogram_of",
    "image_filter",
    "image_filter_job",
    "join",
    "kmeans",
    "letter_counts",
    "linear_regression",
    "logistic_regression",
    "mandelbrot",
    "map_reduce",
    "map_rows",
    "matrix_multiply",
    "matrix_multiply_job",
    "monte_carlo",
    "parallel",
    "parallel_job",
    "sort",
    "top_k",
    "word_counts",
]
