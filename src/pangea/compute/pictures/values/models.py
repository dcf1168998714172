"""Models and graphs as values: what jobs return of them as JSON, and objects that call their parts the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pangea.compute.model.errors import PictureError
from pangea.compute.model.libraries import need
from pangea.compute.pictures.values.shapes import Bins, Clusters, Coefficients, Confusion, Network, Numbers
from pangea.compute.pictures.values.wording import described, shown


def of_model(value: Any) -> Coefficients | Clusters | Confusion | Bins | None:
    """A model, or None if `value` has no part by the name of coefficients, centroids, confusion or bin_edges.

    scikit-learn's names (`coef_`, `cluster_centers_`, …) are understood, too.

    Raises:
        PictureError: it is a model, and its parts don't fit together.
    """
    if isinstance(value, Sequence | np.ndarray | type):
        return None
    if (given := _part(value, "coefficients", "coef_")) is not None:
        return _coefficients(value, given)
    if (given := _part(value, "centroids", "centers", "cluster_centers_")) is not None:
        return _clusters(value, given)
    if (given := _part(value, "confusion", "confusion_matrix")) is not None:
        counts = _numbers(given, "confusion")
        if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
            raise PictureError(f"the confusion matrix is {described(counts)}; it must have a row and a column for each class")
        return Confusion(counts, _names(_part(value, "classes", "labels", "classes_"), len(counts), "class "))
    if (given := _part(value, "bin_edges")) is not None:
        return _bins(value, given)
    return None


def _bins(value: Any, given: Any) -> Bins:
    edges, counts = _numbers(given, "edges"), _numbers(_or(_part(value, "counts"), []), "counts")
    if edges.ndim != 1 or counts.shape != (len(edges) - 1,) or not (np.diff(edges) > 0).all() or not (counts >= 0).all():
        raise PictureError(
            f"{counts.size:,} counts and {edges.size:,} edges make no histogram",
            hint="edges rise, and there is one more of them than of counts, of which none is negative",
        )
    outside = sum(int(_or(_part(value, name), 0)) for name in ("below", "above", "missing"))
    return Bins(edges, counts, outside)


def of_graph(graph: Any) -> Network:
    """A networkx graph.

    Raises:
        PictureError: it has no nodes.
    """
    if not len(graph.nodes):
        raise PictureError("the graph has no nodes, so there is nothing to show", hint="add at least one node")
    return Network(graph)


def of_node_link(value: Mapping[Any, Any]) -> Network | None:
    """A graph of {"nodes": […], "edges": […]}, or None if `value` isn't one.

    A node is its name, or a mapping with "id"; an edge is a pair, a triple with a weight, or a mapping with "source" and
    "target". "links" is another word for edges; "directed" may be true.

    Raises:
        PictureError: it has no nodes, or an edge is none of those.
    """
    edges = value.get("edges", value.get("links"))
    nodes = value.get("nodes", [])
    if not isinstance(edges, list | tuple) or not isinstance(nodes, list | tuple):
        return None
    networkx = need("networkx", "a picture")
    graph = networkx.DiGraph() if value.get("directed") else networkx.Graph()
    for node in nodes:
        name, about = (node.get("id"), node) if isinstance(node, Mapping) else (node, {})
        graph.add_node(str(name), **{str(key): each for key, each in about.items() if key != "id"})
    for edge in edges:
        source, target, weight = _edge(edge)
        graph.add_edge(source, target, weight=weight)
    return of_graph(graph)


def of_links(value: Any) -> Network | None:
    """A graph of pairs of names, or one with directions of {name: names of neighbours}; None if `value` isn't one.

    Such a mapping might be columns of text as well: it is a graph if one of the neighbours is a node with neighbours, too.
    """
    if isinstance(value, Mapping):
        if not all(isinstance(ends, list | tuple | set | frozenset) for ends in value.values()):
            return None
        pairs: list[Any] = [(node, end) for node, ends in value.items() for end in ends]
        is_graph = any(isinstance(end, str) and end in value for _, end in pairs)
    else:
        pairs = list(value) if isinstance(value, list | tuple) else []
        is_graph = all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs)
    if not pairs or not is_graph or not all(isinstance(end, str) for pair in pairs for end in pair):
        return None
    is_mapping = isinstance(value, Mapping)
    return of_node_link({"nodes": list(value) if is_mapping else [], "edges": pairs, "directed": is_mapping})


def _edge(edge: Any) -> tuple[str, str, float]:
    parts = (edge.get("source"), edge.get("target"), edge.get("weight", 1.0)) if isinstance(edge, Mapping) else edge
    if isinstance(parts, list | tuple) and len(parts) in (2, 3) and parts[0] is not None and parts[1] is not None:
        weight = parts[2] if len(parts) == 3 else 1.0
        return str(parts[0]), str(parts[1]), float(weight) if isinstance(weight, int | float) else 1.0
    raise PictureError(
        f"an edge is {described(edge)}",
        hint="an edge is a pair of nodes, a triple with a weight, or {'source': …, 'target': …}",
    )


def _coefficients(value: Any, given: Any) -> Coefficients:
    names = _part(value, "names", "features", "feature_names", "feature_names_in_")
    if isinstance(given, Mapping):
        names, given = list(given), list(given.values())
    values = _numbers(given, "coefficients")
    values = values.ravel() if values.ndim == 2 and len(values) == 1 else values
    if values.ndim not in (1, 2):
        raise PictureError(f"the coefficients are {described(values)}; they must have one dimension, or classes x features")
    errors = _part(value, "standard_errors", "errors")
    errors = list(errors.values()) if isinstance(errors, Mapping) else errors
    errors = _numbers(errors, "standard errors") if errors is not None and _is_known(errors) else None
    if errors is not None and errors.shape != values.shape:
        raise PictureError(f"there are {values.size} coefficients and {errors.size} standard errors", hint="give one for each")
    intercept = np.ravel(np.asarray(_or(_part(value, "intercept", "intercept_"), np.nan), dtype=float))
    classes = _names(_part(value, "classes", "classes_"), len(values), "class ") if values.ndim == 2 else None
    constant = float(intercept[0]) if intercept.size == 1 and np.isfinite(intercept[0]) else None
    return Coefficients(values, _names(names, values.shape[-1], "feature "), errors, constant, classes)


def _clusters(value: Any, given: Any) -> Clusters:
    centroids = _numbers(given, "centroids")
    if centroids.ndim != 2:
        raise PictureError(f"the centroids are {described(centroids)}; they must have a row for each cluster")
    names = _names(_part(value, "names", "columns", "features", "feature_names_in_"), centroids.shape[1], "feature ")
    sizes = _part(value, "sizes", "counts")
    points = _part(value, "points", "data")
    labels = _part(value, "labels", "assignments", "labels_")
    if points is None:
        if sizes is None and labels is not None:
            sizes = np.bincount(np.asarray(labels, dtype=np.int64).ravel(), minlength=len(centroids))
        return Clusters(centroids, names, None if sizes is None else [int(size) for size in sizes])
    dots = _numbers(points, "points")
    if dots.ndim != 2 or dots.shape[1] != centroids.shape[1]:
        raise PictureError(
            f"the points are {described(dots)}, and the centroids {described(centroids)}", hint="give both the same features"
        )
    nearest = _nearest(dots, centroids) if labels is None else np.asarray(labels, dtype=np.int64).ravel()
    if len(nearest) != len(dots) or nearest.min() < 0 or nearest.max() >= len(centroids):
        raise PictureError(
            f"the labels don't fit {len(dots):,} points and {len(centroids):,} clusters",
            hint="give each point the index of its cluster",
        )
    return Clusters(centroids, names, np.bincount(nearest, minlength=len(centroids)).tolist(), dots, nearest)


def _nearest(points: Numbers, centroids: Numbers) -> Any:
    """The index of the centroid next to each point."""
    square = (centroids**2).sum(axis=1) - 2.0 * points @ centroids.T
    return square.argmin(axis=1)


def _part(value: Any, *names: str) -> Any:
    """The first part of `value` by one of these names: an item of a mapping, an attribute of anything else."""
    found = (value.get(name) if isinstance(value, Mapping) else getattr(value, name, None) for name in names)
    return next((part for part in found if part is not None and not callable(part)), None)


def _numbers(values: Any, what: str) -> Numbers:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise PictureError(f"the {what} aren't numbers, or their rows have different lengths: {described(values)}") from error
    if not array.size or not np.isfinite(array).any():
        raise PictureError(f"the {what} have no numbers", hint="did the fit end well?")
    return array


def _is_known(errors: Any) -> bool:
    """Whether there are errors: a fit without rows to spare has none, and says so by NaN."""
    return not all(isinstance(error, float) and np.isnan(error) for error in np.ravel(errors).tolist())


def _names(names: Any, number: int, prefix: str) -> list[str]:
    if names is None or not len(names):
        return [f"{prefix}{index}" for index in range(number)]
    given = [shown(name) for name in names]
    if len(given) != number:
        raise PictureError(f"there are {len(given):,} names for {number:,}", hint="give each a name, or none")
    return given


def _or(value: Any, otherwise: Any) -> Any:
    return otherwise if value is None else value
